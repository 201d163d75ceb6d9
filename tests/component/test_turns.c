/* turns: who comes first when there is room for one call, and what becomes of those that wait in line */
#include "component/worker_world.h"

static struct tenant *tenant(void)
{
	return &world.worker.tenants[0];
}

static void request_with(const char *id, const char *priority)
{
	char value[512];
	snprintf(value, sizeof(value),
		 "{\"sessionId\":\"%s\",\"queueId\":\"" QUEUE "\",\"handoffId\":\"%s\",\"priority\":\"%s\"}", id, id,
		 priority);
	put(REQUESTS, value, NULL);
}

/* The only call that is open: of this session and step. It is answered. */
static void expect_call(const char *session, enum stage stage)
{
	assert_int_equal(world.in_flight, 1);
	struct http_call *call = open_call(stage);
	assert_string_equal(call->session, session);
	serve(call);
	turn(USEC_PER_MSEC);
}

/* One call at a time, and a bulk handoff whose fetch is open. */
static void begin_bulk(void)
{
	begin_work();
	concurrency_init(&tenant()->concurrency, 1, true);
	request_with("bulk", "low");
	turn(0);
	assert_int_equal(world.in_flight, 1);
}

static void bulk_waits_in_line(void)
{
	begin_bulk();
	request_with("live", "high");
	turn(0);
	expect_call("bulk", STAGE_FETCH);
	assert_string_equal(open_call(STAGE_FETCH)->session, "live");
	assert_int_equal(line_count(&tenant()->line), 1);
}

static void end_well(const char *id)
{
	world.serves = true;
	turns_within(5 * USEC_PER_SEC);
	assert_string_equal(end_of("outcomes", id)->status, "completed");
	assert_int_equal(line_count(&tenant()->line), 0);
}

/* ---- order ---- */

static void test_live_caller_waits_for_one_call(void **state)
{
	(void)state;
	begin_bulk();
	for (int i = 0; i < 50; i++) {
		char id[16];
		snprintf(id, sizeof(id), "more%d", i);
		request_with(id, "low");
	}
	turn(0);
	request_with("live", "high");
	turn(0);
	expect_call("bulk", STAGE_FETCH);
	expect_call("live", STAGE_FETCH);
	expect_call("live", STAGE_UPDATE);
	expect_call("live", STAGE_TRIGGER);
	expect_call("bulk", STAGE_UPDATE); /* what is under way before what would begin */
	expect_call("bulk", STAGE_TRIGGER);
	end_well("bulk");
	assert_string_equal(end_of("outcomes", "live")->status, "completed");
}

static void test_nobody_is_left_in_the_middle(void **state)
{
	(void)state;
	begin_bulk();
	for (int i = 0; i < 40; i++) {
		char id[16];
		snprintf(id, sizeof(id), "live%d", i);
		request_with(id, "high");
	}
	/* Far more live callers than there is room for: after two seconds it is its turn all the same. */
	for (int i = 0; i < 60 && !end_of("outcomes", "bulk"); i++) {
		for (size_t c = 0; c < CALLS_MAX; c++)
			if (world.calls[c].open && !world.calls[c].ended)
				serve(&world.calls[c]);
		turn(250 * USEC_PER_MSEC);
	}
	assert_string_equal(end_of("outcomes", "bulk")->status, "completed");
	assert_true(roster_waiting(tenant()->roster) > 10);
}

/* ---- the rate ---- */

static void test_calls_keep_to_the_rate(void **state)
{
	(void)state;
	begin_work();
	limiter_init(&tenant()->limiter, false, world.now);
	limiter_share(&tenant()->limiter, 10, 0, world.now);
	for (int i = 0; i < 100; i++) {
		char id[16];
		snprintf(id, sizeof(id), "h%d", i);
		request_with(id, "normal");
	}
	world.serves = true;
	world.calls_started = 0;
	assert_true(turns_within(11 * USEC_PER_SEC) < 500); /* it does not spin */
	assert_in_range(world.calls_started, 98, 101);      /* but for the first second */
	/* One after the other: nobody waits between two calls for more than the next tokens. */
	assert_in_range(roster_running(tenant()->roster), 0, 2);
	turns_within(20 * USEC_PER_SEC);
	assert_in_range(world.calls_started, 296, 302);
	size_t completed = 0;
	for (size_t i = 0; i < world.end_count; i++)
		completed += strcmp(world.ends[i].status, "completed") == 0;
	assert_in_range(completed, 97, 101);
}

/* The tenant answers nobody for a while: no more is begun than can be carried on. */
static void test_no_more_is_begun_than_tokens_will_come(void **state)
{
	(void)state;
	begin_work();
	limiter_init(&tenant()->limiter, false, world.now);
	limiter_share(&tenant()->limiter, 2, 0, world.now);
	for (int i = 0; i < 100; i++) {
		char id[16];
		snprintf(id, sizeof(id), "h%d", i);
		request(id, id, 600000);
	}
	turns_within(9 * USEC_PER_SEC); /* the fetch may take ten */
	assert_in_range(world.in_flight, 8, 10);
	world.serves = true;
	turns_within(80 * USEC_PER_SEC);
	assert_in_range(world.end_count, 45, 60);
}

static void test_logins_and_repeated_calls_count(void **state)
{
	(void)state;
	begin_work();
	limiter_init(&tenant()->limiter, false, world.now - 10 * USEC_PER_SEC);
	limiter_share(&tenant()->limiter, 1, 0, world.now - 10 * USEC_PER_SEC);
	request("h", "s", 600000);
	turn(0);
	answer(open_call(STAGE_FETCH), 401, "");
	turn(0);
	turn(0);
	serve(open_call(STAGE_LOGIN)); /* waits for nobody, */
	turn(0);
	turn(1900 * USEC_PER_MSEC);
	assert_int_equal(world.in_flight, 0); /* but its token is one of ours */
	turn(200 * USEC_PER_MSEC);
	assert_string_equal(open_call(STAGE_FETCH)->session, "s");
}

/* ---- memory ---- */

/* A backlog of a lower lane never fills the memory so far that a live caller's record is not read. */
static void test_lower_lane_leaves_room(void **state)
{
	(void)state;
	world.settings.worker.memory_mb = 4;
	begin_work();
	gate_close(&tenant()->gate, world.now + 60 * USEC_PER_SEC, world.now);
	struct partition *p = world.worker.partitions[REQUESTS];
	p->lane = 1;
	for (int i = 0; i < READS_MAX / 2; i++) {
		char id[16];
		snprintf(id, sizeof(id), "bulk%d", i);
		request(id, id, 600000);
	}
	assert_true(turns_within(2 * USEC_PER_SEC) < 500); /* it does not spin over what it may not read */
	const size_t bulk = world.worker.job_memory;
	assert_in_range(bulk, 1 << 20, 3 << 20);
	assert_true(world.read_first[REQUESTS] < world.read_count[REQUESTS]);
	p->lane = 0;
	turns_within(2 * USEC_PER_SEC);
	assert_true(world.worker.job_memory > bulk + bulk / 5);
}

/* ---- what ends a wait in line ---- */

static void test_cancel_in_line(void **state)
{
	(void)state;
	bulk_waits_in_line();
	put(REQUESTS, "{\"type\":\"cancel\",\"sessionId\":\"bulk\"}", NULL);
	turn(0);
	turn(USEC_PER_SEC);
	assert_string_equal(end_of("outcomes", "bulk")->status, "cancelled");
	end_well("live");
	assert_int_equal(world.end_count, 2);
}

static void test_deadline_in_line(void **state)
{
	(void)state;
	begin_work();
	concurrency_init(&tenant()->concurrency, 1, true);
	request("short", "short", 1500);
	turn(0);
	request_with("live", "high");
	turn(0);
	expect_call("short", STAGE_FETCH);
	assert_int_equal(line_count(&tenant()->line), 1);
	turns_within(2 * USEC_PER_SEC);
	assert_string_equal(end_of("outcomes", "short")->reason, "deadline.passed");
	end_well("live");
}

static void test_gate_closes_before_the_line(void **state)
{
	(void)state;
	bulk_waits_in_line();
	answer(open_call(STAGE_FETCH), 429, "");
	turn(0);
	assert_int_equal(line_count(&tenant()->line), 0); /* its copy of the session would be stale: fetched again */
	assert_int_equal(roster_waiting(tenant()->roster), 1);
	world.serves = true;
	turns_within(10 * USEC_PER_SEC);
	assert_string_equal(end_of("outcomes", "bulk")->status, "completed");
	assert_non_null(end_of("retry", "live"));
}

static void test_partitions_leave_while_it_waits_in_line(void **state)
{
	(void)state;
	bulk_waits_in_line();
	event(KAFKA_REVOKED);
	turn(0);
	serve(open_call(STAGE_FETCH));
	turn(USEC_PER_MSEC);
	turns_within(USEC_PER_SEC);
	assert_int_equal(world.released, 1);
	assert_string_equal(end_of("retry", "bulk")->attempt, "2");
}

static void test_partitions_are_lost_while_it_waits_in_line(void **state)
{
	(void)state;
	bulk_waits_in_line();
	event(KAFKA_LOST);
	turn(0);
	assert_int_equal(line_count(&tenant()->line), 0);
	serve(open_call(STAGE_FETCH));
	turns_within(USEC_PER_SEC);
	assert_int_equal(world.end_count, 0);
	assert_int_equal(roster_running(tenant()->roster), 0);
}

static void test_stops_while_it_waits_in_line(void **state)
{
	(void)state;
	bulk_waits_in_line();
	world.signals.stop = 1;
	turn(0);
	world.serves = true; /* there is time for both */
	turns_within(5 * USEC_PER_SEC);
	assert_true(world.worker.finished);
	assert_string_equal(end_of("outcomes", "bulk")->status, "completed");
	assert_string_equal(end_of("outcomes", "live")->status, "completed");
}

/* ---- how many at once ---- */

static void test_overload_takes_calls_away(void **state)
{
	(void)state;
	begin_work();
	concurrency_init(&tenant()->concurrency, 256, false);
	for (int i = 0; i < 200; i++) {
		char id[16];
		snprintf(id, sizeof(id), "h%d", i);
		request_with(id, "normal");
	}
	turn(0);
	assert_int_equal(world.in_flight, CONCURRENCY_FIRST);
	for (size_t c = 0; c < CALLS_MAX; c++)
		if (world.calls[c].open)
			answer(&world.calls[c], c % 2 ? 503 : 500, "");
	turn(0);
	assert_int_equal(world.in_flight, 6);
	for (size_t c = 0; c < CALLS_MAX; c++)
		if (world.calls[c].open && !world.calls[c].ended)
			answer(&world.calls[c], 409, ""); /* no overload */
	turn(0);
	assert_int_equal(world.in_flight, 6);
	assert_int_equal(concurrency_limit(&tenant()->concurrency), 6);
	world.serves = true;
	turns_within(USEC_PER_SEC);
	assert_true(concurrency_limit(&tenant()->concurrency) > 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_live_caller_waits_for_one_call),
		TEST(test_nobody_is_left_in_the_middle),
		TEST(test_calls_keep_to_the_rate),
		TEST(test_no_more_is_begun_than_tokens_will_come),
		TEST(test_logins_and_repeated_calls_count),
		TEST(test_lower_lane_leaves_room),
		TEST(test_cancel_in_line),
		TEST(test_deadline_in_line),
		TEST(test_gate_closes_before_the_line),
		TEST(test_partitions_leave_while_it_waits_in_line),
		TEST(test_partitions_are_lost_while_it_waits_in_line),
		TEST(test_stops_while_it_waits_in_line),
		TEST(test_overload_takes_calls_away),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
