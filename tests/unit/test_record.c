#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "handoff/record.h"

static void copies_everything(void **state)
{
	char key[] = "key", value[] = "val\0ue", name[] = "name", text[] = "text";
	struct header headers[] = {
		{ name, { text, 4 } }, { "empty", SPAN("") }, { "absent", SPAN_NONE }, { "", SPAN("x") }
	};
	const struct record from = { .topic = "topic",
				     .partition = 3,
				     .offset = 1041,
				     .timestamp_ms = -1,
				     .key = { key, 3 },
				     .value = { value, 6 },
				     .headers = headers,
				     .header_count = 4 };
	struct record *record = record_new(&from);
	(void)state;
	assert_non_null(record);
	memset(key, '#', sizeof(key));
	memset(value, '#', sizeof(value));
	memset(name, '#', sizeof(name));
	memset(text, '#', sizeof(text));
	memset(headers, 0, sizeof(headers));
	assert_string_equal(record->topic, "topic");
	assert_int_equal(record->partition, 3);
	assert_int_equal(record->offset, 1041);
	assert_int_equal(record->timestamp_ms, -1);
	assert_true(span_is(record->key, "key"));
	assert_true(span_eq(record->value, SPAN("val\0ue")));
	assert_int_equal(record->header_count, 4);
	assert_string_equal(record->headers[0].name, "name");
	assert_true(span_is(record->headers[0].value, "text"));
	assert_non_null(record->headers[1].value.p);
	assert_int_equal(record->headers[1].value.n, 0);
	assert_null(record->headers[2].value.p);
	assert_string_equal(record->headers[3].name, "");
	assert_null(record_free(record));
}

static void tells_absent_from_empty(void **state)
{
	const struct record tombstone = { .topic = "t", .key = SPAN(""), .value = SPAN_NONE };
	struct record *record = record_new(&tombstone);
	(void)state;
	assert_non_null(record);
	assert_non_null(record->key.p);
	assert_int_equal(record->key.n, 0);
	assert_null(record->value.p);
	assert_null(record_header(record, "any").p);
	assert_null(record_free(record));
	assert_null(record_free(NULL));
}

static void counts_its_memory(void **state)
{
	struct header headers[] = { { "ab", SPAN("cde") } };
	const struct record from = {
		.topic = "t", .key = SPAN("12345"), .value = SPAN("1234567"), .headers = headers, .header_count = 1
	};
	struct record *record = record_new(&from);
	(void)state;
	assert_non_null(record);
	assert_int_equal(record->memory, sizeof(struct record) + sizeof(struct header) + 3 + 3 + 5 + 7);
	record_free(record);
}

static void finds_the_last_header(void **state)
{
	struct header headers[] = {
		{ "a", SPAN("1") }, { "b", SPAN("2") }, { "a", SPAN("3") },
		{ "A", SPAN("4") }, { "c", SPAN("5") }, { "c", SPAN_NONE },
	};
	const struct record record = { .headers = headers, .header_count = ARRAY_SIZE(headers) };
	(void)state;
	assert_true(span_is(record_header(&record, "a"), "3"));
	assert_true(span_is(record_header(&record, "b"), "2"));
	assert_true(span_is(record_header(&record, "A"), "4"));
	assert_null(record_header(&record, "c").p);
	assert_null(record_header(&record, "d").p);
	assert_null(record_header(&record, "").p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies_everything),
		cmocka_unit_test(tells_absent_from_empty),
		cmocka_unit_test(counts_its_memory),
		cmocka_unit_test(finds_the_last_header),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
