/*
 * torture: the n-th allocation of the whole worker fails, for every n, and every n-th, and all for a while
 *
 * The worker may go on, or end with a sentence and exit code 1; then another life begins from what is committed. In the
 * end every request has exactly one outcome, and nothing is left behind (a sanitizer looks for that). The allocator is
 * wrapped at link time, so this works under ASan too; only the worker's own allocations fail, not the doors'.
 */
#include "component/worker_world.h"

#include <fcntl.h>
#include <unistd.h>

enum { REQUEST_COUNT = 7, GONE = 5, LOG_MAX = 256, TURNS_MAX = 400, LIVES_MAX = 200 };

/* ---- the allocator ---- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

static struct {
	bool armed; /* it is the worker's turn */
	long count; /* allocations so far */
	long from;  /* these fail: from <= count < to, ... */
	long to;
	long every; /* ... or each of which this is a divisor; 0: none */
	long failed;
} strike;

static bool strikes(void)
{
	if (!strike.armed)
		return false;
	const long n = strike.count++;
	const bool now = (n >= strike.from && n < strike.to) || (strike.every > 0 && n % strike.every == 0);
	strike.failed += now;
	return now;
}

void *__wrap_malloc(size_t size)
{
	return strikes() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return strikes() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return strikes() ? NULL : __real_realloc(old, size);
}

/* ---- what Kafka remembers from one life to the next ---- */

static struct {
	struct record *records[PARTITIONS_MAX][LOG_MAX];
	size_t count[PARTITIONS_MAX];
	int64_t committed[PARTITIONS_MAX];
	char metadata[PARTITIONS_MAX][DONE_MAP_MAX + 1];
	struct {
		char id[16];
		char status[16];
	} outcomes[LOG_MAX];
	size_t outcome_count;
	size_t dead_letters;
	bool in_the_way[REQUEST_COUNT]; /* what stood in the way of a session once has done so */
} kafka;

static void write_to(size_t partition, const struct record *like)
{
	struct record record = *like;
	assert_true(kafka.count[partition] < LOG_MAX);
	record.topic = topic_names[partition];
	record.partition = 0;
	record.offset = (int64_t)kafka.count[partition];
	record.timestamp_ms = __wrap_clock_read().unix_ms;
	kafka.records[partition][kafka.count[partition]++] = record_new(&record);
}

static void on_commit(const struct kafka_batch *batch)
{
	const bool armed = strike.armed;
	strike.armed = false;
	for (size_t i = 0; i < batch->record_count; i++) {
		const struct record *record = batch->records[i].record;
		if (strcmp(record->topic, "retry") == 0) {
			write_to(RETRY, record);
			if (world.accepted > world.released)
				put_record(RETRY, record);
		} else if (strcmp(record->topic, "outcomes") == 0) {
			assert_true(kafka.outcome_count < LOG_MAX);
			note_header(kafka.outcomes[kafka.outcome_count].id, 16, record, HDR_ID);
			note_header(kafka.outcomes[kafka.outcome_count++].status, 16, record, HDR_STATUS);
		} else {
			kafka.dead_letters++;
		}
	}
	for (size_t i = 0; i < batch->offset_count; i++) {
		const size_t p = strcmp(batch->offsets[i].topic, "retry") == 0 ? RETRY : REQUESTS;
		assert_true(batch->offsets[i].offset >= kafka.committed[p]);
		kafka.committed[p] = batch->offsets[i].offset;
		snprintf(kafka.metadata[p], sizeof(kafka.metadata[p]), "%s", batch->offsets[i].metadata);
	}
	strike.armed = armed;
}

static void fill_kafka(void)
{
	memset(&kafka, 0, sizeof(kafka));
	for (int i = 0; i < REQUEST_COUNT; i++) {
		char value[256];
		snprintf(value, sizeof(value),
			 "{\"sessionId\":\"s-%d\",%s\"handoffId\":\"h-%d\",\"metadata\":{\"a\":%d}}", i,
			 i == 6 ? "" : "\"queueId\":\"" QUEUE "\",", i, i);
		const struct record record = { .value = span_of(value), .key = span_of("key") };
		write_to(REQUESTS, &record);
	}
}

static void empty_kafka(void)
{
	for (size_t p = 0; p < PARTITIONS_MAX; p++)
		for (size_t i = 0; i < kafka.count[p]; i++)
			record_free(kafka.records[p][i]);
}

/* ---- lives ---- */

/* What the group gives a worker that has just come. */
static void assign_committed(void)
{
	struct kafka_consumer_event *e = event(KAFKA_ASSIGNED);
	for (size_t p = 0; p < PARTITIONS_MAX; p++) {
		world.assigned[p] = (struct kafka_partition){ .topic = topic_names[p],
							      .committed = kafka.committed[p],
							      .metadata = kafka.metadata[p] };
		world.next_offset[p] = kafka.committed[p];
		for (size_t i = (size_t)kafka.committed[p]; i < kafka.count[p]; i++)
			put_record(p, kafka.records[p][i]);
		put_end(p);
	}
	e->partitions = world.assigned;
	e->count = PARTITIONS_MAX;
}

/* The tenant's replies: session 1's first fetch fails, 2's first update is locked, 3's first trigger is rate-limited,
 * 4's first update is refused for its token, 5's session is gone for good, 6 is no request at all. */
static void reply_to_all(void)
{
	static const struct {
		enum stage stage;
		int status;
	} trouble[REQUEST_COUNT] = { [1] = { STAGE_FETCH, 503 },
				     [2] = { STAGE_UPDATE, 409 },
				     [3] = { STAGE_TRIGGER, 429 },
				     [4] = { STAGE_UPDATE, 401 },
				     [GONE] = { STAGE_FETCH, 404 } };
	for (size_t i = 0; i < CALLS_MAX; i++) {
		struct http_call *call = &world.calls[i];
		const int n = call->open && call->stage != STAGE_LOGIN ? call->session[2] - '0' : 0;
		if (!call->open || call->ended)
			continue;
		if (trouble[n].status && (n == GONE || !kafka.in_the_way[n]) && trouble[n].stage == call->stage) {
			kafka.in_the_way[n] = true;
			answer(call, trouble[n].status, "{\"error\":\"no\"}");
		} else {
			serve(call);
		}
	}
}

static bool is_over(void)
{
	return kafka.outcome_count >= REQUEST_COUNT && outlet_is_empty(world.worker.outlet);
}

/* One process, from its start to its end or until all is done. False when it ended because of its memory. */
static bool live(void)
{
	struct fault fault = { 0 };
	set_stage();
	world.on_commit = on_commit;
	strike.armed = true;
	const int r = worker_init(&world.worker, &world.settings, &world.signals, &fault);
	strike.armed = false;
	if (r != 0)
		assert_true(fault.message[0] != '\0');
	if (r == 0) {
		say_topics_fit();
		assign_committed();
	}
	for (int i = 0; r == 0 && i < TURNS_MAX && !world.worker.finished && !is_over(); i++) {
		reply_to_all();
		world.now += 250 * USEC_PER_MSEC;
		strike.armed = true;
		worker_turn(&world.worker);
		strike.armed = false;
	}
	const bool ok = r == 0 && !world.worker.finished;
	if (world.worker.finished)
		assert_int_equal(world.worker.exit_code, 1);
	tear_down(NULL);
	return ok;
}

/* Want of memory changes when a handoff ends, but not how. */
static void demand_one_outcome(int n)
{
	static const char *const statuses[REQUEST_COUNT] = { [GONE] = "failed", [6] = "rejected" };
	char id[16];
	size_t found = 0;
	bool right = true;
	snprintf(id, sizeof(id), "h-%d", n);
	for (size_t i = 0; i < kafka.outcome_count; i++) {
		if (strcmp(kafka.outcomes[i].id, id) != 0)
			continue;
		found++;
		right = right && strcmp(kafka.outcomes[i].status, statuses[n] ? statuses[n] : "completed") == 0;
	}
	if (found != 1 || !right)
		fail_msg("%s has %zu outcomes, or not the one it should (allocations %ld to %ld, or each %ldth)", id,
			 found, strike.from, strike.to, strike.every);
}

/* What the lives say on their way is not told. */
static int silence(void)
{
	const int loud = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	assert_true(loud >= 0 && null >= 0);
	dup2(null, STDERR_FILENO);
	close(null);
	return loud;
}

static void speak(int loud)
{
	dup2(loud, STDERR_FILENO);
	close(loud);
}

/* All lives that it takes; memory is short in the first `short_lives` of them. */
static void play(int short_lives)
{
	bool over = false;
	const int loud = silence();
	fill_kafka();
	strike.count = strike.failed = 0;
	for (int i = 0; i < LIVES_MAX && !over; i++) {
		if (i == short_lives)
			strike.to = strike.every = 0;
		over = live() && kafka.outcome_count >= REQUEST_COUNT;
	}
	speak(loud);
	for (int i = 0; i < REQUEST_COUNT; i++)
		demand_one_outcome(i);
	assert_int_equal(kafka.outcome_count, REQUEST_COUNT);
	assert_int_equal(kafka.dead_letters, 1);
	empty_kafka();
}

static long allocations_of_a_play(void)
{
	memset(&strike, 0, sizeof(strike));
	play(0);
	return strike.count;
}

static void test_each_allocation_fails_once(void **state)
{
	const long count = allocations_of_a_play();
	(void)state;
	assert_true(count > 40 * REQUEST_COUNT); /* every handoff took part */
	print_message("%ld allocations\n", count);
	for (long n = 0; n < count; n++) {
		strike.from = n;
		strike.to = n + 1;
		play(LIVES_MAX);
		assert_int_equal(strike.failed, 1);
	}
}

static void test_no_memory_for_a_while(void **state)
{
	const long count = allocations_of_a_play();
	(void)state;
	for (long n = 0; n < count; n += 7) {
		strike.from = n;
		strike.to = n + 40;
		play(LIVES_MAX);
	}
}

static void test_each_nth_allocation_fails(void **state)
{
	(void)state;
	for (long every = 2; every < 300; every++) {
		memset(&strike, 0, sizeof(strike));
		strike.every = every;
		play(20);
		assert_true(strike.failed > 0);
	}
}

/* A finished handoff whose report finds no memory: kept, and reported when there is some. */
static void test_a_report_that_finds_no_memory(void **state)
{
	(void)state;
	assert_int_equal(set_up(state), 0);
	begin_work();
	request("h", "s-1", 600000);
	bring_to(STAGE_TRIGGER);
	serve(open_call(STAGE_TRIGGER));
	memset(&strike, 0, sizeof(strike));
	strike.to = 1000000;
	strike.armed = true;
	turn(USEC_PER_MSEC);
	turn(USEC_PER_SEC);
	strike.armed = false;
	assert_true(strike.failed > 0);
	assert_false(world.worker.finished);
	assert_null(end_of("outcomes", "h"));
	turn(USEC_PER_MSEC);
	turn(USEC_PER_SEC);
	turn(0);
	assert_non_null(end_of("outcomes", "h"));
	tear_down(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_report_that_finds_no_memory),
		cmocka_unit_test(test_each_allocation_fails_once),
		cmocka_unit_test(test_no_memory_for_a_while),
		cmocka_unit_test(test_each_nth_allocation_fails),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
