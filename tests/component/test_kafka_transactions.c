/*
 * Batches exactly once, against Apache Kafka.
 *
 * $HANDOFF_KAFKA_CTL, when set, is a command that takes "kill N" and "restart N" for broker N: then brokers are killed,
 * too. $HANDOFF_KAFKA_BROKERS is how many there are.
 */
#define PATIENCE (120 * USEC_PER_SEC)
#include "doors/kafka_reader.h"
#include "kafka_apache.h"

#define PARTITIONS 3

struct scene {
	struct corner corner;
	struct member member;
	struct kafka_producer *producer;
};

static bool scene_open(struct scene *s, const char *const *properties, size_t count)
{
	struct kafka_consumer_event event;
	if (!corner_open(&s->corner, PARTITIONS, true))
		return false;
	for (size_t i = 0; i < count; i++)
		corner_property(&s->corner, properties[i]);
	join_group(&s->member, &s->corner.options, &event);
	producer_open(&s->producer, &s->corner.options, &s->member, s->member.wakeup);
	return true;
}

static void scene_close(struct scene *s)
{
	kafka_producer_free(s->producer);
	member_leave(&s->member);
	corner_close(&s->corner);
}

static enum kafka_verdict run(struct scene *s, struct kafka_batch *batch)
{
	return batch_run(s->producer, batch, &s->member, s->member.wakeup);
}

/* How often each number from 0 to `count` - 1 is the value of a record; returns how many records there are. */
static size_t tally(struct scene *s, unsigned *seen, size_t count)
{
	struct fault fault = { 0 };
	size_t records = 0;
	const char *topic = s->corner.options.outcomes;
	struct kafka_reader *reader =
		kafka_reader_new(&s->corner.options, &topic, 1, KAFKA_READER_EARLIEST, PATIENCE, &fault);
	if (!reader)
		fail_msg("%s", fault.message);
	memset(seen, 0, count * sizeof(*seen));
	while (!kafka_reader_caught_up(reader)) {
		struct record *record = NULL;
		assert_true(kafka_reader_next(reader, USEC_PER_SEC, &record, &fault) >= 0);
		if (!record)
			continue;
		char text[16];
		snprintf(text, sizeof(text), "%.*s", SPAN_FMT(record->value));
		const size_t number = strtoul(text, NULL, 10);
		if (number < count)
			seen[number]++;
		records++;
		record_free(record);
	}
	kafka_reader_free(reader);
	return records;
}

static void records_and_offsets_come_together(void **state)
{
	struct scene s;
	struct small_batch b;
	struct kafka_consumer_event event;
	unsigned seen[1];
	(void)state;
	if (!scene_open(&s, NULL, 0))
		skip();
	struct record record = plain_record(s.corner.options.outcomes, -1, "k", "0");
	small_batch(&b, &record, &(struct kafka_batch_offset){ s.corner.requests[0], 1, 7, "map" });
	assert_int_equal(run(&s, &b.batch), KAFKA_COMMITTED);
	assert_int_equal(committed_offset(&s.member, s.corner.requests[0], 1), 7);
	assert_int_equal(tally(&s, seen, 1), 1);
	kafka_producer_free(s.producer);
	member_leave(&s.member);
	join_group(&s.member, &s.corner.options, &event);
	const size_t at = event_index(&event, s.corner.requests[0], 1);
	assert_int_equal(event.partitions[at].committed, 7);
	assert_string_equal(event.partitions[at].metadata, "map");
	producer_open(&s.producer, &s.corner.options, &s.member, s.member.wakeup);
	/* Records alone, and nothing at all. */
	small_batch(&b, &record, NULL);
	assert_int_equal(run(&s, &b.batch), KAFKA_COMMITTED);
	small_batch(&b, NULL, NULL);
	assert_int_equal(run(&s, &b.batch), KAFKA_COMMITTED);
	assert_int_equal(tally(&s, seen, 1), 2);
	scene_close(&s);
}

static void a_refusal_of_the_offsets_leaves_no_record(void **state)
{
	struct scene s;
	struct small_batch b;
	unsigned seen[1];
	char *metadata = calloc(1, 4098);
	(void)state;
	memset(metadata, 'x', 4097);
	if (!scene_open(&s, NULL, 0)) {
		free(metadata);
		skip();
	}
	struct record record = plain_record(s.corner.options.outcomes, -1, "k", "0");
	small_batch(&b, &record, &(struct kafka_batch_offset){ s.corner.requests[0], 0, 1, metadata });
	assert_int_equal(run(&s, &b.batch), KAFKA_ABORTED);
	assert_false(b.item.delivered);
	metadata[4096] = '\0';
	small_batch(&b, &record, &(struct kafka_batch_offset){ s.corner.requests[0], 0, 1, metadata });
	assert_int_equal(run(&s, &b.batch), KAFKA_COMMITTED);
	assert_int_equal(tally(&s, seen, 1), 1);
	free(metadata);
	scene_close(&s);
}

static void put_text(char *text, size_t size, unsigned seed)
{
	for (size_t i = 0; i < size; i++) {
		seed = seed * 1103515245U + 12345U; /* nothing that compresses */
		text[i] = (char)('!' + (seed >> 16) % 90);
	}
}

static void sizes_are_judged_one_by_one(void **state)
{
	static char text[4][5000];
	struct record records[4];
	struct kafka_batch_record items[4];
	(void)state;
	for (int exactly_once = 0; exactly_once < 2; exactly_once++) {
		struct scene s;
		char small[64];
		if (!scene_open(&s, NULL, 0))
			skip();
		snprintf(small, sizeof(small), "small-%ld-%d", (long)getpid(), exactly_once);
		corner_create_topic(&s.corner, small, 1, "max.message.bytes", "2000");
		corner_await_topic(&s.corner, small, 1);
		kafka_producer_free(s.producer);
		s.corner.options.exactly_once = exactly_once;
		s.corner.options.outcomes = small;
		producer_open(&s.producer, &s.corner.options, &s.member, s.member.wakeup);
		memset(items, 0, sizeof(items));
		for (size_t i = 0; i < 4; i++) {
			put_text(text[i], sizeof(text[i]), (unsigned)i);
			records[i] = plain_record(small, 0, "k", NULL);
			records[i].value = (struct span){ text[i], i == 2 ? sizeof(text[i]) : 1500 };
			items[i].record = &records[i];
		}
		struct kafka_batch batch = { .records = items, .record_count = 4 };
		assert_int_equal(run(&s, &batch), KAFKA_ABORTED);
		for (size_t i = 0; i < 4; i++) {
			assert_int_equal(items[i].too_large, i == 2);
			assert_int_equal(items[i].delivered, !exactly_once && i != 2);
		}
		/* The rest, each small enough, together too large. A refused transaction spoils the next one once. */
		records[2].value.n = 10;
		enum kafka_verdict verdict = run(&s, &batch);
		for (int i = 0; verdict == KAFKA_ABORTED && i < 5; i++)
			verdict = run(&s, &batch);
		assert_int_equal(verdict, KAFKA_COMMITTED);
		unsigned seen[1];
		assert_int_equal(tally(&s, seen, 1), 4);
		scene_close(&s);
	}
}

/* Runs the batch until it is in, as a worker would: asks when nobody knows, submits again when nothing happened. */
static enum kafka_verdict run_to_the_end(struct scene *s, struct kafka_producer *producer, struct kafka_batch *batch,
					 unsigned *fences)
{
	for (int i = 0; i < 20; i++) {
		struct kafka_answer answer;
		assert_int_equal(kafka_producer_submit(producer, batch), 0);
		const enum kafka_verdict verdict = batch_answer(producer, batch, &s->member, s->member.wakeup, &answer);
		if (verdict == KAFKA_UNKNOWN) {
			const struct kafka_batch_offset *offset = &batch->offsets[0];
			if (committed_offset(&s->member, offset->topic, offset->partition) >= offset->offset)
				return KAFKA_COMMITTED;
		} else if (verdict != KAFKA_ABORTED) {
			return verdict;
		}
		*fences += strstr(answer.fault.message, "fenced") != NULL;
	}
	fail_msg("twenty attempts were not enough");
	return KAFKA_ABORTED;
}

/* Two producers with one id, by turns: the first whom it hits twice leaves, and nothing is doubled. */
static void twins_are_found_out(void **state)
{
	struct scene s;
	struct small_batch b;
	struct kafka_producer *twins[2];
	unsigned seen[20];
	unsigned fences = 0;
	enum kafka_verdict verdict = KAFKA_COMMITTED;
	size_t count = 0;
	char text[8];
	(void)state;
	if (!scene_open(&s, NULL, 0))
		skip();
	twins[0] = s.producer;
	producer_open(&twins[1], &s.corner.options, &s.member, s.member.wakeup);
	for (; verdict == KAFKA_COMMITTED && count < 20; count++) {
		struct record record = plain_record(s.corner.options.outcomes, -1, "k", text);
		snprintf(text, sizeof(text), "%zu", count);
		record.value = span_of(text);
		small_batch(&b, &record,
			    &(struct kafka_batch_offset){ s.corner.requests[0], 0, (int64_t)count + 1, "" });
		verdict = run_to_the_end(&s, twins[count % 2], &b.batch, &fences);
	}
	assert_int_equal(verdict, KAFKA_FENCED);
	assert_true(count > 2 && count < 10);
	const size_t records = tally(&s, seen, 20);
	assert_int_equal(records, count - 1);
	for (size_t i = 0; i + 1 < count; i++)
		assert_int_equal(seen[i], 1);
	kafka_producer_free(twins[1]);
	scene_close(&s);
}

/* A predecessor that died in the middle: its transaction ends when the successor starts, not at its time-out. */
static void a_successor_ends_what_was_open(void **state)
{
	struct scene s;
	struct small_batch b;
	struct corner c;
	char id[256];
	unsigned seen[2];
	(void)state;
	if (!corner_open(&c, PARTITIONS, true))
		skip();
	snprintf(id, sizeof(id), "%s-%s", c.options.group, c.options.instance);
	rd_kafka_t *dead = stranger_begin(&c, id);
	stranger_put(dead, c.options.outcomes, 0);
	s.corner = c;
	s.corner.options.requests = s.corner.requests;
	s.corner.requests[0] = s.corner.names[CORNER_REQUESTS];
	s.corner.options.retry = s.corner.names[CORNER_RETRY];
	s.corner.options.outcomes = s.corner.names[CORNER_OUTCOMES];
	s.corner.options.dead_letters = s.corner.names[CORNER_DEAD_LETTERS];
	s.corner.options.group = s.corner.names[CORNER_GROUP];
	s.corner.properties[0] = "session.timeout.ms=6000";
	s.corner.options.properties = s.corner.properties;
	struct kafka_consumer_event event;
	const usec_t begun = clock_read().mono;
	join_group(&s.member, &s.corner.options, &event);
	producer_open(&s.producer, &s.corner.options, &s.member, s.member.wakeup);
	struct record record = plain_record(s.corner.options.outcomes, 0, "k", "1");
	small_batch(&b, &record, &(struct kafka_batch_offset){ s.corner.requests[0], 0, 1, "" });
	assert_int_equal(run(&s, &b.batch), KAFKA_COMMITTED);
	assert_int_equal(tally(&s, seen, 2), 1);
	assert_int_equal(seen[1], 1);
	assert_true(clock_read().mono - begun < 15 * USEC_PER_SEC);
	rd_kafka_destroy(dead);
	scene_close(&s);
}

/* How long a batch takes when nothing is wrong; the second hundred is measured. */
static void a_batch_is_quick(void **state)
{
	enum { ROUNDS = 100, RECORDS = 100 };
	struct scene s;
	struct record records[RECORDS];
	struct kafka_batch_record items[RECORDS];
	char keys[RECORDS][8];
	usec_t begun = 0;
	(void)state;
	if (!scene_open(&s, NULL, 0))
		skip();
	for (int64_t round = 0; round < 2 * ROUNDS; round++) {
		struct kafka_batch_offset offset = { s.corner.requests[0], 0, round + 1, "" };
		struct kafka_batch batch = { items, RECORDS, &offset, 1 };
		for (size_t i = 0; i < RECORDS; i++) {
			snprintf(keys[i], sizeof(keys[i]), "%zu", i);
			records[i] = plain_record(s.corner.options.outcomes, -1, keys[i], "v");
			items[i] = (struct kafka_batch_record){ .record = &records[i] };
		}
		if (round == ROUNDS)
			begun = clock_read().mono;
		assert_int_equal(run(&s, &batch), KAFKA_COMMITTED);
	}
	const usec_t mean = (clock_read().mono - begun) / ROUNDS;
	print_message("             %lld us a transaction of %d records\n", (long long)mean, (int)RECORDS);
	assert_true(mean < 500 * USEC_PER_MSEC);
	scene_close(&s);
}

/* --- brokers die --- */

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
		cmocka_unit_test(records_and_offsets_come_together),
		cmocka_unit_test(a_refusal_of_the_offsets_leaves_no_record),
		cmocka_unit_test(sizes_are_judged_one_by_one),
		cmocka_unit_test(twins_are_found_out),
		cmocka_unit_test(a_successor_ends_what_was_open),
		cmocka_unit_test(a_batch_is_quick),
		cmocka_unit_test(brokers_die_one_by_one),
		cmocka_unit_test(an_outage_longer_than_a_transaction),
		cmocka_unit_test(an_outage_longer_than_transaction_and_session),
	};
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
