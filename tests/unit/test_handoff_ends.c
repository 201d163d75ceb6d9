/* The main path, and the ends that lie beside it: tokens, deadlines, cancels, giving up. */
#include "handoff_story.h"

/* ---- the main path and its ends ---- */

static void test_main_path(void **state)
{
	struct handoff h;
	const struct history history = fresh();
	(void)state;
	bring_to(&h, STAGE_TRIGGER, &history);
	assert_int_equal(answer(&h, http(200, BRIDGED), "").kind, ORDER_FINISH);
	assert_int_equal(h.status, STATUS_COMPLETED);
	assert_false(h.error.present);
	assert_string_equal(h.history.progress.call_id, "c-1");
	assert_string_equal(h.history.progress.transfer_id, "x-1");
	assert_string_equal(h.transfer.flow_execution_id, "e-1");
	assert_string_equal(h.transfer.agent_wait_time, "2.40");
	assert_int_equal(h.history.progress.calls[STAGE_FETCH], 1);
	assert_int_equal(h.history.progress.calls[STAGE_UPDATE], 1);
	assert_int_equal(h.history.progress.calls[STAGE_TRIGGER], 1);
	handoff_fini(&h);
}

static void test_flow_and_update_verdicts(void **state)
{
	static const struct {
		enum stage stage;
		const char *body;
		enum reason reason;
	} rows[] = {
		{ STAGE_TRIGGER, "", REASON_UNCONFIRMED },
		{ STAGE_TRIGGER, "{\"status\":\"accepted\"}", REASON_UNCONFIRMED },
		{ STAGE_TRIGGER, "{\"status\":\"completed\",\"result\":{\"mediaStreamStatus\":\"ringing\"}}",
		  REASON_UNCONFIRMED },
		{ STAGE_TRIGGER, "{\"status\":\"failed\"}", REASON_TRANSFER_REJECTED },
		{ STAGE_TRIGGER, "{\"status\":\"completed\",\"result\":{\"mediaStreamStatus\":\"disconnected\"}}",
		  REASON_TRANSFER_REJECTED },
		{ STAGE_UPDATE, "{\"telephony\":{\"status\":\"rejected\"}}", REASON_TRANSFER_REJECTED },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct handoff h;
		const struct history history = fresh();
		bring_to(&h, rows[i].stage, &history);
		assert_int_equal(answer(&h, http(200, rows[i].body), "").kind, ORDER_FINISH);
		assert_int_equal(h.reason, rows[i].reason);
		handoff_fini(&h);
	}
}

/* The first 401 asks for a new token and the same call again; the second is final. */
static void test_unauthorized_once(void **state)
{
	struct handoff h;
	const struct history history = fresh();
	(void)state;
	bring_to(&h, STAGE_TRIGGER, &history);
	struct handoff_order order = answer(&h, http(401, ""), "");
	assert_int_equal(order.kind, ORDER_TRIGGER);
	assert_true(order.fresh_token);
	assert_int_equal(feed_kind(&h, HANDOFF_HELD).kind, ORDER_WAIT);
	assert_true(handoff_is_held(&h));
	assert_int_equal(feed_kind(&h, HANDOFF_START).kind, ORDER_TRIGGER);
	order = answer(&h, http(401, ""), "");
	assert_int_equal(order.kind, ORDER_FINISH);
	assert_int_equal(h.reason, REASON_AUTH_REJECTED);
	handoff_fini(&h);
}

/* A tenant that takes every token for a fetch and none for an update: although the attempt begins anew with a fetch
 * while the login is under way, the update's second 401 is its last. One of another call is another matter. */
static void test_unauthorized_twice_beyond_a_fetch(void **state)
{
	struct handoff h;
	const struct history history = fresh();
	(void)state;
	bring_to(&h, STAGE_FETCH, &history);
	assert_true(answer(&h, http(401, ""), "").fresh_token);
	assert_int_equal(answer(&h, http(200, ACTIVE), "").kind, ORDER_UPDATE);
	assert_true(answer(&h, http(401, ""), "").fresh_token);
	assert_int_equal(feed_kind(&h, HANDOFF_HELD).kind, ORDER_WAIT);
	assert_int_equal(feed_kind(&h, HANDOFF_START).kind, ORDER_FETCH);
	assert_int_equal(answer(&h, http(200, ACTIVE), "").kind, ORDER_UPDATE);
	assert_int_equal(answer(&h, http(401, ""), "").kind, ORDER_FINISH);
	assert_int_equal(h.reason, REASON_AUTH_REJECTED);
	handoff_fini(&h);
}

/* What the connector says is kept, but for personal values: by their keys, and numbers wherever they stand. */
static void test_personal_values_are_masked(void **state)
{
	static const char *const keys[] = { "callerName" };
	static const char body[] = "{\"code\":\"tel:+4930123456\",\"message\":\"no route to +49 151 23456789\","
				   "\"callerName\":\"Ada\",\"trace\":\"t-1\"}";
	struct handoff h;
	const struct history history = fresh();
	(void)state;
	policy.redact = keys;
	policy.redact_count = ARRAY_SIZE(keys);
	bring_to(&h, STAGE_TRIGGER, &history);
	answer(&h, http(400, body), "");
	policy.redact_count = 0;
	assert_string_equal(h.error.code, "tel:***");
	assert_string_equal(h.error.message, "no route to ***");
	assert_null(strstr(h.error.body, "Ada"));
	assert_null(strstr(h.error.body, "23456789"));
	assert_non_null(strstr(h.error.body, "t-1"));
	assert_false(h.error.body_truncated);
	handoff_fini(&h);
}

static void test_forbidden_names_the_scopes(void **state)
{
	struct handoff h;
	const struct history history = fresh();
	(void)state;
	bring_to(&h, STAGE_TRIGGER, &history);
	answer(&h, http(403, ""), "flow:execute telephony:transfer");
	assert_int_equal(h.reason, REASON_AUTH_FORBIDDEN);
	assert_non_null(strstr(h.error.message, "flow:execute telephony:transfer"));
	handoff_fini(&h);
}

/* An unanswered trigger never ends as failed or expired: two agents are worse than an unconfirmed one. */
static void test_unanswered_ends_as_initiated(void **state)
{
	struct handoff h;
	struct history history = fresh();
	(void)state;
	history.resume = RESUME_VERIFY;
	history.progress.unanswered = true;
	bring_to(&h, STAGE_FETCH, &history);
	answer(&h, http(400, "{\"message\":\"no\"}"), "");
	assert_int_equal(h.status, STATUS_INITIATED);
	assert_int_equal(h.reason, REASON_UNCONFIRMED);
	assert_true(h.error.present);
	handoff_fini(&h);
	handoff_init(&h, &history);
	const struct handoff_event expire = { .kind = HANDOFF_EXPIRE };
	handoff_feed(&h, &expire, &policy, &now, 0);
	assert_int_equal(h.status, STATUS_INITIATED);
	handoff_fini(&h);
}

static void test_no_step_after_the_deadline(void **state)
{
	struct handoff h;
	struct history history = fresh();
	(void)state;
	history.deadline_ms = NOW_MS;
	handoff_init(&h, &history);
	assert_int_equal(feed_kind(&h, HANDOFF_START).kind, ORDER_FINISH);
	assert_int_equal(h.reason, REASON_DEADLINE_PASSED);
	assert_true(h.retryable);
	handoff_fini(&h);
}

/* Nor the same call again, with a token that somebody else has renewed meanwhile. */
static void test_no_second_token_after_the_deadline(void **state)
{
	static const enum stage stages[] = { STAGE_FETCH, STAGE_UPDATE, STAGE_TRIGGER };
	const struct history history = fresh();
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(stages); i++) {
		struct handoff h;
		bring_to(&h, stages[i], &history);
		h.history.deadline_ms = NOW_MS;
		assert_int_equal(answer(&h, http(401, ""), "").kind, ORDER_FINISH);
		assert_int_equal(h.reason, REASON_DEADLINE_PASSED);
		handoff_fini(&h);
	}
}

static void test_abandon(void **state)
{
	static const struct {
		enum stage stage;
		enum resume resume;
		int64_t due_ms;
	} rows[] = {
		{ STAGE_FETCH, RESUME_FETCH, NOW_MS },
		{ STAGE_UPDATE, RESUME_UPDATE, NOW_MS },
		{ STAGE_TRIGGER, RESUME_VERIFY, NOW_MS + 15000 },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct handoff h;
		const struct history history = fresh();
		bring_to(&h, rows[i].stage, &history);
		assert_int_equal(feed_kind(&h, HANDOFF_ABANDON).kind, ORDER_PARK);
		assert_int_equal(h.history.resume, rows[i].resume);
		assert_int_equal(h.history.not_before_ms, rows[i].due_ms);
		assert_int_equal(h.history.attempt, 2);
		assert_int_equal(h.history.progress.calls[rows[i].stage], 1);
		handoff_fini(&h);
	}
}

/* Held before the update: nothing happened yet, the session is fetched anew. Held before the trigger: goes on there. */
static void test_held(void **state)
{
	struct handoff h;
	const struct history history = fresh();
	(void)state;
	bring_to(&h, STAGE_UPDATE, &history);
	assert_int_equal(feed_kind(&h, HANDOFF_HELD).kind, ORDER_WAIT);
	assert_false(handoff_is_held(&h));
	assert_int_equal(feed_kind(&h, HANDOFF_START).kind, ORDER_FETCH);
	handoff_fini(&h);
	bring_to(&h, STAGE_TRIGGER, &history);
	assert_int_equal(feed_kind(&h, HANDOFF_HELD).kind, ORDER_WAIT);
	assert_true(handoff_is_held(&h));
	assert_int_equal(feed_kind(&h, HANDOFF_ABANDON).kind, ORDER_PARK);
	assert_int_equal(h.history.resume, RESUME_UPDATE);
	handoff_fini(&h);
}

static void test_cancel(void **state)
{
	struct handoff h;
	const struct history history = fresh();
	(void)state;
	handoff_init(&h, &history);
	assert_int_equal(feed_kind(&h, HANDOFF_CANCEL).kind, ORDER_FINISH);
	assert_int_equal(h.status, STATUS_CANCELLED);
	handoff_fini(&h);
	bring_to(&h, STAGE_FETCH, &history);
	assert_int_equal(feed_kind(&h, HANDOFF_CANCEL).kind, ORDER_NOTHING);
	assert_int_equal(answer(&h, http(200, ACTIVE), "").kind, ORDER_FINISH);
	assert_int_equal(h.status, STATUS_CANCELLED);
	handoff_fini(&h);
	bring_to(&h, STAGE_TRIGGER, &history);
	assert_int_equal(feed_kind(&h, HANDOFF_CANCEL).kind, ORDER_NOTHING);
	answer(&h, http(200, BRIDGED), "");
	assert_int_equal(h.status, STATUS_COMPLETED);
	assert_true(h.history.progress.cancel_asked);
	handoff_fini(&h);
}

/* The caller hung up while a call was open, and that call did not lead to the next one. A retry record does not say
 * that a cancel was asked for, so whoever is not told here would be transferred after all. */
static void test_cancel_while_a_call_is_open(void **state)
{
	static const struct {
		enum stage open;
		int status; /* of the reply; 0: surely not sent */
		enum handoff_order_kind order;
		enum status ends;
	} cases[] = {
		{ STAGE_FETCH, 409, ORDER_FINISH, STATUS_CANCELLED },
		{ STAGE_FETCH, 503, ORDER_FINISH, STATUS_CANCELLED },
		{ STAGE_UPDATE, 429, ORDER_FINISH, STATUS_CANCELLED },
		{ STAGE_UPDATE, 401, ORDER_FINISH, STATUS_CANCELLED },
		{ STAGE_UPDATE, 0, ORDER_FINISH, STATUS_CANCELLED },
		{ STAGE_TRIGGER, 429, ORDER_FINISH, STATUS_CANCELLED },
		{ STAGE_TRIGGER, 0, ORDER_FINISH, STATUS_CANCELLED },
		/* It may have been executed: it goes on. */
		{ STAGE_TRIGGER, 500, ORDER_PARK, STATUS_COUNT },
		{ STAGE_TRIGGER, 408, ORDER_PARK, STATUS_COUNT },
	};
	const struct history history = fresh();
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct handoff h;
		bring_to(&h, cases[i].open, &history);
		assert_int_equal(feed_kind(&h, HANDOFF_CANCEL).kind, ORDER_NOTHING);
		struct reply_facts facts = http(cases[i].status, "");
		facts.complete = facts.sent = cases[i].status != 0;
		const struct handoff_order order = answer(&h, facts, "");
		if (order.kind != cases[i].order)
			fail_msg("case %zu: order %d", i, (int)order.kind);
		if (order.kind == ORDER_FINISH)
			assert_int_equal(h.status, cases[i].ends);
		handoff_fini(&h);
	}
	struct handoff h;
	bring_to(&h, STAGE_UPDATE, &history);
	feed_kind(&h, HANDOFF_CANCEL);
	assert_int_equal(feed_kind(&h, HANDOFF_ABANDON).kind, ORDER_FINISH);
	assert_int_equal(h.status, STATUS_CANCELLED);
	handoff_fini(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_main_path),
		cmocka_unit_test(test_flow_and_update_verdicts),
		cmocka_unit_test(test_unauthorized_once),
		cmocka_unit_test(test_unauthorized_twice_beyond_a_fetch),
		cmocka_unit_test(test_forbidden_names_the_scopes),
		cmocka_unit_test(test_personal_values_are_masked),
		cmocka_unit_test(test_unanswered_ends_as_initiated),
		cmocka_unit_test(test_no_step_after_the_deadline),
		cmocka_unit_test(test_no_second_token_after_the_deadline),
		cmocka_unit_test(test_abandon),
		cmocka_unit_test(test_held),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_cancel_while_a_call_is_open),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
