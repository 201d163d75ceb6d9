/* dispatch and intake: what waits starts when it may and ends when it must, whatever the tenant does, and what is read
 * is bounded without anything standing still. */
#include "component/worker_world.h"

static void serve_all(int turns)
{
	world.serves = true;
	for (int i = 0; i < turns; i++)
		turn(USEC_PER_MSEC);
	world.serves = false;
}

static void test_main_path(void **state)
{
	(void)state;
	begin_work();
	request("h", "s", 60000);
	bring_to(STAGE_TRIGGER);
	serve(open_call(STAGE_TRIGGER));
	turn(0);
	turn(100 * USEC_PER_MSEC);
	assert_string_equal(end_of("outcomes", "h")->status, "completed");
}

/* ---- memory and windows ---- */

/* A backlog of retries larger than the memory, due too soon to be spilled: the partition's end is out of reach until
 * some of them have run. */
static void test_memory_full_of_parked_retries(void **state)
{
	(void)state;
	world.settings.worker.memory_mb = 2; /* half of it is for what is fetched ahead */
	world.serves = true;
	say_topics_fit();
	assign();
	for (int i = 0; i < 100; i++) {
		char id[16];
		snprintf(id, sizeof(id), "h%d", i);
		retry(id, id, 900, 50000);
	}
	put_end(RETRY);
	turns_within(USEC_PER_SEC / 2);
	assert_true(world.worker.job_memory >= (1 << 20));
	assert_false(world.worker.partitions[RETRY]->read_to_end);
	turns_within(20 * USEC_PER_SEC);
	for (int i = 0; i < 100; i++) {
		char id[16];
		snprintf(id, sizeof(id), "h%d", i);
		if (!end_of("outcomes", id))
			fail_msg("%s stands still", id);
	}
}

/* It stood unread behind others when its time came: that counts, too. */
static void test_lateness_of_what_was_read_late(void **state)
{
	struct buf text;
	(void)state;
	begin_work();
	retry("late", "s-1", -5000, 0);
	put_end(RETRY);
	turn(0);
	turn(0);
	buf_init(&text, 1 << 20);
	metrics_write(world.worker.metrics, &text);
	assert_non_null(strstr(buf_text(&text), "handoffd_retry_lateness_seconds_sum 5\n"));
	buf_fini(&text);
}

/* Two partitions, and one alone could fill the memory: it leaves the other one its half. */
static void test_nobody_reads_beyond_his_share(void **state)
{
	(void)state;
	world.settings.worker.memory_mb = 4; /* half of it is for what is fetched ahead */
	say_topics_fit();
	assign();
	put_end(RETRY);
	turn(0);
	turn(0);
	for (int i = 0; i < 60; i++) {
		char id[16];
		snprintf(id, sizeof(id), "h%d", i);
		retry(id, id, 500000, 50000);
	}
	request("small", "s", 600000);
	turns_within(USEC_PER_SEC / 2);
	const struct partition *const *all = (const struct partition *const *)world.worker.partitions;
	assert_int_equal(all[REQUESTS]->job_count, 1);
	assert_true(all[RETRY]->memory < (3 << 19)); /* what it held for later was spilled */
	assert_int_equal(world.read_first[RETRY], world.read_count[RETRY]);
	assert_int_equal(all[RETRY]->memory + all[REQUESTS]->memory, world.worker.job_memory);
}

/* One handoff pins the base while a million offsets pass, or retention takes what lies between. */
static void test_record_far_beyond_the_base(void **state)
{
	(void)state;
	begin_work();
	request("pins", "s-1", 600000);
	turn(0);
	*next_read(REQUESTS) = (struct kafka_read){ .kind = KAFKA_READ_RESET };
	world.next_offset[REQUESTS] = 5000000;
	request("far", "s-2", 600000);
	request("behind", "s-3", 600000);
	turn(0);
	assert_false(world.worker.finished);
	assert_int_equal(world.in_flight, 1); /* it waits, and so does what stands behind it */
	for (enum stage at = STAGE_FETCH; at <= STAGE_TRIGGER; at++) {
		serve(open_call(at));
		turn(0);
	}
	turn(USEC_PER_SEC);
	serve_all(10);
	turn(USEC_PER_SEC);
	turn(0);
	assert_string_equal(end_of("outcomes", "far")->status, "completed");
	assert_string_equal(end_of("outcomes", "behind")->status, "completed");
	assert_int_equal(offsets_base(world.worker.partitions[REQUESTS]->offsets), 5000002);
}

/* Its place in memory goes with its partition. */
static void test_record_far_beyond_the_base_and_lost(void **state)
{
	(void)state;
	begin_work();
	request("pins", "s-1", 600000);
	turn(0);
	world.next_offset[REQUESTS] = 5000000;
	request("far", "s-2", 600000);
	turn(0);
	event(KAFKA_LOST);
	turn(0);
	assert_int_equal(world.released, 1);
}

/* ---- the tenant ---- */

static void test_deadline_without_a_token(void **state)
{
	(void)state;
	begin_work();
	token_cache_refuse(world.worker.tenants[0].token, 1);
	request("h", "s", 3000);
	turns_within(2 * USEC_PER_SEC);
	assert_null(end_of("outcomes", "h"));
	assert_true(turns_within(3 * USEC_PER_SEC) < 100);
	assert_string_equal(end_of("outcomes", "h")->reason, "deadline.passed");
	assert_int_equal(world.in_flight, 1); /* the login that nobody answers */
}

static void test_deadline_while_held(void **state)
{
	(void)state;
	begin_work();
	request("held", "s", 30000);
	bring_to(STAGE_UPDATE);
	struct tenant *t = &world.worker.tenants[0];
	gate_close(&t->gate, world.now + 10 * USEC_PER_SEC, world.now);
	serve(open_call(STAGE_UPDATE));
	turn(0);
	assert_int_equal(dispatch_busy(&world.worker), 1);
	gate_close(&t->gate, world.now + 60 * USEC_PER_SEC, world.now);
	turn(0);
	turn(100 * USEC_PER_MSEC);
	/* Told as soon as it is certain, and its session is free. */
	assert_string_equal(end_of("outcomes", "held")->reason, "deadline.unreachable");
	assert_int_equal(dispatch_busy(&world.worker), 0);
}

/* One handoff waits before its trigger, a more urgent one has not begun: only one of them tries whether the tenant is
 * back. */
static void test_one_probe_of_two_that_wait(void **state)
{
	(void)state;
	world.tenant.breaker_failures = 1;
	breaker_init(&world.worker.tenants[0].breaker, 1, world.tenant.breaker_open_ms * USEC_PER_MSEC);
	begin_work();
	request("held", "s-1", 600000);
	bring_to(STAGE_TRIGGER);
	answer(open_call(STAGE_TRIGGER), 0, "");
	turn(USEC_PER_MSEC);
	put(REQUESTS,
	    "{\"sessionId\":\"s-2\",\"queueId\":\"" QUEUE "\",\"handoffId\":\"urgent\",\"priority\":\"high\"}", NULL);
	request("other", "s-3", 600000);
	turn(USEC_PER_MSEC);
	assert_int_equal(world.in_flight, 0);
	turn(world.tenant.breaker_open_ms * USEC_PER_MSEC);
	assert_int_equal(world.in_flight, 1);
	serve_all(10);
	turns_within(5 * USEC_PER_SEC);
	world.serves = true;
	turns_within(5 * USEC_PER_SEC);
	assert_string_equal(end_of("outcomes", "held")->status, "completed");
	assert_string_equal(end_of("outcomes", "urgent")->status, "completed");
}

static void test_breaker_gate_and_held(void **state)
{
	(void)state;
	begin_work();
	struct tenant *t = &world.worker.tenants[0];
	char id[16];
	for (int i = 0; i < 8; i++) {
		snprintf(id, sizeof(id), "h%d", i);
		request(id, id, 600000);
	}
	turn(0);
	for (int i = 0; i < 20 && t->breaker.state == BREAKER_CLOSED; i++) {
		for (size_t c = 0; c < CALLS_MAX; c++)
			if (world.calls[c].open)
				answer(&world.calls[c], 0, "");
		turn(USEC_PER_MSEC);
	}
	assert_int_equal(t->breaker.state, BREAKER_OPEN);
	assert_int_equal(world.in_flight, 0);
	assert_true(turns_within(4 * USEC_PER_SEC) < 40); /* nobody spins before its time */
	turn(2 * USEC_PER_SEC);
	assert_int_equal(world.in_flight, 1);    /* one real request tries */
	answer(open_call(STAGE_FETCH), 429, ""); /* neither success nor failure: another may, once the gate is open */
	turn(0);
	assert_int_equal(world.in_flight, 0);
	assert_true(gate_is_closed(&t->gate, world.now));
	turn(3 * USEC_PER_SEC);
	assert_int_equal(world.in_flight, 1);
	serve_all(5);
	assert_int_equal(t->breaker.state, BREAKER_CLOSED);
	world.serves = true;
	turns_within(30 * USEC_PER_SEC);
	for (int i = 0; i < 8; i++) {
		snprintf(id, sizeof(id), "h%d", i);
		assert_true(end_of("outcomes", id) || end_of("retry", id));
	}
}

/* The probe's partition leaves while it is open, or its call is given up: the breaker is not half-open for ever. */
static void test_probe_that_is_given_up(void **state)
{
	(void)state;
	begin_work();
	struct tenant *t = &world.worker.tenants[0];
	t->breaker.state = BREAKER_OPEN;
	t->breaker.retry_at = world.now;
	request("probe", "s-1", 600000);
	turn(0);
	assert_int_equal(t->breaker.state, BREAKER_HALF_OPEN);
	event(KAFKA_REVOKED);
	turn(0);
	turns_within(6 * USEC_PER_SEC);
	assert_int_equal(world.released, 1);
	assert_int_equal(t->breaker.state, BREAKER_OPEN);
	assert_true(breaker_allows(&t->breaker, world.now));
}

/* A call gets its own time-out, or what is left until the deadline; and when that has passed there is no next call. */
static void test_deadline_before_each_step(void **state)
{
	for (enum stage stage = STAGE_FETCH; stage <= STAGE_TRIGGER; stage++) {
		set_up(state);
		begin_work();
		request("h", "s", 20000);
		bring_to(stage);
		assert_int_equal(open_call(stage)->timeout, (stage == STAGE_FETCH ? 10 : 15) * USEC_PER_SEC);
		tear_down(state);
		set_up(state);
		begin_work();
		request("h", "s", 9000);
		bring_to(stage);
		assert_int_equal(open_call(stage)->timeout, 9 * USEC_PER_SEC);
		world.now += 9 * USEC_PER_SEC;
		serve(open_call(stage));
		turn(0);
		assert_int_equal(world.in_flight, 0);
		turn(USEC_PER_SEC);
		const struct written *end = end_of("outcomes", "h");
		assert_string_equal(end->reason, stage == STAGE_TRIGGER ? "ok" : "deadline.passed");
		tear_down(state);
	}
}

/* The time-out that the deadline has cut short is the end of it: there is no time for another attempt. */
static void test_no_parking_after_the_last_time_out(void **state)
{
	static const char *const reasons[] = { [STAGE_FETCH] = "deadline.unreachable",
					       [STAGE_UPDATE] = "deadline.unreachable",
					       [STAGE_TRIGGER] = "transfer.unconfirmed" };
	for (enum stage stage = STAGE_FETCH; stage <= STAGE_TRIGGER; stage++) {
		set_up(state);
		begin_work();
		request("h", "s", 9000);
		bring_to(stage);
		world.now += 9 * USEC_PER_SEC;
		struct http_call *call = open_call(stage);
		call->ended = true;
		call->reply = (struct http_reply){ .error = HTTP_TIMEOUT, .sent = true };
		turn(0);
		turn(USEC_PER_SEC);
		assert_null(end_of("retry", "h"));
		assert_string_equal(end_of("outcomes", "h")->reason, reasons[stage]);
		tear_down(state);
	}
}

/* The token is refused in the middle of an attempt: one login, the same call again. */
static void test_token_refused(void **state)
{
	(void)state;
	begin_work();
	request("h", "s", 600000);
	bring_to(STAGE_TRIGGER);
	answer(open_call(STAGE_TRIGGER), 401, "");
	turn(0);
	turn(0);
	serve(open_call(STAGE_LOGIN));
	turn(0);
	serve(open_call(STAGE_TRIGGER));
	turn(0);
	turn(USEC_PER_SEC);
	assert_string_equal(end_of("outcomes", "h")->status, "completed");
}

/* A trigger without a reply: whether it is repeated is the tenant's setting. */
static void trigger_without_reply(bool keyed)
{
	world.tenant.retrigger_keyed = keyed;
	begin_work();
	request("h", "s", 600000);
	bring_to(STAGE_TRIGGER);
	answer(open_call(STAGE_TRIGGER), 408, "");
	turn(0);
	turn(USEC_PER_SEC);
	assert_string_equal(end_of("retry", "h")->resume, "verify");
	put(RETRY, "{\"sessionId\":\"s\",\"queueId\":\"" QUEUE "\",\"handoffId\":\"h\"}",
	    (const char *const[]){ HDR_ATTEMPT, "2", HDR_RESUME, "verify", NULL });
	bring_to(STAGE_FETCH);
	serve(open_call(STAGE_FETCH));
	turn(0);
}

static void test_trigger_is_repeated_with_its_key(void **state)
{
	(void)state;
	trigger_without_reply(true);
	(void)open_call(STAGE_UPDATE);
}

static void test_trigger_is_never_repeated(void **state)
{
	(void)state;
	trigger_without_reply(false);
	assert_int_equal(world.in_flight, 0);
	turn(USEC_PER_SEC);
	assert_string_equal(end_of("outcomes", "h")->reason, "transfer.unconfirmed");
}

/* ---- cancels ---- */

static const char cancel[] = "{\"type\":\"cancel\",\"sessionId\":\"s\"}";

static void test_cancel_while_the_session_is_found_locked(void **state)
{
	(void)state;
	begin_work();
	request("h", "s", 600000);
	turn(0);
	put(REQUESTS, cancel, NULL);
	turn(0);
	answer(open_call(STAGE_FETCH), 409, "");
	turn(0);
	turn(USEC_PER_SEC);
	assert_null(end_of("retry", "h")); /* a retry would not know of the cancel any more */
	assert_string_equal(end_of("outcomes", "h")->status, "cancelled");
}

static void test_cancel_that_came_first(void **state)
{
	(void)state;
	begin_work();
	put(REQUESTS, cancel, NULL);
	turn(0);
	turn(USEC_PER_SEC);
	turn(0);
	assert_int_equal(world.end_count, 1); /* kept in the retry topic */
	assert_string_equal(world.ends[0].topic, "retry");
	assert_int_equal(world.worker.partitions[REQUESTS]->cancels, 1); /* heard from here until it comes back */
	put(RETRY, cancel, (const char *const[]){ HDR_ATTEMPT, "1", HDR_ORIGIN, "requests/0/0", NULL });
	turn(0);
	assert_int_equal(world.worker.partitions[REQUESTS]->cancels, 0);
	assert_int_equal(world.worker.partitions[RETRY]->cancels, 1);
	request("h", "s", 600000);
	turn(0);
	turn(USEC_PER_SEC);
	assert_string_equal(end_of("outcomes", "h")->status, "cancelled");
	assert_int_equal(world.worker.partitions[RETRY]->cancels, 0);
	request("next", "s", 600000); /* it is used up */
	turn(0);
	(void)open_call(STAGE_FETCH);
}

static void test_same_record_again_is_no_duplicate(void **state)
{
	(void)state;
	begin_work();
	request("h", "s", 600000);
	request("h", "s", 600000);
	serve_all(6);
	turn(USEC_PER_SEC);
	turn(0);
	size_t duplicates = 0, completed = 0;
	for (size_t i = 0; i < world.end_count; i++) {
		duplicates += strcmp(world.ends[i].reason, "request.duplicate") == 0;
		completed += strcmp(world.ends[i].status, "completed") == 0;
	}
	assert_int_equal(duplicates, 1);
	assert_int_equal(completed, 1);
	event(KAFKA_LOST);
	turn(0);
	world.end_count = 0;
	world.next_offset[REQUESTS] = 0;
	assign();
	put_end(RETRY);
	turn(0);
	request("h", "s", 600000); /* offset 0 once more */
	serve_all(6);
	turn(USEC_PER_SEC);
	turn(0);
	assert_string_equal(end_of("outcomes", "h")->status, "completed");
}

/* ---- the log ---- */

static void test_the_log_is_not_flooded(void **state)
{
	size_t warnings = 0;
	(void)state;
	for (int i = 0; i < 1000; i++)
		warnings += worker_complaint_level(&world.worker) == LOG_WARN;
	assert_true(warnings > 0 && warnings < 100);
	turn(USEC_PER_SEC);
	assert_int_equal(worker_complaint_level(&world.worker), LOG_WARN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_main_path),
		TEST(test_memory_full_of_parked_retries),
		TEST(test_lateness_of_what_was_read_late),
		TEST(test_nobody_reads_beyond_his_share),
		TEST(test_record_far_beyond_the_base),
		TEST(test_record_far_beyond_the_base_and_lost),
		TEST(test_deadline_without_a_token),
		TEST(test_deadline_while_held),
		TEST(test_breaker_gate_and_held),
		TEST(test_one_probe_of_two_that_wait),
		TEST(test_probe_that_is_given_up),
		cmocka_unit_test(test_deadline_before_each_step),
		cmocka_unit_test(test_no_parking_after_the_last_time_out),
		TEST(test_token_refused),
		TEST(test_trigger_is_repeated_with_its_key),
		TEST(test_trigger_is_never_repeated),
		TEST(test_cancel_while_the_session_is_found_locked),
		TEST(test_cancel_that_came_first),
		TEST(test_same_record_again_is_no_duplicate),
		TEST(test_the_log_is_not_flooded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
