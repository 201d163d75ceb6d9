/*
 * pitfalls: the ten ways in which systems that consume from Kafka and call HTTP have lost, doubled or stranded records,
 * and those promises (src/README.md) that no other fast test would miss
 *
 * Each test is named after one of them, and scripts/mutate takes its guard out to see that the test fails.
 * An argument is a pattern: only the tests whose names match it run.
 */
#include "component/worker_world.h"

static struct http_call *call_of(const char *session)
{
	for (size_t i = 0; i < CALLS_MAX; i++)
		if (world.calls[i].open && strcmp(world.calls[i].session, session) == 0)
			return &world.calls[i];
	fail_msg("no call of %s is open", session);
	return NULL;
}

/* Answers the session's open calls as a healthy tenant would, to the end of its handoff. */
static void finish(const char *session)
{
	for (enum stage at = STAGE_FETCH; at <= STAGE_TRIGGER; at++) {
		serve(call_of(session));
		turn(0);
	}
}

static void go_on(usec_t time)
{
	turn(time);
	turn(0);
}

/* The same partitions again, as they were before anything was committed. */
static void lose_and_get_back(void)
{
	event(KAFKA_LOST);
	go_on(0);
	assert_int_equal(world.accepted, world.released);
	for (size_t i = 0; i < PARTITIONS_MAX; i++)
		world.next_offset[i] = 0;
	assign();
	go_on(0);
	put_end(REQUESTS);
	put_end(RETRY);
	go_on(0);
}

/* The reply comes after the partition has gone, and come back: it says nothing of it, and marks nothing. */
static void pitfall_01_late_ack_after_revoke(void **state)
{
	(void)state;
	begin_work();
	request("late", "s-1", 600000);
	bring_to(STAGE_TRIGGER);
	lose_and_get_back();
	serve(call_of("s-1"));
	go_on(0);
	go_on(2 * USEC_PER_SEC);
	assert_int_equal(world.end_count, 0);
	assert_int_equal(world.committed[REQUESTS], 0);
	assert_int_equal(world.worker.orphan_count, 0);
}

/* The first is refused and tried again, the second succeeds: what is committed stays below the first. */
static void pitfall_02_a_rejected_record_is_passed_by_its_successor(void **state)
{
	(void)state;
	begin_work();
	request("refused", "s-1", 600000);
	request("fine", "s-2", 600000);
	turn(0);
	answer(call_of("s-1"), 401, "");
	turn(0);
	turn(0);
	serve(open_call(STAGE_LOGIN));
	turn(0);
	finish("s-2");
	go_on(USEC_PER_SEC);
	assert_string_equal(end_of("outcomes", "fine")->status, "completed");
	assert_null(end_of("outcomes", "refused"));
	assert_int_equal(world.committed[REQUESTS], 0);
	finish("s-1");
	go_on(USEC_PER_SEC);
	assert_non_null(end_of("outcomes", "refused"));
	assert_int_equal(world.committed[REQUESTS], 2);
}

/* What ends while a batch is out is neither among its records nor among its marks. */
static void pitfall_03_torn_snapshot_of_base_and_set(void **state)
{
	(void)state;
	begin_work();
	world.commits = false;
	request("first", "s-1", 600000);
	turn(0);
	finish("s-1");
	go_on(USEC_PER_SEC);
	assert_non_null(world.batch);
	request("meanwhile", "s-2", 600000);
	turn(0);
	finish("s-2");
	go_on(2 * USEC_PER_SEC);
	verdict(KAFKA_COMMITTED); /* the door looks whether the batch is still what it was given */
	go_on(0);
	assert_non_null(end_of("outcomes", "first"));
	assert_null(end_of("outcomes", "meanwhile"));
	assert_int_equal(world.committed[REQUESTS], 1);
	go_on(USEC_PER_SEC);
	verdict(KAFKA_COMMITTED);
	go_on(0);
	assert_non_null(end_of("outcomes", "meanwhile"));
	assert_int_equal(world.committed[REQUESTS], 2);
}

/* Markers and aborted records lie between the records, and behind the last one. */
static void pitfall_04_offsets_are_not_contiguous(void **state)
{
	(void)state;
	begin_work();
	request("before", "s-1", 600000);
	world.next_offset[REQUESTS] = 70;
	request("behind", "s-2", 600000);
	world.next_offset[REQUESTS] = 75;
	put_end(REQUESTS);
	turn(0);
	finish("s-2");
	finish("s-1");
	go_on(2 * USEC_PER_SEC);
	assert_int_equal(world.committed[REQUESTS], 75);
	world.next_offset[REQUESTS] = 99; /* nothing but markers came */
	put_end(REQUESTS);
	go_on(0);
	go_on(2 * USEC_PER_SEC);
	assert_int_equal(world.committed[REQUESTS], 99);
}

/* What waited under the old assignment waits as long under the new one, and no longer; and so do its followers. */
static void pitfall_05_paused_for_ever(void **state)
{
	(void)state;
	begin_work();
	retry("waits", "s-1", 60000, 0);
	put_end(RETRY);
	go_on(0);
	lose_and_get_back();
	retry("waits", "s-1", 60000, 0);
	request("new", "s-2", 600000);
	put_end(RETRY);
	go_on(0);
	finish("s-2");
	world.serves = true;
	turns_within(59 * USEC_PER_SEC);
	assert_null(end_of("outcomes", "waits"));
	turns_within(2 * USEC_PER_SEC);
	assert_string_equal(end_of("outcomes", "waits")->status, "completed");
}

/* A due time of 31,709 years is not waited for: the caller hears of it at the deadline. */
static void pitfall_05_a_due_time_beyond_the_deadline(void **state)
{
	(void)state;
	begin_work();
	retry("hopeless", "s-1", INT64_C(1000000000) * 1000000, 0);
	put_end(RETRY);
	turns_within(601 * USEC_PER_SEC);
	turns_within(USEC_PER_SEC);
	assert_string_equal(end_of("outcomes", "hopeless")->status, "expired");
}

/* The same offset comes back while the old assignment's call for it still runs: it waits for that, and then it runs. */
static void pitfall_06_stale_work_blocks_or_doubles_fresh_work(void **state)
{
	(void)state;
	begin_work();
	request("same", "s-1", 600000);
	bring_to(STAGE_UPDATE);
	lose_and_get_back();
	request("same", "s-1", 600000);
	request("other", "s-2", 600000);
	go_on(0);
	assert_int_equal(world.in_flight, 2); /* the old call, and the other session's */
	serve(call_of("s-1"));
	go_on(0);
	finish("s-1");
	finish("s-2");
	go_on(USEC_PER_SEC);
	assert_string_equal(end_of("outcomes", "same")->status, "completed");
	assert_string_equal(end_of("outcomes", "other")->status, "completed");
	assert_int_equal(world.committed[REQUESTS], 2);
}

/* Partitions are given back when all that was reported is committed, not when it was sent. */
static void pitfall_07_a_transaction_covers_part_of_the_truth(void **state)
{
	(void)state;
	begin_work();
	world.commits = false;
	request("out", "s-1", 600000);
	turn(0);
	finish("s-1");
	go_on(USEC_PER_SEC);
	assert_non_null(world.batch);
	request("in-the-outbox", "s-2", 600000);
	turn(0);
	finish("s-2");
	event(KAFKA_REVOKED);
	go_on(USEC_PER_SEC);
	assert_int_equal(world.released, 0);
	verdict(KAFKA_COMMITTED);
	go_on(USEC_PER_SEC);
	assert_int_equal(world.released, 0);
	verdict(KAFKA_COMMITTED);
	go_on(0);
	assert_int_equal(world.released, 1);
	assert_non_null(end_of("outcomes", "in-the-outbox"));
	assert_int_equal(world.committed[REQUESTS], 2);
}

/* A batch that the brokers refused is not done, however often it was sent. */
static void pitfall_08_sent_mistaken_for_done(void **state)
{
	(void)state;
	begin_work();
	world.commits = false;
	request("sent", "s-1", 600000);
	turn(0);
	finish("s-1");
	go_on(USEC_PER_SEC);
	for (int i = 0; i < 3; i++) {
		verdict(KAFKA_ABORTED);
		turn(0);
		go_on(USEC_PER_SEC); /* a breath later it is sent again */
		assert_int_equal(world.end_count, 0);
		assert_false(outlet_is_empty(world.worker.outlet));
	}
	verdict(KAFKA_COMMITTED);
	go_on(0);
	assert_non_null(end_of("outcomes", "sent"));
	assert_int_equal(world.committed[REQUESTS], 1);
}

/* A call that never ends holds back a rebalance for revoke_ms, and no longer; meanwhile the loop turns. */
static void pitfall_09_waiting_in_the_wrong_thread(void **state)
{
	(void)state;
	begin_work();
	request("endless", "s-1", 600000);
	bring_to(STAGE_TRIGGER);
	event(KAFKA_REVOKED);
	go_on(0);
	assert_int_equal(world.released, 0);
	turns_within(6 * USEC_PER_SEC);
	assert_int_equal(world.released, 1);
	assert_string_equal(end_of("retry", "endless")->resume, "verify");
}

/* A question about the old assignment's offsets is not answered to the new one. */
static void pitfall_09_a_deferred_answer_belongs_to_its_epoch(void **state)
{
	(void)state;
	begin_work();
	world.commits = false;
	request("asked", "s-1", 600000);
	turn(0);
	finish("s-1");
	go_on(USEC_PER_SEC);
	verdict(KAFKA_UNKNOWN);
	go_on(0);
	assert_int_equal(world.asked, 1);
	lose_and_get_back();
	request("asked", "s-1", 600000);
	go_on(0);
	finish("s-1");
	go_on(USEC_PER_SEC);
	assert_non_null(world.batch); /* not held back by the old question */
	verdict(KAFKA_COMMITTED);
	go_on(0);
	assert_non_null(end_of("outcomes", "asked"));
}

/* Three workers, each of which knows only what the record says; the third failure is the last. */
static void pitfall_10_memory_is_the_retry_store(void **state)
{
	static const char *const attempts[] = { "2", "3" };
	struct record *carried = NULL;
	for (size_t life = 0; life < 3; life++) {
		tear_down(state);
		set_up(state);
		begin_work();
		if (carried)
			put_record(RETRY, carried);
		else
			request("h", "s-1", 600000);
		put_end(RETRY);
		for (int i = 0; i < 100 && world.in_flight == 0; i++)
			turn(USEC_PER_SEC);
		answer(call_of("s-1"), 503, "");
		go_on(0);
		go_on(USEC_PER_SEC);
		carried = record_free(carried);
		if (life < ARRAY_SIZE(attempts)) {
			assert_string_equal(end_of("retry", "h")->attempt, attempts[life]);
			carried = record_new(world.last_retry);
		}
	}
	assert_string_equal(end_of("outcomes", "h")->status, "failed");
	assert_string_equal(end_of("outcomes", "h")->reason, "upstream.server_error");
}

/* ---- promises ---- */

static void promise_02_outcome_and_dead_letter_together(void **state)
{
	(void)state;
	begin_work();
	put(REQUESTS, "{\"sessionId\":\"s-1\",\"handoffId\":\"bad\"}", NULL);
	go_on(0);
	go_on(USEC_PER_SEC);
	assert_string_equal(end_of("outcomes", "bad")->status, "rejected");
	assert_non_null(end_of("dlq", "bad"));
	assert_int_equal(world.committed[REQUESTS], 1);
}

/* Holes that no run length and no bitmap of 4,096 bytes can tell: what cannot be told of is not read yet. */
static void promise_04_reading_rests_before_the_map_overflows(void **state)
{
	char id[16];
	struct buf map;
	(void)state;
	begin_work();
	for (int i = 0; i < READS_MAX - 8; i++, world.next_offset[REQUESTS] += 9) {
		snprintf(id, sizeof(id), "h%d", i);
		request(id, id, 600000);
	}
	for (int i = 0; i < 200; i++)
		turn(0);
	buf_init(&map, DONE_MAP_MAX);
	assert_int_equal(done_map_write(&map, "requests", 0, world.worker.partitions[REQUESTS]->offsets), 0);
	buf_fini(&map);
	assert_true(world.read_first[REQUESTS] < world.read_count[REQUESTS]);
	world.serves = true;
	for (int i = 0; i < 400; i++)
		turn(100 * USEC_PER_MSEC);
	assert_int_equal(world.read_first[REQUESTS], world.read_count[REQUESTS]);
	assert_int_equal(world.end_count, READS_MAX - 8);
}

/* What stands behind a due retry may be its cancel: nothing runs before the partition was read to its end. */
static void promise_09_a_due_retry_waits_for_the_end_of_its_partition(void **state)
{
	(void)state;
	begin_work();
	event(KAFKA_LOST);
	go_on(0);
	assign();
	retry("due", "s-1", 0, 0);
	go_on(0);
	go_on(USEC_PER_SEC);
	assert_int_equal(world.in_flight, 0);
	put_end(RETRY);
	go_on(0);
	assert_non_null(call_of("s-1"));
}

static void promise_12_an_unanswered_trigger_is_verified(void **state)
{
	(void)state;
	begin_work();
	request("h", "s-1", 600000);
	bring_to(STAGE_TRIGGER);
	answer(call_of("s-1"), 503, "");
	go_on(0);
	go_on(USEC_PER_SEC);
	assert_string_equal(end_of("retry", "h")->resume, "verify");
}

static void promise_14_a_dependency_that_is_down_burns_nothing(void **state)
{
	(void)state;
	begin_work();
	request("h", "s-1", 600000);
	for (int i = 0; i < 20; i++) {
		turns_within(6 * USEC_PER_SEC);
		answer(call_of("s-1"), 0, "");
	}
	turn(0);
	world.serves = true;
	turns_within(30 * USEC_PER_SEC);
	assert_null(end_of("retry", "h"));
	assert_string_equal(end_of("outcomes", "h")->status, "completed");
}

static void promise_15_a_retry_keeps_its_deadline(void **state)
{
	char deadline[32];
	(void)state;
	begin_work();
	request("h", "s-1", 120000);
	snprintf(deadline, sizeof(deadline), "%lld", (long long)(__wrap_clock_read().unix_ms + 120000));
	for (int i = 0; i < 2; i++) {
		for (int n = 0; n < 100 && world.in_flight == 0; n++)
			turn(USEC_PER_SEC);
		answer(call_of("s-1"), 503, "");
		go_on(0);
		go_on(USEC_PER_SEC);
		assert_true(span_is(record_header(world.last_retry, HDR_DEADLINE), deadline));
		world.end_count = 0;
		put_record(RETRY, world.last_retry);
		put_end(RETRY);
	}
}

static void promise_16_no_personal_value_in_an_error(void **state)
{
	static const char *const redact[] = { "callerName" };
	(void)state;
	world.worker.policy.redact = redact;
	world.worker.policy.redact_count = 1;
	begin_work();
	request("h", "s-1", 600000);
	turn(0);
	answer(call_of("s-1"), 400, "{\"error\":\"no\",\"callerName\":\"Ann Example\",\"of\":\"+49 30 9876543\"}");
	go_on(0);
	go_on(USEC_PER_SEC);
	const struct span value = world.last_outcome->value;
	assert_non_null(memmem(value.p, value.n, "callerName", 10)); /* it is there, */
	assert_null(memmem(value.p, value.n, "Example", 7));
	assert_null(memmem(value.p, value.n, "9876543", 7));
}

int main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		TEST(pitfall_01_late_ack_after_revoke),
		TEST(pitfall_02_a_rejected_record_is_passed_by_its_successor),
		TEST(pitfall_03_torn_snapshot_of_base_and_set),
		TEST(pitfall_04_offsets_are_not_contiguous),
		TEST(pitfall_05_paused_for_ever),
		TEST(pitfall_05_a_due_time_beyond_the_deadline),
		TEST(pitfall_06_stale_work_blocks_or_doubles_fresh_work),
		TEST(pitfall_07_a_transaction_covers_part_of_the_truth),
		TEST(pitfall_08_sent_mistaken_for_done),
		TEST(pitfall_09_waiting_in_the_wrong_thread),
		TEST(pitfall_09_a_deferred_answer_belongs_to_its_epoch),
		TEST(pitfall_10_memory_is_the_retry_store),
		TEST(promise_02_outcome_and_dead_letter_together),
		TEST(promise_04_reading_rests_before_the_map_overflows),
		TEST(promise_09_a_due_retry_waits_for_the_end_of_its_partition),
		TEST(promise_12_an_unanswered_trigger_is_verified),
		TEST(promise_14_a_dependency_that_is_down_burns_nothing),
		TEST(promise_15_a_retry_keeps_its_deadline),
		TEST(promise_16_no_personal_value_in_an_error),
	};
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
