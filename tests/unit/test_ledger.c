/* ledger: each kind of evidence, and what it amounts to */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "handoff/macros.h"
#include "rules/ledger.h"

#define NOW_S INT64_C(1800000000)

struct said {
	enum status status;
	enum reason reason;
};

#define OK_TWICE                                                                                                       \
	{                                                                                                              \
		{ STATUS_COMPLETED, REASON_OK },                                                                       \
		{                                                                                                      \
			STATUS_COMPLETED, REASON_OK                                                                    \
		}                                                                                                      \
	}
#define BAD_TWICE                                                                                                      \
	{                                                                                                              \
		{ STATUS_COMPLETED, REASON_OK },                                                                       \
		{                                                                                                      \
			STATUS_FAILED, REASON_SERVER_ERROR                                                             \
		}                                                                                                      \
	}

/* Ages are seconds before now; a negative one lies ahead. */
static const struct {
	const char *what;
	int64_t age_s;
	int retries; /* at the places 0, 1, ...; the newest is due `due_age_s` ago */
	int64_t due_age_s;
	int outcomes;
	struct said said[2];
	bool done, retry_done;
	int64_t outcomes_age_s; /* the outcome topic's start; 0: nothing was removed */
	enum verdict verdict;
} cases[] = {
	{ .what = "one outcome", .outcomes = 1, .done = true, .verdict = VERDICT_DONE },
	{ .what = "an outcome after our look at the group", .outcomes = 1, .verdict = VERDICT_DONE },
	{ .what = "an outcome, its retry not done when we asked",
	  .retries = 1,
	  .due_age_s = 500,
	  .outcomes = 1,
	  .done = true,
	  .verdict = VERDICT_DONE },
	{ .what = "not read yet", .age_s = 60, .verdict = VERDICT_PENDING },
	{ .what = "not read for a minute", .age_s = 61, .verdict = VERDICT_OVERDUE },
	{ .what = "of no time", .age_s = NOW_S, .verdict = VERDICT_PENDING },
	{ .what = "parked", .age_s = 500, .retries = 1, .due_age_s = -5, .done = true, .verdict = VERDICT_PENDING },
	{ .what = "just due", .age_s = 500, .retries = 1, .due_age_s = 60, .done = true, .verdict = VERDICT_PENDING },
	{ .what = "due for long",
	  .age_s = 500,
	  .retries = 1,
	  .due_age_s = 61,
	  .done = true,
	  .verdict = VERDICT_OVERDUE },
	{ .what = "parked, the request not yet done",
	  .age_s = 500,
	  .retries = 1,
	  .due_age_s = -5,
	  .retry_done = true,
	  .verdict = VERDICT_PENDING },
	{ .what = "done without a trace", .age_s = 1, .done = true, .verdict = VERDICT_LOST },
	{ .what = "its retry done without a trace",
	  .age_s = 1,
	  .retries = 2,
	  .due_age_s = -5,
	  .done = true,
	  .retry_done = true,
	  .verdict = VERDICT_LOST },
	{ .what = "done, outcomes of its time are gone",
	  .age_s = 100,
	  .done = true,
	  .outcomes_age_s = 99,
	  .verdict = VERDICT_UNKNOWN },
	{ .what = "done in the very second of the first outcome",
	  .age_s = 100,
	  .done = true,
	  .outcomes_age_s = 100,
	  .verdict = VERDICT_UNKNOWN },
	{ .what = "done, younger than the first outcome",
	  .age_s = 99,
	  .done = true,
	  .outcomes_age_s = 100,
	  .verdict = VERDICT_LOST },
	{ .what = "pending, however old", .age_s = 10, .outcomes_age_s = 5, .verdict = VERDICT_PENDING },
	{ .what = "twice the same", .outcomes = 2, .said = OK_TWICE, .done = true, .verdict = VERDICT_DOUBLED },
	{ .what = "twice, before it is done", .outcomes = 2, .said = OK_TWICE, .verdict = VERDICT_DOUBLED },
	{ .what = "twice, differently",
	  .outcomes = 2,
	  .said = BAD_TWICE,
	  .done = true,
	  .verdict = VERDICT_CONTRADICTORY },
	{ .what = "twice, an unknown name",
	  .outcomes = 2,
	  .done = true,
	  .said = { { STATUS_FAILED, REASON_TIMEOUT }, { STATUS_COUNT, REASON_COUNT } },
	  .verdict = VERDICT_CONTRADICTORY },
};

static void test_every_case(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct ledger_entry entry = { 0 };
		ledger_add_source(&entry, (NOW_S - cases[i].age_s) * 1000);
		for (int n = 0; n < cases[i].retries; n++)
			assert_true(ledger_add_retry(&entry, n, (NOW_S - cases[i].due_age_s) * 1000));
		for (int n = 0; n < cases[i].outcomes; n++)
			ledger_add_outcome(&entry, cases[i].said[n].status, cases[i].said[n].reason);
		const int64_t from = cases[i].outcomes_age_s;
		const struct ledger_view view = { .done = cases[i].done,
						  .retry_done = cases[i].retry_done,
						  .now_s = NOW_S,
						  .outcomes_from_s = from > 0 ? NOW_S - from : -1 };
		const enum verdict verdict = ledger_judge(&entry, &view);
		if (verdict != cases[i].verdict)
			fail_msg("%s: %s, not %s", cases[i].what, verdict_name(verdict),
				 verdict_name(cases[i].verdict));
	}
}

static void test_newest_retry_counts(void **state)
{
	struct ledger_entry entry = { 0 };
	(void)state;
	assert_true(ledger_add_retry(&entry, 7, 7000));
	assert_true(ledger_add_retry(&entry, 3, 3000));
	assert_int_equal(entry.retry, 8);
	assert_int_equal(entry.due_s, 7);
	assert_true(ledger_add_retry(&entry, LEDGER_RETRIES_MAX - 1, 9000));
	assert_int_equal(entry.due_s, 9);
	assert_false(ledger_add_retry(&entry, LEDGER_RETRIES_MAX, 1000));
	assert_false(ledger_add_retry(&entry, -1, 1000));
	assert_int_equal(entry.due_s, 9);
}

static void test_many_outcomes_are_not_none(void **state)
{
	struct ledger_entry entry = { 0 };
	const struct ledger_view view = { .done = true, .now_s = NOW_S, .outcomes_from_s = -1 };
	(void)state;
	for (int i = 0; i < 1000; i++)
		ledger_add_outcome(&entry, STATUS_COMPLETED, REASON_OK);
	assert_int_equal(ledger_judge(&entry, &view), VERDICT_DOUBLED);
	/* The first says what all others are compared with, also when only the last one differs. */
	ledger_add_outcome(&entry, STATUS_INITIATED, REASON_UNCONFIRMED);
	assert_int_equal(ledger_judge(&entry, &view), VERDICT_CONTRADICTORY);
}

static void test_statuses_and_reasons_are_told_apart(void **state)
{
	(void)state;
	for (int a = 0; a <= REASON_COUNT; a++)
		for (int b = 0; b <= REASON_COUNT; b++)
			for (int s = 0; s <= STATUS_COUNT; s++) {
				struct ledger_entry entry = { 0 };
				ledger_add_outcome(&entry, STATUS_FAILED, (enum reason)a);
				ledger_add_outcome(&entry, (enum status)s, (enum reason)b);
				assert_int_equal(entry.differs, a != b || s != STATUS_FAILED);
			}
}

static void test_what_breaks_a_promise(void **state)
{
	(void)state;
	for (int v = 0; v < VERDICT_COUNT; v++) {
		const bool broken =
			v == VERDICT_LOST || v == VERDICT_DOUBLED || v == VERDICT_CONTRADICTORY || v == VERDICT_OVERDUE;
		assert_int_equal(verdict_is_broken((enum verdict)v), broken);
		assert_int_equal(verdict_why((enum verdict)v) != NULL, broken);
		assert_non_null(verdict_name((enum verdict)v));
	}
	assert_null(verdict_name(VERDICT_COUNT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_case),
		cmocka_unit_test(test_newest_retry_counts),
		cmocka_unit_test(test_many_outcomes_are_not_none),
		cmocka_unit_test(test_statuses_and_reasons_are_told_apart),
		cmocka_unit_test(test_what_breaks_a_promise),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
