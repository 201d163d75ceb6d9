/* sent_record: what clients and operators send, and that the worker reads it as it was meant */
#include <stdlib.h>

#include "reading.h"
#include "rules/outcome.h"
#include "rules/sent_record.h"

#define DEADLINE INT64_C(1700000900000)

static const char *text_of(const struct record *record, const char *name)
{
	static char text[512];
	const struct span value = record_header(record, name);
	if (!value.p)
		return NULL;
	snprintf(text, sizeof(text), "%.*s", SPAN_FMT(value));
	return text;
}

/* As the worker would, had it read `record` at partition 3. */
static void read_back(const struct record *record, struct request *request, struct history *history)
{
	struct record received = *record;
	struct fault fault = { 0 };
	received.partition = 3;
	received.offset = 1041;
	received.timestamp_ms = STAMP;
	if (request_read(&received, &limits, NOW, request, history, &fault) < 0)
		fail_msg("%s", fault.message);
}

static void test_a_request_is_keyed_by_its_session(void **state)
{
	(void)state;
	struct record *record = sent_request("handoff.requests", "s1", SPAN(MINIMAL));
	assert_non_null(record);
	assert_true(span_is(record->key, "s1") && span_is(record->value, MINIMAL));
	assert_int_equal(record->partition, -1);
	assert_int_equal(record->header_count, 0);
	record_free(record);
}

static void test_a_cancel_of_a_session(void **state)
{
	(void)state;
	struct request request;
	struct history history;
	struct record *record = sent_cancel("handoff.requests", 5, "s \"1\"\\", NULL, NULL);
	assert_non_null(record);
	assert_int_equal(record->partition, 5);
	assert_true(span_is(record->key, "s \"1\"\\"));
	read_back(record, &request, &history);
	assert_true(request.is_cancel && !request.handoff_id_given && !request.tenant);
	assert_string_equal(request.session_id, "s \"1\"\\");
	request_fini(&request);
	record_free(record);
}

static void test_a_cancel_of_one_handoff(void **state)
{
	(void)state;
	struct request request;
	struct history history;
	struct record *record = sent_cancel("handoff.requests", -1, "s1", "h1", "acme");
	assert_non_null(record);
	assert_int_equal(record->partition, -1);
	read_back(record, &request, &history);
	assert_true(request.is_cancel && request.handoff_id_given);
	assert_string_equal(request.handoff_id, "h1");
	assert_string_equal(request.tenant, "acme");
	request_fini(&request);
	record_free(record);
}

/* The letter that the worker writes of `original`. */
static struct record *letter_of(const struct record *original)
{
	struct request request;
	struct history history;
	struct fault fault;
	const struct outcome outcome = { .status = STATUS_FAILED,
					 .reason = REASON_SERVER_ERROR,
					 .finished_at_ms = NOW };
	assert_int_not_equal(request_read(original, &limits, NOW, &request, &history, &fault), -ENOMEM);
	struct record *letter = dead_letter_record("handoff.dlq", original, &request, &history, &outcome);
	assert_non_null(letter);
	request_fini(&request);
	return letter;
}

static void test_a_replay_is_the_original_with_a_number_and_a_deadline(void **state)
{
	(void)state;
	struct header headers[] = { { "mine", SPAN("\0\xff") }, { HDR_BATCH, SPAN("nightly") } };
	const struct record original = { .topic = "handoff.requests",
					 .partition = 3,
					 .offset = 7,
					 .timestamp_ms = STAMP,
					 .key = SPAN("s1"),
					 .value = SPAN(WITH("\"deadline\":\"2023-11-14T22:13:20Z\"")),
					 .headers = headers,
					 .header_count = ARRAY_SIZE(headers) };
	struct record *letter = letter_of(&original);
	struct record *replay = sent_replay(letter, "handoff.requests", DEADLINE);
	assert_non_null(replay);
	assert_true(span_eq(replay->key, original.key) && span_eq(replay->value, original.value));
	assert_int_equal(replay->partition, 3);
	assert_int_equal(replay->header_count, 5);
	assert_true(span_eq(record_header(replay, "mine"), headers[0].value));
	assert_string_equal(text_of(replay, HDR_BATCH), "nightly");
	assert_string_equal(text_of(replay, HDR_ID), "handoff.requests/3/7@1699999999000");
	assert_string_equal(text_of(replay, HDR_REPLAY), "1");
	assert_string_equal(text_of(replay, HDR_DEADLINE), "1700000900000");

	struct request request;
	struct history history;
	read_back(replay, &request, &history);
	assert_string_equal(request.handoff_id, "handoff.requests/3/7@1699999999000");
	assert_int_equal(history.replay, 1);
	assert_int_equal(history.deadline_ms, DEADLINE);
	assert_int_equal(history.attempt, 1);
	request_fini(&request);
	record_free(letter);
	record_free(replay);
}

static void test_a_replay_of_a_replay_counts_on(void **state)
{
	(void)state;
	struct header headers[] = { { HDR_ID, SPAN("h1") }, { HDR_REPLAY, SPAN("2") }, { HDR_DEADLINE, SPAN("1") } };
	const struct record original = { .topic = "handoff.requests",
					 .partition = 1,
					 .timestamp_ms = STAMP,
					 .key = SPAN("s1"),
					 .value = SPAN(MINIMAL),
					 .headers = headers,
					 .header_count = ARRAY_SIZE(headers) };
	struct record *letter = letter_of(&original);
	assert_int_equal(sent_replay_of(letter), 2);
	struct record *replay = sent_replay(letter, "handoff.requests", DEADLINE);
	assert_non_null(replay);
	assert_int_equal(sent_replay_of(replay), 3);
	assert_string_equal(text_of(replay, HDR_ID), "h1");
	assert_int_equal(replay->header_count, 3);
	record_free(letter);
	record_free(replay);
}

static void test_a_replay_number_that_cannot_be_read(void **state)
{
	(void)state;
	struct header headers[] = { { HDR_REPLAY, SPAN("many") } };
	struct record record = { .headers = headers, .header_count = 1 };
	assert_int_equal(sent_replay_of(&record), -1);
	headers[0].value = SPAN("-1");
	assert_int_equal(sent_replay_of(&record), -1);
	record.header_count = 0;
	assert_int_equal(sent_replay_of(&record), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_request_is_keyed_by_its_session),
		cmocka_unit_test(test_a_cancel_of_a_session),
		cmocka_unit_test(test_a_cancel_of_one_handoff),
		cmocka_unit_test(test_a_replay_is_the_original_with_a_number_and_a_deadline),
		cmocka_unit_test(test_a_replay_of_a_replay_counts_on),
		cmocka_unit_test(test_a_replay_number_that_cannot_be_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
