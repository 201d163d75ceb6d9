#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <float.h>
#include <stdio.h>

#include "json/scan.h"

static struct scan_value value_of(const char *json)
{
	struct scan_value value;
	struct scan_error error;
	if (scan_check(span_of(json), &value, &error) < 0)
		fail_msg("%s: at %zu: %s", json, error.at, error.what);
	return value;
}

static void walks_members(void **state)
{
	static const struct {
		const char *key, *value;
		enum scan_type type;
		bool escaped;
	} wanted[] = {
		{ "a", "1", SCAN_NUMBER, false },
		{ "b\\\"", "\"x\\\\\"", SCAN_STRING, true },
		{ "", "{ \"a\" : [ 1 , \"]}\" ] }", SCAN_OBJECT, false },
		{ "\\\\", "[\"\\\"]\",{}]", SCAN_ARRAY, true },
		{ "t", "true", SCAN_BOOL, false },
		{ "f", "false", SCAN_BOOL, false },
		{ "n", "null", SCAN_NULL, false },
		{ "big", "-123456789012345678901234567890.10e+5", SCAN_NUMBER, false },
	};
	const struct scan_value object =
		value_of(" { \"a\" : 1 ,\"b\\\"\": \"x\\\\\" , \"\" :{ \"a\" : [ 1 , \"]}\" ] "
			 "},\"\\\\\":[\"\\\"]\",{}],\n\"t\":true,"
			 "\"f\":false\t,\"n\":null,\"big\":-123456789012345678901234567890.10e+5 } ");
	struct scan_walk walk = scan_members(object);
	struct scan_member member;
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		assert_true(scan_next(&walk, &member));
		assert_true(span_is(member.key, wanted[i].key));
		assert_int_equal(member.key_escaped, wanted[i].escaped);
		assert_true(span_is(member.value.text, wanted[i].value));
		assert_int_equal(member.value.type, wanted[i].type);
	}
	assert_false(scan_next(&walk, &member));
	assert_false(scan_next(&walk, &member));
}

static void walks_elements(void **state)
{
	static const char *const wanted[] = { "1", "\"a,b\"", "[ ]", "{\"x\":[1,2]}", "null" };
	struct scan_walk walk = scan_members(value_of("[ 1,\"a,b\" , [ ],{\"x\":[1,2]},null ]"));
	struct scan_value value;
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		assert_true(scan_next_element(&walk, &value));
		assert_true(span_is(value.text, wanted[i]));
	}
	assert_false(scan_next_element(&walk, &value));
}

static void finds_nothing_in_empty_ones(void **state)
{
	static const char *const empty[] = { "{}", "{ }", "[]", "[\n]" };
	struct scan_member member;
	struct scan_value value;
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(empty); i++) {
		struct scan_walk walk = scan_members(value_of(empty[i]));
		assert_false(scan_next(&walk, &member));
		assert_false(scan_next_element(&walk, &value));
	}
	struct scan_walk walk = scan_members((struct scan_value){ .text = SPAN_NONE });
	assert_false(scan_next(&walk, &member));
}

static void finds_the_last_and_counts_all(void **state)
{
	static const struct {
		const char *object, *key;
		size_t count;
		const char *value;
	} cases[] = {
		{ "{\"a\":1,\"b\":2}", "b", 1, "2" },
		{ "{\"a\":1,\"b\":2}", "c", 0, NULL },
		{ "{\"a\":{\"b\":2}}", "b", 0, NULL }, /* not the nested ones */
		{ "{\"a\":\"b\",\"b\":\"a\"}", "a", 1, "\"b\"" },
		{ "{\"a\":1,\"a\":2,\"\\u0061\":3}", "a", 3, "3" },
		{ "{\"\\u0076ar\":1}", "var", 1, "1" },
		{ "{\"v\\u0061r\":1,\"va\\u0072x\":2}", "var", 1, "1" },
		{ "{\"var\\u0000\":1}", "var", 0, NULL },
		{ "{\"\\u0000\":1,\"\":2}", "", 1, "2" },
		{ "{\"\\u00e9\":1,\"\xc3\xa9\":2}", "\xc3\xa9", 2, "2" },
		{ "{\"\\ud83d\\ude00\":1}", "\xf0\x9f\x98\x80", 1, "1" },
		{ "{\"A\":1}", "a", 0, NULL },
		{ "{}", "a", 0, NULL },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct scan_value object = value_of(cases[i].object);
		struct scan_value value = { .text = SPAN_NONE };
		assert_int_equal(scan_count(object, cases[i].key), cases[i].count);
		assert_int_equal(scan_find(object, cases[i].key, &value), cases[i].value != NULL);
		if (cases[i].value)
			assert_true(span_is(value.text, cases[i].value));

		struct scan_index index;
		scan_index_fill(&index, object);
		value.text = SPAN_NONE;
		assert_int_equal(scan_index_count(&index, cases[i].key), cases[i].count);
		assert_int_equal(scan_index_find(&index, cases[i].key, &value), cases[i].value != NULL);
		if (cases[i].value)
			assert_true(span_is(value.text, cases[i].value));
	}
}

/* With as many members as it holds, one fewer and more. */
static void indexes_objects_of_any_size(void **state)
{
	(void)state;
	for (int members = SCAN_INDEX_MEMBERS - 1; members < SCAN_INDEX_MEMBERS + 3; members++) {
		struct scan_index index;
		struct scan_value value;
		struct buf json;
		buf_init(&json, 4096);
		for (int i = 0; i < members; i++)
			buf_add_format(&json, "%c\"k%d\":%d", i == 0 ? '{' : ',', i, i);
		buf_add_text(&json, ",\"k1\":77}");
		scan_index_fill(&index, value_of(buf_text(&json)));
		for (int i = 0; i < members; i++) {
			char key[16], wanted[16];
			snprintf(key, sizeof(key), "k%d", i);
			snprintf(wanted, sizeof(wanted), "%d", i == 1 ? 77 : i);
			assert_true(scan_index_find(&index, key, &value));
			assert_true(span_is(value.text, wanted));
			assert_int_equal(scan_index_count(&index, key), i == 1 ? 2 : 1);
		}
		assert_false(scan_index_find(&index, "k", &value));
		assert_int_equal(scan_index_count(&index, "k"), 0);
		buf_fini(&json);
	}
}

static void compares_keys_decoded(void **state)
{
	const struct {
		const char *object;
		struct span key;
		bool same;
	} cases[] = {
		{ "{\"k\\u0000y\":1}", SPAN("k\0y"), true },
		{ "{\"k\\u0000y\":1}", SPAN("k\0z"), false },
		{ "{\"k\\u0000y\":1}", SPAN("k"), false },
		{ "{\"k\\u0000\":1}", SPAN("k"), false },
		{ "{\"\\\\\":1}", SPAN("\\"), true },
		{ "{\"\\\\\":1}", SPAN("\\\\"), false },
		{ "{\"k\":1}", SPAN(""), false },
		{ "{\"\":1}", SPAN(""), true },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct scan_walk walk = scan_members(value_of(cases[i].object));
		struct scan_member member;
		assert_true(scan_next(&walk, &member));
		assert_int_equal(scan_key_is(&member, cases[i].key), cases[i].same);
	}
}

static void decodes_strings(void **state)
{
	const struct {
		const char *json;
		struct span text;
	} cases[] = {
		{ "\"\"", SPAN("") },
		{ "\"plain\"", SPAN("plain") },
		{ "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", SPAN("\"\\/\b\f\n\r\t") },
		{ "\"a\\u0000b\"", SPAN("a\0b") },
		{ "\"\\u007f\\u0080\\u07ff\\u0800\\uffff\"", SPAN("\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf") },
		{ "\"\\ud800\\udc00\\udbff\\udfff\"", SPAN("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf") },
		{ "\"\\uABCD\\uabcd\"", SPAN("\xea\xaf\x8d\xea\xaf\x8d") },
		{ "\"\xc3\xa9\\u00e9\"", SPAN("\xc3\xa9\xc3\xa9") },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct scan_value value = value_of(cases[i].json);
		struct buf out;
		buf_init(&out, 100);
		scan_decode_string(&out, value.text);
		assert_true(buf_ok(&out));
		assert_true(span_eq(buf_span(&out), cases[i].text));
		buf_reset(&out);
		scan_decode_key(&out, (struct span){ value.text.p + 1, value.text.n - 2 });
		assert_true(span_eq(buf_span(&out), cases[i].text));
		buf_fini(&out);
	}
}

static void reads_integers(void **state)
{
	static const struct {
		const char *json;
		int r;
		int64_t value;
	} cases[] = {
		{ "0", 0, 0 },
		{ "-0", 0, 0 },
		{ "42", 0, 42 },
		{ "-42", 0, -42 },
		{ "9223372036854775807", 0, INT64_MAX },
		{ "-9223372036854775808", 0, INT64_MIN },
		{ "9223372036854775808", -EINVAL, 0 },
		{ "-9223372036854775809", -EINVAL, 0 },
		{ "18446744073709551616", -EINVAL, 0 },
		{ "1.0", -EINVAL, 0 },
		{ "1e3", -EINVAL, 0 },
		{ "\"1\"", -EINVAL, 0 },
		{ "true", -EINVAL, 0 },
		{ "null", -EINVAL, 0 },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t value = 0;
		assert_int_equal(scan_int64(value_of(cases[i].json), &value), cases[i].r);
		assert_int_equal(value, cases[i].value);
	}
}

static void reads_doubles(void **state)
{
	static const struct {
		const char *json;
		int r;
		double value;
	} cases[] = {
		{ "0", 0, 0 },
		{ "-0", 0, -0.0 },
		{ "0.000e5", 0, 0 },
		{ "2.4", 0, 2.4 },
		{ "-12.5e3", 0, -12500 },
		{ "100", 0, 100 },
		{ "0.001", 0, 0.001 },
		{ "1.0000000000000002", 0, 1.0000000000000002 },
		{ "9007199254740993", 0, 9007199254740992 },
		{ "1e308", 0, 1e308 },
		{ "1.7976931348623157e308", 0, DBL_MAX },
		{ "1e309", -EINVAL, 0 },
		{ "-1e400", -EINVAL, 0 },
		{ "1e99999999999999999999", -EINVAL, 0 },
		{ "1e-99999999999999999999", 0, 0 },
		{ "0e99999999999999999999", 0, 0 },
		{ "5e-324", 0, 5e-324 },
		{ "2e-324", 0, 0 },
		{ "0.00000000001e11", 0, 1 },
		{ "\"1\"", -EINVAL, 0 },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		double value = 0;
		if (scan_double(value_of(cases[i].json), &value) != cases[i].r)
			fail_msg("%s", cases[i].json);
		if (memcmp(&value, &cases[i].value, sizeof(value)) != 0)
			fail_msg("%s became %a, not %a", cases[i].json, value, cases[i].value);
	}
}

/* Halfway between 1 and the next double, then so many zeros, then a 1 or nothing: only reading all of it tells. */
static void reads_doubles_of_any_length(void **state)
{
	static const char halfway[] = "1.00000000000000011102230246251565404236316680908203125";
	enum { ZEROS = 5000 };
	char *json = malloc(sizeof(halfway) + ZEROS + 1);
	double value;
	(void)state;
	assert_non_null(json);
	memcpy(json, halfway, sizeof(halfway) - 1);
	memset(json + sizeof(halfway) - 1, '0', ZEROS);
	strcpy(json + sizeof(halfway) - 1 + ZEROS, "");
	assert_int_equal(scan_double(value_of(json), &value), 0);
	assert_true(value == 1.0);
	strcpy(json + sizeof(halfway) - 2 + ZEROS, "1");
	assert_int_equal(scan_double(value_of(json), &value), 0);
	assert_true(value == 1.0 + DBL_EPSILON);
	memset(json, '9', ZEROS);
	strcpy(json + ZEROS, "e-4999");
	assert_int_equal(scan_double(value_of(json), &value), 0);
	assert_true(value == 10.0);
	free(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(walks_members),
		cmocka_unit_test(walks_elements),
		cmocka_unit_test(finds_nothing_in_empty_ones),
		cmocka_unit_test(finds_the_last_and_counts_all),
		cmocka_unit_test(indexes_objects_of_any_size),
		cmocka_unit_test(compares_keys_decoded),
		cmocka_unit_test(decodes_strings),
		cmocka_unit_test(reads_integers),
		cmocka_unit_test(reads_doubles),
		cmocka_unit_test(reads_doubles_of_any_length),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
