/* request: what is a valid request, what is not, and what is kept of one that is not */
#include "reading.h"

#define SESSION(text) "{\"sessionId\":\"" text "\",\"queueId\":\"" QUEUE "\"}"
#define QUEUED(json)  "{\"sessionId\":\"s1\",\"queueId\":" json "}"

static void test_the_smallest_request(void **state)
{
	(void)state;
	struct reading in = read_bare(MINIMAL);
	assert_accepted(&in);
	assert_string_equal(in.request.session_id, "s1");
	assert_string_equal(in.request.queue_id, QUEUE);
	assert_string_equal(in.request.handoff_id, "handoff.requests/3/1041@1699999999000");
	assert_false(in.request.handoff_id_given);
	assert_false(in.request.is_cancel);
	assert_null(in.request.tenant);
	assert_null(in.request.batch_id);
	assert_int_equal(in.request.priority, PRIORITY_NORMAL);
	assert_null(in.request.metadata.p);
	assert_null(in.request.traceparent.p);
	assert_int_equal(in.history.attempt, 1);
	assert_true(in.history.first_seen_ms == NOW);
	assert_true(in.history.deadline_ms == STAMP + 900000);
	assert_int_equal(in.history.resume, RESUME_FETCH);
	assert_int_equal(in.history.reason, REASON_COUNT);
	assert_string_equal(in.history.origin.topic, "handoff.requests");
	assert_int_equal(in.history.origin.partition, 3);
	assert_int_equal(in.history.origin.offset, 1041);
	assert_true(in.history.progress.requested_at_ms == STAMP);
	request_fini(&in.request);
	assert_null(in.request.session_id);
}

static void test_every_field(void **state)
{
	(void)state;
	struct reading in = read_bare(
		" {\"sessionId\":\"s\\u00e9/1 \\\"x\\\"\",\"queueId\":\"A1B2C3D4-E5F6-7890-ABCD-EF1234567890\","
		"\"handoffId\":\"h 1\",\"tenant\":\"acme\",\"batchId\":\"b-7\",\"priority\":\"high\","
		"\"metadata\":{ \"a\":1, \"b\":\"x\", \"c\":null, \"d\":true },\"unknown\":[{}]} ");
	assert_accepted(&in);
	assert_string_equal(in.request.session_id, "s\xc3\xa9/1 \"x\"");
	assert_string_equal(in.request.queue_id, "A1B2C3D4-E5F6-7890-ABCD-EF1234567890");
	assert_string_equal(in.request.handoff_id, "h 1");
	assert_true(in.request.handoff_id_given);
	assert_string_equal(in.request.tenant, "acme");
	assert_string_equal(in.request.batch_id, "b-7");
	assert_int_equal(in.request.priority, PRIORITY_HIGH);
	assert_span(in.request.metadata, "{ \"a\":1, \"b\":\"x\", \"c\":null, \"d\":true }");
	request_fini(&in.request);
}

static void test_null_counts_as_absent(void **state)
{
	(void)state;
	struct reading in = read_bare(WITH("\"handoffId\":null,\"metadata\":null,\"tenant\":null,\"priority\":null,"
					   "\"deadline\":null,\"ttlMs\":null,\"batchId\":null,\"type\":null"));
	assert_accepted(&in);
	assert_false(in.request.handoff_id_given);
	assert_null(in.request.metadata.p);
	assert_int_equal(in.request.priority, PRIORITY_NORMAL);
	assert_true(in.history.deadline_ms == STAMP + 900000);
	request_fini(&in.request);
}

static void test_what_is_accepted(void **state)
{
	(void)state;
	static const char *const table[] = {
		SESSION(BYTES_256),
		SESSION("..."),
		SESSION("\\u0041"),
		SESSION("a b/c?d#e"),
		WITH("\"handoffId\":\"" BYTES_128 "\""),
		WITH("\"batchId\":\"" BYTES_128 "\""),
		WITH("\"tenant\":\"m\xc3\xbcnchen\""),
		WITH("\"priority\":\"low\""),
		WITH("\"metadata\":{}"),
		WITH("\"deadline\":\"2026-11-24t10:00:00.123456+01:00\""),
		WITH("\"ttlMs\":1"),
		WITH("\"session\\u0049d\":\"again\""),
		WITH("\"ttlMs\":\"wrong\",\"ttlMs\":5"), /* of two members with one name the last counts */
		"{\"sessionId\":5,\"queueId\":\"" QUEUE "\",\"sessionId\":\"s1\"}",
	};
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct reading in = read_bare(table[i]);
		assert_accepted(&in);
		request_fini(&in.request);
	}
}

static const struct {
	const char *value;
	const char *says;
} refused[] = {
	{ "{}", "sessionId is missing" },
	{ "{\"queueId\":\"" QUEUE "\"}", "sessionId is missing" },
	{ "{\"sessionId\":null,\"queueId\":\"" QUEUE "\"}", "sessionId is missing" },
	{ "{\"sessionId\":7,\"queueId\":\"" QUEUE "\"}", "sessionId must be a string" },
	{ "{\"sessionId\":[],\"queueId\":\"" QUEUE "\"}", "sessionId must be a string" },
	{ SESSION(""), "sessionId must be 1 to 256 bytes" },
	{ SESSION(BYTES_256 "x"), "sessionId must be 1 to 256 bytes" },
	{ SESSION(BYTES_256 BYTES_256 BYTES_256 BYTES_256 BYTES_256 BYTES_256 "x"), "sessionId must be 1 to" },
	{ SESSION("."), "sessionId must be" },
	{ SESSION(".."), "sessionId must be" },
	{ SESSION("\\u002e."), "sessionId must be" },
	{ SESSION("a\\u0000b"), "sessionId must be" },
	{ SESSION("a\\nb"), "sessionId must be" },
	{ SESSION("a\x7f"), "sessionId must be" },
	{ "{\"sessionId\":\"s1\"}", "queueId is missing" },
	{ QUEUED("null"), "queueId is missing" },
	{ QUEUED("1"), "queueId must be a string" },
	{ QUEUED("\"\""), "queueId must be a UUID" },
	{ QUEUED("\"a1b2c3d4e5f67890abcdef1234567890\""), "queueId must be a UUID" },
	{ QUEUED("\"{a1b2c3d4-e5f6-7890-abcd-ef1234567890}\""), "queueId must be a UUID" },
	{ QUEUED("\"g1b2c3d4-e5f6-7890-abcd-ef1234567890\""), "queueId must be a UUID" },
	{ WITH("\"handoffId\":\"\""), "handoffId must be 1 to 128" },
	{ WITH("\"handoffId\":12"), "handoffId must be a string" },
	{ WITH("\"handoffId\":\"" BYTES_128 "x\""), "handoffId must be 1 to 128" },
	{ WITH("\"handoffId\":\"\\u00e9\""), "handoffId must be 1 to 128 printable ASCII" },
	{ WITH("\"handoffId\":\"a\\tb\""), "handoffId must be 1 to 128 printable ASCII" },
	{ WITH("\"batchId\":\"\""), "batchId must be 1 to 128" },
	{ WITH("\"batchId\":{}"), "batchId must be a string" },
	{ WITH("\"tenant\":true"), "tenant must be a string" },
	{ WITH("\"tenant\":\"\""), "tenant must be 1 to 256" },
	{ WITH("\"priority\":\"urgent\""), "priority must be high, normal or low" },
	{ WITH("\"priority\":\"High\""), "priority must be high, normal or low" },
	{ WITH("\"priority\":1"), "priority must be a string" },
	{ WITH("\"type\":\"handoff\""), "type must be \"cancel\"" },
	{ WITH("\"type\":1"), "type must be a string" },
	{ WITH("\"metadata\":[]"), "metadata must be an object" },
	{ WITH("\"metadata\":\"x\""), "metadata must be an object" },
	{ WITH("\"metadata\":{\"a\":{}}"), "metadata must hold strings" },
	{ WITH("\"metadata\":{\"a\":[1]}"), "metadata must hold strings" },
	{ WITH("\"deadline\":\"tomorrow\""), "deadline must be an RFC 3339" },
	{ WITH("\"deadline\":\"2026-11-24 10:00\""), "deadline must be an RFC 3339" },
	{ WITH("\"deadline\":1700000000000"), "deadline must be a string" },
	{ WITH("\"ttlMs\":0"), "ttlMs must be a whole number greater than 0" },
	{ WITH("\"ttlMs\":-1"), "ttlMs must be a whole number greater than 0" },
	{ WITH("\"ttlMs\":1.5"), "ttlMs must be a whole number greater than 0" },
	{ WITH("\"ttlMs\":1e3"), "ttlMs must be a whole number greater than 0" },
	{ WITH("\"ttlMs\":\"1000\""), "ttlMs must be a whole number greater than 0" },
	{ "null", "the value must be a JSON object" },
	{ "[]", "the value must be a JSON object" },
	{ "\"text\"", "the value must be a JSON object" },
	{ "", "the value is not valid JSON" },
	{ "{", "the value is not valid JSON" },
	{ MINIMAL "x", "the value is not valid JSON" },
	{ SESSION("a\xff"), "the value is not valid JSON" },
	{ SESSION("\xed\xa0\x80"), "the value is not valid JSON" },
};

static void test_what_is_refused_names_the_field(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		struct reading in = read_bare(refused[i].value);
		assert_int_equal(in.r, -EINVAL);
		assert_int_equal(in.fault.kind, FAULT_PERMANENT);
		if (strncmp(in.fault.message, refused[i].says, strlen(refused[i].says)) != 0)
			fail_msg("%s: \"%s\", not \"%s\"", refused[i].value, in.fault.message, refused[i].says);
		assert_non_null(in.request.handoff_id);
		request_fini(&in.request);
	}
}

static void test_the_bounds_of_metadata(void **state)
{
	(void)state;
	char value[32768];
	for (int keys = 64; keys <= 65; keys++) {
		size_t n = (size_t)snprintf(value, sizeof(value),
					    "{\"sessionId\":\"s\",\"queueId\":\"" QUEUE "\",\"metadata\":{");
		for (int k = 0; k < keys; k++)
			n += (size_t)snprintf(value + n, sizeof(value) - n, "%s\"k%d\":%d", k ? "," : "", k, k);
		snprintf(value + n, sizeof(value) - n, "}}");
		struct reading in = read_bare(value);
		assert_int_equal(in.r, keys == 64 ? 0 : -EINVAL);
		assert_true(keys == 64 || strstr(in.fault.message, "64 keys"));
		request_fini(&in.request);
	}
	for (int bytes = 16384; bytes <= 16385; bytes++) {
		snprintf(value, sizeof(value),
			 "{\"sessionId\":\"s\",\"queueId\":\"" QUEUE "\",\"metadata\":{\"a\":\"%0*d\"}}", bytes - 8, 0);
		struct reading in = read_bare(value);
		assert_int_equal(in.r, bytes == 16384 ? 0 : -EINVAL);
		assert_true(bytes == 16384 || strstr(in.fault.message, "16384 bytes"));
		request_fini(&in.request);
	}
}

static void test_nesting_is_bounded(void **state)
{
	(void)state;
	for (int depth = 31; depth <= 32; depth++) {
		char value[512] = "{\"sessionId\":\"s\",\"queueId\":\"" QUEUE "\",\"x\":";
		for (int i = 0; i < depth; i++)
			strcat(value, "[");
		for (int i = 0; i < depth; i++)
			strcat(value, "]");
		strcat(value, "}");
		struct reading in = read_bare(value);
		assert_int_equal(in.r, depth == 31 ? 0 : -EINVAL);
		request_fini(&in.request);
	}
}

static void test_a_value_is_bounded_and_there_must_be_one(void **state)
{
	(void)state;
	static char value[524288 + 1];
	memset(value, ' ', sizeof(value));
	memcpy(value, MINIMAL, strlen(MINIMAL));
	struct reading in = read_span((struct span){ value, 524288 }, NULL, 0);
	assert_accepted(&in);
	request_fini(&in.request);
	in = read_span((struct span){ value, 524289 }, NULL, 0);
	assert_int_equal(in.r, -EINVAL);
	assert_string_equal(in.fault.message, "the value has 524289 bytes, more than 524288");
	assert_null(in.request.session_id);
	request_fini(&in.request);
	in = read_span(SPAN_NONE, NULL, 0);
	assert_int_equal(in.r, -EINVAL);
	assert_string_equal(in.fault.message, "the record has no value");
	assert_string_equal(in.request.handoff_id, "handoff.requests/3/1041@1699999999000");
	request_fini(&in.request);
}

/* The outcome of a rejected request names what was readable; what was not is null. */
static void test_what_is_kept_of_a_rejected_request(void **state)
{
	(void)state;
	struct reading in = read_bare("{\"sessionId\":\"s1\",\"queueId\":\"nonsense\",\"handoffId\":\"\\u00e9\","
				      "\"batchId\":\"b\",\"tenant\":\"acme\",\"priority\":9,\"ttlMs\":100}");
	assert_int_equal(in.r, -EINVAL);
	assert_string_equal(in.fault.message, "queueId must be a UUID");
	assert_text(in.request.session_id, "s1");
	assert_text(in.request.queue_id, NULL);
	assert_text(in.request.handoff_id, "handoff.requests/3/1041@1699999999000");
	assert_false(in.request.handoff_id_given);
	assert_text(in.request.batch_id, "b");
	assert_text(in.request.tenant, "acme");
	request_fini(&in.request);
	in = read_bare("{\"sessionId\":\"..\",\"queueId\":\"" QUEUE "\",\"handoffId\":\"h\"}");
	assert_int_equal(in.r, -EINVAL);
	assert_text(in.request.session_id, NULL);
	assert_text(in.request.queue_id, QUEUE);
	assert_text(in.request.handoff_id, "h");
	request_fini(&in.request);
}

static void test_no_message_tells_a_value(void **state)
{
	(void)state;
	static const char *const table[] = { SESSION("\\u0007secret"),
					     QUEUED("\"secret\""),
					     WITH("\"handoffId\":\"\\u00e9secret\""),
					     WITH("\"priority\":\"secret\""),
					     WITH("\"deadline\":\"secret\""),
					     "{\"sessionId\":\"secret\xff\"}" };
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct reading in = read_bare(table[i]);
		assert_int_equal(in.r, -EINVAL);
		assert_null(strstr(in.fault.message, "secret"));
		request_fini(&in.request);
	}
}

static void test_the_order_of_deadlines(void **state)
{
	(void)state;
	static const struct {
		const char *value;
		const char *header;
		const char *expirytime;
		int64_t deadline_ms;
	} table[] = {
		{ MINIMAL, NULL, NULL, STAMP + 900000 },
		{ WITH("\"ttlMs\":2000"), NULL, NULL, STAMP + 2000 },
		{ WITH("\"ttlMs\":2000"), NULL, "2023-11-14T22:14:00Z", 1700000040000 },
		{ WITH("\"ttlMs\":2000,\"deadline\":\"2023-11-14T22:15:00.5Z\""), NULL, "2023-11-14T22:14:00Z",
		  1700000100500 },
		{ WITH("\"deadline\":\"2023-11-14T22:15:00Z\""), "1700000000007", "2023-11-14T22:14:00Z",
		  1700000000007 },
		{ WITH("\"ttlMs\":9223372036854775807"), NULL, NULL, HISTORY_TIME_MAX },
		{ WITH("\"ttlMs\":99999999999999999999999999"), NULL, NULL, HISTORY_TIME_MAX },
		{ WITH("\"deadline\":\"1900-01-01T00:00:00Z\""), NULL, NULL, 0 },
	};
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct header headers[] = { { "handoff-deadline", span_of(table[i].header) },
					    { "ce_expirytime", span_of(table[i].expirytime) } };
		struct reading in = read_text(table[i].value, headers, ARRAY_SIZE(headers));
		assert_accepted(&in);
		assert_true(in.history.deadline_ms == table[i].deadline_ms);
		request_fini(&in.request);
	}
}

static void test_an_unreadable_deadline_is_refused_wherever_it_stands(void **state)
{
	(void)state;
	struct header by_header[] = { { "handoff-deadline", SPAN("2023-11-14T22:14:00Z") } };
	struct reading in = read_text(MINIMAL, by_header, 1);
	assert_int_equal(in.r, -EINVAL);
	assert_string_equal(in.fault.message, "header handoff-deadline cannot be read");
	assert_true(in.history.deadline_ms == STAMP + 900000);
	request_fini(&in.request);
	struct header by_event[] = { { "ce_expirytime", SPAN("soon") } };
	in = read_text(MINIMAL, by_event, 1);
	assert_int_equal(in.r, -EINVAL);
	assert_string_equal(in.fault.message, "the event's expirytime must be an RFC 3339 date and time");
	request_fini(&in.request);
}

static void test_a_timestamp_that_cannot_be_true_is_the_time_of_receipt(void **state)
{
	(void)state;
	static const struct {
		int64_t timestamp_ms;
		int64_t requested_at_ms;
	} table[] = { { STAMP, STAMP },    { 0, 0 },          { -1, NOW }, { NOW + 5000, NOW + 5000 },
		      { NOW + 5001, NOW }, { INT64_MAX, NOW } };
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct reading in = { .record = { .topic = "t", .value = SPAN(MINIMAL), .offset = 9 } };
		in.record.timestamp_ms = table[i].timestamp_ms;
		assert_int_equal(request_read(&in.record, &limits, NOW, &in.request, &in.history, NULL), 0);
		assert_true(in.history.progress.requested_at_ms == table[i].requested_at_ms);
		assert_true(in.history.deadline_ms == table[i].requested_at_ms + 900000);
		char id[64];
		/* The id keeps the record's own: a redelivery at another time must find the same one. */
		snprintf(id, sizeof(id), "t/0/9@%lld", (long long)table[i].timestamp_ms);
		assert_string_equal(in.request.handoff_id, id);
		request_fini(&in.request);
	}
}

static void test_cancels(void **state)
{
	(void)state;
	struct reading in = read_bare("{\"sessionId\":\"s1\",\"type\":\"cancel\"}");
	assert_accepted(&in);
	assert_true(in.request.is_cancel);
	assert_false(in.request.handoff_id_given);
	request_fini(&in.request);
	in = read_bare("{\"sessionId\":\"s1\",\"type\":\"cancel\",\"handoffId\":\"h\"}");
	assert_accepted(&in);
	assert_true(in.request.is_cancel && in.request.handoff_id_given);
	assert_string_equal(in.request.handoff_id, "h");
	request_fini(&in.request);
	struct header binary[] = { { "ce_type", SPAN("voice.handoff.cancel.v1") }, { "ce_id", SPAN("cancel-1") } };
	in = read_text("{\"sessionId\":\"s1\"}", binary, ARRAY_SIZE(binary));
	assert_accepted(&in);
	assert_true(in.request.is_cancel);
	assert_string_equal(in.request.handoff_id, "cancel-1");
	assert_false(in.request.handoff_id_given); /* the event's own id says nothing of which handoff */
	request_fini(&in.request);
	struct header structured[] = { STRUCTURED };
	in = read_text("{\"id\":\"c\",\"type\":\"voice.handoff.cancel.v1\",\"data\":{\"sessionId\":\"s1\"}}",
		       structured, 1);
	assert_accepted(&in);
	assert_true(in.request.is_cancel);
	request_fini(&in.request);
	in = read_bare("{\"type\":\"cancel\"}");
	assert_int_equal(in.r, -EINVAL);
	assert_string_equal(in.fault.message, "sessionId is missing");
	request_fini(&in.request);
}

static void test_the_batch_of_the_value_wins_over_the_header(void **state)
{
	(void)state;
	static const struct {
		const char *value;
		const char *header;
		const char *batch_id; /* NULL: none */
		int r;
	} table[] = {
		{ MINIMAL, "nightly", "nightly", 0 },
		{ MINIMAL, "", NULL, 0 },
		{ MINIMAL, "caf\xc3\xa9", NULL, -EINVAL },
		{ MINIMAL, BYTES_128 "x", NULL, -EINVAL },
		{ WITH("\"batchId\":\"b\""), "nightly", "b", 0 },
		{ WITH("\"batchId\":null"), "nightly", "nightly", 0 },
		{ WITH("\"batchId\":5"), "nightly", NULL, -EINVAL },
	};
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct header headers[] = { { "handoff-batch", span_of(table[i].header) } };
		struct reading in = read_text(table[i].value, headers, 1);
		assert_int_equal(in.r, table[i].r);
		assert_text(in.request.batch_id, table[i].batch_id);
		request_fini(&in.request);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_smallest_request),
		cmocka_unit_test(test_every_field),
		cmocka_unit_test(test_null_counts_as_absent),
		cmocka_unit_test(test_what_is_accepted),
		cmocka_unit_test(test_what_is_refused_names_the_field),
		cmocka_unit_test(test_the_bounds_of_metadata),
		cmocka_unit_test(test_nesting_is_bounded),
		cmocka_unit_test(test_a_value_is_bounded_and_there_must_be_one),
		cmocka_unit_test(test_what_is_kept_of_a_rejected_request),
		cmocka_unit_test(test_no_message_tells_a_value),
		cmocka_unit_test(test_the_order_of_deadlines),
		cmocka_unit_test(test_an_unreadable_deadline_is_refused_wherever_it_stands),
		cmocka_unit_test(test_a_timestamp_that_cannot_be_true_is_the_time_of_receipt),
		cmocka_unit_test(test_cancels),
		cmocka_unit_test(test_the_batch_of_the_value_wins_over_the_header),
	};
	return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
