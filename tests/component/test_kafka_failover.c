/*
 * Batches exactly once while brokers of Apache Kafka die under them.
 *
 * $HANDOFF_KAFKA_CTL is a command that takes "kill N" and "restart N" for broker N, $HANDOFF_KAFKA_BROKERS how many
 * there are; without them these tests are skipped.
 */
#include "kafka_scene.h"

static void broker(const char *verb, int number)
{
	char command[512];
	snprintf(command, sizeof(command), "%s %s %d >&2", getenv("HANDOFF_KAFKA_CTL"), verb, number);
	assert_int_equal(system(command), 0);
}

/* Serves the consumer and whatever rebalance an outage brings. True when an assignment was accepted anew. */
static bool serve_rebalances(struct scene *s)
{
	struct kafka_consumer_event event;
	bool anew = false;
	while (kafka_consumer_next(s->member.consumer, &event)) {
		if (event.kind == KAFKA_REVOKED || event.kind == KAFKA_LOST)
			kafka_consumer_release(s->member.consumer);
		if (event.kind == KAFKA_ASSIGNED && event.count > 0) {
			member_accept(&s->member, &event);
			anew = true;
		}
		assert_int_not_equal(event.kind, KAFKA_FATAL);
	}
	return anew;
}

static void await_assignment(struct scene *s)
{
	const usec_t until = patience_ends();
	while (!serve_rebalances(s)) {
		assert_true(clock_read().mono < until);
		wait_signal(s->member.wakeup);
	}
}

/* Did the batch of that number take effect? Asked like the worker asks, through rebalances if must be. */
static bool took_effect(struct scene *s, const struct kafka_batch_offset *offset)
{
	const usec_t until = patience_ends();
	struct kafka_consumer_event event = { 0 };
	struct fault fault;
	if (kafka_consumer_ask(s->member.consumer, &fault) < 0)
		await_assignment(s);
	for (;;) {
		assert_true(clock_read().mono < until);
		if (!kafka_consumer_next(s->member.consumer, &event)) {
			wait_signal(s->member.wakeup);
			continue;
		}
		if (event.kind == KAFKA_REVOKED || event.kind == KAFKA_LOST)
			kafka_consumer_release(s->member.consumer);
		const bool assigned = event.kind == KAFKA_ASSIGNED && event.count > 0;
		if (!assigned && event.kind != KAFKA_OFFSETS)
			continue;
		const int64_t there = event.partitions[event_index(&event, offset->topic, offset->partition)].committed;
		if (assigned)
			member_accept(&s->member, &event);
		return there >= offset->offset;
	}
}

/* One numbered batch, until it is in: `lost` verdicts are followed by the next assignment and a look at the offsets. */
static void insist(struct scene *s, int64_t number, unsigned verdicts[KAFKA_UNKNOWN + 1])
{
	struct small_batch b;
	char text[16];
	snprintf(text, sizeof(text), "%lld", (long long)number);
	struct record record = plain_record(s->corner.options.outcomes, -1, text, text);
	const struct kafka_batch_offset offset = { s->corner.requests[0], 0, number + 1, "" };
	bool in = false;
	while (!in) {
		struct kafka_answer answer;
		const usec_t until = patience_ends();
		bool anew = false;
		small_batch(&b, &record, &offset);
		assert_int_equal(kafka_producer_submit(s->producer, &b.batch), 0);
		while (!kafka_producer_answer(s->producer, &answer)) {
			assert_true(clock_read().mono < until);
			wait_signal(s->member.wakeup);
			anew = serve_rebalances(s) || anew;
		}
		verdicts[answer.verdict]++;
		if (answer.verdict != KAFKA_COMMITTED)
			print_message("             batch %lld: verdict %d: %s\n", (long long)number,
				      (int)answer.verdict, answer.fault.message);
		assert_int_not_equal(answer.verdict, KAFKA_FENCED);
		if (answer.verdict == KAFKA_REVOKED_UNDER_US && !anew)
			await_assignment(s);
		in = answer.verdict == KAFKA_COMMITTED || (answer.verdict != KAFKA_ABORTED && took_effect(s, &offset));
	}
}

/* Puts batches through for `time`, then returns the number of the next. */
static int64_t go_on(struct scene *s, int64_t number, usec_t time, unsigned verdicts[KAFKA_UNKNOWN + 1])
{
	for (const usec_t until = clock_read().mono + time; clock_read().mono < until; number++)
		insist(s, number, verdicts);
	return number;
}

static void check_exactly_once(struct scene *s, int64_t count, const unsigned verdicts[KAFKA_UNKNOWN + 1])
{
	unsigned *seen = calloc((size_t)count, sizeof(*seen));
	assert_non_null(seen);
	const size_t records = tally(s, seen, (size_t)count);
	print_message("             %lld batches: %u committed, %u aborted, %u revoked, %u unknown\n", (long long)count,
		      verdicts[KAFKA_COMMITTED], verdicts[KAFKA_ABORTED], verdicts[KAFKA_REVOKED_UNDER_US],
		      verdicts[KAFKA_UNKNOWN]);
	for (int64_t i = 0; i < count; i++)
		if (seen[i] != 1)
			fail_msg("batch %lld is there %u times", (long long)i, seen[i]);
	assert_int_equal(records, count);
	free(seen);
}

static int broker_count(void)
{
	const char *text = getenv("HANDOFF_KAFKA_BROKERS");
	return getenv("HANDOFF_KAFKA_CTL") && text ? atoi(text) : 0;
}

/* One after the other is killed and comes back while batches go on. */
static void brokers_die_one_by_one(void **state)
{
	static const char *const properties[] = { "session.timeout.ms=15000" };
	struct scene s;
	unsigned verdicts[KAFKA_UNKNOWN + 1] = { 0 };
	int64_t number = 0;
	(void)state;
	if (broker_count() != 3 || !scene_open(&s, properties, 1))
		skip();
	number = go_on(&s, number, 3 * USEC_PER_SEC, verdicts);
	for (int i = 1; i <= 3; i++) {
		broker("kill", i);
		number = go_on(&s, number, 10 * USEC_PER_SEC, verdicts);
		broker("restart", i);
		number = go_on(&s, number, 8 * USEC_PER_SEC, verdicts);
	}
	check_exactly_once(&s, number, verdicts);
	scene_close(&s);
}

/* All are away for longer than a transaction may live; the batch in flight is decided afterwards. */
static void outage(const char *session)
{
	const char *const properties[] = { "transaction.timeout.ms=5000", session };
	struct scene s;
	unsigned verdicts[KAFKA_UNKNOWN + 1] = { 0 };
	int64_t number = 0;
	if (broker_count() != 1 || !scene_open(&s, properties, 2))
		skip();
	for (int round = 0; round < 3; round++) {
		struct small_batch b;
		char text[16];
		number = go_on(&s, number, USEC_PER_SEC, verdicts);
		snprintf(text, sizeof(text), "%lld", (long long)number);
		struct record record = plain_record(s.corner.options.outcomes, -1, text, text);
		const struct kafka_batch_offset offset = { s.corner.requests[0], 0, number + 1, "" };
		small_batch(&b, &record, &offset);
		/* Before the batch, with it, and a moment after it. */
		if (round == 0)
			broker("kill", 1);
		assert_int_equal(kafka_producer_submit(s.producer, &b.batch), 0);
		if (round == 2)
			usleep(3000);
		if (round > 0)
			broker("kill", 1);
		for (usec_t until = clock_read().mono + 9 * USEC_PER_SEC; clock_read().mono < until;) {
			wait_signal(s.member.wakeup);
			serve_rebalances(&s);
		}
		broker("restart", 1);
		struct kafka_answer answer;
		const usec_t until = patience_ends();
		bool anew = false;
		while (!kafka_producer_answer(s.producer, &answer)) {
			assert_true(clock_read().mono < until);
			wait_signal(s.member.wakeup);
			anew = serve_rebalances(&s) || anew;
		}
		verdicts[answer.verdict]++;
		print_message("             round %d: verdict %d: %s\n", round, (int)answer.verdict,
			      answer.fault.message);
		assert_int_not_equal(answer.verdict, KAFKA_FENCED);
		if (answer.verdict == KAFKA_REVOKED_UNDER_US && !anew)
			await_assignment(&s);
		if (answer.verdict == KAFKA_COMMITTED || (answer.verdict != KAFKA_ABORTED && took_effect(&s, &offset)))
			number++;
	}
	number = go_on(&s, number, USEC_PER_SEC, verdicts);
	check_exactly_once(&s, number, verdicts);
	scene_close(&s);
}

static void an_outage_longer_than_a_transaction(void **state)
{
	(void)state;
	outage("session.timeout.ms=60000");
}

static void an_outage_longer_than_transaction_and_session(void **state)
{
	(void)state;
	outage("session.timeout.ms=6000");
}

/* An argument is a pattern of the tests to run. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(brokers_die_one_by_one),
		cmocka_unit_test(an_outage_longer_than_a_transaction),
		cmocka_unit_test(an_outage_longer_than_transaction_and_session),
	};
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
