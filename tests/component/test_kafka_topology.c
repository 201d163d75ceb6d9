#include "doors/kafka_topology.h"
#include "kafka_fixture.h"

#define INTERVAL (200 * USEC_PER_MSEC)

static struct cluster cluster;
static int wakeup;

static int start(void **state)
{
	(void)state;
	cluster_start(&cluster, 1, 3);
	wakeup = loop_wakeup_new();
	return 0;
}

static int stop(void **state)
{
	(void)state;
	cluster_stop(&cluster);
	close(wakeup);
	return 0;
}

static struct kafka_topology *watch(const struct kafka_options *options, int32_t create)
{
	struct fault fault = { 0 };
	struct kafka_topology *topology = kafka_topology_new(options, create, INTERVAL, wakeup, &fault);
	if (!topology)
		fail_msg("%s", fault.message);
	return topology;
}

static const struct kafka_topology_report *next_report(struct kafka_topology *topology, usec_t within)
{
	const struct kafka_topology_report *report;
	const usec_t until = clock_read().mono + within;
	while (!kafka_topology_next(topology, &report)) {
		if (clock_read().mono > until)
			fail_msg("no report in time");
		wait_signal(wakeup);
	}
	return report;
}

static void all_topics_are_reported_in_order(void **state)
{
	static const char *const names[] = { "requests", "retry", "outcomes", "dlq" };
	(void)state;
	struct kafka_topology *topology = watch(&cluster.options, 0);
	/* The first, and a later one. */
	for (int i = 0; i < 2; i++) {
		const struct kafka_topology_report *report = next_report(topology, 10 * USEC_PER_SEC);
		assert_true(report->answered);
		assert_int_equal(report->topic_count, ARRAY_SIZE(names));
		for (size_t k = 0; k < ARRAY_SIZE(names); k++) {
			assert_string_equal(report->topics[k].name, names[k]);
			assert_true(report->topics[k].known);
			assert_false(report->topics[k].forbidden || report->topics[k].compacted);
			assert_int_equal(report->topics[k].partitions, 3);
		}
	}
	kafka_topology_free(topology);
}

static void unequal_counts_are_seen(void **state)
{
	struct kafka_options options = cluster.options;
	(void)state;
	options.retry = "retry7";
	assert_int_equal(rd_kafka_mock_topic_create(cluster.mock, "retry7", 7, 1), 0);
	struct kafka_topology *topology = watch(&options, 0);
	const struct kafka_topology_report *report = next_report(topology, 10 * USEC_PER_SEC);
	assert_int_equal(report->topics[0].partitions, 3);
	assert_int_equal(report->topics[1].partitions, 7);
	kafka_topology_free(topology);
}

static void missing_and_forbidden_are_told_apart_and_change(void **state)
{
	(void)state;
	rd_kafka_mock_topic_set_error(cluster.mock, "retry", RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
	rd_kafka_mock_topic_set_error(cluster.mock, "dlq", RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
	struct kafka_topology *topology = watch(&cluster.options, 0);
	const struct kafka_topology_report *report = next_report(topology, 10 * USEC_PER_SEC);
	assert_true(report->answered);
	assert_true(report->topics[0].known && report->topics[2].known);
	assert_false(report->topics[1].known || report->topics[1].forbidden || report->topics[3].known);
	assert_true(report->topics[3].forbidden);
	rd_kafka_mock_topic_set_error(cluster.mock, "retry", RD_KAFKA_RESP_ERR_NO_ERROR);
	const usec_t until = patience_ends();
	do
		report = next_report(topology, 10 * USEC_PER_SEC);
	while (!report->topics[1].known && clock_read().mono < until);
	assert_true(report->topics[1].known);
	kafka_topology_free(topology);
}

/* The mock cannot create topics on request; the reason must arrive, and the report in time. */
static void a_creation_that_fails_is_told(void **state)
{
	(void)state;
	rd_kafka_mock_topic_set_error(cluster.mock, "retry", RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
	struct kafka_topology *topology = watch(&cluster.options, 4);
	const struct kafka_topology_report *report = next_report(topology, 10 * USEC_PER_SEC);
	assert_true(report->answered);
	assert_false(report->topics[1].known);
	assert_non_null(strstr(report->fault.message, "creating topic"));
	kafka_topology_free(topology);
}

/* The mock names a controller that is none of its brokers: who asks for configurations waits for two seconds. */
static void a_controller_that_is_none_is_not_waited_for(void **state)
{
	(void)state;
	const usec_t begun = clock_read().mono;
	struct kafka_topology *topology = watch(&cluster.options, 0);
	const struct kafka_topology_report *report = next_report(topology, 10 * USEC_PER_SEC);
	assert_true(report->answered);
	assert_false(report->answers_configs);
	assert_true(clock_read().mono - begun < 3 * USEC_PER_SEC / 2);
	kafka_topology_free(topology);
}

static void nobody_there_is_told_in_time(void **state)
{
	struct kafka_options options = cluster.options;
	(void)state;
	options.brokers = "127.0.0.1:1,localhost:2";
	struct kafka_topology *topology = watch(&options, 0);
	const struct kafka_topology_report *report = next_report(topology, 10 * USEC_PER_SEC);
	assert_false(report->answered);
	assert_int_equal(report->fault.kind, FAULT_DEPENDENCY_DOWN);
	assert_non_null(strstr(report->fault.message, "127.0.0.1:1,localhost:2"));
	assert_non_null(strstr(report->fault.message, "refused"));
	const usec_t begun = clock_read().mono;
	kafka_topology_free(topology);
	assert_true(clock_read().mono - begun < 4 * USEC_PER_SEC);
}

static void brokers_that_come_back_are_seen(void **state)
{
	(void)state;
	rd_kafka_mock_broker_set_down(cluster.mock, 1);
	struct kafka_topology *topology = watch(&cluster.options, 0);
	assert_false(next_report(topology, 10 * USEC_PER_SEC)->answered);
	rd_kafka_mock_broker_set_up(cluster.mock, 1);
	const usec_t until = patience_ends();
	bool answered = false;
	while (!answered && clock_read().mono < until)
		answered = next_report(topology, 10 * USEC_PER_SEC)->answered;
	assert_true(answered);
	kafka_topology_free(topology);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(all_topics_are_reported_in_order, start, stop),
		cmocka_unit_test_setup_teardown(unequal_counts_are_seen, start, stop),
		cmocka_unit_test_setup_teardown(missing_and_forbidden_are_told_apart_and_change, start, stop),
		cmocka_unit_test_setup_teardown(a_creation_that_fails_is_told, start, stop),
		cmocka_unit_test_setup_teardown(a_controller_that_is_none_is_not_waited_for, start, stop),
		cmocka_unit_test_setup_teardown(nobody_there_is_told_in_time, start, stop),
		cmocka_unit_test_setup_teardown(brokers_that_come_back_are_seen, start, stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
