/* history: what a retry record's headers say, and how they are written again */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rules/history.h"

static struct record record_with(struct header *headers, size_t count)
{
	return (struct record){ .topic = "handoff.retry",
				.partition = 3,
				.offset = 77,
				.timestamp_ms = 1000,
				.key = SPAN("session-1"),
				.value = SPAN("{\"sessionId\":\"session-1\"}"),
				.headers = headers,
				.header_count = count };
}

/* The one header of that name; the test fails when it is missing or repeated. */
static struct span only(const struct record *record, const char *name)
{
	size_t count = 0;
	for (size_t i = 0; i < record->header_count; i++)
		count += strcmp(record->headers[i].name, name) == 0;
	assert_int_equal(count, 1);
	return record_header(record, name);
}

static void assert_span(struct span s, const char *text)
{
	if (!span_is(s, text))
		fail_msg("is \"%.*s\", not \"%s\"", SPAN_FMT(s), text);
}

static struct history fresh(void)
{
	return (struct history){ .attempt = 1,
				 .first_seen_ms = 1000,
				 .deadline_ms = 901000,
				 .reason = REASON_COUNT,
				 .origin = { "handoff.requests", 3, 1041 },
				 .progress = { .requested_at_ms = 1000 } };
}

static void test_origin(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int r;
		struct origin origin;
	} table[] = {
		{ "handoff.requests/3/1041", 0, { "handoff.requests", 3, 1041 } },
		{ "t/0/0", 0, { "t", 0, 0 } },
		{ "t/2147483647/9223372036854775807", 0, { "t", INT32_MAX, INT64_MAX } },
		{ "t/2147483648/0", -EINVAL, { "", 0, 0 } },
		{ "t/-1/0", -EINVAL, { "", 0, 0 } },
		{ "t/0/-1", -EINVAL, { "", 0, 0 } },
		{ "t/0/9223372036854775808", -EINVAL, { "", 0, 0 } },
		{ "t/0", -EINVAL, { "", 0, 0 } },
		{ "t/0/", -EINVAL, { "", 0, 0 } },
		{ "/0/0", -EINVAL, { "", 0, 0 } },
		{ "a/b/0/0", -EINVAL, { "", 0, 0 } },
		{ "t/0/0/", -EINVAL, { "", 0, 0 } },
		{ "t t/0/0", -EINVAL, { "", 0, 0 } },
		{ "t/ 0/0", -EINVAL, { "", 0, 0 } },
		{ "", -EINVAL, { "", 0, 0 } },
	};
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct origin origin = { "before", 9, 9 };
		assert_int_equal(origin_read(span_of(table[i].text), &origin), table[i].r);
		if (table[i].r < 0) {
			assert_string_equal(origin.topic, "before");
			continue;
		}
		assert_string_equal(origin.topic, table[i].origin.topic);
		assert_int_equal(origin.partition, table[i].origin.partition);
		assert_true(origin.offset == table[i].origin.offset);
		struct buf out;
		buf_init(&out, 512);
		origin_write(&out, &origin);
		assert_string_equal(buf_text(&out), table[i].text);
		buf_fini(&out);
	}
}

static void test_a_topic_name_that_is_too_long_is_no_origin(void **state)
{
	(void)state;
	char text[HISTORY_TOPIC_MAX + 8];
	memset(text, 't', sizeof(text));
	struct origin origin;
	memcpy(text + HISTORY_TOPIC_MAX, "/0/0", 5);
	assert_int_equal(origin_read(span_of(text), &origin), 0);
	memcpy(text + HISTORY_TOPIC_MAX, "t/0/0", 6);
	assert_int_equal(origin_read(span_of(text), &origin), -EINVAL);
}

static void test_the_contract_s_headers_are_read(void **state)
{
	(void)state;
	struct header headers[] = {
		{ "handoff-id", SPAN("abc") },
		{ "handoff-attempt", SPAN("5") },
		{ "handoff-not-before", SPAN("1700000001000") },
		{ "handoff-first-seen", SPAN("1700000000001") },
		{ "handoff-deadline", SPAN("1700000900000") },
		{ "handoff-resume", SPAN("verify") },
		{ "handoff-reason", SPAN("session.locked") },
		{ "handoff-budget", SPAN("rate_limited=1,locked=3,server=0,timeout=2") },
		{ "handoff-origin", SPAN("vip/7/99") },
		{ "handoff-progress",
		  SPAN("requestedAt=1700000000000,startedAt=1700000000010,callId=call%201,"
		       "transferId=x%2Cy%3D,fetch=4,update=2,trigger=1,unanswered=1,cancel=1,parked=250") },
		{ "handoff-spilled-at", SPAN("1700000000500") },
		{ "handoff-replay", SPAN("2") },
	};
	const struct record record = record_with(headers, ARRAY_SIZE(headers));
	struct history h = fresh();
	assert_true(history_is_in(&record));
	assert_int_equal(history_read(&record, &h, NULL), 0);
	assert_int_equal(h.attempt, 5);
	assert_true(h.not_before_ms == 1700000001000);
	assert_true(h.first_seen_ms == 1700000000001);
	assert_true(h.deadline_ms == 1700000900000);
	assert_true(h.spilled_at_ms == 1700000000500);
	assert_int_equal(h.resume, RESUME_VERIFY);
	assert_int_equal(h.reason, REASON_LOCKED);
	assert_int_equal(h.replay, 2);
	assert_int_equal(h.failures[BUDGET_RATE_LIMITED], 1);
	assert_int_equal(h.failures[BUDGET_LOCKED], 3);
	assert_int_equal(h.failures[BUDGET_SERVER], 0);
	assert_int_equal(h.failures[BUDGET_TIMEOUT], 2);
	assert_string_equal(h.origin.topic, "vip");
	assert_int_equal(h.origin.partition, 7);
	assert_int_equal(h.origin.offset, 99);
	assert_true(h.progress.requested_at_ms == 1700000000000);
	assert_true(h.progress.started_at_ms == 1700000000010);
	assert_true(h.progress.parked_ms == 250);
	assert_string_equal(h.progress.call_id, "call 1");
	assert_string_equal(h.progress.transfer_id, "x,y=");
	assert_int_equal(h.progress.calls[STAGE_LOGIN], 0);
	assert_int_equal(h.progress.calls[STAGE_FETCH], 4);
	assert_int_equal(h.progress.calls[STAGE_UPDATE], 2);
	assert_int_equal(h.progress.calls[STAGE_TRIGGER], 1);
	assert_true(h.progress.unanswered);
	assert_true(h.progress.cancel_asked);
	history_fini(&h);
}

static void test_what_no_header_says_stays_as_it_is(void **state)
{
	(void)state;
	struct header headers[] = { { "handoff-attempt", SPAN("2") },
				    { "handoff-deadline", SPAN_NONE },
				    { "handoff-budget", SPAN("locked=3,other=x") },
				    { "handoff-progress", SPAN("fetch=1,other=%zz") } };
	const struct record record = record_with(headers, ARRAY_SIZE(headers));
	struct history h = fresh();
	h.failures[BUDGET_SERVER] = 2;
	assert_int_equal(history_read(&record, &h, NULL), 0);
	assert_int_equal(h.attempt, 2);
	assert_int_equal(h.deadline_ms, 901000);
	assert_int_equal(h.failures[BUDGET_LOCKED], 3);
	assert_int_equal(h.failures[BUDGET_SERVER], 2);
	assert_int_equal(h.progress.calls[STAGE_FETCH], 1);
	assert_int_equal(h.progress.requested_at_ms, 1000);
	assert_string_equal(h.origin.topic, "handoff.requests");
	assert_int_equal(h.reason, REASON_COUNT);
}

static void test_an_unreadable_header_is_named_and_the_others_are_read(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		const char *value;
	} table[] = {
		{ "handoff-attempt", "" },
		{ "handoff-attempt", "two" },
		{ "handoff-attempt", "1.5" },
		{ "handoff-not-before", "2026-11-24T10:00:00Z" },
		{ "handoff-first-seen", " 1" },
		{ "handoff-deadline", "soon" },
		{ "handoff-resume", "FETCH" },
		{ "handoff-resume", "" },
		{ "handoff-budget", "locked" },
		{ "handoff-budget", "locked=many" },
		{ "handoff-origin", "nowhere" },
		{ "handoff-progress", "fetch=1,,update=1" },
		{ "handoff-progress", "callId=%4" },
		{ "handoff-progress", "callId=a%00b" },
		{ "handoff-progress", "requestedAt=yesterday" },
		{ "handoff-spilled-at", "x" },
		{ "handoff-replay", "x" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct header headers[] = { { "handoff-attempt", SPAN("2") },
					    { "handoff-origin", SPAN("vip/7/99") },
					    { "handoff-budget", SPAN("server=1") },
					    { table[i].name, span_of(table[i].value) } };
		const struct record record = record_with(headers, ARRAY_SIZE(headers));
		struct history h = fresh();
		struct fault fault;
		assert_int_equal(history_read(&record, &h, &fault), -EINVAL);
		assert_int_equal(fault.kind, FAULT_PERMANENT);
		assert_non_null(strstr(fault.message, table[i].name));
		if (strcmp(table[i].name, "handoff-origin") != 0)
			assert_string_equal(h.origin.topic, "vip");
		if (strcmp(table[i].name, "handoff-budget") != 0)
			assert_int_equal(h.failures[BUDGET_SERVER], 1);
	}
}

static void test_of_several_unreadable_headers_the_first_is_named(void **state)
{
	(void)state;
	struct header headers[] = { { "handoff-spilled-at", SPAN("x") }, { "handoff-origin", SPAN("x") } };
	const struct record record = record_with(headers, ARRAY_SIZE(headers));
	struct history h = fresh();
	struct fault fault;
	assert_int_equal(history_read(&record, &h, &fault), -EINVAL);
	assert_string_equal(fault.message, "header handoff-origin cannot be read");
}

static void test_numbers_are_clamped(void **state)
{
	(void)state;
	struct header headers[] = { { "handoff-attempt", SPAN("0") },
				    { "handoff-not-before", SPAN("-99999999999999999999") },
				    { "handoff-first-seen", SPAN("-5") },
				    { "handoff-deadline", SPAN("99999999999999999999") },
				    { "handoff-budget", SPAN("locked=2147483648,server=-1") } };
	const struct record record = record_with(headers, ARRAY_SIZE(headers));
	struct history h = fresh();
	assert_int_equal(history_read(&record, &h, NULL), 0);
	assert_int_equal(h.attempt, 1);
	assert_true(h.not_before_ms == 0);
	assert_true(h.first_seen_ms == 0);
	assert_true(h.deadline_ms == 253402300799999);
	assert_int_equal(h.failures[BUDGET_LOCKED], 1000000);
	assert_int_equal(h.failures[BUDGET_SERVER], 0);
}

static void test_a_reason_of_a_later_version_is_no_error(void **state)
{
	(void)state;
	struct header headers[] = { { "handoff-attempt", SPAN("2") }, { "handoff-reason", SPAN("moon.full") } };
	const struct record record = record_with(headers, ARRAY_SIZE(headers));
	struct history h = fresh();
	h.reason = REASON_LOCKED;
	assert_int_equal(history_read(&record, &h, NULL), 0);
	assert_int_equal(h.reason, REASON_COUNT);
}

static void test_a_replay_says_its_number_and_its_deadline_only(void **state)
{
	(void)state;
	struct header headers[] = { { "handoff-replay", SPAN("1") },
				    { "handoff-deadline", SPAN("5000") },
				    { "handoff-attempt", SPAN("9") },
				    { "handoff-origin", SPAN("vip/7/99") } };
	const struct record record = record_with(headers, ARRAY_SIZE(headers));
	struct history h = fresh();
	assert_int_equal(history_read_replay(&record, &h, NULL), 0);
	assert_int_equal(h.replay, 1);
	assert_int_equal(h.deadline_ms, 5000);
	assert_int_equal(h.attempt, 1);
	assert_string_equal(h.origin.topic, "handoff.requests");
}

static void test_an_id_is_cut_on_a_character(void **state)
{
	(void)state;
	char *id = NULL, text[HISTORY_ID_MAX + 2];
	memset(text, 'a', sizeof(text));
	memcpy(text + HISTORY_ID_MAX - 1, "\xc3\xa9", 2);
	assert_true(history_keep_id(&id, (struct span){ text, HISTORY_ID_MAX + 1 }));
	assert_int_equal(strlen(id), HISTORY_ID_MAX - 1);
	assert_true(history_keep_id(&id, (struct span){ text, HISTORY_ID_MAX - 1 }));
	assert_int_equal(strlen(id), HISTORY_ID_MAX - 1);
	assert_true(history_keep_id(&id, (struct span){ "a\0b", 3 }));
	assert_null(id);
	assert_true(history_keep_id(&id, SPAN_NONE));
	assert_null(id);
}

static void test_a_retry_record_says_what_the_contract_says(void **state)
{
	(void)state;
	struct header headers[] = { { "traceparent", SPAN("00-1-2-01") }, { "x", SPAN_NONE }, { "y", SPAN("") } };
	const struct record original = record_with(headers, ARRAY_SIZE(headers));
	struct history h = fresh();
	h.attempt = 2;
	h.not_before_ms = 3000;
	h.resume = RESUME_UPDATE;
	h.reason = REASON_RATE_LIMITED;
	h.failures[BUDGET_RATE_LIMITED] = 1;
	h.progress.started_at_ms = 1010;
	h.progress.calls[STAGE_FETCH] = 1;
	h.progress.calls[STAGE_UPDATE] = 1;
	h.progress.unanswered = true;
	h.progress.parked_ms = 20;
	static char call_id[] = "a,b", transfer_id[] = "t=\xc3\xa9";
	h.progress.call_id = call_id;
	h.progress.transfer_id = transfer_id;
	struct record *retry = history_retry_record(&original, "handoff.retry", "abc", "batch", &h);
	assert_non_null(retry);
	assert_string_equal(retry->topic, "handoff.retry");
	assert_int_equal(retry->partition, 3);
	assert_int_equal(retry->timestamp_ms, -1);
	assert_true(span_eq(retry->key, original.key));
	assert_true(span_eq(retry->value, original.value));
	assert_string_equal(retry->headers[0].name, "traceparent");
	assert_string_equal(retry->headers[1].name, "x");
	assert_null(retry->headers[1].value.p);
	assert_non_null(retry->headers[2].value.p);
	assert_int_equal(retry->headers[2].value.n, 0);
	assert_span(only(retry, "traceparent"), "00-1-2-01");
	assert_span(only(retry, "handoff-id"), "abc");
	assert_span(only(retry, "handoff-attempt"), "2");
	assert_span(only(retry, "handoff-not-before"), "3000");
	assert_span(only(retry, "handoff-first-seen"), "1000");
	assert_span(only(retry, "handoff-deadline"), "901000");
	assert_span(only(retry, "handoff-resume"), "update");
	assert_span(only(retry, "handoff-reason"), "upstream.rate_limited");
	assert_span(only(retry, "handoff-budget"), "rate_limited=1,locked=0,server=0,timeout=0");
	assert_span(only(retry, "handoff-origin"), "handoff.requests/3/1041");
	assert_span(only(retry, "handoff-progress"),
		    "requestedAt=1000,startedAt=1010,callId=a%2Cb,transferId=t%3D%C3%A9,"
		    "fetch=1,update=1,trigger=0,unanswered=1,parked=20");
	assert_span(only(retry, "handoff-batch"), "batch");
	assert_null(record_header(retry, "handoff-spilled-at").p);
	assert_null(record_header(retry, "handoff-replay").p);
	record_free(retry);
}

/* Whatever is written is read back the same, however often: headers are replaced, never accumulated. */
static void test_headers_never_accumulate(void **state)
{
	(void)state;
	struct header headers[] = { { "x", SPAN("1") },
				    { "handoff-batch", SPAN("old") },
				    { "handoff-attempt", SPAN("8") },
				    { "handoff-attempt", SPAN("9") } };
	const struct record first = record_with(headers, ARRAY_SIZE(headers));
	struct history h = fresh();
	h.spilled_at_ms = 4000;
	h.replay = 3;
	static char call_id[HISTORY_ID_MAX + 1], transfer_id[HISTORY_ID_MAX + 1];
	memset(call_id, '%', HISTORY_ID_MAX);
	memset(transfer_id, ',', HISTORY_ID_MAX);
	h.progress.call_id = call_id;
	h.progress.transfer_id = transfer_id;
	struct record *at = record_new(&first);
	size_t count = 0;
	for (int attempt = 2; attempt < 6; attempt++) {
		h.attempt = attempt;
		h.progress.unmarked = attempt - 1;
		struct record *next = history_retry_record(at, "handoff.retry", "abc", "b", &h);
		assert_non_null(next);
		record_free(at);
		at = next;
		struct history back = fresh();
		assert_int_equal(history_read(at, &back, NULL), 0);
		assert_int_equal(back.attempt, attempt);
		assert_int_equal(back.spilled_at_ms, 4000);
		assert_int_equal(back.replay, 3);
		assert_int_equal(back.progress.unmarked, attempt - 1);
		assert_string_equal(back.progress.call_id, h.progress.call_id);
		assert_string_equal(back.progress.transfer_id, h.progress.transfer_id);
		history_fini(&back);
		assert_span(only(at, "handoff-batch"), "b");
		assert_true(count == 0 || count == at->header_count);
		count = at->header_count;
	}
	record_free(at);
}

static void test_without_a_batch_and_a_reason_there_are_no_such_headers(void **state)
{
	(void)state;
	struct header headers[] = { { "handoff-batch", SPAN("old") }, { "handoff-reason", SPAN("session.locked") } };
	const struct record original = record_with(headers, ARRAY_SIZE(headers));
	const struct history h = fresh();
	struct record *retry = history_retry_record(&original, "handoff.retry", "abc", NULL, &h);
	assert_non_null(retry);
	assert_null(record_header(retry, "handoff-batch").p);
	assert_null(record_header(retry, "handoff-reason").p);
	assert_span(only(retry, "handoff-not-before"), "0");
	assert_span(only(retry, "handoff-progress"), "requestedAt=1000,fetch=0,update=0,trigger=0");
	record_free(retry);
}

static void test_a_fresh_record_has_no_history(void **state)
{
	(void)state;
	struct header headers[] = { { "handoff-id", SPAN("a") }, { "handoff-replay", SPAN("1") } };
	const struct record record = record_with(headers, ARRAY_SIZE(headers));
	assert_false(history_is_in(&record));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_origin),
		cmocka_unit_test(test_a_topic_name_that_is_too_long_is_no_origin),
		cmocka_unit_test(test_the_contract_s_headers_are_read),
		cmocka_unit_test(test_what_no_header_says_stays_as_it_is),
		cmocka_unit_test(test_an_unreadable_header_is_named_and_the_others_are_read),
		cmocka_unit_test(test_of_several_unreadable_headers_the_first_is_named),
		cmocka_unit_test(test_numbers_are_clamped),
		cmocka_unit_test(test_a_reason_of_a_later_version_is_no_error),
		cmocka_unit_test(test_a_replay_says_its_number_and_its_deadline_only),
		cmocka_unit_test(test_an_id_is_cut_on_a_character),
		cmocka_unit_test(test_a_retry_record_says_what_the_contract_says),
		cmocka_unit_test(test_headers_never_accumulate),
		cmocka_unit_test(test_without_a_batch_and_a_reason_there_are_no_such_headers),
		cmocka_unit_test(test_a_fresh_record_has_no_history),
	};
	return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}
