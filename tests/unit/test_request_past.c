/* request: what is believed of a record that says it was here before (retries, replays) */
#include "reading.h"

static struct reading read_on_retry_topic(struct header *headers, size_t count)
{
	struct reading in = { .record = { .topic = "handoff.retry",
					  .partition = 3,
					  .offset = 5,
					  .timestamp_ms = NOW - 10,
					  .value = SPAN(WITH("\"handoffId\":\"h\",\"ttlMs\":2000")),
					  .headers = headers,
					  .header_count = count } };
	in.r = request_read(&in.record, &limits, NOW, &in.request, &in.history, &in.fault);
	return in;
}

static void test_a_retry_keeps_its_history_and_its_identity(void **state)
{
	(void)state;
	struct header headers[] = { { "handoff-id", SPAN("before") },
				    { "handoff-attempt", SPAN("3") },
				    { "handoff-deadline", SPAN("1700000005000") },
				    { "handoff-origin", SPAN("handoff.requests/3/1041") },
				    { "handoff-progress", SPAN("requestedAt=1699999990000") } };
	struct reading in = read_on_retry_topic(headers, ARRAY_SIZE(headers));
	assert_accepted(&in);
	assert_string_equal(in.request.handoff_id, "before");
	assert_int_equal(in.history.attempt, 3);
	assert_int_equal(in.history.origin.offset, 1041);
	assert_true(in.history.deadline_ms == 1700000005000);
	assert_true(in.history.progress.requested_at_ms == 1699999990000);
	request_fini(&in.request);
}

/* Whatever a retry's headers do not say follows from the first record, not from the retry's own timestamp. */
static void test_a_retry_without_a_deadline_counts_from_the_first_record(void **state)
{
	(void)state;
	struct header headers[] = { { "handoff-attempt", SPAN("3") },
				    { "handoff-progress", SPAN("requestedAt=1699999990000") } };
	struct reading in = read_on_retry_topic(headers, ARRAY_SIZE(headers));
	assert_accepted(&in);
	assert_string_equal(in.request.handoff_id, "h");
	assert_true(in.history.deadline_ms == 1699999992000);
	request_fini(&in.request);
}

static void test_a_retry_with_an_unreadable_history_is_refused_with_what_is_known(void **state)
{
	(void)state;
	struct header headers[] = { { "handoff-id", SPAN("before") },
				    { "handoff-attempt", SPAN("3") },
				    { "handoff-resume", SPAN("dance") },
				    { "handoff-origin", SPAN("handoff.requests/3/1041") } };
	struct reading in = read_on_retry_topic(headers, ARRAY_SIZE(headers));
	assert_int_equal(in.r, -EINVAL);
	assert_string_equal(in.fault.message, "header handoff-resume cannot be read");
	assert_string_equal(in.request.handoff_id, "before");
	assert_string_equal(in.request.session_id, "s1");
	assert_int_equal(in.history.origin.offset, 1041);
	request_fini(&in.request);
}

static void test_a_request_topic_is_not_believed_to_hold_retries(void **state)
{
	(void)state;
	struct header headers[] = { { "handoff-id", SPAN("forged") },
				    { "handoff-attempt", SPAN("3") },
				    { "handoff-origin", SPAN("other/9/9") } };
	struct reading in = read_text(WITH("\"handoffId\":\"h\""), headers, ARRAY_SIZE(headers));
	assert_accepted(&in);
	assert_string_equal(in.request.handoff_id, "h");
	assert_int_equal(in.history.attempt, 1);
	assert_string_equal(in.history.origin.topic, "handoff.requests");
	request_fini(&in.request);
}

static void test_a_replay_keeps_its_identity_and_has_a_deadline_and_an_origin_of_its_own(void **state)
{
	(void)state;
	struct header headers[] = { { "handoff-id", SPAN("handoff.requests/0/1@5") },
				    { "handoff-replay", SPAN("2") },
				    { "handoff-deadline", SPAN("1700000300000") } };
	struct reading in = read_text(WITH("\"ttlMs\":1"), headers, ARRAY_SIZE(headers));
	assert_accepted(&in);
	assert_string_equal(in.request.handoff_id, "handoff.requests/0/1@5");
	assert_int_equal(in.history.replay, 2);
	assert_int_equal(in.history.attempt, 1);
	assert_int_equal(in.history.origin.offset, 1041);
	assert_true(in.history.deadline_ms == 1700000300000);
	request_fini(&in.request);
}

/* A request that was parked and comes back is the same request. */
static void test_there_and_back_through_the_retry_topic(void **state)
{
	(void)state;
	struct header headers[] = { { "ce_id", SPAN("event-1") }, { "handoff-batch", SPAN("nightly") } };
	struct reading first = read_text(WITH("\"ttlMs\":60000"), headers, ARRAY_SIZE(headers));
	assert_accepted(&first);
	first.history.attempt = 2;
	struct record *retry = history_retry_record(&first.record, "handoff.retry", first.request.handoff_id,
						    first.request.batch_id, &first.history);
	assert_non_null(retry);
	retry->timestamp_ms = NOW;
	struct reading second = { .record = *retry };
	second.r = request_read(&second.record, &limits, NOW + 50000, &second.request, &second.history, &second.fault);
	assert_accepted(&second);
	assert_string_equal(second.request.handoff_id, "event-1");
	assert_string_equal(second.request.batch_id, "nightly");
	struct record *again = history_retry_record(&second.record, "handoff.retry", second.request.handoff_id,
						    second.request.batch_id, &second.history);
	assert_non_null(again);
	assert_int_equal(again->header_count, retry->header_count);
	for (size_t i = 0; i < retry->header_count; i++) {
		assert_string_equal(again->headers[i].name, retry->headers[i].name);
		assert_true(span_eq(again->headers[i].value, retry->headers[i].value));
	}
	record_free(again);
	request_fini(&first.request);
	request_fini(&second.request);
	record_free(retry);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_retry_keeps_its_history_and_its_identity),
		cmocka_unit_test(test_a_retry_without_a_deadline_counts_from_the_first_record),
		cmocka_unit_test(test_a_retry_with_an_unreadable_history_is_refused_with_what_is_known),
		cmocka_unit_test(test_a_request_topic_is_not_believed_to_hold_retries),
		cmocka_unit_test(test_a_replay_keeps_its_identity_and_has_a_deadline_and_an_origin_of_its_own),
		cmocka_unit_test(test_there_and_back_through_the_retry_topic),
	};
	return cmocka_run_group_tests_name("request_past", tests, NULL, NULL);
}
