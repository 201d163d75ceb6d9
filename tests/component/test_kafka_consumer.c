#include "kafka_fixture.h"

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

/* Index of requests/`partition` in the event. */
static size_t find(const struct kafka_consumer_event *event, const char *topic, int32_t partition)
{
	for (size_t i = 0; i < event->count; i++)
		if (strcmp(event->partitions[i].topic, topic) == 0 && event->partitions[i].partition == partition)
			return i;
	fail_msg("%s/%d is not assigned", topic, (int)partition);
	return 0;
}

static void put(const char *topic, int32_t partition, const char *key, const char *value, size_t headers)
{
	struct header list[40];
	char names[40][16];
	struct kafka_producer *producer;
	const int wakeup = loop_wakeup_new();
	struct record record = plain_record(topic, partition, key, value);
	for (size_t i = 0; i < headers; i++) {
		snprintf(names[i], sizeof(names[i]), "h%zu", i);
		list[i] = (struct header){ names[i], i == 0 ? SPAN_NONE : i == 1 ? SPAN("") : span_of(names[i]) };
	}
	record.headers = list;
	record.header_count = headers;
	record.timestamp_ms = 1234567;
	struct kafka_batch_record item = { .record = &record };
	struct kafka_batch batch = { .records = &item, .record_count = 1 };
	producer_open(&producer, &cluster.options, NULL, wakeup);
	assert_int_equal(batch_run(producer, &batch, NULL, wakeup), KAFKA_COMMITTED);
	assert_true(item.delivered);
	kafka_producer_free(producer);
	close(wakeup);
}

static void record_comes_as_it_was_written(void **state)
{
	struct member m;
	struct kafka_consumer_event event;
	(void)state;
	put("requests", 1, "key", "value", 40);
	member_open(&m, &cluster.options);
	member_expect(&m, KAFKA_ASSIGNED, &event);
	assert_int_equal(event.count, 4);
	const size_t at = find(&event, "requests", 1);
	assert_int_equal(event.partitions[at].committed, KAFKA_OFFSET_NONE);
	assert_string_equal(event.partitions[at].metadata, "");
	member_accept(&m, &event);

	struct record *record = member_record(&m, at);
	assert_string_equal(record->topic, "requests");
	assert_int_equal(record->partition, 1);
	assert_int_equal(record->offset, 0);
	assert_int_equal(record->timestamp_ms, 1234567);
	assert_true(span_is(record->key, "key"));
	assert_true(span_is(record->value, "value"));
	assert_int_equal(record->header_count, 40);
	assert_null(record_header(record, "h0").p);
	assert_non_null(record_header(record, "h1").p);
	assert_int_equal(record_header(record, "h1").n, 0);
	assert_true(span_is(record_header(record, "h39"), "h39"));
	record_free(record);
	assert_int_equal(member_end(&m, at), 1);
	assert_int_equal(kafka_consumer_end(m.consumer, at), 1);
	member_leave(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(record_comes_as_it_was_written, start, stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
