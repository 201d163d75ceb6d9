/* cancel: the caller hung up, wherever his handoff is; exactly one outcome each, also over crashes and rebalances */
#include "component/worker_world.h"

static const char cancel[] = "{\"type\":\"cancel\",\"sessionId\":\"s\"}";

static void hang_up(void)
{
	put(REQUESTS, cancel, NULL);
	turn(0);
}

static void go_on(usec_t time)
{
	turn(time);
	turn(USEC_PER_SEC);
	turn(0);
}

static void expect_one_outcome(const char *status)
{
	size_t outcomes = 0;
	for (size_t i = 0; i < world.end_count; i++)
		outcomes += strcmp(world.ends[i].topic, "outcomes") == 0;
	assert_int_equal(outcomes, 1);
	assert_string_equal(end_of("outcomes", "h")->status, status);
}

/* The worker dies, and another one gets everything that was not committed. */
static void crash(void)
{
	event(KAFKA_LOST);
	turn(0);
	world.next_offset[REQUESTS] = world.committed[REQUESTS];
	world.next_offset[RETRY] = world.committed[RETRY];
	assign();
	turn(0);
}

static void test_waiting(void **state)
{
	(void)state;
	begin_work();
	gate_close(&world.worker.tenants[0].gate, world.now + 10 * USEC_PER_SEC, world.now);
	request("h", "s", 600000);
	turn(0);
	hang_up();
	go_on(0);
	expect_one_outcome("cancelled");
	assert_int_equal(world.committed[REQUESTS], 2);
	assert_int_equal(world.end_count, 1); /* the cancel leaves no trace */
}

static void test_parked(void **state)
{
	(void)state;
	begin_work();
	retry("h", "s", 60000, 0);
	turn(0);
	hang_up();
	go_on(0);
	expect_one_outcome("cancelled");
	go_on(120 * USEC_PER_SEC);
	expect_one_outcome("cancelled");
}

/* Its retry is read only after the cancel: the cancel waits for it. */
static void test_parked_and_a_crash(void **state)
{
	(void)state;
	begin_work();
	retry("h", "s", 60000, 0);
	turn(0);
	crash();
	put(REQUESTS, cancel, NULL);
	turn(0);
	retry("h", "s", 60000, 0);
	put_end(RETRY);
	turn(0);
	go_on(0);
	expect_one_outcome("cancelled");
	go_on(120 * USEC_PER_SEC);
	expect_one_outcome("cancelled");
}

/* The same, and the worker dies again before it has told anybody. */
static void test_parked_cancelled_and_a_crash(void **state)
{
	(void)state;
	begin_work();
	retry("h", "s", 60000, 0);
	turn(0);
	world.commits = false;
	hang_up();
	go_on(0);
	assert_int_equal(world.end_count, 0);
	world.commits = true;
	verdict(KAFKA_REVOKED_UNDER_US);
	crash();
	retry("h", "s", 60000, 0);
	put_end(RETRY);
	put(REQUESTS, cancel, NULL);
	turn(0);
	go_on(0);
	expect_one_outcome("cancelled");
}

static void test_parked_and_a_rebalance(void **state)
{
	(void)state;
	begin_work();
	retry("h", "s", 60000, 0);
	turn(0);
	event(KAFKA_REVOKED);
	turn(0);
	turn(0);
	assert_int_equal(world.released, 1);
	world.next_offset[RETRY] = 0;
	assign();
	turn(0);
	put(REQUESTS, cancel, NULL);
	retry("h", "s", 60000, 0);
	put_end(RETRY);
	turn(0);
	go_on(0);
	expect_one_outcome("cancelled");
}

static void take_over(void)
{
	event(KAFKA_LOST);
	turn(0);
	assign();
	turn(0);
}

/* It was kept in the retry topic, and the next owner has the request sooner than that. */
static void test_came_first_and_a_crash(void **state)
{
	(void)state;
	begin_work();
	take_over();
	request("h", "s", 600000);
	turn(USEC_PER_MSEC);
	put(RETRY, cancel, NULL);
	put_end(RETRY);
	turn(0);
	go_on(0);
	expect_one_outcome("cancelled");
	assert_int_equal(world.in_flight, 0);
}

/* Live callers do not wait for retries that cannot be read. */
static void test_retries_that_cannot_be_read(void **state)
{
	(void)state;
	begin_work();
	take_over();
	request("h", "s", 600000);
	turns_within(1900 * USEC_PER_MSEC);
	assert_int_equal(world.in_flight, 0);
	turns_within(200 * USEC_PER_MSEC);
	(void)open_call(STAGE_FETCH);
}

static void test_in_flight_before_the_trigger(void **state)
{
	(void)state;
	for (enum stage at = STAGE_FETCH; at <= STAGE_UPDATE; at++) {
		if (at > STAGE_FETCH) {
			tear_down(NULL);
			set_up(NULL);
		}
		begin_work();
		request("h", "s", 600000);
		bring_to(at);
		hang_up();
		serve(open_call(at));
		turn(0);
		assert_int_equal(world.in_flight, 0);
		go_on(0);
		expect_one_outcome("cancelled");
	}
}

static void test_in_flight_after_the_trigger(void **state)
{
	(void)state;
	begin_work();
	request("h", "s", 600000);
	bring_to(STAGE_TRIGGER);
	hang_up();
	serve(open_call(STAGE_TRIGGER));
	turn(0);
	go_on(0);
	expect_one_outcome("completed");
	const struct span body = world.last_outcome->value;
	assert_non_null(memmem(body.p, body.n, "\"cancelRequested\":true", 22));
}

/* Told of it while its fetch was open; the worker dies before that ends: the cancel is read once more. */
static void test_in_flight_and_a_crash(void **state)
{
	(void)state;
	begin_work();
	request("h", "s", 600000);
	turn(0);
	hang_up();
	go_on(0);
	assert_int_equal(world.committed[REQUESTS], 0);
	crash();
	request("h", "s", 600000);
	put(REQUESTS, cancel, NULL);
	turn(0);
	go_on(0);
	world.serves = true;
	turns_within(5 * USEC_PER_SEC);
	expect_one_outcome("cancelled");
}

static void test_of_another_handoff(void **state)
{
	(void)state;
	begin_work();
	request("h", "s", 600000);
	put(REQUESTS, "{\"type\":\"cancel\",\"sessionId\":\"s\",\"handoffId\":\"other\"}", NULL);
	turn(0);
	world.serves = true;
	turns_within(5 * USEC_PER_SEC);
	expect_one_outcome("completed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_waiting),
		TEST(test_parked),
		TEST(test_parked_and_a_crash),
		TEST(test_parked_cancelled_and_a_crash),
		TEST(test_parked_and_a_rebalance),
		TEST(test_came_first_and_a_crash),
		TEST(test_retries_that_cannot_be_read),
		TEST(test_in_flight_before_the_trigger),
		TEST(test_in_flight_after_the_trigger),
		TEST(test_in_flight_and_a_crash),
		TEST(test_of_another_handoff),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
