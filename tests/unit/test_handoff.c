/*
 * What follows from every reply at every step: the contract's two tables as data. A row is a short story: bring a
 * handoff to a step, answer the call there, look at the order and at what the history says afterwards.
 */
#include "handoff_story.h"

/* ---- What a reply leads to ---- */

enum wire { REPLY, NOT_SENT, NO_REPLY, RESET, CUT };

struct row {
	enum wire wire;
	int status;
	const char *retry_after;
	const char *body;
	/* for fetch, update and trigger in turn: */
	struct {
		enum handoff_order_kind order;
		enum reason reason; /* of the outcome, or of the parking */
		enum resume resume;
		int64_t delay_ms; /* until the next attempt, when parked */
	} then[3];
};

#define PARK       ORDER_PARK
#define END        ORDER_FINISH
#define BY(reason) REASON_##reason
static const struct row replies[] = {
	{ REPLY,
	  429,
	  "7",
	  "",
	  { { PARK, BY(RATE_LIMITED), RESUME_FETCH, 7000 },
	    { PARK, BY(RATE_LIMITED), RESUME_UPDATE, 7000 },
	    { PARK, BY(RATE_LIMITED), RESUME_UPDATE, 7000 } } },
	{ REPLY,
	  429,
	  NULL,
	  "",
	  { { PARK, BY(RATE_LIMITED), RESUME_FETCH, 1000 },
	    { PARK, BY(RATE_LIMITED), RESUME_UPDATE, 1000 },
	    { PARK, BY(RATE_LIMITED), RESUME_UPDATE, 1000 } } },
	{ REPLY,
	  429,
	  "soon",
	  "",
	  { { PARK, BY(RATE_LIMITED), RESUME_FETCH, 1000 },
	    { PARK, BY(RATE_LIMITED), RESUME_UPDATE, 1000 },
	    { PARK, BY(RATE_LIMITED), RESUME_UPDATE, 1000 } } },
	{ REPLY,
	  429,
	  "3600",
	  "",
	  { { END, BY(DEADLINE_UNREACHABLE), RESUME_FETCH, 0 },
	    { END, BY(DEADLINE_UNREACHABLE), RESUME_UPDATE, 0 },
	    { END, BY(DEADLINE_UNREACHABLE), RESUME_UPDATE, 0 } } },
	{ REPLY,
	  409,
	  NULL,
	  "",
	  { { PARK, BY(LOCKED), RESUME_FETCH, 2000 },
	    { PARK, BY(LOCKED), RESUME_UPDATE, 2000 },
	    { PARK, BY(LOCKED), RESUME_UPDATE, 2000 } } },
	{ REPLY,
	  423,
	  "5",
	  "",
	  { { PARK, BY(LOCKED), RESUME_FETCH, 5000 },
	    { PARK, BY(LOCKED), RESUME_UPDATE, 5000 },
	    { PARK, BY(LOCKED), RESUME_UPDATE, 5000 } } },
	{ REPLY,
	  412,
	  NULL,
	  "",
	  { { PARK, BY(LOCKED), RESUME_FETCH, 2000 },
	    { PARK, BY(LOCKED), RESUME_UPDATE, 2000 },
	    { PARK, BY(LOCKED), RESUME_UPDATE, 2000 } } },
	{ REPLY,
	  500,
	  NULL,
	  "{}",
	  { { PARK, BY(SERVER_ERROR), RESUME_FETCH, 1000 },
	    { PARK, BY(SERVER_ERROR), RESUME_UPDATE, 1000 },
	    { PARK, BY(SERVER_ERROR), RESUME_VERIFY, 1000 } } },
	{ REPLY,
	  503,
	  "9",
	  "busy",
	  { { PARK, BY(SERVER_ERROR), RESUME_FETCH, 9000 },
	    { PARK, BY(SERVER_ERROR), RESUME_UPDATE, 9000 },
	    { PARK, BY(SERVER_ERROR), RESUME_VERIFY, 9000 } } },
	{ REPLY,
	  403,
	  NULL,
	  "",
	  { { END, BY(AUTH_FORBIDDEN), RESUME_FETCH, 0 },
	    { END, BY(AUTH_FORBIDDEN), RESUME_FETCH, 0 },
	    { END, BY(AUTH_FORBIDDEN), RESUME_UPDATE, 0 } } },
	{ REPLY,
	  404,
	  NULL,
	  "",
	  { { END, BY(NOT_FOUND), RESUME_FETCH, 0 },
	    { END, BY(NOT_FOUND), RESUME_FETCH, 0 },
	    { END, BY(UPSTREAM_REJECTED), RESUME_UPDATE, 0 } } },
	{ REPLY,
	  410,
	  NULL,
	  "",
	  { { END, BY(NOT_FOUND), RESUME_FETCH, 0 },
	    { END, BY(NOT_FOUND), RESUME_FETCH, 0 },
	    { END, BY(UPSTREAM_REJECTED), RESUME_UPDATE, 0 } } },
	{ REPLY,
	  302,
	  NULL,
	  "",
	  { { END, BY(UPSTREAM_REJECTED), RESUME_FETCH, 0 },
	    { END, BY(UPSTREAM_REJECTED), RESUME_FETCH, 0 },
	    { END, BY(UPSTREAM_REJECTED), RESUME_UPDATE, 0 } } },
	{ REPLY,
	  400,
	  NULL,
	  "",
	  { { END, BY(UPSTREAM_REJECTED), RESUME_FETCH, 0 },
	    { END, BY(UPSTREAM_REJECTED), RESUME_FETCH, 0 },
	    { END, BY(UPSTREAM_REJECTED), RESUME_UPDATE, 0 } } },
	{ REPLY,
	  408,
	  NULL,
	  "",
	  { { PARK, BY(TIMEOUT), RESUME_UPDATE, 1000 },
	    { PARK, BY(TIMEOUT), RESUME_UPDATE, 1000 },
	    { PARK, BY(TIMEOUT), RESUME_VERIFY, 1000 } } },
	{ REPLY,
	  425,
	  NULL,
	  "",
	  { { PARK, BY(TIMEOUT), RESUME_UPDATE, 1000 },
	    { PARK, BY(TIMEOUT), RESUME_UPDATE, 1000 },
	    { PARK, BY(TIMEOUT), RESUME_VERIFY, 1000 } } },
	{ NO_REPLY,
	  0,
	  NULL,
	  "",
	  { { PARK, BY(TIMEOUT), RESUME_UPDATE, 1000 },
	    { PARK, BY(TIMEOUT), RESUME_UPDATE, 1000 },
	    { PARK, BY(TIMEOUT), RESUME_VERIFY, 1000 } } },
	{ RESET,
	  0,
	  NULL,
	  "",
	  { { PARK, BY(TIMEOUT), RESUME_UPDATE, 1000 },
	    { PARK, BY(TIMEOUT), RESUME_UPDATE, 1000 },
	    { PARK, BY(TIMEOUT), RESUME_VERIFY, 1000 } } },
	{ CUT,
	  200,
	  NULL,
	  "{\"a\":",
	  { { PARK, BY(BAD_RESPONSE), RESUME_FETCH, 1000 },
	    { PARK, BY(TIMEOUT), RESUME_UPDATE, 1000 },
	    { PARK, BY(TIMEOUT), RESUME_VERIFY, 1000 } } },
	{ REPLY,
	  200,
	  NULL,
	  "[1]",
	  { { PARK, BY(BAD_RESPONSE), RESUME_FETCH, 1000 },
	    { PARK, BY(TIMEOUT), RESUME_UPDATE, 1000 },
	    { PARK, BY(TIMEOUT), RESUME_VERIFY, 1000 } } },
	{ CUT,
	  503,
	  NULL,
	  "",
	  { { PARK, BY(SERVER_ERROR), RESUME_FETCH, 1000 },
	    { PARK, BY(SERVER_ERROR), RESUME_UPDATE, 1000 },
	    { PARK, BY(SERVER_ERROR), RESUME_VERIFY, 1000 } } },
	{ NOT_SENT,
	  0,
	  NULL,
	  "",
	  { { ORDER_WAIT, BY(COUNT), RESUME_FETCH, 0 },
	    { ORDER_WAIT, BY(COUNT), RESUME_FETCH, 0 },
	    { ORDER_WAIT, BY(COUNT), RESUME_UPDATE, 0 } } },
};

static struct reply_facts facts_of(const struct row *row)
{
	return (struct reply_facts){
		.complete = row->wire == REPLY,
		.sent = row->wire != NOT_SENT,
		.timed_out = row->wire == NO_REPLY,
		.status = row->status,
		.body = span_of(row->body),
		.retry_after = span_of(row->retry_after),
		.trouble = "trouble",
	};
}

static void test_what_a_reply_leads_to(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(replies); i++)
		for (int s = 0; s < 3; s++) {
			const struct row *row = &replies[i];
			const struct history history = fresh();
			struct handoff h;
			print_message("row %zu, status %d, %s\n", i, row->status,
				      stage_name((enum stage)(STAGE_FETCH + s)));
			bring_to(&h, (enum stage)(STAGE_FETCH + s), &history);
			const struct handoff_order order = answer(&h, facts_of(row), "");
			assert_int_equal(order.kind, row->then[s].order);
			assert_int_equal(h.history.resume, row->then[s].resume);
			if (order.kind == ORDER_FINISH)
				assert_int_equal(h.reason, row->then[s].reason);
			if (order.kind == ORDER_PARK) {
				assert_int_equal(h.history.reason, row->then[s].reason);
				assert_int_equal(h.history.not_before_ms, NOW_MS + row->then[s].delay_ms);
				assert_int_equal(h.history.attempt, 2);
			}
			handoff_fini(&h);
		}
}

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
		cmocka_unit_test(test_what_a_reply_leads_to),
		cmocka_unit_test(test_budgets_are_kept_apart),
		cmocka_unit_test(test_what_a_fetch_decides),
		cmocka_unit_test(test_not_voice_and_missing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
