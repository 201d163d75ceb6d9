/* outlet: an effect and its done mark enter one batch and leave it together, whatever the producer's verdict. The
 * producer is a fake that keeps the batch until the test says what became of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "doors/kafka_consumer.h"
#include "rules/done_map.h"
#include "worker/outlet.h"

#define INTERVAL (50 * USEC_PER_MSEC)

/* ---- the producer ---- */

static struct kafka_batch *held; /* submitted and not yet answered */
static bool answered;
static struct kafka_answer next_answer;
static int submitted;

struct instant __wrap_clock_read(void);
struct instant __wrap_clock_read(void)
{
	return (struct instant){ 0 };
}

int kafka_producer_submit(struct kafka_producer *producer, struct kafka_batch *batch)
{
	(void)producer;
	if (held)
		return -EBUSY;
	held = batch;
	submitted++;
	return 0;
}

bool kafka_producer_answer(struct kafka_producer *producer, struct kafka_answer *ret)
{
	(void)producer;
	if (!answered)
		return false;
	*ret = next_answer;
	answered = false;
	held = NULL;
	return true;
}

/* ---- the stage ---- */

struct stage_set {
	struct outlet *outlet;
	struct metrics *metrics;
	struct partition *partitions[2];
	usec_t now;
};

static int set_up(void **state)
{
	static const char *const topics[] = { "requests", "retry" };
	struct stage_set *s = calloc(1, sizeof(*s));
	assert_non_null(s);
	held = NULL;
	answered = false;
	submitted = 0;
	s->now = 1000 * USEC_PER_SEC;
	s->metrics = metrics_new();
	s->outlet = outlet_new(NULL, INTERVAL, s->metrics);
	assert_non_null(s->outlet);
	for (size_t i = 0; i < 2; i++) {
		s->partitions[i] = partition_new(topics[i], 3, 100, "", PARTITION_SPAN_MAX);
		assert_non_null(s->partitions[i]);
		for (int64_t offset = 100; offset < 110; offset++)
			assert_int_equal(offsets_open(s->partitions[i]->offsets, offset), 0);
	}
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct stage_set *s = *state;
	outlet_free(s->outlet);
	for (size_t i = 0; i < 2; i++)
		partition_free(s->partitions[i]);
	metrics_free(s->metrics);
	free(s);
	return 0;
}

static struct record *record_to(const char *topic, const char *value)
{
	const struct record record = { .topic = topic, .partition = -1, .timestamp_ms = -1, .value = span_of(value) };
	return record_new(&record);
}

static void add(struct stage_set *s, size_t partition, int64_t offset, const char *value)
{
	struct record *record = value ? record_to("outcomes", value) : NULL;
	assert_int_equal(outlet_add(s->outlet, s->partitions[partition], offset, record, NULL, s->now), 0);
}

static void run(struct stage_set *s, usec_t later)
{
	s->now += later;
	outlet_run(s->outlet, s->partitions, 2, s->now, false);
}

static enum outlet_news hear(struct stage_set *s, enum kafka_verdict verdict)
{
	const struct fault *fault;
	assert_non_null(held);
	next_answer = (struct kafka_answer){ .batch = held, .verdict = verdict };
	answered = true;
	return outlet_hear(s->outlet, s->now, &fault);
}

/* What the batch with the producer says of a partition; the base, or -1 when it does not speak of it. */
static int64_t committed(const char *topic, struct offsets **ret_there)
{
	for (size_t i = 0; i < held->offset_count; i++) {
		const struct kafka_batch_offset *o = &held->offsets[i];
		if (strcmp(o->topic, topic) != 0)
			continue;
		*ret_there = offsets_new(o->offset, PARTITION_SPAN_MAX);
		const int r = done_map_read(span_of(o->metadata), o->topic, o->partition, *ret_there);
		assert_true(r == 0 || r == -ENOENT);
		return o->offset;
	}
	return -1;
}

static void assert_done(const char *topic, int64_t base, int64_t done_above)
{
	struct offsets *there = NULL;
	assert_int_equal(committed(topic, &there), base);
	for (int64_t offset = base; offset < 110; offset++)
		assert_int_equal(offsets_is_done(there, offset), offset == done_above);
	offsets_free(there);
}

/* ---- the tests ---- */

static void test_one_snapshot(void **state)
{
	struct stage_set *s = *state;
	add(s, 0, 100, "a");
	add(s, 0, 105, "b");
	add(s, 1, 103, NULL); /* a cancel's end has no record, only its mark */
	run(s, INTERVAL - 1);
	assert_int_equal(submitted, 0); /* it waits for company */
	run(s, 1);
	assert_int_equal(submitted, 1);
	assert_int_equal(held->record_count, 2);
	assert_done("requests", 101, 105);
	assert_done("retry", 100, 103);
	/* What ends meanwhile is in no batch yet, neither its record nor its mark. */
	add(s, 0, 101, "c");
	run(s, INTERVAL);
	assert_int_equal(held->record_count, 2);
	assert_done("requests", 101, 105);
	assert_int_equal(hear(s, KAFKA_COMMITTED), OUTLET_COMMITTED);
	assert_false(outlet_is_empty(s->outlet));
	run(s, 0);
	assert_int_equal(held->record_count, 1);
	assert_done("requests", 102, 105);
	assert_int_equal(hear(s, KAFKA_COMMITTED), OUTLET_COMMITTED);
	assert_true(outlet_is_empty(s->outlet));
	assert_false(outlet_has_news(s->outlet, s->partitions, 2));
	assert_int_equal(outlet_memory(s->outlet), 0);
}

static void test_aborted_is_the_same_batch_again(void **state)
{
	struct stage_set *s = *state;
	add(s, 0, 100, "a");
	run(s, INTERVAL);
	const struct kafka_batch *first = held;
	const struct record *record = held->records[0].record;
	held->records[0].delivered = true; /* at-least-once remembers what is there already */
	for (int i = 2; i < 5; i++) {
		assert_int_equal(hear(s, KAFKA_ABORTED), OUTLET_AGAIN);
		run(s, 0);
		assert_null(held); /* not thrown back at once */
		assert_true(outlet_wait(s->outlet, s->now) > 0);
		run(s, outlet_wait(s->outlet, s->now));
		assert_int_equal(submitted, i);
		assert_ptr_equal(held, first);
		assert_ptr_equal(held->records[0].record, record);
		assert_true(held->records[0].delivered);
		assert_done("requests", 101, -1);
	}
	assert_int_equal(hear(s, KAFKA_COMMITTED), OUTLET_COMMITTED);
	assert_true(outlet_is_empty(s->outlet));
}

static void test_too_large_goes_as_headers_alone(void **state)
{
	struct stage_set *s = *state;
	add(s, 0, 100, "fits");
	assert_int_equal(outlet_add(s->outlet, s->partitions[0], 101, record_to("outcomes", "outcome"),
				    record_to("dlq", "a value that is far too large"), s->now),
			 0);
	run(s, INTERVAL);
	assert_int_equal(held->record_count, 3);
	held->records[2].too_large = true;
	assert_int_equal(hear(s, KAFKA_ABORTED), OUTLET_AGAIN);
	run(s, USEC_PER_SEC);
	const struct span size = record_header(held->records[2].record, HDR_TRUNCATED);
	assert_true(span_is(size, "29"));
	assert_int_equal(held->records[2].record->value.n, 0);
	assert_true(span_is(held->records[0].record->value, "fits"));
	assert_true(span_is(held->records[1].record->value, "outcome"));
	assert_false(held->records[2].too_large);
	hear(s, KAFKA_COMMITTED);
}

static void test_lost_while_in_flight(void **state)
{
	static const enum kafka_verdict verdicts[] = { KAFKA_COMMITTED, KAFKA_ABORTED, KAFKA_REVOKED_UNDER_US,
						       KAFKA_UNKNOWN };
	struct stage_set *s = *state;
	for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++) {
		const int64_t offset = 100 + 2 * (int64_t)i;
		add(s, 0, offset, "in flight");
		run(s, INTERVAL);
		add(s, 0, offset + 1, "waits");
		outlet_forget(s->outlet);
		assert_true(outlet_is_busy(s->outlet)); /* the producer still reads it */
		assert_true(span_is(held->records[0].record->value, "in flight"));
		const int before = submitted;
		assert_int_equal(hear(s, verdicts[i]), OUTLET_QUIET);
		assert_true(outlet_is_empty(s->outlet));
		s->partitions[0]->dirty = false; /* a new assignment starts with nothing to say */
		run(s, 10 * USEC_PER_SEC);
		assert_int_equal(submitted, before); /* never submitted again (promise 6) */
		offsets_done(s->partitions[0]->offsets, offset + 1);
	}
}

/* The map that somebody committed with `base`, who had finished `done` above it; empty when done < 0. */
static void write_map(struct buf *map, int64_t base, int64_t done)
{
	buf_init(map, DONE_MAP_MAX);
	if (done < 0)
		return;
	struct offsets *there = offsets_new(base, PARTITION_SPAN_MAX);
	for (int64_t offset = base; offset < 110; offset++)
		assert_int_equal(offsets_open(there, offset), 0);
	offsets_done(there, done);
	assert_int_equal(done_map_write(map, "requests", 3, there), 0);
	offsets_free(there);
}

/* The fate of a commit is asked for: the brokers have this base and map. */
static void test_unknown_is_asked(void **state)
{
	static const struct {
		int64_t base;
		int64_t done;
		bool in;
	} cases[] = {
		{ 100, -1, false },                                   /* as before */
		{ 101, -1, true },                                    /* below the base */
		{ 99, 100, true },                                    /* in the map */
		{ 99, 101, false }, { KAFKA_OFFSET_NONE, -1, false }, /* it would have been the first commit there */
	};
	struct stage_set *s = *state;
	add(s, 0, 100, "a");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct buf map;
		write_map(&map, cases[i].base, cases[i].done);
		run(s, USEC_PER_SEC);
		assert_int_equal(hear(s, KAFKA_UNKNOWN), OUTLET_ASK);
		assert_true(outlet_is_asking(s->outlet) && outlet_is_busy(s->outlet));
		if (outlet_batch_is_in(s->outlet, s->partitions[0], cases[i].base, buf_text(&map)) != cases[i].in)
			fail_msg("case %zu", i);
		assert_false(outlet_batch_is_in(s->outlet, s->partitions[1], 110, "")); /* it has nothing of it */
		run(s, USEC_PER_SEC);
		assert_null(held); /* nothing goes out before the answer */
		outlet_told(s->outlet, false);
		buf_fini(&map);
	}
	run(s, USEC_PER_SEC);
	assert_true(span_is(held->records[0].record->value, "a")); /* the same batch again */
	assert_int_equal(hear(s, KAFKA_UNKNOWN), OUTLET_ASK);
	outlet_told(s->outlet, true);
	assert_true(outlet_is_empty(s->outlet));
}

/* An answer may come for a question that an earlier assignment asked. */
static void test_an_answer_nobody_waits_for(void **state)
{
	struct stage_set *s = *state;
	add(s, 0, 100, "a");
	run(s, INTERVAL);
	outlet_told(s->outlet, true); /* would free what the producer reads */
	assert_true(span_is(held->records[0].record->value, "a"));
	outlet_told(s->outlet, false);
	assert_int_equal(hear(s, KAFKA_COMMITTED), OUTLET_COMMITTED);
	run(s, USEC_PER_SEC);
	assert_int_equal(submitted, 1);
}

static void test_disowned_sends_nothing_more(void **state)
{
	struct stage_set *s = *state;
	add(s, 0, 100, "a");
	run(s, INTERVAL);
	assert_int_equal(hear(s, KAFKA_REVOKED_UNDER_US), OUTLET_DISOWNED);
	assert_true(outlet_is_disowned(s->outlet));
	add(s, 0, 101, "b");
	run(s, USEC_PER_SEC);
	assert_int_equal(submitted, 1);
	assert_int_equal(outlet_wait(s->outlet, s->now), USEC_NEVER);
	outlet_forget(s->outlet);
	assert_false(outlet_is_disowned(s->outlet));
	assert_true(outlet_is_empty(s->outlet));
	add(s, 1, 100, "of the next assignment");
	run(s, INTERVAL);
	assert_true(span_is(held->records[0].record->value, "of the next assignment"));
	assert_int_equal(hear(s, KAFKA_FENCED), OUTLET_TWIN);
}

static void test_proof(void **state)
{
	struct stage_set *s = *state;
	add(s, 0, 100, "a");
	run(s, INTERVAL);
	outlet_prove(s->outlet); /* the batch that is out already proves nothing */
	assert_int_equal(hear(s, KAFKA_COMMITTED), OUTLET_COMMITTED);
	assert_true(outlet_proof_pending(s->outlet));
	run(s, 0);
	assert_int_equal(held->record_count, 0);
	assert_int_equal(held->offset_count, 2); /* of every partition, changed or not */
	assert_int_equal(hear(s, KAFKA_UNKNOWN), OUTLET_ASK);
	outlet_told(s->outlet, true); /* not heard as a commit: proved again */
	assert_true(outlet_proof_pending(s->outlet));
	run(s, 0);
	assert_int_equal(hear(s, KAFKA_COMMITTED), OUTLET_COMMITTED);
	assert_false(outlet_proof_pending(s->outlet));
}

/* The base passed a transaction marker: committed, although no record goes with it. */
static void test_marks_alone(void **state)
{
	struct stage_set *s = *state;
	offsets_done(s->partitions[1]->offsets, 100);
	s->partitions[1]->dirty = true;
	run(s, 0);
	assert_null(held);
	assert_true(outlet_wait(s->outlet, s->now) <= USEC_PER_SEC);
	add(s, 0, 100, "a"); /* company does not have to wait as long */
	assert_true(outlet_wait(s->outlet, s->now) <= INTERVAL);
	run(s, INTERVAL);
	assert_int_equal(held->offset_count, 2);
	hear(s, KAFKA_COMMITTED);
	offsets_done(s->partitions[1]->offsets, 101);
	s->partitions[1]->dirty = true;
	run(s, 0);
	run(s, outlet_wait(s->outlet, s->now));
	assert_int_equal(held->record_count, 0);
	assert_done("retry", 102, -1);
	hear(s, KAFKA_COMMITTED);
	run(s, USEC_PER_SEC);
	assert_null(held);
	assert_int_equal(outlet_wait(s->outlet, s->now), USEC_NEVER);
}

static void test_a_batch_is_bounded(void **state)
{
	struct stage_set *s = *state;
	struct partition *p = partition_new("requests", 4, 0, "", PARTITION_SPAN_MAX);
	for (int64_t offset = 0; offset < 4500; offset++) {
		assert_int_equal(offsets_open(p->offsets, offset), 0);
		assert_int_equal(outlet_add(s->outlet, p, offset, record_to("outcomes", "x"), NULL, s->now), 0);
	}
	size_t sent = 0;
	for (int i = 0; i < 3; i++) {
		outlet_run(s->outlet, &p, 1, s->now, true);
		assert_true(held->record_count <= 2000);
		sent += held->record_count;
		hear(s, KAFKA_COMMITTED);
	}
	assert_int_equal(sent, 4500);
	assert_int_equal(offsets_base(p->offsets), 4500);
	assert_true(outlet_is_empty(s->outlet));
	partition_free(p);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_one_snapshot),
		TEST(test_aborted_is_the_same_batch_again),
		TEST(test_too_large_goes_as_headers_alone),
		TEST(test_lost_while_in_flight),
		TEST(test_unknown_is_asked),
		TEST(test_an_answer_nobody_waits_for),
		TEST(test_disowned_sends_nothing_more),
		TEST(test_proof),
		TEST(test_marks_alone),
		TEST(test_a_batch_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
