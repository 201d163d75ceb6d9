#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <float.h>
#include <locale.h>
#include <math.h>

#include "json/scan.h"
#include "json/write.h"

static void expect(struct buf *out, const char *wanted)
{
	assert_true(buf_ok(out));
	assert_string_equal(buf_text(out), wanted);
	buf_reset(out);
}

static void quotes_what_must_be(void **state)
{
	const struct {
		struct span text;
		const char *json;
	} cases[] = {
		{ SPAN(""), "\"\"" },
		{ SPAN("plain / text"), "\"plain / text\"" },
		{ SPAN("\"\\"), "\"\\\"\\\\\"" },
		{ SPAN("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\"" },
		{ SPAN("a\0b\x01\x1f\x7f"), "\"a\\u0000b\\u0001\\u001f\x7f\"" },
		{ SPAN("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"), "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"" },
		{ SPAN("a\xff"), "\"a\xef\xbf\xbd\"" },
		{ SPAN("\xc3"), "\"\xef\xbf\xbd\"" },
		{ SPAN("\xc3\""), "\"\xef\xbf\xbd\\\"\"" },
		{ SPAN("\xed\xa0\x80z"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\"" },
		{ SPAN("\xc0\xaf"), "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
	};
	struct buf out;
	(void)state;
	buf_init(&out, 100);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		write_quoted(&out, cases[i].text);
		expect(&out, cases[i].json);
	}
	buf_fini(&out);
}

/* Whatever bytes go in: what comes out parses, and valid text comes back as it was. */
static void quoted_text_always_parses(void **state)
{
	struct buf out, back;
	(void)state;
	buf_init(&out, 100);
	buf_init(&back, 100);
	for (unsigned first = 0; first < 256; first++)
		for (unsigned second = 0; second < 256; second++) {
			const char text[] = { (char)first, (char)second };
			struct scan_value value;
			write_quoted(&out, (struct span){ text, sizeof(text) });
			assert_int_equal(scan_check(buf_span(&out), &value, NULL), 0);
			scan_decode_string(&back, value.text);
			if (first < 0x80 && second < 0x80)
				assert_true(span_eq(buf_span(&back), (struct span){ text, sizeof(text) }));
			buf_reset(&out);
			buf_reset(&back);
		}
	buf_fini(&out);
	buf_fini(&back);
}

static void puts_the_commas(void **state)
{
	struct buf out;
	(void)state;
	buf_init(&out, 1000);
	write_object_begin(&out, NULL);
	write_text(&out, "text", "x");
	write_text(&out, "none", NULL);
	write_string(&out, "empty", SPAN(""));
	write_string(&out, "absent", SPAN_NONE);
	write_object_begin(&out, "o");
	write_object_end(&out);
	write_array_begin(&out, "a");
	write_int(&out, NULL, 1);
	write_array_begin(&out, NULL);
	write_array_end(&out);
	write_object_begin(&out, NULL);
	write_bool(&out, "t", true);
	write_bool(&out, "f", false);
	write_object_end(&out);
	write_null(&out, NULL);
	write_text(&out, NULL, "{");
	write_text(&out, NULL, "[:,");
	write_double(&out, NULL, 2.5);
	write_array_end(&out);
	write_raw(&out, "r", SPAN("{ \"raw\" : [1] } \r\n"));
	write_raw(&out, "rn", SPAN_NONE);
	write_int(&out, "last", -7);
	write_object_end(&out);
	expect(&out, "{\"text\":\"x\",\"none\":null,\"empty\":\"\",\"absent\":null,\"o\":{},"
		     "\"a\":[1,[],{\"t\":true,\"f\":false},null,\"{\",\"[:,\",2.5],"
		     "\"r\":{ \"raw\" : [1] },\"rn\":null,\"last\":-7}");
	buf_fini(&out);
}

static void begins_a_document_after_a_line_feed(void **state)
{
	struct buf out;
	(void)state;
	buf_init(&out, 100);
	write_int(&out, NULL, 1);
	buf_add_char(&out, '\n');
	write_int(&out, NULL, 2);
	expect(&out, "1\n2");
	buf_fini(&out);
}

static void writes_integers(void **state)
{
	struct buf out;
	(void)state;
	buf_init(&out, 100);
	write_int(&out, NULL, INT64_MIN);
	expect(&out, "-9223372036854775808");
	write_int(&out, NULL, INT64_MAX);
	expect(&out, "9223372036854775807");
	buf_fini(&out);
}

static const struct {
	double value;
	const char *json;
} doubles[] = {
	{ 0, "0" },
	{ -0.0, "-0" },
	{ 1, "1" },
	{ 2.4, "2.4" },
	{ 0.1, "0.1" },
	{ -12.5, "-12.5" },
	{ 0.1 + 0.2, "0.30000000000000004" },
	{ 1.0 / 3, "0.3333333333333333" },
	{ 1e15, "1e+15" },
	{ 123456789012345678.0, "1.2345678901234568e+17" },
	{ 1e300, "1e+300" },
	{ DBL_MAX, "1.7976931348623157e+308" },
	{ DBL_MIN, "2.2250738585072014e-308" },
	{ 5e-324, "5e-324" },
	{ 1.5e-320, "1.5e-320" },
	{ INFINITY, "null" },
	{ -INFINITY, "null" },
	{ NAN, "null" },
};

static void writes_doubles(void **state)
{
	struct buf out;
	(void)state;
	buf_init(&out, 100);
	for (size_t i = 0; i < ARRAY_SIZE(doubles); i++) {
		struct scan_value value;
		double back;
		write_double(&out, NULL, doubles[i].value);
		assert_int_equal(scan_check(buf_span(&out), &value, NULL), 0);
		if (isfinite(doubles[i].value)) {
			assert_int_equal(scan_double(value, &back), 0);
			assert_memory_equal(&back, &doubles[i].value, sizeof(back));
		}
		expect(&out, doubles[i].json);
	}
	buf_fini(&out);
}

/* A program that asks for the user's language must not write his decimal comma. */
static void ignores_the_locale(void **state)
{
	static const char *const with_comma[] = { "de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "fr_FR" };
	bool set = false;
	for (size_t i = 0; i < ARRAY_SIZE(with_comma) && !set; i++)
		set = setlocale(LC_NUMERIC, with_comma[i]) != NULL;
	if (!set)
		skip();
	writes_doubles(state);
	setlocale(LC_NUMERIC, "C");
}

static void fails_with_the_buffer(void **state)
{
	struct buf out;
	(void)state;
	buf_init(&out, 8);
	write_array_begin(&out, NULL);
	write_text(&out, NULL, "much too long");
	write_array_end(&out);
	assert_false(buf_ok(&out));
	assert_true(out.len <= 8);
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quotes_what_must_be), cmocka_unit_test(quoted_text_always_parses),
		cmocka_unit_test(puts_the_commas),     cmocka_unit_test(begins_a_document_after_a_line_feed),
		cmocka_unit_test(writes_integers),     cmocka_unit_test(writes_doubles),
		cmocka_unit_test(ignores_the_locale),  cmocka_unit_test(fails_with_the_buffer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
