#include "doors/kafka_reader.h"
#include "kafka_fixture.h"

static struct cluster cluster;

static int start(void **state)
{
	(void)state;
	cluster_start(&cluster, 1, 3);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	cluster_stop(&cluster);
	return 0;
}

static void put(const char *topic, int32_t partition, size_t count)
{
	struct record record = plain_record(topic, partition, "k", "v");
	put_records(&cluster.options, &record, count);
}

static struct kafka_reader *open_reader(const char *const *topics, size_t count, enum kafka_reader_start start_at)
{
	struct fault fault = { 0 };
	struct kafka_reader *reader = kafka_reader_new(&cluster.options, topics, count, start_at, PATIENCE, &fault);
	if (!reader)
		fail_msg("%s", fault.message);
	return reader;
}

static void everything_is_read_once(void **state)
{
	static const char *const topics[] = { "requests", "outcomes" };
	size_t seen[2] = { 0, 0 };
	int64_t next[3] = { 0, 0, 0 };
	struct fault fault;
	(void)state;
	put("requests", 0, 100);
	put("requests", 2, 50);
	put("outcomes", 1, 10);
	struct kafka_reader *reader = open_reader(topics, 2, KAFKA_READER_EARLIEST);
	assert_false(kafka_reader_caught_up(reader));
	while (!kafka_reader_caught_up(reader)) {
		struct record *record = NULL;
		assert_true(kafka_reader_next(reader, USEC_PER_SEC, &record, &fault) >= 0);
		if (!record)
			continue;
		const bool is_request = strcmp(record->topic, "requests") == 0;
		seen[is_request ? 0 : 1]++;
		if (is_request)
			assert_int_equal(record->offset, next[record->partition]++);
		record_free(record);
	}
	assert_int_equal(seen[0], 150);
	assert_int_equal(seen[1], 10);
	kafka_reader_free(reader);
}

static void from_the_end_only_the_new_is_read(void **state)
{
	static const char *const topics[] = { "outcomes" };
	struct record *record = NULL;
	struct fault fault;
	(void)state;
	put("outcomes", 0, 10);
	struct kafka_reader *reader = open_reader(topics, 1, KAFKA_READER_LATEST);
	assert_true(kafka_reader_caught_up(reader));
	put("outcomes", 0, 1);
	put("outcomes", 1, 1);
	bool seen[2] = { false, false };
	for (int i = 0; i < 2; i++) {
		assert_int_equal(kafka_reader_next(reader, PATIENCE, &record, &fault), 1);
		assert_int_equal(record->offset, record->partition == 0 ? 10 : 0);
		seen[record->partition] = true;
		record_free(record);
	}
	assert_true(seen[0] && seen[1]);
	assert_int_equal(kafka_reader_next(reader, 300 * USEC_PER_MSEC, &record, &fault), 0);
	kafka_reader_free(reader);
}

static void one_record_is_had_by_its_place(void **state)
{
	static const char *const topics[] = { "outcomes" };
	struct kafka_reader_part part;
	struct record *record;
	struct fault fault;
	int64_t low = -1;
	(void)state;
	put("outcomes", 1, 10);
	struct kafka_reader *reader = open_reader(topics, 1, KAFKA_READER_WRITTEN);
	while (!kafka_reader_caught_up(reader)) {
		if (kafka_reader_next(reader, USEC_PER_SEC, &record, &fault) > 0)
			record_free(record);
	}
	assert_true(kafka_reader_part(reader, 1, &part));
	assert_string_equal(part.topic, "outcomes");
	assert_int_equal(part.partition, 1);
	assert_true(part.start == 0 && part.at == 10 && part.end == 10);
	assert_false(kafka_reader_part(reader, 3, &part));
	assert_int_equal(kafka_reader_low(reader, 1, PATIENCE, &low, &fault), 0);
	assert_int_equal(low, 0);
	static const int64_t offsets[] = { 7, 0, 9, 7 };
	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		record = kafka_reader_get(reader, "outcomes", 1, offsets[i], PATIENCE);
		assert_non_null(record);
		assert_int_equal(record->offset, offsets[i]);
		record_free(record);
	}
	assert_null(kafka_reader_get(reader, "outcomes", 1, 10, 300 * USEC_PER_MSEC));
	assert_null(kafka_reader_get(reader, "requests", 1, 0, PATIENCE));
	kafka_reader_free(reader);
}

static void an_empty_topic_is_read_at_once(void **state)
{
	static const char *const topics[] = { "dlq" };
	(void)state;
	struct kafka_reader *reader = open_reader(topics, 1, KAFKA_READER_EARLIEST);
	assert_true(kafka_reader_caught_up(reader));
	kafka_reader_free(reader);
}

static void what_is_missing_is_named(void **state)
{
	static const char *const topics[] = { "outcomes", "dlq" };
	struct fault fault = { 0 };
	(void)state;
	rd_kafka_mock_topic_set_error(cluster.mock, "dlq", RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
	assert_null(kafka_reader_new(&cluster.options, topics, 2, KAFKA_READER_EARLIEST, PATIENCE, &fault));
	assert_non_null(strstr(fault.message, "topic dlq"));
}

static void nobody_there_is_told_in_time(void **state)
{
	static const char *const topics[] = { "outcomes" };
	struct kafka_options options = cluster.options;
	struct fault fault = { 0 };
	(void)state;
	options.brokers = "127.0.0.1:1";
	const usec_t begun = clock_read().mono;
	assert_null(kafka_reader_new(&options, topics, 1, KAFKA_READER_EARLIEST, 2 * USEC_PER_SEC, &fault));
	assert_true(clock_read().mono - begun < 5 * USEC_PER_SEC);
	assert_int_equal(fault.kind, FAULT_DEPENDENCY_DOWN);
	assert_non_null(strstr(fault.message, "127.0.0.1:1"));
}

static void an_outage_in_the_middle_is_waited_out(void **state)
{
	static const char *const topics[] = { "outcomes" };
	struct record *record = NULL;
	struct fault fault;
	(void)state;
	struct kafka_reader *reader = open_reader(topics, 1, KAFKA_READER_EARLIEST);
	rd_kafka_mock_broker_set_down(cluster.mock, 1);
	assert_int_equal(kafka_reader_next(reader, USEC_PER_SEC, &record, &fault), 0);
	rd_kafka_mock_broker_set_up(cluster.mock, 1);
	put("outcomes", 0, 1);
	assert_int_equal(kafka_reader_next(reader, PATIENCE, &record, &fault), 1);
	record_free(record);
	kafka_reader_free(reader);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(everything_is_read_once, start, stop),
		cmocka_unit_test_setup_teardown(from_the_end_only_the_new_is_read, start, stop),
		cmocka_unit_test_setup_teardown(one_record_is_had_by_its_place, start, stop),
		cmocka_unit_test_setup_teardown(an_empty_topic_is_read_at_once, start, stop),
		cmocka_unit_test_setup_teardown(what_is_missing_is_named, start, stop),
		cmocka_unit_test_setup_teardown(nobody_there_is_told_in_time, start, stop),
		cmocka_unit_test_setup_teardown(an_outage_in_the_middle_is_waited_out, start, stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
