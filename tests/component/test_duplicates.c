/* duplicates: the same handoff asked for twice is done once, and what only looks like that is no duplicate */
#include "component/worker_world.h"

#define MARKED(marker)                                                                                                 \
	"{\"channel\":\"voice\",\"status\":\"active\",\"variables\":{\"handoffdId\":\"" marker                         \
	"\"},\"telephony\":{\"callId\":\"c\"}}"

static void go_on(void)
{
	world.serves = true;
	turns_within(3 * USEC_PER_SEC);
	world.serves = false;
}

static size_t ended(const char *status, const char *reason)
{
	size_t count = 0;
	for (size_t i = 0; i < world.end_count; i++)
		count += strcmp(world.ends[i].status, status) == 0 && strcmp(world.ends[i].reason, reason) == 0;
	return count;
}

static void put_with(size_t partition, const char *id, const char *header, const char *value)
{
	char text[256];
	snprintf(text, sizeof(text), "{\"sessionId\":\"s\",\"queueId\":\"" QUEUE "\",\"handoffId\":\"%s\"}", id);
	put(partition, text, (const char *const[]){ header, value, NULL });
}

static void test_second_record(void **state)
{
	(void)state;
	begin_work();
	request("h", "s", 600000);
	go_on();
	request("h", "s", 600000);
	request("h", "other session", 600000);
	const size_t before = world.calls_started;
	go_on();
	assert_int_equal(ended("duplicate", "request.duplicate"), 1);
	assert_int_equal(ended("completed", "ok"), 2);
	assert_int_equal(world.calls_started - before, 3); /* of the other session; the duplicate is not looked up */
}

/* The memory went with another process: the marker in the session tells. */
static void test_second_record_after_a_restart(void **state)
{
	(void)state;
	begin_work();
	request("h", "s", 600000);
	turn(0);
	answer(open_call(STAGE_FETCH), 200, MARKED("h#requests/0/77#1"));
	go_on();
	assert_int_equal(ended("duplicate", "request.duplicate"), 1);
	assert_int_equal(world.end_count, 1);
	assert_int_equal(world.in_flight, 0);
}

static void test_own_marker_is_no_duplicate(void **state)
{
	(void)state;
	begin_work();
	request("h", "s", 600000);
	turn(0);
	answer(open_call(STAGE_FETCH), 200, MARKED("h#requests/0/0#1"));
	go_on();
	assert_int_equal(ended("completed", "ok"), 1);
}

static void test_retry_is_no_duplicate(void **state)
{
	(void)state;
	begin_work();
	request("h", "s", 600000);
	turn(0);
	answer(open_call(STAGE_FETCH), 409, "");
	turn(0);
	turn(USEC_PER_SEC);
	turn(0);
	assert_non_null(world.last_retry);
	put_record(RETRY, world.last_retry);
	go_on();
	assert_int_equal(ended("completed", "ok"), 1);
	assert_int_equal(ended("duplicate", "request.duplicate"), 0);
}

static void test_replay_is_no_duplicate(void **state)
{
	(void)state;
	begin_work();
	request("h", "s", 600000);
	go_on();
	put_with(REQUESTS, "h", "handoff-replay", "1");
	turn(0);
	answer(open_call(STAGE_FETCH), 200, MARKED("h#requests/0/0#1"));
	go_on();
	assert_int_equal(ended("completed", "ok"), 2);
}

static void test_redelivery_is_no_duplicate(void **state)
{
	(void)state;
	begin_work();
	request("h", "s", 600000);
	turn(0);
	event(KAFKA_LOST);
	turn(0);
	world.next_offset[REQUESTS] = 0;
	assign();
	turn(0);
	request("h", "s", 600000); /* the same record */
	go_on();
	assert_int_equal(ended("completed", "ok"), 1);
	assert_int_equal(world.end_count, 1);
}

/* Both wait: the second is told at once, and the first is done. */
static void test_while_the_first_waits(void **state)
{
	(void)state;
	begin_work();
	gate_close(&world.worker.tenants[0].gate, world.now + 10 * USEC_PER_SEC, world.now);
	request("h", "s", 600000);
	request("h", "s", 600000);
	turn(0);
	turn(USEC_PER_SEC);
	turn(0);
	assert_int_equal(ended("duplicate", "request.duplicate"), 1);
	world.serves = true;
	turns_within(20 * USEC_PER_SEC);
	assert_int_equal(ended("completed", "ok"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_second_record),
		TEST(test_second_record_after_a_restart),
		TEST(test_own_marker_is_no_duplicate),
		TEST(test_retry_is_no_duplicate),
		TEST(test_replay_is_no_duplicate),
		TEST(test_redelivery_is_no_duplicate),
		TEST(test_while_the_first_waits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
