/* reason: every name of the contract, spelled as there, and what follows from each reason */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "handoff/contract.h"
#include "handoff/macros.h"

/* The contract's table "status | reasons | also to DLQ", with `retryable` from the sentence before it. */
static const struct {
	enum reason reason;
	const char *status;
	const char *name;
	bool dead_letter;
	bool retryable;
} table[] = {
	{ REASON_OK, "completed", "ok", false, false },
	{ REASON_UNCONFIRMED, "initiated", "transfer.unconfirmed", false, false },
	{ REASON_NOT_FOUND, "failed", "session.not_found", false, false },
	{ REASON_NOT_VOICE, "failed", "session.not_voice", false, false },
	{ REASON_ENDED, "failed", "session.ended", false, false },
	{ REASON_AUTH_REJECTED, "failed", "auth.rejected", true, true },
	{ REASON_AUTH_FORBIDDEN, "failed", "auth.forbidden", true, true },
	{ REASON_SERVER_ERROR, "failed", "upstream.server_error", true, true },
	{ REASON_BAD_RESPONSE, "failed", "upstream.bad_response", true, true },
	{ REASON_UPSTREAM_REJECTED, "failed", "upstream.rejected", true, false },
	{ REASON_TRANSFER_REJECTED, "failed", "transfer.rejected", true, false },
	{ REASON_LOCKED, "failed", "session.locked", true, true },
	{ REASON_RATE_LIMITED, "failed", "upstream.rate_limited", true, true },
	{ REASON_TIMEOUT, "failed", "upstream.timeout", true, true },
	{ REASON_DEADLINE_PASSED, "expired", "deadline.passed", false, true },
	{ REASON_DEADLINE_UNREACHABLE, "expired", "deadline.unreachable", false, true },
	{ REASON_CANCELLED, "cancelled", "request.cancelled", false, false },
	{ REASON_ALREADY_TRANSFERRING, "duplicate", "session.already_transferring", false, false },
	{ REASON_DUPLICATE, "duplicate", "request.duplicate", false, false },
	{ REASON_INVALID, "rejected", "request.invalid", true, false },
	{ REASON_UNKNOWN_TENANT, "rejected", "request.unknown_tenant", true, false },
};

static void test_every_reason_has_its_facts(void **state)
{
	(void)state;
	assert_int_equal(ARRAY_SIZE(table), REASON_COUNT);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const enum reason reason = table[i].reason;
		assert_string_equal(reason_name(reason), table[i].name);
		assert_string_equal(status_name(reason_status(reason)), table[i].status);
		assert_int_equal(reason_is_dead_letter(reason), table[i].dead_letter);
		assert_int_equal(reason_is_retryable(reason), table[i].retryable);
	}
}

static void test_names_lead_back(void **state)
{
	(void)state;
	for (int i = 0; i < REASON_COUNT; i++)
		assert_int_equal(reason_by_name(reason_name((enum reason)i)), i);
	for (int i = 0; i < STATUS_COUNT; i++)
		assert_int_equal(status_by_name(status_name((enum status)i)), i);
	for (int i = 0; i < RESUME_COUNT; i++)
		assert_int_equal(resume_by_name(resume_name((enum resume)i)), i);
	for (int i = 0; i < BUDGET_COUNT; i++)
		assert_int_equal(budget_by_name(budget_name((enum budget)i)), i);
	for (int i = 0; i < PRIORITY_COUNT; i++)
		assert_int_equal(priority_by_name(priority_name((enum priority)i)), i);
}

static void test_an_unknown_name_is_none_of_them(void **state)
{
	(void)state;
	static const char *const strangers[] = { "", "OK", "ok ", "session", NULL };
	for (size_t i = 0; i < ARRAY_SIZE(strangers); i++) {
		assert_int_equal(reason_by_name(strangers[i]), REASON_COUNT);
		assert_int_equal(status_by_name(strangers[i]), STATUS_COUNT);
		assert_int_equal(resume_by_name(strangers[i]), RESUME_COUNT);
		assert_int_equal(budget_by_name(strangers[i]), BUDGET_COUNT);
		assert_int_equal(priority_by_name(strangers[i]), PRIORITY_COUNT);
	}
}

static void test_none_of_them_has_no_name(void **state)
{
	(void)state;
	assert_null(reason_name(REASON_COUNT));
	assert_null(status_name(STATUS_COUNT));
	assert_null(resume_name(RESUME_COUNT));
	assert_null(budget_name(BUDGET_COUNT));
	assert_null(stage_name(STAGE_COUNT));
	assert_null(priority_name(PRIORITY_COUNT));
	assert_int_equal(reason_status(REASON_COUNT), STATUS_COUNT);
	assert_false(reason_is_dead_letter(REASON_COUNT));
	assert_false(reason_is_retryable(REASON_COUNT));
}

static void test_the_smaller_tables_are_spelled_as_in_the_contract(void **state)
{
	(void)state;
	assert_string_equal(resume_name(RESUME_FETCH), "fetch");
	assert_string_equal(resume_name(RESUME_UPDATE), "update");
	assert_string_equal(resume_name(RESUME_VERIFY), "verify");
	assert_string_equal(budget_name(BUDGET_RATE_LIMITED), "rate_limited");
	assert_string_equal(budget_name(BUDGET_LOCKED), "locked");
	assert_string_equal(budget_name(BUDGET_SERVER), "server");
	assert_string_equal(budget_name(BUDGET_TIMEOUT), "timeout");
	assert_string_equal(stage_name(STAGE_LOGIN), "login");
	assert_string_equal(stage_name(STAGE_FETCH), "fetch");
	assert_string_equal(stage_name(STAGE_UPDATE), "update");
	assert_string_equal(stage_name(STAGE_TRIGGER), "trigger");
	assert_string_equal(priority_name(PRIORITY_HIGH), "high");
	assert_string_equal(priority_name(PRIORITY_NORMAL), "normal");
	assert_string_equal(priority_name(PRIORITY_LOW), "low");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_reason_has_its_facts),
		cmocka_unit_test(test_names_lead_back),
		cmocka_unit_test(test_an_unknown_name_is_none_of_them),
		cmocka_unit_test(test_none_of_them_has_no_name),
		cmocka_unit_test(test_the_smaller_tables_are_spelled_as_in_the_contract),
	};
	return cmocka_run_group_tests_name("reason", tests, NULL, NULL);
}
