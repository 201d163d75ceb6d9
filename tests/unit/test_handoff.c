/*
 * What a fetch decides: the contract's table as data, and how budgets are counted. What any other reply leads to is in
 * reply_table.h.
 */
#include "handoff_story.h"

#define PARK       ORDER_PARK
#define END        ORDER_FINISH
#define BY(reason) REASON_##reason

/* ---- budgets ---- */

/* A budget of N is N tries in all, and only failures of its own class burn it. */
static void test_budgets_are_kept_apart(void **state)
{
	static const struct {
		int status;
		enum budget budget;
		enum reason reason;
	} rows[] = {
		{ 429, BUDGET_RATE_LIMITED, REASON_RATE_LIMITED },
		{ 409, BUDGET_LOCKED, REASON_LOCKED },
		{ 500, BUDGET_SERVER, REASON_SERVER_ERROR },
		{ 408, BUDGET_TIMEOUT, REASON_TIMEOUT },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct handoff h;
		struct history history = fresh();
		for (size_t b = 0; b < BUDGET_COUNT; b++)
			history.failures[b] = policy.budgets[b] - 1;
		history.failures[rows[i].budget] = policy.budgets[rows[i].budget] - 2;
		bring_to(&h, STAGE_FETCH, &history);
		assert_int_equal(answer(&h, http(rows[i].status, ""), "").kind, ORDER_PARK);
		history = h.history;
		handoff_fini(&h);
		bring_to(&h, STAGE_FETCH, &history);
		assert_int_equal(answer(&h, http(rows[i].status, "{\"code\":\"E\"}"), "").kind, ORDER_FINISH);
		assert_int_equal(h.reason, rows[i].reason);
		assert_int_equal(h.status, STATUS_FAILED);
		assert_true(h.retryable);
		assert_true(h.error.present);
		handoff_fini(&h);
	}
}

/* ---- What a fetch decides ---- */

#define OURS_NOW    "\"handoffdId\":\"h-1#handoff.requests/3/1041#2\""
#define OURS_BEFORE "\"handoffdId\":\"h-1#handoff.requests/3/1041#1\""
#define TWIN        "\"handoffdId\":\"h-1#handoff.requests/3/7#1\""
#define FOREIGN     "\"handoffdId\":\"other#handoff.requests/3/7#1\""
#define NONE        ""

struct decision {
	const char *status;
	const char *marker;
	enum resume resume;
	int32_t replay;
	bool never;
	enum handoff_order_kind order;
	enum reason reason;
};

static const struct decision decisions[] = {
	{ "active", TWIN, RESUME_UPDATE, 0, false, END, BY(DUPLICATE) },
	{ "ended", TWIN, RESUME_UPDATE, 0, false, END, BY(DUPLICATE) },
	{ "active", TWIN, RESUME_UPDATE, 1, false, ORDER_UPDATE, BY(COUNT) },
	{ "processing", NONE, RESUME_UPDATE, 0, false, PARK, BY(LOCKED) },
	{ "processing", OURS_NOW, RESUME_VERIFY, 0, false, PARK, BY(LOCKED) },
	{ "ended", NONE, RESUME_UPDATE, 0, false, END, BY(ENDED) },
	{ "completed", FOREIGN, RESUME_UPDATE, 0, false, END, BY(ENDED) },
	{ "terminated", OURS_BEFORE, RESUME_UPDATE, 0, false, END, BY(UNCONFIRMED) },
	{ "closed", NONE, RESUME_VERIFY, 0, false, END, BY(UNCONFIRMED) },
	{ "transferring", NONE, RESUME_UPDATE, 0, false, END, BY(ALREADY_TRANSFERRING) },
	{ "transferring", FOREIGN, RESUME_VERIFY, 0, false, END, BY(ALREADY_TRANSFERRING) },
	{ "transferring", OURS_NOW, RESUME_UPDATE, 0, false, ORDER_UPDATE, BY(COUNT) },
	{ "transferring", OURS_NOW, RESUME_UPDATE, 0, true, END, BY(UNCONFIRMED) },
	{ "transferring", OURS_BEFORE, RESUME_VERIFY, 0, true, END, BY(UNCONFIRMED) },
	{ "transferring", OURS_BEFORE, RESUME_UPDATE, 0, true, ORDER_UPDATE, BY(COUNT) },
	{ "active", OURS_NOW, RESUME_UPDATE, 0, true, END, BY(UNCONFIRMED) },
	{ "active", OURS_BEFORE, RESUME_UPDATE, 0, true, ORDER_UPDATE, BY(COUNT) },
	{ "idle", NONE, RESUME_VERIFY, 0, true, END, BY(UNCONFIRMED) },
	{ "idle", NONE, RESUME_VERIFY, 0, false, ORDER_UPDATE, BY(COUNT) },
	{ "idle", FOREIGN, RESUME_FETCH, 0, true, ORDER_UPDATE, BY(COUNT) },
	{ "daydreaming", NONE, RESUME_FETCH, 0, true, ORDER_UPDATE, BY(COUNT) },
};

static void test_what_a_fetch_decides(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(decisions); i++) {
		const struct decision *d = &decisions[i];
		struct history history = fresh();
		struct handoff h;
		char body[512];
		print_message("row %zu: %s %s\n", i, d->status, d->marker);
		history.attempt = 2;
		history.resume = d->resume;
		history.replay = d->replay;
		policy.retrigger_keyed = !d->never;
		bring_to(&h, STAGE_FETCH, &history);
		snprintf(body, sizeof(body), "{\"channel\":\"voice\",\"status\":\"%s\",\"variables\":{%s}}", d->status,
			 d->marker);
		const struct handoff_order order = answer(&h, http(200, body), "");
		policy.retrigger_keyed = true;
		assert_int_equal(order.kind, d->order);
		if (order.kind == ORDER_FINISH)
			assert_int_equal(h.reason, d->reason);
		assert_int_equal(h.unknown_status, strcmp(d->status, "daydreaming") == 0);
		handoff_fini(&h);
	}
}

/* A worker died in this attempt, perhaps behind its trigger. Its successor finds the session busy and parks: the next
 * attempt no longer sees the marker as its own, so the record must say it. */
static void test_a_dead_worker_is_not_forgotten(void **state)
{
	static const char *const bodies[] = {
		"{\"channel\":\"voice\",\"status\":\"processing\",\"variables\":{" OURS_NOW "}}",
		"{\"channel\":\"voice\",\"status\":\"active\",\"variables\":{" OURS_NOW "}}",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		struct history history = fresh();
		struct handoff h;
		history.attempt = 2;
		bring_to(&h, STAGE_FETCH, &history);
		if (answer(&h, http(200, bodies[i]), "").kind == ORDER_UPDATE)
			answer(&h, http(409, ""), "");
		assert_int_equal(h.step, HANDOFF_PARKED);
		assert_int_equal(h.history.resume, RESUME_VERIFY);
		handoff_fini(&h);
	}
}

/* The same, but the successor's fetch fails, so that it parks without having seen the marker. */
static void test_attempts_without_an_update_are_counted(void **state)
{
	struct history history = fresh();
	struct handoff h;
	(void)state;
	for (int32_t attempt = 1; attempt <= 2; attempt++) {
		bring_to(&h, STAGE_FETCH, &history);
		answer(&h, http(503, ""), "");
		assert_int_equal(h.history.progress.unmarked, attempt);
		history = h.history;
		handoff_fini(&h);
	}
	bring_to(&h, STAGE_UPDATE, &history);
	answer(&h, http(409, ""), "");
	assert_int_equal(h.history.progress.unmarked, 0);
	handoff_fini(&h);
}

static void test_not_voice_and_missing(void **state)
{
	struct handoff h;
	struct history history = fresh();
	(void)state;
	bring_to(&h, STAGE_FETCH, &history);
	answer(&h, http(200, "{\"channel\":\"chat\",\"status\":\"active\"}"), "");
	assert_int_equal(h.reason, REASON_NOT_VOICE);
	handoff_fini(&h);
	history.resume = RESUME_VERIFY;
	bring_to(&h, STAGE_FETCH, &history);
	answer(&h, http(404, ""), "");
	assert_int_equal(h.reason, REASON_UNCONFIRMED);
	assert_int_equal(h.status, STATUS_INITIATED);
	handoff_fini(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_budgets_are_kept_apart),
		cmocka_unit_test(test_what_a_fetch_decides),
		cmocka_unit_test(test_a_dead_worker_is_not_forgotten),
		cmocka_unit_test(test_attempts_without_an_update_are_counted),
		cmocka_unit_test(test_not_voice_and_missing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
