#include "kafka_fixture.h"

#define HEADERS 40

static struct cluster cluster;

static int start(void **state)
{
	(void)state;
	cluster_start(&cluster, 1, 2);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	cluster_stop(&cluster);
	return 0;
}

static void commit(struct member *m, int32_t partition, int64_t offset, const char *metadata)
{
	struct kafka_producer *producer;
	struct small_batch b;
	producer_open(&producer, &cluster.options, m, m->wakeup);
	small_batch(&b, NULL, &(struct kafka_batch_offset){ "requests", partition, offset, metadata });
	assert_int_equal(batch_run(producer, &b.batch, m, m->wakeup), KAFKA_COMMITTED);
	kafka_producer_free(producer);
}

static void put_with_headers(void)
{
	struct header headers[HEADERS];
	char names[HEADERS][16];
	struct record record = plain_record("requests", 1, "key", "value");
	for (size_t i = 0; i < HEADERS; i++) {
		snprintf(names[i], sizeof(names[i]), "h%zu", i);
		headers[i] = (struct header){ names[i], span_of(names[i]) };
	}
	headers[0].value = SPAN_NONE;
	headers[1].value = SPAN("");
	record.headers = headers;
	record.header_count = HEADERS;
	record.timestamp_ms = 1234567;
	put_records(&cluster.options, &record, 1);
}

static void a_record_comes_as_it_was_written(void **state)
{
	struct member m;
	struct kafka_consumer_event event;
	(void)state;
	put_with_headers();
	member_join(&m, &cluster.options, &event);
	assert_int_equal(event.count, 4);
	const size_t at = event_index(&event, "requests", 1);
	struct record *record = member_record(&m, at);
	assert_string_equal(record->topic, "requests");
	assert_int_equal(record->partition, 1);
	assert_int_equal(record->offset, 0);
	assert_int_equal(record->timestamp_ms, 1234567);
	assert_true(span_is(record->key, "key"));
	assert_true(span_is(record->value, "value"));
	assert_int_equal(record->header_count, HEADERS);
	assert_null(record_header(record, "h0").p);
	assert_non_null(record_header(record, "h1").p);
	assert_int_equal(record_header(record, "h1").n, 0);
	assert_true(span_is(record_header(record, "h39"), "h39"));
	record_free(record);
	assert_int_equal(member_end(&m, at), 1);
	assert_int_equal(kafka_consumer_end(m.consumer, at), 1);
	member_leave(&m);
}

static void absent_and_empty_are_not_the_same(void **state)
{
	struct member m;
	struct kafka_consumer_event event;
	struct record bare = plain_record("requests", 0, NULL, NULL);
	struct record empty = plain_record("requests", 0, "", "");
	(void)state;
	put_records(&cluster.options, &bare, 1);
	put_records(&cluster.options, &empty, 1);
	member_join(&m, &cluster.options, &event);
	const size_t at = event_index(&event, "requests", 0);
	struct record *first = member_record(&m, at);
	struct record *second = member_record(&m, at);
	assert_null(first->key.p);
	assert_null(first->value.p);
	assert_int_equal(first->header_count, 0);
	assert_non_null(second->key.p);
	assert_non_null(second->value.p);
	assert_int_equal(second->key.n + second->value.n, 0);
	record_free(first);
	record_free(second);
	member_leave(&m);
}

static void an_empty_partition_ends_at_its_beginning(void **state)
{
	struct member m;
	struct kafka_consumer_event event;
	(void)state;
	member_join(&m, &cluster.options, &event);
	for (size_t i = 0; i < event.count; i++) {
		assert_int_equal(event.partitions[i].committed, KAFKA_OFFSET_NONE);
		assert_string_equal(event.partitions[i].metadata, "");
		assert_int_equal(member_end(&m, i), 0);
	}
	member_leave(&m);
}

static void offsets_and_metadata_come_back(void **state)
{
	struct member m;
	struct kafka_consumer_event event;
	struct fault fault;
	char metadata[4097];
	struct record record = plain_record("requests", 0, "k", "v");
	(void)state;
	memset(metadata, 'm', sizeof(metadata) - 1);
	metadata[sizeof(metadata) - 1] = '\0';
	put_records(&cluster.options, &record, 3);
	member_join(&m, &cluster.options, &event);
	commit(&m, 0, 2, metadata);
	commit(&m, 1, 0, "");

	assert_int_equal(kafka_consumer_ask(m.consumer, &fault), 0);
	member_expect(&m, KAFKA_OFFSETS, &event);
	assert_int_equal(event.fault.kind, FAULT_NONE);
	const size_t told = event_index(&event, "requests", 0);
	assert_int_equal(event.partitions[told].committed, 2);
	assert_string_equal(event.partitions[told].metadata, metadata);
	assert_int_equal(event.partitions[event_index(&event, "requests", 1)].committed, 0);
	assert_int_equal(event.partitions[event_index(&event, "retry", 1)].committed, KAFKA_OFFSET_NONE);
	member_leave(&m);

	member_join(&m, &cluster.options, &event);
	const size_t at = event_index(&event, "requests", 0);
	assert_int_equal(event.partitions[at].committed, 2);
	assert_string_equal(event.partitions[at].metadata, metadata);
	struct record *next = member_record(&m, at);
	assert_int_equal(next->offset, 2);
	record_free(next);
	member_leave(&m);
}

/* What is not read waits in the library, and neither the other partitions nor the membership suffer from it. */
static void not_reading_is_back_pressure(void **state)
{
	struct member m;
	struct kafka_consumer_event event;
	struct record record = plain_record("requests", 0, "k", "v");
	struct record other = plain_record("retry", 1, "k", "v");
	(void)state;
	put_records(&cluster.options, &record, 5000);
	member_join(&m, &cluster.options, &event);
	const size_t at = event_index(&event, "requests", 0);
	const size_t retry = event_index(&event, "retry", 1);
	record_free(member_record(&m, at));
	for (usec_t until = clock_read().mono + 5 * USEC_PER_SEC; clock_read().mono < until;) {
		wait_signal(m.wakeup);
		member_serve(&m);
	}
	put_records(&cluster.options, &other, 1);
	record_free(member_record(&m, retry));
	for (int64_t offset = 1; offset < 5000; offset++) {
		struct record *next = member_record(&m, at);
		assert_int_equal(next->offset, offset);
		record_free(next);
	}
	assert_int_equal(member_end(&m, at), 5000);
	member_leave(&m);
}

/* The other tests look again ten times a second and would not notice. */
static void whatever_comes_wakes_the_loop(void **state)
{
	struct member m;
	struct kafka_consumer_event event;
	struct kafka_read read;
	struct fault fault;
	(void)state;
	member_join(&m, &cluster.options, &event);
	const size_t at = event_index(&event, "requests", 0);
	struct pollfd wakeup = { .fd = m.wakeup, .events = POLLIN };
	assert_int_equal(member_end(&m, at), 0);
	for (int64_t round = 0; round < 20; round++) {
		struct record record = plain_record("requests", 0, "k", "v");
		do
			kafka_consumer_read(m.consumer, at, &read);
		while (read.kind == KAFKA_READ_END);
		assert_int_equal(read.kind, KAFKA_READ_NOTHING);
		put_records(&cluster.options, &record, 1);
		for (read.kind = KAFKA_READ_NOTHING; read.kind != KAFKA_READ_RECORD;) {
			assert_int_equal(poll(&wakeup, 1, 10000), 1);
			loop_wakeup_clear(m.wakeup);
			member_serve(&m);
			do
				kafka_consumer_read(m.consumer, at, &read);
			while (read.kind == KAFKA_READ_END);
		}
		assert_int_equal(read.record->offset, round);
		record_free(read.record);
		/* And an answer. */
		assert_int_equal(kafka_consumer_ask(m.consumer, &fault), 0);
		while (!kafka_consumer_next(m.consumer, &event)) {
			assert_int_equal(poll(&wakeup, 1, 10000), 1);
			loop_wakeup_clear(m.wakeup);
		}
		assert_int_equal(event.kind, KAFKA_OFFSETS);
	}
	member_leave(&m);
}

static void lost_records_are_told_and_reading_goes_on(void **state)
{
	struct member m;
	struct kafka_consumer_event event;
	struct kafka_read read;
	static char big[60000];
	struct record first = plain_record("requests", 0, "k", "v");
	struct record other = plain_record("requests", 1, "k", "v");
	struct record filler = plain_record("requests", 0, "k", NULL);
	filler.value = (struct span){ big, sizeof(big) };
	(void)state;
	put_records(&cluster.options, &first, 2);
	put_records(&cluster.options, &other, 2);
	member_join(&m, &cluster.options, &event);
	commit(&m, 0, 1, "");
	member_leave(&m);
	put_records(&cluster.options, &filler, 200); /* 12 MB; the mock keeps 5 */

	member_join(&m, &cluster.options, &event);
	const size_t at = event_index(&event, "requests", 0);
	const size_t beside = event_index(&event, "requests", 1);
	struct record *record = member_record(&m, beside);
	assert_int_equal(record->offset, 0);
	record_free(record);
	member_read(&m, at, &read);
	assert_int_equal(read.kind, KAFKA_READ_RESET);
	assert_int_equal(read.offset, 1);
	record = member_record(&m, at);
	assert_true(record->offset > 1);
	int64_t next = record->offset;
	do {
		assert_int_equal(record->offset, next++);
		record_free(record);
		member_read(&m, at, &read);
		record = read.record;
	} while (read.kind == KAFKA_READ_RECORD);
	assert_int_equal(read.kind, KAFKA_READ_END);
	assert_int_equal(read.offset, 202);
	/* The partition beside it goes on where it was. */
	record = member_record(&m, beside);
	assert_int_equal(record->offset, 1);
	record_free(record);
	assert_int_equal(member_end(&m, beside), 2);
	member_leave(&m);
}

static void nobody_there_is_told(void **state)
{
	struct kafka_options options = cluster.options;
	struct member m;
	struct kafka_consumer_event event;
	bool told = false;
	(void)state;
	options.brokers = "127.0.0.1:1";
	member_open(&m, &options);
	for (usec_t until = patience_ends(); !told && clock_read().mono < until;) {
		wait_signal(m.wakeup);
		while (kafka_consumer_next(m.consumer, &event)) {
			assert_int_equal(event.kind, KAFKA_TROUBLE);
			assert_int_equal(event.fault.kind, FAULT_DEPENDENCY_DOWN);
			told = told || event.all_brokers_down;
		}
	}
	assert_true(told);
	member_leave(&m);
}

static void a_new_client_joins_in_the_place_of_the_old(void **state)
{
	struct member m;
	struct fault fault;
	struct kafka_consumer_event event;
	struct record one = plain_record("requests", 0, "key", "value");
	(void)state;
	put_records(&cluster.options, &one, 1);
	member_join(&m, &cluster.options, &event);
	record_free(member_record(&m, event_index(&event, "requests", 0)));
	assert_int_equal(kafka_consumer_renew(m.consumer, &fault), 0);
	assert_int_equal(kafka_consumer_ask(m.consumer, &fault), -ESTALE);
	assert_int_equal(kafka_consumer_subscribe(m.consumer, &fault), 0);
	member_expect(&m, KAFKA_ASSIGNED, &event);
	assert_int_equal(event.count, 4);
	member_accept(&m, &event);
	record_free(member_record(&m, event_index(&event, "requests", 0)));
	member_leave(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_record_comes_as_it_was_written, start, stop),
		cmocka_unit_test_setup_teardown(absent_and_empty_are_not_the_same, start, stop),
		cmocka_unit_test_setup_teardown(an_empty_partition_ends_at_its_beginning, start, stop),
		cmocka_unit_test_setup_teardown(offsets_and_metadata_come_back, start, stop),
		cmocka_unit_test_setup_teardown(not_reading_is_back_pressure, start, stop),
		cmocka_unit_test_setup_teardown(whatever_comes_wakes_the_loop, start, stop),
		cmocka_unit_test_setup_teardown(lost_records_are_told_and_reading_goes_on, start, stop),
		cmocka_unit_test_setup_teardown(nobody_there_is_told, start, stop),
		cmocka_unit_test_setup_teardown(a_new_client_joins_in_the_place_of_the_old, start, stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
