/* envelope: the three shapes of a request and the schema-registry prefix */
#include "reading.h"

static void test_cloudevents_binary_mode(void **state)
{
	(void)state;
	struct header headers[] = { { "ce_specversion", SPAN("1.0") },
				    { "ce_id", SPAN("event-1") },
				    { "ce_type", SPAN("voice.handoff.request.v1") },
				    { "ce_expirytime", SPAN("2023-11-14T22:14:00Z") },
				    { "ce_traceparent", SPAN(TRACE) },
				    { "ce_tracestate", SPAN("a=b") },
				    { "content-type", SPAN("application/json") } };
	struct reading in = read_text(MINIMAL, headers, ARRAY_SIZE(headers));
	assert_accepted(&in);
	assert_string_equal(in.request.handoff_id, "event-1");
	assert_true(in.request.handoff_id_given);
	assert_true(in.history.deadline_ms == 1700000040000);
	assert_span(in.request.traceparent, TRACE);
	assert_span(in.request.tracestate, "a=b");
	request_fini(&in.request);
}

static void test_cloudevents_structured_mode(void **state)
{
	(void)state;
	static const char value[] = "{\"specversion\":\"1.0\",\"id\":\"event\\/1\",\"source\":\"/bot\","
				    "\"type\":\"voice.handoff.request.v1\",\"expirytime\":\"2023-11-14T22:14:00Z\","
				    "\"traceparent\":\"" TRACE "\",\"tracestate\":\"a=b\",\"data\":" MINIMAL "}";
	static const char *const types[] = { "application/cloudevents+json",
					     "application/cloudevents+json; charset=utf-8",
					     "Application/CloudEvents+JSON ;charset=\"UTF-8\"" };
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		struct header headers[] = { { i == 2 ? "Content-Type" : "content-type", span_of(types[i]) } };
		struct reading in = read_text(value, headers, 1);
		assert_accepted(&in);
		assert_string_equal(in.request.session_id, "s1");
		assert_string_equal(in.request.handoff_id, "event/1");
		assert_true(in.request.handoff_id_given);
		assert_true(in.history.deadline_ms == 1700000040000);
		assert_span(in.request.traceparent, TRACE);
		assert_span(in.request.tracestate, "a=b");
		assert_true(in.request.traceparent.p > value && in.request.traceparent.p < value + sizeof(value));
		request_fini(&in.request);
	}
}

static void test_what_is_wrong_with_a_structured_event(void **state)
{
	(void)state;
	static const struct {
		const char *value;
		const char *says;
	} table[] = {
		{ "{\"id\":\"e\"}", "data is missing in the structured event" },
		{ "{\"id\":\"e\",\"data\":null}", "data is missing in the structured event" },
		{ "{\"id\":\"e\",\"data\":\"{}\"}", "data must be an object in the structured event" },
		{ "{\"id\":\"e\",\"type\":5,\"data\":" MINIMAL "}", "the event's type must be a string" },
		{ "{\"id\":\"e\",\"expirytime\":5,\"data\":" MINIMAL "}",
		  "the event's expirytime must be an RFC 3339" },
		{ "{\"id\":\"e\",\"expirytime\":\"soon\",\"data\":" MINIMAL "}", "the event's expirytime must be" },
		{ "{\"id\":\"e\",\"data\":{\"sessionId\":\"s1\"}}", "queueId is missing" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct header headers[] = { STRUCTURED };
		struct reading in = read_text(table[i].value, headers, 1);
		assert_int_equal(in.r, -EINVAL);
		if (strncmp(in.fault.message, table[i].says, strlen(table[i].says)) != 0)
			fail_msg("\"%s\", not \"%s\"", in.fault.message, table[i].says);
		assert_string_equal(in.request.handoff_id, "e");
		request_fini(&in.request);
	}
}

static void test_an_event_id_that_does_not_fit_is_not_used(void **state)
{
	(void)state;
	static const char *const ids[] = { "", BYTES_128 "x", "caf\xc3\xa9", "a\nb" };
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		struct header headers[] = { { "ce_id", span_of(ids[i]) } };
		struct reading in = read_text(MINIMAL, headers, 1);
		assert_accepted(&in);
		assert_string_equal(in.request.handoff_id, "handoff.requests/3/1041@1699999999000");
		assert_false(in.request.handoff_id_given);
		request_fini(&in.request);
	}
	struct header headers[] = { STRUCTURED };
	struct reading in = read_text("{\"id\":5,\"data\":" MINIMAL "}", headers, 1);
	assert_accepted(&in);
	assert_string_equal(in.request.handoff_id, "handoff.requests/3/1041@1699999999000");
	request_fini(&in.request);
}

static void test_a_schema_registry_prefix_is_skipped(void **state)
{
	(void)state;
	static const char bare[] = "\0\0\0\1\2" MINIMAL;
	struct reading in = read_span((struct span){ bare, sizeof(bare) - 1 }, NULL, 0);
	assert_accepted(&in);
	assert_string_equal(in.request.session_id, "s1");
	request_fini(&in.request);
	static const char event[] = "\0\0\0\1\2{\"id\":\"e\",\"data\":" MINIMAL "}";
	struct header headers[] = { STRUCTURED };
	in = read_span((struct span){ event, sizeof(event) - 1 }, headers, 1);
	assert_accepted(&in);
	assert_string_equal(in.request.handoff_id, "e");
	request_fini(&in.request);
	static const char nothing[] = "\0\0\0\1\2";
	in = read_span((struct span){ nothing, sizeof(nothing) - 1 }, NULL, 0);
	assert_int_equal(in.r, -EINVAL);
	request_fini(&in.request);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cloudevents_binary_mode),
		cmocka_unit_test(test_cloudevents_structured_mode),
		cmocka_unit_test(test_what_is_wrong_with_a_structured_event),
		cmocka_unit_test(test_an_event_id_that_does_not_fit_is_not_used),
		cmocka_unit_test(test_a_schema_registry_prefix_is_skipped),
	};
	return cmocka_run_group_tests_name("envelope", tests, NULL, NULL);
}
