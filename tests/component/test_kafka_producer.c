/* Batches at least once. The exactly-once way needs a real broker: the mock has no transactions worth the name. */
#include "doors/kafka_reader.h"
#include "kafka_fixture.h"

#define API_PRODUCE       0
#define API_OFFSET_COMMIT 8
#define PARTITIONS        5

static struct cluster cluster;

static int start(void **state)
{
	(void)state;
	cluster_start(&cluster, 1, PARTITIONS);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	cluster_stop(&cluster);
	return 0;
}

static int64_t committed(struct member *m, const char *topic, int32_t partition)
{
	struct kafka_consumer_event event;
	struct fault fault;
	assert_int_equal(kafka_consumer_ask(m->consumer, &fault), 0);
	member_expect(m, KAFKA_OFFSETS, &event);
	assert_int_equal(event.fault.kind, FAULT_NONE);
	return event.partitions[event_index(&event, topic, partition)].committed;
}

/* Reads the whole topic; how many records it has. `ret` (may be NULL) becomes the last. */
static size_t read_all(const char *topic, struct record **ret)
{
	struct fault fault = { 0 };
	size_t count = 0;
	struct kafka_reader *reader =
		kafka_reader_new(&cluster.options, &topic, 1, KAFKA_READER_EARLIEST, PATIENCE, &fault);
	assert_non_null(reader);
	while (!kafka_reader_caught_up(reader)) {
		struct record *record = NULL;
		assert_true(kafka_reader_next(reader, USEC_PER_SEC, &record, &fault) >= 0);
		if (!record)
			continue;
		count++;
		if (ret) {
			record_free(*ret);
			*ret = record;
			record->topic = topic; /* the reader's name ends with the reader */
		} else {
			record_free(record);
		}
	}
	kafka_reader_free(reader);
	return count;
}

/* Expected values: murmur2 as in Apache Kafka's UtilsTest, modulo five partitions. */
static void keys_go_where_java_puts_them(void **state)
{
	static const struct {
		const char *key;
		int32_t partition;
	} cases[] = {
		{ "21", 1173551340 % PARTITIONS },
		{ "foobar", 1357151166 % PARTITIONS },
		{ "a-little-bit-long-string", 1161502112 % PARTITIONS },
		{ "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", 2088585677 % PARTITIONS },
	};
	const char *topic = "outcomes";
	struct fault fault;
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct record record = plain_record(topic, -1, cases[i].key, "v");
		put_records(&cluster.options, &record, 1);
	}
	struct kafka_reader *reader =
		kafka_reader_new(&cluster.options, &topic, 1, KAFKA_READER_EARLIEST, PATIENCE, &fault);
	assert_non_null(reader);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct record *record = NULL;
		assert_int_equal(kafka_reader_next(reader, PATIENCE, &record, &fault), 1);
		for (size_t k = 0; k < ARRAY_SIZE(cases); k++)
			if (span_is(record->key, cases[k].key))
				assert_int_equal(record->partition, cases[k].partition);
		record_free(record);
	}
	kafka_reader_free(reader);
}

static void one_batch_at_a_time(void **state)
{
	struct kafka_producer *producer;
	struct kafka_answer answer;
	struct small_batch b;
	const int wakeup = loop_wakeup_new();
	struct record record = plain_record("outcomes", 2, "k", "v");
	(void)state;
	producer_open(&producer, &cluster.options, NULL, wakeup);
	small_batch(&b, &record, NULL);
	assert_false(kafka_producer_answer(producer, &answer));
	assert_int_equal(kafka_producer_submit(producer, &b.batch), 0);
	assert_int_equal(kafka_producer_submit(producer, &b.batch), -EBUSY);
	assert_int_equal(batch_answer(producer, &b.batch, NULL, wakeup, &answer), KAFKA_COMMITTED);
	assert_int_equal(answer.fault.kind, FAULT_NONE);
	assert_false(kafka_producer_answer(producer, &answer));
	assert_int_equal(batch_run(producer, &b.batch, NULL, wakeup), KAFKA_COMMITTED);
	assert_false(kafka_producer_stuck(producer));
	kafka_producer_free(producer);
	close(wakeup);
	/* The second time it was marked as delivered already. */
	assert_int_equal(read_all("outcomes", NULL), 1);
}

static void the_library_refuses_what_is_too_large(void **state)
{
	static char big[2000000];
	struct kafka_producer *producer;
	const int wakeup = loop_wakeup_new();
	struct record large = plain_record("outcomes", 0, "k", NULL);
	struct record small = plain_record("outcomes", 0, "k", "v");
	large.value = (struct span){ big, sizeof(big) };
	struct kafka_batch_record items[] = { { .record = &small }, { .record = &large }, { .record = &small } };
	struct kafka_batch batch = { .records = items, .record_count = ARRAY_SIZE(items) };
	(void)state;
	producer_open(&producer, &cluster.options, NULL, wakeup);
	assert_int_equal(batch_run(producer, &batch, NULL, wakeup), KAFKA_ABORTED);
	assert_true(items[0].delivered && items[2].delivered);
	assert_false(items[0].too_large || items[2].too_large || items[1].delivered);
	assert_true(items[1].too_large);
	/* As the worker does it: something smaller in its place. */
	items[1].record = &small;
	assert_int_equal(batch_run(producer, &batch, NULL, wakeup), KAFKA_COMMITTED);
	assert_true(items[1].delivered && !items[1].too_large);
	kafka_producer_free(producer);
	close(wakeup);
	assert_int_equal(read_all("outcomes", NULL), 3);
}

/* The broker measures what was sent together: three records refused as one are not three large records. */
static void the_broker_refuses_a_bunch_for_its_size(void **state)
{
	struct kafka_producer *producer;
	const int wakeup = loop_wakeup_new();
	struct record small = plain_record("outcomes", 0, "k", "v");
	struct kafka_batch_record items[] = { { .record = &small }, { .record = &small }, { .record = &small } };
	struct kafka_batch batch = { .records = items, .record_count = ARRAY_SIZE(items) };
	(void)state;
	producer_open(&producer, &cluster.options, NULL, wakeup);
	rd_kafka_mock_push_request_errors(cluster.mock, API_PRODUCE, 1, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
	assert_int_equal(batch_run(producer, &batch, NULL, wakeup), KAFKA_COMMITTED);
	for (size_t i = 0; i < ARRAY_SIZE(items); i++)
		assert_true(items[i].delivered && !items[i].too_large);
	kafka_producer_free(producer);
	close(wakeup);
	assert_int_equal(read_all("outcomes", NULL), 3);
}

static void the_broker_refuses_one_for_its_size(void **state)
{
	struct kafka_producer *producer;
	const int wakeup = loop_wakeup_new();
	struct record small = plain_record("outcomes", 0, "k", "v");
	struct kafka_batch_record items[] = { { .record = &small }, { .record = &small } };
	struct kafka_batch batch = { .records = items, .record_count = ARRAY_SIZE(items) };
	(void)state;
	producer_open(&producer, &cluster.options, NULL, wakeup);
	rd_kafka_mock_push_request_errors(cluster.mock, API_PRODUCE, 2, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
					  RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
	assert_int_equal(batch_run(producer, &batch, NULL, wakeup), KAFKA_ABORTED);
	assert_true(items[0].too_large && !items[0].delivered);
	assert_true(items[1].delivered && !items[1].too_large);
	kafka_producer_free(producer);
	close(wakeup);
}

static void a_fatal_producer_is_replaced(void **state)
{
	struct kafka_producer *producer;
	struct small_batch b;
	const int wakeup = loop_wakeup_new();
	struct record record = plain_record("outcomes", 0, "k", "v");
	(void)state;
	producer_open(&producer, &cluster.options, NULL, wakeup);
	rd_kafka_mock_push_request_errors(cluster.mock, API_PRODUCE, 1, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
	small_batch(&b, &record, NULL);
	assert_int_equal(batch_run(producer, &b.batch, NULL, wakeup), KAFKA_ABORTED);
	assert_false(b.item.delivered);
	assert_int_equal(batch_run(producer, &b.batch, NULL, wakeup), KAFKA_COMMITTED);
	kafka_producer_free(producer);
	close(wakeup);
	assert_int_equal(read_all("outcomes", NULL), 1);
}

/* Also at the start: the brokers are away when the producer is made. */
static void an_outage_is_waited_out(void **state)
{
	struct kafka_producer *producer;
	struct kafka_answer answer;
	struct small_batch b;
	struct fault trouble = { 0 };
	const int wakeup = loop_wakeup_new();
	struct record record = plain_record("outcomes", 0, "k", "v");
	(void)state;
	for (int round = 0; round < 2; round++) {
		rd_kafka_mock_broker_set_down(cluster.mock, 1);
		if (round == 0)
			producer_open(&producer, &cluster.options, NULL, wakeup);
		small_batch(&b, &record, NULL);
		assert_int_equal(kafka_producer_submit(producer, &b.batch), 0);
		for (usec_t until = patience_ends(); trouble.kind == FAULT_NONE && clock_read().mono < until;) {
			wait_signal(wakeup);
			assert_false(kafka_producer_answer(producer, &answer));
			kafka_producer_trouble(producer, &trouble);
		}
		assert_int_equal(trouble.kind, FAULT_DEPENDENCY_DOWN);
		assert_non_null(strstr(trouble.message, "waiting for"));
		rd_kafka_mock_broker_set_up(cluster.mock, 1);
		assert_int_equal(batch_answer(producer, &b.batch, NULL, wakeup, &answer), KAFKA_COMMITTED);
		kafka_producer_trouble(producer, &trouble);
		assert_int_equal(trouble.kind, FAULT_NONE);
	}
	kafka_producer_free(producer);
	close(wakeup);
	assert_int_equal(read_all("outcomes", NULL), 2);
}

static void a_transient_refusal_of_offsets_is_tried_again(void **state)
{
	static const rd_kafka_resp_err_t errors[] = {
		RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS,
		RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
		RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
		RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
		RD_KAFKA_RESP_ERR__TRANSPORT,
	};
	struct member m;
	struct kafka_consumer_event event;
	struct kafka_producer *producer;
	struct small_batch b;
	(void)state;
	member_join(&m, &cluster.options, &event);
	producer_open(&producer, &cluster.options, &m, m.wakeup);
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		const int64_t offset = (int64_t)i + 1;
		rd_kafka_mock_push_request_errors(cluster.mock, API_OFFSET_COMMIT, 3, errors[i], errors[i], errors[i]);
		small_batch(&b, NULL, &(struct kafka_batch_offset){ "requests", 0, offset, "m" });
		assert_int_equal(batch_run(producer, &b.batch, &m, m.wakeup), KAFKA_COMMITTED);
		assert_int_equal(committed(&m, "requests", 0), offset);
	}
	kafka_producer_free(producer);
	member_leave(&m);
}

static void a_final_refusal_of_offsets_is_an_abort(void **state)
{
	struct member m;
	struct kafka_consumer_event event;
	struct kafka_producer *producer;
	struct kafka_answer answer;
	struct small_batch b;
	struct record record = plain_record("outcomes", 0, "k", "v");
	(void)state;
	member_join(&m, &cluster.options, &event);
	producer_open(&producer, &cluster.options, &m, m.wakeup);
	rd_kafka_mock_push_request_errors(cluster.mock, API_OFFSET_COMMIT, 1,
					  RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE);
	small_batch(&b, &record, &(struct kafka_batch_offset){ "requests", 0, 1, "m" });
	assert_int_equal(kafka_producer_submit(producer, &b.batch), 0);
	assert_int_equal(batch_answer(producer, &b.batch, &m, m.wakeup, &answer), KAFKA_ABORTED);
	assert_true(b.item.delivered);
	assert_int_not_equal(answer.fault.kind, FAULT_NONE);
	assert_int_equal(committed(&m, "requests", 0), KAFKA_OFFSET_NONE);
	kafka_producer_free(producer);
	member_leave(&m);
}

/* Waits for the verdict while the consumer, too, may have something to say. */
static enum kafka_verdict verdict_of(struct kafka_producer *producer, struct member *m, bool *ret_lost)
{
	struct kafka_answer answer;
	struct kafka_consumer_event event;
	const usec_t until = patience_ends();
	while (!kafka_producer_answer(producer, &answer)) {
		assert_true(clock_read().mono < until);
		wait_signal(m->wakeup);
		while (kafka_consumer_next(m->consumer, &event))
			*ret_lost = *ret_lost || event.kind == KAFKA_LOST;
	}
	return answer.verdict;
}

static void a_member_no_longer_commits_nothing(void **state)
{
	static const rd_kafka_resp_err_t errors[] = { RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION,
						      RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID };
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		struct member m;
		struct kafka_consumer_event event;
		struct kafka_producer *producer;
		struct small_batch b;
		bool lost = false;
		member_join(&m, &cluster.options, &event);
		producer_open(&producer, &cluster.options, &m, m.wakeup);
		rd_kafka_mock_push_request_errors(cluster.mock, API_OFFSET_COMMIT, 1, errors[i]);
		small_batch(&b, NULL, &(struct kafka_batch_offset){ "requests", 0, 1, "m" });
		assert_int_equal(kafka_producer_submit(producer, &b.batch), 0);
		assert_int_equal(verdict_of(producer, &m, &lost), KAFKA_REVOKED_UNDER_US);
		kafka_producer_free(producer);
		member_abandon(&m);
	}
}

/* The batch waits in an outage; the session ends meanwhile. It must neither be committed nor written later. */
static void a_batch_is_dropped_when_its_assignment_is_lost(void **state)
{
	struct member m;
	struct kafka_consumer_event event;
	struct kafka_producer *producer;
	struct small_batch b;
	struct record record = plain_record("outcomes", 0, "k", "v");
	bool lost = false;
	(void)state;
	member_join(&m, &cluster.options, &event);
	producer_open(&producer, &cluster.options, &m, m.wakeup);
	small_batch(&b, NULL, &(struct kafka_batch_offset){ "requests", 0, 1, "" });
	assert_int_equal(batch_run(producer, &b.batch, &m, m.wakeup), KAFKA_COMMITTED);
	rd_kafka_mock_broker_set_down(cluster.mock, 1);
	small_batch(&b, &record, &(struct kafka_batch_offset){ "requests", 0, 2, "" });
	assert_int_equal(kafka_producer_submit(producer, &b.batch), 0);
	assert_int_equal(verdict_of(producer, &m, &lost), KAFKA_REVOKED_UNDER_US);
	assert_true(lost);
	kafka_consumer_release(m.consumer);
	rd_kafka_mock_broker_set_up(cluster.mock, 1);
	member_expect(&m, KAFKA_ASSIGNED, &event);
	assert_int_equal(event.partitions[event_index(&event, "requests", 0)].committed, 1);
	member_accept(&m, &event);
	/* And the next one goes through, by a new client. */
	small_batch(&b, &record, &(struct kafka_batch_offset){ "requests", 0, 3, "" });
	assert_int_equal(batch_run(producer, &b.batch, &m, m.wakeup), KAFKA_COMMITTED);
	kafka_producer_free(producer);
	member_leave(&m);
	assert_int_equal(read_all("outcomes", NULL), 1);
}

static void without_an_assignment_no_offset_is_committed(void **state)
{
	struct member m;
	struct kafka_consumer_event event;
	struct kafka_producer *producer;
	struct small_batch b;
	struct record record = plain_record("outcomes", 0, "k", "v");
	(void)state;
	member_join(&m, &cluster.options, &event);
	producer_open(&producer, &cluster.options, &m, m.wakeup);
	kafka_consumer_release(m.consumer);
	small_batch(&b, &record, &(struct kafka_batch_offset){ "requests", 0, 1, "" });
	assert_int_equal(batch_run(producer, &b.batch, &m, m.wakeup), KAFKA_REVOKED_UNDER_US);
	assert_false(b.item.delivered);
	kafka_producer_free(producer);
	member_leave(&m);
}

static void an_unanswered_batch_can_be_abandoned(void **state)
{
	struct kafka_producer *producer;
	struct small_batch *b = malloc(sizeof(*b));
	const int wakeup = loop_wakeup_new();
	struct record record = plain_record("outcomes", 0, "k", "v");
	(void)state;
	assert_non_null(b);
	producer_open(&producer, &cluster.options, NULL, wakeup);
	small_batch(b, &record, NULL);
	assert_int_equal(batch_run(producer, &b->batch, NULL, wakeup), KAFKA_COMMITTED);
	rd_kafka_mock_broker_set_down(cluster.mock, 1);
	small_batch(b, &record, NULL);
	assert_int_equal(kafka_producer_submit(producer, &b->batch), 0);
	const usec_t begun = clock_read().mono;
	kafka_producer_free(producer);
	assert_true(clock_read().mono - begun < 5 * USEC_PER_SEC);
	free(b);
	close(wakeup);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(keys_go_where_java_puts_them, start, stop),
		cmocka_unit_test_setup_teardown(one_batch_at_a_time, start, stop),
		cmocka_unit_test_setup_teardown(the_library_refuses_what_is_too_large, start, stop),
		cmocka_unit_test_setup_teardown(the_broker_refuses_a_bunch_for_its_size, start, stop),
		cmocka_unit_test_setup_teardown(the_broker_refuses_one_for_its_size, start, stop),
		cmocka_unit_test_setup_teardown(a_fatal_producer_is_replaced, start, stop),
		cmocka_unit_test_setup_teardown(an_outage_is_waited_out, start, stop),
		cmocka_unit_test_setup_teardown(a_transient_refusal_of_offsets_is_tried_again, start, stop),
		cmocka_unit_test_setup_teardown(a_final_refusal_of_offsets_is_an_abort, start, stop),
		cmocka_unit_test_setup_teardown(a_member_no_longer_commits_nothing, start, stop),
		cmocka_unit_test_setup_teardown(a_batch_is_dropped_when_its_assignment_is_lost, start, stop),
		cmocka_unit_test_setup_teardown(without_an_assignment_no_offset_is_committed, start, stop),
		cmocka_unit_test_setup_teardown(an_unanswered_batch_can_be_abandoned, start, stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
