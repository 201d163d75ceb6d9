/* The Kafka doors against Apache Kafka itself: groups, retention, policies. Transactions: test_kafka_transactions.c. */
#include "doors/kafka_reader.h"
#include "doors/kafka_topology.h"
#include "kafka_apache.h"

static size_t count_records(const struct kafka_options *options, const char *topic)
{
	struct fault fault = { 0 };
	size_t count = 0;
	struct kafka_reader *reader = kafka_reader_new(options, &topic, 1, KAFKA_READER_EARLIEST, PATIENCE, &fault);
	if (!reader)
		fail_msg("%s", fault.message);
	while (!kafka_reader_caught_up(reader)) {
		struct record *record = NULL;
		assert_true(kafka_reader_next(reader, USEC_PER_SEC, &record, &fault) >= 0);
		count += record != NULL;
		record_free(record);
	}
	kafka_reader_free(reader);
	return count;
}

static void a_batch_at_least_once(void **state)
{
	struct corner c;
	struct member m;
	struct kafka_consumer_event event;
	struct kafka_producer *producer;
	struct small_batch b;
	char metadata[4097];
	(void)state;
	if (!corner_open(&c, 2, false))
		skip();
	memset(metadata, 'x', sizeof(metadata) - 1);
	metadata[sizeof(metadata) - 1] = '\0';
	struct record record = plain_record(c.options.outcomes, -1, "k", "v");
	join_group(&m, &c.options, &event);
	assert_int_equal(event.count, 4);
	producer_open(&producer, &c.options, &m, m.wakeup);
	small_batch(&b, &record, &(struct kafka_batch_offset){ c.requests[0], 1, 7, metadata });
	assert_int_equal(batch_run(producer, &b.batch, &m, m.wakeup), KAFKA_COMMITTED);
	assert_true(b.item.delivered);
	/* One byte more than a broker takes. */
	char *longer = calloc(1, 4098);
	memset(longer, 'x', 4097);
	small_batch(&b, NULL, &(struct kafka_batch_offset){ c.requests[0], 1, 8, longer });
	assert_int_equal(batch_run(producer, &b.batch, &m, m.wakeup), KAFKA_ABORTED);
	free(longer);
	kafka_producer_free(producer);
	member_leave(&m);

	join_group(&m, &c.options, &event);
	const size_t at = event_index(&event, c.requests[0], 1);
	assert_int_equal(event.partitions[at].committed, 7);
	assert_string_equal(event.partitions[at].metadata, metadata);
	assert_int_equal(event.partitions[event_index(&event, c.requests[0], 0)].committed, KAFKA_OFFSET_NONE);
	member_leave(&m);
	assert_int_equal(count_records(&c.options, c.options.outcomes), 1);
	corner_close(&c);
}

static void an_expelled_member_commits_nothing(void **state)
{
	struct corner c;
	struct member a;
	struct member b;
	struct kafka_consumer_event event;
	struct kafka_producer *producer;
	struct kafka_answer answer;
	struct small_batch batch;
	(void)state;
	for (int exactly_once = 0; exactly_once < 2; exactly_once++) {
		if (!corner_open(&c, 2, exactly_once))
			skip();
		c.properties[0] = "session.timeout.ms=2000";
		corner_property(&c, "max.poll.interval.ms=3000");
		struct kafka_options options_b = c.options;
		options_b.instance = "two";
		struct record record = plain_record(c.options.outcomes, 0, "k", "v");
		join_group(&a, &c.options, &event);
		producer_open(&producer, &c.options, &a, a.wakeup);
		small_batch(&batch, NULL, &(struct kafka_batch_offset){ c.requests[0], 0, 5, "a" });
		assert_int_equal(batch_run(producer, &batch.batch, &a, a.wakeup), KAFKA_COMMITTED);
		/* From here on `a` is not served: it gives nothing back, and the group goes on without it. */
		join_group(&b, &options_b, &event);
		small_batch(&batch, &record, &(struct kafka_batch_offset){ c.requests[0], 0, 6, "zombie" });
		assert_int_equal(kafka_producer_submit(producer, &batch.batch), 0);
		assert_int_equal(batch_answer(producer, &batch.batch, &b, a.wakeup, &answer), KAFKA_REVOKED_UNDER_US);
		assert_int_equal(committed_offset(&b, c.requests[0], 0), 5);
		/* What it was told first is that it should give back. */
		member_expect(&a, KAFKA_REVOKED, &event);
		kafka_consumer_release(a.consumer);
		kafka_producer_free(producer);
		if (exactly_once)
			assert_int_equal(count_records(&c.options, c.options.outcomes), 0);
		member_abandon(&a);
		member_abandon(&b);
		corner_close(&c);
	}
}

static void markers_count_as_read(void **state)
{
	struct corner c;
	struct member m;
	struct kafka_consumer_event event;
	(void)state;
	if (!corner_open(&c, 1, false))
		skip();
	rd_kafka_t *stranger = stranger_begin(&c, c.names[CORNER_GROUP]);
	stranger_put(stranger, c.requests[0], 0);
	join_group(&m, &c.options, &event);
	const size_t at = event_index(&event, c.requests[0], 0);
	/* Open: nothing can be read, and the end is before it. */
	assert_int_equal(count_records(&c.options, c.requests[0]), 0);
	assert_null(rd_kafka_commit_transaction(stranger, 30000));
	struct record *record = member_record(&m, at);
	assert_int_equal(record->offset, 0);
	record_free(record);
	assert_int_equal(member_end(&m, at), 2); /* the record and its marker */
	assert_null(rd_kafka_begin_transaction(stranger));
	stranger_put(stranger, c.requests[0], 0);
	assert_null(rd_kafka_abort_transaction(stranger, 30000));
	assert_int_equal(member_end(&m, at), 4); /* nothing of an aborted one but its room */
	assert_int_equal(kafka_consumer_end(m.consumer, at), 4);
	assert_int_equal(count_records(&c.options, c.requests[0]), 1);
	rd_kafka_destroy(stranger);
	member_leave(&m);
	corner_close(&c);
}

static void retention_is_told(void **state)
{
	struct corner c;
	struct member m;
	struct kafka_consumer_event event;
	struct kafka_producer *producer;
	struct small_batch b;
	struct kafka_read read;
	(void)state;
	if (!corner_open(&c, 2, false))
		skip();
	struct record record = plain_record(c.requests[0], 0, "k", "v");
	struct record beside = plain_record(c.requests[0], 1, "k", "v");
	put_records(&c.options, &record, 10);
	put_records(&c.options, &beside, 3);
	join_group(&m, &c.options, &event);
	producer_open(&producer, &c.options, &m, m.wakeup);
	small_batch(&b, NULL, &(struct kafka_batch_offset){ c.requests[0], 0, 2, "" });
	assert_int_equal(batch_run(producer, &b.batch, &m, m.wakeup), KAFKA_COMMITTED);
	kafka_producer_free(producer);
	member_leave(&m);
	corner_delete_before(&c, c.requests[0], 0, 6);

	join_group(&m, &c.options, &event);
	const size_t at = event_index(&event, c.requests[0], 0);
	const size_t other = event_index(&event, c.requests[0], 1);
	assert_int_equal(event.partitions[at].committed, 2);
	record_free(member_record(&m, other));
	member_read(&m, at, &read);
	assert_int_equal(read.kind, KAFKA_READ_RESET);
	assert_int_equal(read.offset, 2);
	for (int64_t offset = 6; offset < 10; offset++) {
		struct record *next = member_record(&m, at);
		assert_int_equal(next->offset, offset);
		record_free(next);
	}
	assert_int_equal(member_end(&m, at), 10);
	struct record *next = member_record(&m, other);
	assert_int_equal(next->offset, 1);
	record_free(next);

	/* All is gone, and the partition was at its end: that is no loss. */
	corner_delete_before(&c, c.requests[0], 0, 10);
	put_records(&c.options, &record, 1);
	next = member_record(&m, at);
	assert_int_equal(next->offset, 10);
	record_free(next);
	member_leave(&m);

	/* Nothing committed, everything trimmed: begins where there is something. */
	corner_delete_before(&c, c.requests[0], 1, 3);
	join_group(&m, &c.options, &event);
	const size_t trimmed = event_index(&event, c.requests[0], 1);
	assert_int_equal(event.partitions[trimmed].committed, KAFKA_OFFSET_NONE);
	assert_int_equal(member_end(&m, trimmed), 3);
	member_leave(&m);
	corner_close(&c);
}

/* Several at once: each is told, once. */
static void retention_of_several_is_told_once_each(void **state)
{
	enum { PARTITIONS = 6 };
	struct corner c;
	struct member m;
	struct kafka_consumer_event event;
	struct kafka_producer *producer;
	struct kafka_batch_offset offsets[PARTITIONS];
	struct kafka_batch batch = { .offsets = offsets, .offset_count = PARTITIONS };
	unsigned resets[PARTITIONS] = { 0 };
	size_t ended = 0;
	(void)state;
	if (!corner_open(&c, PARTITIONS, false))
		skip();
	join_group(&m, &c.options, &event);
	producer_open(&producer, &c.options, &m, m.wakeup);
	for (int32_t i = 0; i < PARTITIONS; i++) {
		struct record record = plain_record(c.requests[0], i, "k", "v");
		put_records(&c.options, &record, 3);
		offsets[i] = (struct kafka_batch_offset){ c.requests[0], i, 1, "" };
	}
	assert_int_equal(batch_run(producer, &batch, &m, m.wakeup), KAFKA_COMMITTED);
	kafka_producer_free(producer);
	member_leave(&m);
	for (int32_t i = 0; i < PARTITIONS; i++)
		corner_delete_before(&c, c.requests[0], i, 3);

	join_group(&m, &c.options, &event);
	const size_t first = event_index(&event, c.requests[0], 0);
	/* All have found out before the first is asked. */
	for (usec_t until = clock_read().mono + USEC_PER_SEC; clock_read().mono < until;) {
		wait_signal(m.wakeup);
		member_serve(&m);
	}
	for (size_t i = 0; i < PARTITIONS; i++) {
		struct kafka_read read;
		member_read(&m, first + i, &read);
		resets[i] += read.kind == KAFKA_READ_RESET;
	}
	while (ended < PARTITIONS) {
		struct kafka_read read;
		member_read(&m, first + ended, &read);
		resets[ended] += read.kind == KAFKA_READ_RESET;
		if (read.kind == KAFKA_READ_END)
			assert_int_equal(read.offset, 3);
		ended += read.kind == KAFKA_READ_END;
	}
	for (size_t i = 0; i < PARTITIONS; i++)
		assert_int_equal(resets[i], 1);
	member_leave(&m);
	corner_close(&c);
}

/* A topic that was made anew under its old name, for example. */
static void a_position_beyond_the_end_is_told(void **state)
{
	struct corner c;
	struct member m;
	struct kafka_consumer_event event;
	struct kafka_read read;
	struct kafka_start starts[2];
	struct fault fault;
	(void)state;
	if (!corner_open(&c, 1, false))
		skip();
	struct record record = plain_record(c.requests[0], 0, "k", "v");
	put_records(&c.options, &record, 3);
	member_open(&m, &c.options);
	member_expect(&m, KAFKA_ASSIGNED, &event);
	const size_t at = event_index(&event, c.requests[0], 0);
	starts[at].offset = 100;
	starts[1 - at].offset = KAFKA_OFFSET_NONE;
	assert_int_equal(kafka_consumer_accept(m.consumer, starts, &fault), 0);
	member_read(&m, at, &read);
	assert_int_equal(read.kind, KAFKA_READ_RESET);
	assert_int_equal(read.offset, 100);
	for (int64_t offset = 0; offset < 3; offset++) {
		struct record *next = member_record(&m, at);
		assert_int_equal(next->offset, offset);
		record_free(next);
	}
	assert_int_equal(member_end(&m, at), 3);
	member_leave(&m);
	corner_close(&c);
}

/* An open transaction with offsets of the group: whoever takes over must not read what is there before it ends. */
static void unstable_offsets_are_waited_for(void **state)
{
	struct corner c;
	struct member m;
	struct kafka_consumer_event event;
	(void)state;
	if (!corner_open(&c, 1, false))
		skip();
	rd_kafka_t *stranger = stranger_begin(&c, c.names[CORNER_GROUP]);
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(list, c.requests[0], 0)->offset = 3;
	rd_kafka_consumer_group_metadata_t *nobody = rd_kafka_consumer_group_metadata_new(c.options.group);
	assert_null(rd_kafka_send_offsets_to_transaction(stranger, list, nobody, 30000));
	rd_kafka_consumer_group_metadata_destroy(nobody);
	rd_kafka_topic_partition_list_destroy(list);
	member_open(&m, &c.options);
	for (usec_t until = clock_read().mono + 3 * USEC_PER_SEC; clock_read().mono < until;) {
		wait_signal(m.wakeup);
		member_serve(&m); /* fails on an ASSIGNED */
	}
	assert_null(rd_kafka_commit_transaction(stranger, 30000));
	member_expect(&m, KAFKA_ASSIGNED, &event);
	assert_int_equal(event.partitions[event_index(&event, c.requests[0], 0)].committed, 3);
	rd_kafka_destroy(stranger);
	member_leave(&m);
	corner_close(&c);
}

static void the_older_twin_is_told_that_it_is_fenced(void **state)
{
	struct corner c;
	struct member a;
	struct member b;
	struct kafka_consumer_event event;
	(void)state;
	if (!corner_open(&c, 2, false))
		skip();
	c.options.static_membership = true;
	join_group(&a, &c.options, &event);
	assert_int_equal(event.count, 4);
	join_group(&b, &c.options, &event);
	assert_int_equal(event.count, 4);
	const usec_t until = patience_ends();
	bool fatal = false;
	while (!fatal && clock_read().mono < until) {
		if (!kafka_consumer_next(a.consumer, &event)) {
			wait_signal(a.wakeup);
			continue;
		}
		if (event.kind == KAFKA_LOST || event.kind == KAFKA_REVOKED)
			kafka_consumer_release(a.consumer);
		fatal = event.kind == KAFKA_FATAL && event.fenced;
	}
	assert_true(fatal);
	/* A new client in its place is told to be the older one's successor, as any other would be. */
	struct fault fault;
	assert_int_equal(kafka_consumer_renew(a.consumer, &fault), 0);
	assert_int_equal(kafka_consumer_subscribe(a.consumer, &fault), 0);
	member_expect(&a, KAFKA_ASSIGNED, &event);
	assert_int_equal(event.count, 4);
	member_accept(&a, &event);
	/* Leaving works all the same. */
	member_leave(&a);
	member_leave(&b);
	corner_close(&c);
}

static void a_static_member_that_comes_back_disturbs_nobody(void **state)
{
	struct corner c;
	struct member a;
	struct member b;
	struct kafka_consumer_event event;
	(void)state;
	if (!corner_open(&c, 2, false))
		skip();
	c.options.static_membership = true;
	struct kafka_options two = c.options;
	two.instance = "two";
	join_group(&a, &c.options, &event);
	member_open(&b, &two);
	member_expect(&a, KAFKA_REVOKED, &event);
	kafka_consumer_release(a.consumer);
	member_expect(&a, KAFKA_ASSIGNED, &event);
	member_accept(&a, &event);
	member_expect(&b, KAFKA_ASSIGNED, &event);
	assert_int_equal(event.count, 2);
	const int32_t partition = event.partitions[0].partition;
	member_abandon(&b);
	const usec_t begun = clock_read().mono;
	join_group(&b, &two, &event);
	assert_true(clock_read().mono - begun < 5 * USEC_PER_SEC);
	assert_int_equal(event.count, 2);
	assert_int_equal(event.partitions[0].partition, partition);
	member_serve(&a); /* nothing happened here */
	member_leave(&b);
	member_leave(&a);
	corner_close(&c);
}

static void policies_and_creation_are_seen(void **state)
{
	struct corner c;
	struct fault fault;
	const struct kafka_topology_report *report;
	const int wakeup = loop_wakeup_new();
	(void)state;
	if (!corner_open(&c, -1, false)) {
		close(wakeup);
		skip();
	}
	corner_create_topic(&c, c.options.retry, 3, "cleanup.policy", "compact,delete");
	corner_await_topic(&c, c.options.retry, 3);
	for (int32_t create = 0; create < 6; create += 5) {
		struct kafka_topology *topology =
			kafka_topology_new(&c.options, create, 10 * USEC_PER_SEC, wakeup, &fault);
		assert_non_null(topology);
		const usec_t until = clock_read().mono + 10 * USEC_PER_SEC;
		while (!kafka_topology_next(topology, &report)) {
			assert_true(clock_read().mono < until);
			wait_signal(wakeup);
		}
		assert_true(report->answered);
		assert_int_equal(report->fault.kind, FAULT_NONE);
		for (size_t i = 0; i < report->topic_count; i++) {
			const bool retry = strcmp(report->topics[i].name, c.options.retry) == 0;
			assert_int_equal(report->topics[i].known, retry || create > 0);
			assert_int_equal(report->topics[i].compacted, retry);
			assert_int_equal(report->topics[i].partitions, retry ? 3 : create);
		}
		kafka_topology_free(topology);
	}
	close(wakeup);
	corner_close(&c);
}

/* An argument is a pattern of the tests to run. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_batch_at_least_once),
		cmocka_unit_test(an_expelled_member_commits_nothing),
		cmocka_unit_test(markers_count_as_read),
		cmocka_unit_test(retention_is_told),
		cmocka_unit_test(retention_of_several_is_told_once_each),
		cmocka_unit_test(a_position_beyond_the_end_is_told),
		cmocka_unit_test(unstable_offsets_are_waited_for),
		cmocka_unit_test(the_older_twin_is_told_that_it_is_fenced),
		cmocka_unit_test(a_static_member_that_comes_back_disturbs_nobody),
		cmocka_unit_test(policies_and_creation_are_seen),
	};
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
