/*
 * Batches exactly once, against Apache Kafka.
 */
#include "kafka_scene.h"

static enum kafka_verdict run(struct scene *s, struct kafka_batch *batch)
{
	return batch_run(s->producer, batch, &s->member, s->member.wakeup);
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
	struct record record; /* outlives the loop, as the last batch does */
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
		snprintf(text, sizeof(text), "%zu", count);
		record = plain_record(s.corner.options.outcomes, -1, "k", text);
		small_batch(&b, &record,
			    &(struct kafka_batch_offset){ s.corner.requests[0], 0, (int64_t)count + 1, "" });
		verdict = run_to_the_end(&s, twins[count % 2], &b.batch, &fences);
	}
	assert_int_equal(verdict, KAFKA_FENCED);
	assert_true(count > 2 && count < 10);
	/* Whoever has to leave leaves the other one in peace, and stays out. */
	struct kafka_producer *fenced = twins[(count - 1) % 2];
	struct kafka_producer *other = twins[count % 2];
	for (usec_t until = clock_read().mono + 2 * USEC_PER_SEC; clock_read().mono < until;) {
		wait_signal(s.member.wakeup);
		member_serve(&s.member);
	}
	assert_int_equal(batch_run(fenced, &b.batch, &s.member, s.member.wakeup), KAFKA_FENCED);
	assert_int_equal(batch_run(other, &b.batch, &s.member, s.member.wakeup), KAFKA_COMMITTED);
	const size_t records = tally(&s, seen, 20);
	assert_int_equal(records, count);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(seen[i], 1);
	kafka_producer_free(twins[1]);
	scene_close(&s);
}

/* The group has given our static instance to another process: that is the twin, and there is no second try. */
static void a_static_twin_is_known_at_once(void **state)
{
	struct scene s;
	struct small_batch b;
	struct member twin;
	struct kafka_consumer_event event;
	unsigned seen[2];
	(void)state;
	if (!corner_open(&s.corner, SCENE_PARTITIONS, true))
		skip();
	s.corner.options.static_membership = true;
	join_group(&s.member, &s.corner.options, &event);
	producer_open(&s.producer, &s.corner.options, &s.member, s.member.wakeup);
	struct record record = plain_record(s.corner.options.outcomes, -1, "k", "0");
	small_batch(&b, &record, &(struct kafka_batch_offset){ s.corner.requests[0], 0, 1, "" });
	assert_int_equal(run(&s, &b.batch), KAFKA_COMMITTED);
	join_group(&twin, &s.corner.options, &event);
	small_batch(&b, &record, &(struct kafka_batch_offset){ s.corner.requests[0], 0, 2, "" });
	assert_int_equal(run(&s, &b.batch), KAFKA_FENCED);
	assert_int_equal(tally(&s, seen, 2), 1);
	member_leave(&twin);
	scene_close(&s);
}

/* A predecessor that died in the middle: its transaction ends when the successor starts, not at its time-out. */
static void a_successor_ends_what_was_open(void **state)
{
	struct scene s;
	struct small_batch b;
	struct kafka_consumer_event event;
	char id[256];
	unsigned seen[2];
	(void)state;
	if (!corner_open(&s.corner, SCENE_PARTITIONS, true))
		skip();
	snprintf(id, sizeof(id), "%s-%s", s.corner.options.group, s.corner.options.instance);
	rd_kafka_t *dead = stranger_begin(&s.corner, id);
	stranger_put(dead, s.corner.options.outcomes, 0);
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

/* An argument is a pattern of the tests to run. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_and_offsets_come_together),
		cmocka_unit_test(a_refusal_of_the_offsets_leaves_no_record),
		cmocka_unit_test(sizes_are_judged_one_by_one),
		cmocka_unit_test(twins_are_found_out),
		cmocka_unit_test(a_static_twin_is_known_at_once),
		cmocka_unit_test(a_successor_ends_what_was_open),
		cmocka_unit_test(a_batch_is_quick),
	};
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
