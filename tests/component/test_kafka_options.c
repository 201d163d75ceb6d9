#include "kafka_fixture.h"

static void properties_are_judged_one_by_one(void **state)
{
	static const struct {
		const char *property;
		const char *said; /* a part of the sentence; NULL: accepted */
	} cases[] = {
		{ "security.protocol=SASL_SSL", NULL },
		{ "session.timeout.ms=6000", NULL },
		{ "transaction.timeout.ms=30000", NULL },
		{ "fetch.wait.max.ms=20", NULL },
		{ "compression.type=lz4", NULL },
		{ "sasl.password=a=b=c", NULL },
		{ "client.id=mine", NULL },
		{ "enable.auto.commit=true", "\"enable.auto.commit\" may not be set" },
		{ "auto.commit.enable=true", "\"auto.commit.enable\" may not be set" },
		{ "enable.auto.offset.store=true", "may not be set" },
		{ "isolation.level=read_uncommitted", "may not be set" },
		{ "auto.offset.reset=latest", "may not be set" },
		{ "partition.assignment.strategy=roundrobin", "may not be set" },
		{ "enable.idempotence=false", "may not be set" },
		{ "acks=1", "may not be set" },
		{ "request.required.acks=1", "may not be set" },
		{ "partitioner=random", "may not be set" },
		{ "delivery.report.only.error=true", "may not be set" },
		{ "enable.partition.eof=false", "may not be set" },
		{ "transactional.id=x", "may not be set" },
		{ "group.id=x", "may not be set" },
		{ "group.instance.id=x", "may not be set" },
		{ "bootstrap.servers=x", "may not be set" },
		{ "metadata.broker.list=x", "may not be set" },
		{ "allow.auto.create.topics=true", "may not be set" },
		{ "no.such.property=1", "\"no.such.property\" is unknown" },
		{ "session.timeout.ms=soon-secret", "\"session.timeout.ms\": " },
		{ "security.protocol=secret", "\"security.protocol\": " },
		{ "secret", "not of the form key=value" },
		{ "=secret", "not of the form key=value" },
		{ "", "not of the form key=value" },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fault fault = { 0 };
		const int r = kafka_check_property(cases[i].property, &fault);
		assert_int_equal(r, cases[i].said ? -EINVAL : 0);
		if (cases[i].said && !strstr(fault.message, cases[i].said))
			fail_msg("%s: \"%s\"", cases[i].property, fault.message);
		assert_null(strstr(fault.message, "secret"));
	}
}

/* Every client takes what any client takes. */
static void properties_of_one_client_do_not_disturb_the_others(void **state)
{
	static const char *const sets[][3] = {
		{ "session.timeout.ms=2000", "queued.min.messages=10", "compression.type=gzip" },
		{ "session.timeout.ms=900000", "message.max.bytes=8000000", "transaction.timeout.ms=60000" },
		{ "session.timeout.ms=30", "linger.ms=50", "max.in.flight=1" },
		{ "heartbeat.interval.ms=500", "max.poll.interval.ms=90000", "message.timeout.ms=10000" },
	};
	const int wakeup = loop_wakeup_new();
	const char *requests[] = { "requests" };
	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(sets); i++) {
		struct fault fault = { 0 };
		const struct kafka_options options = {
			.brokers = "127.0.0.1:1",
			.group = "group",
			.instance = "one",
			.static_membership = i % 2 == 1,
			.exactly_once = i % 2 == 1,
			.requests = requests,
			.request_count = 1,
			.retry = "retry",
			.outcomes = "outcomes",
			.dead_letters = "dlq",
			.properties = sets[i / 2],
			.property_count = ARRAY_SIZE(sets[0]),
		};
		struct kafka_consumer *consumer = kafka_consumer_new(&options, wakeup, &fault);
		if (!consumer)
			fail_msg("set %zu: %s", i / 2, fault.message);
		struct kafka_producer *producer = kafka_producer_new(&options, consumer, wakeup, &fault);
		if (!producer)
			fail_msg("set %zu: %s", i / 2, fault.message);
		kafka_producer_free(producer);
		kafka_consumer_free(consumer);
	}
	close(wakeup);
}

static void what_the_library_cannot_take_together_is_told(void **state)
{
	static const char *const properties[] = { "ssl.ca.location=/no/such/file", "security.protocol=ssl" };
	struct fault fault = { 0 };
	const int wakeup = loop_wakeup_new();
	const struct kafka_options options = { .brokers = "127.0.0.1:1",
					       .properties = properties,
					       .property_count = ARRAY_SIZE(properties) };
	(void)state;
	assert_null(kafka_producer_new(&options, NULL, wakeup, &fault));
	assert_int_equal(fault.kind, FAULT_PERMANENT);
	assert_non_null(strstr(fault.message, "ssl.ca.location"));
	close(wakeup);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(properties_are_judged_one_by_one),
		cmocka_unit_test(properties_of_one_client_do_not_disturb_the_others),
		cmocka_unit_test(what_the_library_cannot_take_together_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
