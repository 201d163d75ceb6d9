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

/* A copy of exactly the text's size, so that a sanitizer sees a read beyond it. */
static char *copy_of(struct span s)
{
	char *copy = malloc(s.n > 0 ? s.n : 1);
	assert_non_null(copy);
	if (s.n > 0)
		memcpy(copy, s.p, s.n);
	return copy;
}

static int check(struct span text, struct scan_error *error)
{
	struct scan_value value;
	char *copy = copy_of(text);
	const int r = scan_check((struct span){ copy, text.n }, &value, error);
	free(copy);
	return r;
}

static void accepts(void **state)
{
	const struct {
		struct span text;
		enum scan_type type;
	} cases[] = {
		{ SPAN("{}"), SCAN_OBJECT },
		{ SPAN("[]"), SCAN_ARRAY },
		{ SPAN("[ ]"), SCAN_ARRAY },
		{ SPAN("{ }"), SCAN_OBJECT },
		{ SPAN("\"\""), SCAN_STRING },
		{ SPAN("true"), SCAN_BOOL },
		{ SPAN("false"), SCAN_BOOL },
		{ SPAN("null"), SCAN_NULL },
		{ SPAN("0"), SCAN_NUMBER },
		{ SPAN("-0"), SCAN_NUMBER },
		{ SPAN("-0.0e-0"), SCAN_NUMBER },
		{ SPAN("18446744073709551616"), SCAN_NUMBER },
		{ SPAN("123456789012345678901234567890"), SCAN_NUMBER },
		{ SPAN("1.10"), SCAN_NUMBER },
		{ SPAN("1e400"), SCAN_NUMBER },
		{ SPAN("1E+05"), SCAN_NUMBER },
		{ SPAN(" \t\r\n{ \"a\" : 1 , \"b\" : [ 1 , 2 ] } \n"), SCAN_OBJECT },
		{ SPAN("{\"a\":1,\"a\":2}"), SCAN_OBJECT },
		{ SPAN("{\"\":{}}"), SCAN_OBJECT },
		{ SPAN("{\"\\u0000\":\"\\u0000\"}"), SCAN_OBJECT },
		{ SPAN("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDE00\""), SCAN_STRING },
		{ SPAN("\"\x7f \xc2\x80 \xdf\xbf \xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xef\xbf\xbf \xf0\x90\x80\x80 "
		       "\xf4\x8f\xbf\xbf\""),
		  SCAN_STRING },
		{ SPAN("[{\"a\":[{\"b\":[]}]},{},[],\"x\",1,null,[true,false]]"), SCAN_ARRAY },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct scan_value value;
		struct scan_error error;
		char *copy = copy_of(cases[i].text);
		if (scan_check((struct span){ copy, cases[i].text.n }, &value, &error) < 0)
			fail_msg("case %zu (%s): at %zu: %s", i, cases[i].text.p, error.at, error.what);
		assert_int_equal(value.type, cases[i].type);
		free(copy);
	}
}

static void trims_the_value(void **state)
{
	struct scan_value value;
	(void)state;
	assert_int_equal(scan_check(SPAN(" \n { \"a\" : 1 } \t"), &value, NULL), 0);
	assert_true(span_is(value.text, "{ \"a\" : 1 }"));
	assert_int_equal(scan_check(SPAN("\r12 "), &value, NULL), 0);
	assert_true(span_is(value.text, "12"));
}

struct refusal {
	struct span text;
	size_t at;
};

static void refuse_all(const struct refusal *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct scan_error error = { .at = SIZE_MAX };
		if (check(cases[i].text, &error) != -EINVAL)
			fail_msg("case %zu (%s) was accepted", i, cases[i].text.p);
		if (error.at != cases[i].at || !error.what)
			fail_msg("case %zu (%s): at %zu: %s", i, cases[i].text.p, error.at, error.what);
		assert_int_equal(check(cases[i].text, NULL), -EINVAL);
	}
}

static void refuses_structure(void **state)
{
	const struct refusal cases[] = {
		{ SPAN_NONE, 0 },         { SPAN(""), 0 },
		{ SPAN("  "), 2 },        { SPAN("\xef\xbb\xbf{}"), 0 }, /* a byte order mark */
		{ SPAN("{}x"), 2 },       { SPAN("{} {}"), 3 },
		{ SPAN("{}\0"), 2 },      { SPAN("1 2"), 2 },
		{ SPAN("]"), 0 },         { SPAN("{]"), 1 },
		{ SPAN("[}"), 1 },        { SPAN("[1}"), 2 },
		{ SPAN("{\"a\":1]"), 6 }, { SPAN("[,]"), 1 },
		{ SPAN("[1,]"), 3 },      { SPAN("[1 2]"), 3 },
		{ SPAN("{,}"), 1 },       { SPAN("{\"a\":1,}"), 7 },
		{ SPAN("{\"a\"}"), 4 },   { SPAN("{\"a\" 1}"), 5 },
		{ SPAN("{\"a\":}"), 5 },  { SPAN("{\"a\"::1}"), 5 },
		{ SPAN("{a:1}"), 1 },     { SPAN("{1:1}"), 1 },
		{ SPAN("{'a':1}"), 1 },   { SPAN("'a'"), 0 },
		{ SPAN("[1,/**/2]"), 3 }, { SPAN("1//"), 1 },
		{ SPAN("[1]#"), 3 },
	};
	(void)state;
	refuse_all(cases, ARRAY_SIZE(cases));
}

static void refuses_words(void **state)
{
	const struct refusal cases[] = {
		{ SPAN("True"), 0 },     { SPAN("tru"), 0 },       { SPAN("nul"), 0 },       { SPAN("nulll"), 4 },
		{ SPAN("nulx"), 0 },     { SPAN("falsy"), 0 },     { SPAN("[trux]"), 1 },    { SPAN("NaN"), 0 },
		{ SPAN("Infinity"), 0 }, { SPAN("-Infinity"), 1 }, { SPAN("undefined"), 0 },
	};
	(void)state;
	refuse_all(cases, ARRAY_SIZE(cases));
}

static void refuses_numbers(void **state)
{
	const struct refusal cases[] = {
		{ SPAN("-"), 1 },     { SPAN("+1"), 0 },   { SPAN("01"), 1 },   { SPAN("-01"), 2 }, { SPAN("00"), 1 },
		{ SPAN("1."), 2 },    { SPAN(".5"), 0 },   { SPAN("1.e1"), 2 }, { SPAN("1e"), 2 },  { SPAN("1e+"), 3 },
		{ SPAN("1e1.5"), 3 }, { SPAN("0x10"), 1 }, { SPAN("1_0"), 1 },
	};
	(void)state;
	refuse_all(cases, ARRAY_SIZE(cases));
}

static void refuses_strings(void **state)
{
	const struct refusal cases[] = {
		{ SPAN("\"a"), 2 },         { SPAN("\"a\\"), 2 },
		{ SPAN("\"\\x\""), 1 },     { SPAN("\"\\'\""), 1 },
		{ SPAN("\"\\\0\""), 1 },    { SPAN("\"\\u12\""), 1 },
		{ SPAN("\"\\u12g4\""), 1 }, { SPAN("\"\\u 123\""), 1 },
		{ SPAN("\"\\u+123\""), 1 }, { SPAN("\"a\nb\""), 2 },
		{ SPAN("\"a\tb\""), 2 },    { SPAN("\"a\0b\""), 2 },
		{ SPAN("\"a\x1f"), 2 },     { SPAN("\"12345678901234567890\x1f\""), 21 },
	};
	(void)state;
	refuse_all(cases, ARRAY_SIZE(cases));
}

static void refuses_surrogates(void **state)
{
	const struct refusal cases[] = {
		{ SPAN("\"\\ud800\""), 1 },        { SPAN("\"\\udbff\\u0041\""), 1 }, { SPAN("\"\\udc00\""), 1 },
		{ SPAN("\"\\ud800\\ud800\""), 1 }, { SPAN("\"\\ud800xudc00\""), 1 },  { SPAN("\"\\udfff\""), 1 },
		{ SPAN("\"\\ud83d\\ude0\""), 1 },  { SPAN("\"\\ud83d"), 1 },          { SPAN("\"\\ud83d\\\""), 1 },
		{ SPAN("{\"\\ud800\":1}"), 2 },
	};
	(void)state;
	refuse_all(cases, ARRAY_SIZE(cases));
}

static void refuses_utf8(void **state)
{
	const struct refusal cases[] = {
		{ SPAN("\"\x80\""), 1 },
		{ SPAN("\"\xbf\""), 1 },
		{ SPAN("\"\xc0\xaf\""), 1 },
		{ SPAN("\"\xc1\xbf\""), 1 },
		{ SPAN("\"\xc2\""), 1 },
		{ SPAN("\"\xc2\x41\""), 1 },
		{ SPAN("\"\xe0\x9f\xbf\""), 1 },
		{ SPAN("\"\xe2\x82\""), 1 },
		{ SPAN("\"\xed\xa0\x80\""), 1 },
		{ SPAN("\"\xed\xbf\xbf\""), 1 },
		{ SPAN("\"\xf0\x8f\xbf\xbf\""), 1 },
		{ SPAN("\"\xf0\x9f\x98\""), 1 },
		{ SPAN("\"\xf4\x90\x80\x80\""), 1 },
		{ SPAN("\"\xf5\x80\x80\x80\""), 1 },
		{ SPAN("\"\xfe\""), 1 },
		{ SPAN("\"\xff\xfe\""), 1 },
		{ SPAN("{\"ok\xff\":1}"), 4 },
		{ SPAN("\xc2\xa0{}"), 0 }, /* white space, but not JSON's */
		{ SPAN("[1,\v2]"), 3 },
	};
	(void)state;
	refuse_all(cases, ARRAY_SIZE(cases));
}

static const char sample[] =
	"{\"sessionId\":\"sess_\\u00e9\\ud83d\\ude00\xc3\xa9\xf0\x9f\x98\x80\",\"n\":[-0,1.5e-3,18446744073709551616],"
	"\"t\":true,\"f\":false,\"z\":null,\"o\":{\"\":{},\"k\\\"\":[[],{}]}}";

static void refuses_every_truncation(void **state)
{
	(void)state;
	assert_int_equal(check((struct span){ sample, sizeof(sample) - 1 }, NULL), 0);
	for (size_t n = 0; n < sizeof(sample) - 1; n++) {
		struct scan_error error;
		if (check((struct span){ sample, n }, &error) == 0)
			fail_msg("the first %zu bytes were accepted", n);
		assert_true(error.at <= n);
		/* The same where what is missing stands behind the end. */
		assert_int_equal(scan_check((struct span){ sample, n }, &(struct scan_value){ 0 }, &error), -EINVAL);
		assert_true(error.at <= n);
	}
}

/* What stands behind the end must not be read as a part of the value. */
static void stops_at_the_end(void **state)
{
	static const char *const more[] = { "12", "0.5", "1e5", "{}}", "[]]", "\"\"\"", "true}", "1  2" };
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(more); i++)
		for (size_t n = 1; n < strlen(more[i]); n++) {
			struct scan_value value;
			struct scan_error error;
			if (scan_check((struct span){ more[i], n }, &value, &error) == 0)
				assert_true(value.text.n <= n);
			else
				assert_true(error.at <= n);
		}
}

static void refuses_every_trailing_byte(void **state)
{
	char text[sizeof(sample)];
	(void)state;
	memcpy(text, sample, sizeof(sample) - 1);
	for (unsigned byte = 0; byte < 256; byte++) {
		text[sizeof(sample) - 1] = (char)byte;
		const bool space = byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
		assert_int_equal(check((struct span){ text, sizeof(text) }, NULL), space ? 0 : -EINVAL);
	}
}

/* Every byte at every place of a string that is longer than the scanner's stride. */
static void judges_every_byte_of_a_string(void **state)
{
	(void)state;
	for (size_t at = 1; at < 20; at++)
		for (unsigned byte = 0; byte < 256; byte++) {
			char text[] = "\"abcdefghijklmnopqrstuvwxyz\"";
			text[at] = (char)byte;
			const bool legal = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
			const bool escape = byte == '\\' && strchr("bfnrt/\"\\", text[at + 1]);
			assert_int_equal(check((struct span){ text, sizeof(text) - 1 }, NULL),
					 legal || escape ? 0 : -EINVAL);
		}
}

/* `depth` containers, objects at the odd places if `mixed`, around a 1. */
static size_t nest(char *text, size_t depth, bool mixed)
{
	char *p = text;
	for (size_t i = 0; i < depth; i++)
		p += sprintf(p, "%s", mixed && i % 2 == 1 ? "{\"a\":" : "[");
	*p++ = '1';
	for (size_t i = depth; i > 0; i--)
		*p++ = mixed && (i - 1) % 2 == 1 ? '}' : ']';
	return (size_t)(p - text);
}

static void bounds_depth(void **state)
{
	(void)state;
	for (size_t depth = 0; depth < 70; depth++)
		for (int mixed = 0; mixed < 2; mixed++) {
			char text[512];
			const size_t n = nest(text, depth, mixed);
			const int wanted = depth <= SCAN_MAX_DEPTH ? 0 : -EINVAL;
			assert_int_equal(check((struct span){ text, n }, NULL), wanted);
		}
	assert_int_equal(SCAN_MAX_DEPTH, 32);
}

static void bounds_depth_whatever_the_size(void **state)
{
	enum { MANY = 2000000 };
	struct scan_error error;
	char *text = malloc(MANY);
	(void)state;
	assert_non_null(text);
	memset(text, '[', MANY);
	assert_int_equal(scan_check((struct span){ text, MANY }, &(struct scan_value){ 0 }, &error), -EINVAL);
	assert_int_equal(error.at, 32);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts),
		cmocka_unit_test(trims_the_value),
		cmocka_unit_test(refuses_structure),
		cmocka_unit_test(refuses_words),
		cmocka_unit_test(refuses_numbers),
		cmocka_unit_test(refuses_strings),
		cmocka_unit_test(refuses_surrogates),
		cmocka_unit_test(refuses_utf8),
		cmocka_unit_test(refuses_every_truncation),
		cmocka_unit_test(stops_at_the_end),
		cmocka_unit_test(refuses_every_trailing_byte),
		cmocka_unit_test(judges_every_byte_of_a_string),
		cmocka_unit_test(bounds_depth),
		cmocka_unit_test(bounds_depth_whatever_the_size),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
