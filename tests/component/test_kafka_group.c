/* What happens to a consumer because of others: members that come and go, coordinators that move, brokers that fail. */
#include "kafka_fixture.h"

#define API_OFFSET_FETCH 9

static struct cluster cluster;

static int start(void **state)
{
	(void)state;
	cluster_start(&cluster, 2, 2);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	cluster_stop(&cluster);
	return 0;
}

/* Waits until each of the two has an assignment that both agree on; whatever is revoked meanwhile is given back. */
static void settle(struct member *a, struct member *b, size_t *ret_a, size_t *ret_b)
{
	const usec_t until = patience_ends();
	struct member *both[] = { a, b };
	size_t *counts[] = { ret_a, ret_b };
	while (*ret_a + *ret_b != 4 || *ret_a == 0 || *ret_b == 0) {
		assert_true(clock_read().mono < until);
		wait_signal(a->wakeup);
		for (size_t i = 0; i < 2; i++) {
			struct kafka_consumer_event event;
			while (kafka_consumer_next(both[i]->consumer, &event)) {
				if (event.kind == KAFKA_REVOKED || event.kind == KAFKA_LOST) {
					kafka_consumer_release(both[i]->consumer);
					*counts[i] = 0;
				} else if (event.kind == KAFKA_ASSIGNED) {
					member_accept(both[i], &event);
					*counts[i] = event.count;
				}
			}
		}
	}
}

static void two_members_share(void **state)
{
	struct member a;
	struct member b;
	struct kafka_consumer_event event;
	size_t of_a = 4;
	size_t of_b = 0;
	(void)state;
	member_join(&a, &cluster.options, &event);
	assert_int_equal(event.count, 4);
	member_open(&b, &cluster.options);
	settle(&a, &b, &of_a, &of_b);
	assert_int_equal(of_a, 2);
	assert_int_equal(of_b, 2);

	member_abandon(&b); /* as a crash would */
	do {
		member_expect(&a, KAFKA_REVOKED, &event);
		kafka_consumer_release(a.consumer);
		member_expect(&a, KAFKA_ASSIGNED, &event);
		member_accept(&a, &event);
	} while (event.count != 4);
	assert_int_equal(member_end(&a, 0), 0);
	member_leave(&a);
}

static void after_the_release_nothing_is_read(void **state)
{
	struct member a;
	struct kafka_consumer_event event;
	struct kafka_read read;
	struct fault fault;
	struct record record = plain_record("requests", 0, "k", "v");
	struct kafka_start start_at = { 0 };
	(void)state;
	put_records(&cluster.options, &record, 10);
	member_join(&a, &cluster.options, &event);
	const size_t at = event_index(&event, "requests", 0);
	record_free(member_record(&a, at));
	kafka_consumer_close(a.consumer);
	member_expect(&a, KAFKA_REVOKED, &event);
	/* A fate may still be asked for before the partitions are given back. */
	assert_int_equal(kafka_consumer_ask(a.consumer, &fault), 0);
	member_expect(&a, KAFKA_OFFSETS, &event);
	assert_int_equal(event.count, 4);
	kafka_consumer_release(a.consumer);
	kafka_consumer_read(a.consumer, at, &read);
	assert_int_equal(read.kind, KAFKA_READ_NOTHING);
	assert_int_equal(kafka_consumer_accept(a.consumer, &start_at, &fault), -ESTALE);
	assert_int_equal(kafka_consumer_ask(a.consumer, &fault), -ESTALE);
	member_expect(&a, KAFKA_CLOSED, &event);
	assert_false(kafka_consumer_next(a.consumer, &event));
	member_abandon(&a);
}

/* The answer to a question that a rebalance has overtaken must not be told. */
static void overtaken_answers_are_thrown_away(void **state)
{
	struct member a;
	struct kafka_consumer_event event;
	struct fault fault;
	(void)state;
	member_join(&a, &cluster.options, &event);
	assert_int_equal(kafka_consumer_ask(a.consumer, &fault), 0);
	kafka_consumer_release(a.consumer);
	kafka_consumer_close(a.consumer);
	member_expect(&a, KAFKA_CLOSED, &event);
	member_abandon(&a);
}

static void push_fetch_errors(rd_kafka_resp_err_t error)
{
	rd_kafka_mock_push_request_errors(cluster.mock, API_OFFSET_FETCH, 8, error, error, error, error, error, error,
					  error, error);
}

static void unstable_offsets_are_waited_for(void **state)
{
	static const rd_kafka_resp_err_t errors[] = { RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT,
						      RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
						      RD_KAFKA_RESP_ERR_NOT_COORDINATOR };
	struct member a;
	struct kafka_consumer_event event;
	struct fault fault;
	(void)state;
	push_fetch_errors(errors[0]);
	member_join(&a, &cluster.options, &event);
	assert_int_equal(event.count, 4);
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		push_fetch_errors(errors[i]);
		assert_int_equal(kafka_consumer_ask(a.consumer, &fault), 0);
		member_expect(&a, KAFKA_OFFSETS, &event);
		assert_int_equal(event.fault.kind, FAULT_NONE);
		assert_int_equal(event.count, 4);
	}
	member_leave(&a);
}

static void forbidden_offsets_are_told_but_not_given_up(void **state)
{
	struct member a;
	struct kafka_consumer_event event;
	struct fault fault;
	(void)state;
	push_fetch_errors(RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
	member_open(&a, &cluster.options);
	do {
		while (!kafka_consumer_next(a.consumer, &event))
			wait_signal(a.wakeup);
	} while (event.fault.kind != FAULT_AUTH);
	assert_int_equal(event.kind, KAFKA_TROUBLE);
	rd_kafka_mock_clear_request_errors(cluster.mock, API_OFFSET_FETCH);
	member_expect(&a, KAFKA_ASSIGNED, &event);
	member_accept(&a, &event);
	push_fetch_errors(RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
	assert_int_equal(kafka_consumer_ask(a.consumer, &fault), 0);
	member_expect(&a, KAFKA_OFFSETS, &event);
	assert_int_equal(event.fault.kind, FAULT_AUTH);
	assert_int_equal(event.count, 0);
	rd_kafka_mock_clear_request_errors(cluster.mock, API_OFFSET_FETCH);
	member_leave(&a);
}

/* The old coordinator lives on and says that it is none: more often than anyone would ask it in the time there is. */
static void depose(int32_t broker)
{
	const rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NOT_COORDINATOR;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(rd_kafka_mock_broker_push_request_error_rtts(cluster.mock, broker, API_OFFSET_FETCH,
									      (size_t)1, error, 0),
				 0);
}

/* ListConsumerGroupOffsets of librdkafka 2.0.2 fails this one: it goes on asking the old coordinator. */
static void a_moved_coordinator_is_found(void **state)
{
	struct member a;
	struct kafka_consumer_event event;
	struct fault fault;
	(void)state;
	assert_int_equal(rd_kafka_mock_coordinator_set(cluster.mock, "group", "group", 1), 0);
	member_join(&a, &cluster.options, &event);
	assert_int_equal(kafka_consumer_ask(a.consumer, &fault), 0);
	member_expect(&a, KAFKA_OFFSETS, &event);
	assert_int_equal(rd_kafka_mock_coordinator_set(cluster.mock, "group", "group", 2), 0);
	depose(1);
	assert_int_equal(kafka_consumer_ask(a.consumer, &fault), 0);
	member_expect(&a, KAFKA_OFFSETS, &event);
	assert_int_equal(event.fault.kind, FAULT_NONE);
	member_leave(&a);
}

static void an_outage_longer_than_the_session_loses_the_assignment(void **state)
{
	struct member a;
	struct kafka_consumer_event event;
	(void)state;
	member_join(&a, &cluster.options, &event);
	rd_kafka_mock_broker_set_down(cluster.mock, 1);
	rd_kafka_mock_broker_set_down(cluster.mock, 2);
	member_expect(&a, KAFKA_LOST, &event);
	kafka_consumer_release(a.consumer);
	rd_kafka_mock_broker_set_up(cluster.mock, 1);
	rd_kafka_mock_broker_set_up(cluster.mock, 2);
	member_expect(&a, KAFKA_ASSIGNED, &event);
	assert_int_equal(event.count, 4);
	member_accept(&a, &event);
	member_leave(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(two_members_share, start, stop),
		cmocka_unit_test_setup_teardown(after_the_release_nothing_is_read, start, stop),
		cmocka_unit_test_setup_teardown(overtaken_answers_are_thrown_away, start, stop),
		cmocka_unit_test_setup_teardown(unstable_offsets_are_waited_for, start, stop),
		cmocka_unit_test_setup_teardown(forbidden_offsets_are_told_but_not_given_up, start, stop),
		cmocka_unit_test_setup_teardown(a_moved_coordinator_is_found, start, stop),
		cmocka_unit_test_setup_teardown(an_outage_longer_than_the_session_loses_the_assignment, start, stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
