/* dead_letter: the original untouched, and why it could not be handled */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/outcome.h"

static char id[] = "h1";

static const struct request request = { .handoff_id = id };
static const struct history history = { .attempt = 2, .origin = { "handoff.requests", 3, 1041 } };
static char message[] = "the trigger was answered 500";
static const struct outcome_error error = {
	.present = true, .stage = STAGE_TRIGGER, .http_status = 500, .message = message
};

static struct outcome failed(const struct outcome_error *why)
{
	return (struct outcome){ .status = STATUS_FAILED,
				 .reason = REASON_SERVER_ERROR,
				 .error = why,
				 .finished_at_ms = 1700000000000,
				 .stage_ms = { -1, 1, 1, 1 } };
}

static void assert_headers(const struct record *record, const struct header *wanted, size_t count)
{
	assert_int_equal(record->header_count, count);
	for (size_t i = 0; i < count; i++) {
		assert_string_equal(record->headers[i].name, wanted[i].name);
		if (!span_eq(record->headers[i].value, wanted[i].value))
			fail_msg("%s: %.*s, not %.*s", wanted[i].name, SPAN_FMT(record->headers[i].value),
				 SPAN_FMT(wanted[i].value));
		assert_int_equal(record->headers[i].value.p == NULL, wanted[i].value.p == NULL);
	}
}

static void test_a_dead_letter(void **state)
{
	(void)state;
	struct header headers[] = { { "a", SPAN("1") },
				    { "handoff-batch", SPAN("nightly") },
				    { "handoff-id", SPAN("h1") },
				    { "handoff-attempt", SPAN("2") },
				    { "handoff-not-before", SPAN("1") },
				    { "handoff-first-seen", SPAN("1") },
				    { "handoff-deadline", SPAN("1") },
				    { "handoff-resume", SPAN("fetch") },
				    { "handoff-reason", SPAN("session.locked") },
				    { "handoff-budget", SPAN("locked=1") },
				    { "handoff-origin", SPAN("x/1/1") },
				    { "handoff-progress", SPAN("fetch=1") },
				    { "handoff-spilled-at", SPAN("1") },
				    { "handoff-replay", SPAN("1") },
				    { "handoff-error", SPAN("an earlier one") },
				    { "a", SPAN("2") },
				    { "b", SPAN_NONE } };
	const struct record original = { .topic = "handoff.retry",
					 .partition = 3,
					 .key = SPAN("\0k"),
					 .value = SPAN("\xff\0not json"),
					 .headers = headers,
					 .header_count = ARRAY_SIZE(headers) };
	const struct outcome outcome = failed(&error);
	struct record *letter = dead_letter_record("handoff.dlq", &original, &request, &history, &outcome);
	assert_non_null(letter);
	const struct header wanted[] = { { "a", SPAN("1") },
					 { "handoff-batch", SPAN("nightly") },
					 { "handoff-replay", SPAN("1") },
					 { "a", SPAN("2") },
					 { "b", SPAN_NONE },
					 { "handoff-id", SPAN("h1") },
					 { "handoff-reason", SPAN("upstream.server_error") },
					 { "handoff-stage", SPAN("trigger") },
					 { "handoff-http-status", SPAN("500") },
					 { "handoff-error", SPAN("the trigger was answered 500") },
					 { "handoff-attempt", SPAN("2") },
					 { "handoff-origin", SPAN("handoff.requests/3/1041") },
					 { "handoff-failed-at", SPAN("1700000000000") } };
	assert_headers(letter, wanted, ARRAY_SIZE(wanted));
	assert_true(span_eq(letter->key, original.key));
	assert_true(span_eq(letter->value, original.value));
	assert_string_equal(letter->topic, "handoff.dlq");
	assert_int_equal(letter->partition, -1);
	record_free(letter);
}

static void test_what_is_not_known_is_empty(void **state)
{
	(void)state;
	const struct record original = { .topic = "handoff.requests" };
	const struct outcome outcome = failed(NULL);
	struct record *letter = dead_letter_record("handoff.dlq", &original, &request, &history, &outcome);
	assert_non_null(letter);
	const struct header wanted[] = { { "handoff-id", SPAN("h1") },
					 { "handoff-reason", SPAN("upstream.server_error") },
					 { "handoff-stage", SPAN("") },
					 { "handoff-http-status", SPAN("") },
					 { "handoff-error", SPAN("") },
					 { "handoff-attempt", SPAN("2") },
					 { "handoff-origin", SPAN("handoff.requests/3/1041") },
					 { "handoff-failed-at", SPAN("1700000000000") } };
	assert_headers(letter, wanted, ARRAY_SIZE(wanted));
	assert_null(letter->key.p);
	assert_null(letter->value.p);
	record_free(letter);
}

static void test_what_is_sent_when_the_whole_is_too_large(void **state)
{
	(void)state;
	static char large[5000];
	memset(large, 'x', sizeof(large));
	struct header headers[] = { { "small", SPAN("1") }, { "large", { large, sizeof(large) } } };
	const struct record original = { .topic = "handoff.requests",
					 .key = SPAN("k"),
					 .value = { large, sizeof(large) },
					 .headers = headers,
					 .header_count = ARRAY_SIZE(headers) };
	const struct outcome outcome = failed(&error);
	struct record *letter = dead_letter_record("handoff.dlq", &original, &request, &history, &outcome);
	struct record *rest = record_truncated(letter);
	assert_non_null(rest);
	assert_null(rest->value.p);
	assert_true(span_is(rest->key, "k"));
	assert_string_equal(rest->topic, "handoff.dlq");
	assert_int_equal(rest->header_count, letter->header_count + 1);
	assert_true(span_is(record_header(rest, "small"), "1"));
	assert_int_equal(record_header(rest, "large").n, 1024);
	assert_true(span_is(record_header(rest, "handoff-id"), "h1"));
	assert_true(span_is(record_header(rest, "handoff-truncated"), "5000"));
	record_free(rest);
	record_free(letter);
}

/* However many headers and however long a key: what is left always fits. */
static void test_what_is_left_is_bounded(void **state)
{
	(void)state;
	enum { COUNT = 1000 };
	static char large[1025], names[COUNT][8];
	struct header *headers = calloc(COUNT + 1, sizeof(*headers));
	for (int i = 0; i < COUNT; i++) {
		snprintf(names[i], sizeof(names[i]), "n%d", i);
		headers[i] = (struct header){ names[i], { large, sizeof(large) } };
	}
	headers[COUNT] = (struct header){ "handoff-truncated", SPAN("7") };
	const struct record original = {
		.key = { large, sizeof(large) }, .value = SPAN("v"), .headers = headers, .header_count = COUNT + 1
	};
	const struct outcome outcome = failed(&error);
	struct record *letter = dead_letter_record("handoff.dlq", &original, &request, &history, &outcome);
	struct record *rest = record_truncated(letter);
	assert_non_null(rest);
	assert_null(rest->key.p);
	size_t bytes = 0;
	for (size_t i = 0; i < rest->header_count; i++)
		bytes += strlen(rest->headers[i].name) + rest->headers[i].value.n;
	assert_in_range(bytes, 64000, 67000);
	assert_string_equal(rest->headers[0].name, "n0");
	assert_true(span_is(record_header(rest, "handoff-failed-at"), "1700000000000"));
	assert_true(span_is(record_header(rest, "handoff-truncated"), "1"));
	record_free(rest);
	record_free(letter);
	free(headers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_dead_letter),
		cmocka_unit_test(test_what_is_not_known_is_empty),
		cmocka_unit_test(test_what_is_sent_when_the_whole_is_too_large),
		cmocka_unit_test(test_what_is_left_is_bounded),
	};
	return cmocka_run_group_tests_name("dead_letter", tests, NULL, NULL);
}
