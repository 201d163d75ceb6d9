#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>

#include "base/text.h"

#define ALL_BYTES 256

static struct buf buf_of(void)
{
	struct buf b;
	buf_init(&b, 4096);
	return b;
}

static void percent_encodes(void **state)
{
	const struct {
		struct span raw;
		const char *encoded;
	} cases[] = {
		{ SPAN(""), "" },
		{ SPAN("AZaz09._~-"), "AZaz09._~-" },
		{ SPAN("a b/c?d=e&f#g%h+i:j@k"), "a%20b%2Fc%3Fd%3De%26f%23g%25h%2Bi%3Aj%40k" },
		{ SPAN("\0\x7f\xff\xc3\xa9"), "%00%7F%FF%C3%A9" },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct buf out = buf_of(), back = buf_of();
		text_percent_encode(&out, cases[i].raw);
		assert_string_equal(buf_text(&out), cases[i].encoded);
		assert_int_equal(text_percent_decode(&back, buf_span(&out)), 0);
		assert_true(span_eq(buf_span(&back), cases[i].raw));
		buf_fini(&out);
		buf_fini(&back);
	}
}

static void percent_decodes(void **state)
{
	const struct {
		struct span encoded;
		int r;
		struct span raw;
	} cases[] = {
		{ SPAN("%41%6a%6A"), 0, SPAN("Ajj") }, { SPAN("a+b"), 0, SPAN("a+b") },
		{ SPAN("%00"), 0, SPAN("\0") },        { SPAN("a%"), -EINVAL, SPAN("a") },
		{ SPAN("a%4"), -EINVAL, SPAN("a") },   { SPAN("a%4g"), -EINVAL, SPAN("a") },
		{ SPAN("a%g4"), -EINVAL, SPAN("a") },  { SPAN("%%41"), -EINVAL, SPAN("") },
		{ SPAN("% 41"), -EINVAL, SPAN("") },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct buf out = buf_of();
		/* The digit behind the end must not be taken for one of the sequence. */
		char text[16] = "0000000000000000";
		memcpy(text, cases[i].encoded.p, cases[i].encoded.n);
		assert_int_equal(text_percent_decode(&out, (struct span){ text, cases[i].encoded.n }), cases[i].r);
		assert_true(span_eq(buf_span(&out), cases[i].raw));
		buf_fini(&out);
	}
}

static void base64_codes(void **state)
{
	const struct {
		struct span raw;
		const char *encoded;
	} cases[] = {
		/* RFC 4648, section 10 */
		{ SPAN(""), "" },
		{ SPAN("f"), "Zg==" },
		{ SPAN("fo"), "Zm8=" },
		{ SPAN("foo"), "Zm9v" },
		{ SPAN("foob"), "Zm9vYg==" },
		{ SPAN("fooba"), "Zm9vYmE=" },
		{ SPAN("foobar"), "Zm9vYmFy" },
		{ SPAN("\xfb\xff\xbf"), "+/+/" },
		{ SPAN("\0\0\0\0"), "AAAAAA==" },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct buf out = buf_of(), back = buf_of();
		text_base64_encode(&out, cases[i].raw);
		assert_string_equal(buf_text(&out), cases[i].encoded);
		assert_int_equal(text_base64_decode(&back, buf_span(&out)), 0);
		assert_true(span_eq(buf_span(&back), cases[i].raw));
		buf_fini(&out);
		buf_fini(&back);
	}
}

static void base64_refuses_what_it_would_not_write(void **state)
{
	const struct span cases[] = {
		SPAN("Z"),      SPAN("Zg"),    SPAN("Zg="),      SPAN("Zg==="),    SPAN("="),
		SPAN("===="),   SPAN("Z==="),  SPAN("Zh=="),     SPAN("Zm9="),     SPAN("Zg==Zg=="),
		SPAN("Zm9v\n"), SPAN("Zm9v "), SPAN("Zm9v===="), SPAN("Zm9-"),     SPAN("Zm9_"),
		SPAN("Zm\0v"),  SPAN("Z=9v"),  SPAN("Zm=v"),     SPAN("Zm9v Zm9"), SPAN("\xff\xff\xff\xff"),
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct buf out = buf_of();
		buf_add_text(&out, "head");
		assert_int_equal(text_base64_decode(&out, cases[i]), -EINVAL);
		assert_string_equal(buf_text(&out), "head");
		buf_fini(&out);
	}
}

static void base64_keeps_every_byte(void **state)
{
	char bytes[ALL_BYTES];
	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)i;
	for (size_t n = 0; n <= sizeof(bytes); n++) {
		struct buf out = buf_of(), back = buf_of();
		text_base64_encode(&out, (struct span){ bytes, n });
		assert_int_equal(text_base64_decode(&back, buf_span(&out)), 0);
		assert_true(span_eq(buf_span(&back), (struct span){ bytes, n }));
		buf_fini(&out);
		buf_fini(&back);
	}
}

static void knows_a_uuid(void **state)
{
	static const struct {
		const char *text;
		bool is;
	} cases[] = {
		{ "a1b2c3d4-e5f6-7890-abcd-ef1234567890", true },  { "A1B2C3D4-E5F6-7890-ABCD-EF1234567890", true },
		{ "00000000-0000-0000-0000-000000000000", true },  { "", false },
		{ "a1b2c3d4-e5f6-7890-abcd-ef123456789", false },  { "a1b2c3d4-e5f6-7890-abcd-ef12345678901", false },
		{ "a1b2c3d4e5f6-7890-abcd-ef12345678901", false }, { "a1b2c3d4-e5f6-7890-abcd_ef1234567890", false },
		{ "a1b2c3d4-e5f6-7890-abcd-ef123456789g", false }, { "{1b2c3d4-e5f6-7890-abcd-ef1234567890", false },
		{ "a1b2c3d4-e5f6-7890-abcd-ef123456789-", false },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(text_is_uuid(span_of(cases[i].text)), cases[i].is);
}

static void makes_uuids(void **state)
{
	char first[37], second[37];
	(void)state;
	for (int i = 0; i < 100; i++) {
		text_uuid4(first);
		text_uuid4(second);
		assert_true(text_is_uuid(span_of(first)));
		assert_int_equal(first[14], '4');
		assert_non_null(strchr("89ab", first[19]));
		assert_string_not_equal(first, second);
	}
}

static void judges_utf8(void **state)
{
	const struct {
		struct span text;
		size_t first; /* bytes of the first character */
		bool all;
	} cases[] = {
		{ SPAN(""), 0, true },
		{ SPAN("a"), 1, true },
		{ SPAN("\0"), 1, true },
		{ SPAN("\x7f\xc2\x80"), 1, true },
		{ SPAN("\xdf\xbf"), 2, true },
		{ SPAN("\xe0\xa0\x80"), 3, true },
		{ SPAN("\xed\x9f\xbf"), 3, true },
		{ SPAN("\xee\x80\x80"), 3, true },
		{ SPAN("\xf0\x90\x80\x80"), 4, true },
		{ SPAN("\xf4\x8f\xbf\xbf"), 4, true },
		{ SPAN("a\xff"), 1, false },
		{ SPAN("\x80"), 0, false },
		{ SPAN("\xc0\x80"), 0, false },
		{ SPAN("\xc1\xbf"), 0, false },
		{ SPAN("\xc3"), 0, false },
		{ SPAN("\xc3("), 0, false },
		{ SPAN("\xe0\x9f\xbf"), 0, false },
		{ SPAN("\xe2\x82"), 0, false },
		{ SPAN("\xe2\x82("), 0, false },
		{ SPAN("\xed\xa0\x80"), 0, false },
		{ SPAN("\xf0\x8f\xbf\xbf"), 0, false },
		{ SPAN("\xf0\x90\x80"), 0, false },
		{ SPAN("\xf4\x90\x80\x80"), 0, false },
		{ SPAN("\xf8\x88\x80\x80\x80"), 0, false },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(text_utf8_next(cases[i].text), cases[i].first);
		assert_int_equal(text_is_utf8(cases[i].text), cases[i].all);
	}
}

/* Every code point, surrogates included, written by the definition of the encoding. */
static void accepts_exactly_the_scalar_values(void **state)
{
	(void)state;
	for (uint32_t code = 0; code < 0x120000; code++) {
		char c[4];
		const size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
		uint32_t rest = code;
		for (size_t i = n - 1; i > 0; i--, rest >>= 6)
			c[i] = (char)(0x80 | (rest & 0x3f));
		c[0] = (char)(n == 1 ? rest : (0xf00u >> n & 0xf0u) | rest);
		const bool scalar = code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
		if (text_utf8_next((struct span){ c, n }) != (scalar ? n : 0))
			fail_msg("U+%04X", code);
		if (n > 1)
			assert_int_equal(text_utf8_next((struct span){ c, n - 1 }), 0);
	}
}

static void knows_printable_and_control(void **state)
{
	(void)state;
	assert_true(text_is_printable_ascii(SPAN("")));
	assert_false(text_has_control(SPAN("")));
	for (unsigned byte = 0; byte < ALL_BYTES; byte++) {
		const char text[] = { 'a', (char)byte, 'b' };
		const struct span s = { text, sizeof(text) };
		assert_int_equal(text_is_printable_ascii(s), byte >= 0x20 && byte <= 0x7e);
		assert_int_equal(text_has_control(s), byte < 0x20 || byte == 0x7f);
	}
}

static void parses_int64(void **state)
{
	const struct {
		struct span text;
		int r;
		int64_t value;
	} cases[] = {
		{ SPAN("0"), 0, 0 },
		{ SPAN("7"), 0, 7 },
		{ SPAN("-7"), 0, -7 },
		{ SPAN("9223372036854775807"), 0, INT64_MAX },
		{ SPAN("-9223372036854775808"), 0, INT64_MIN },
		{ SPAN("9223372036854775808"), -ERANGE, 99 },
		{ SPAN("-9223372036854775809"), -ERANGE, 99 },
		{ SPAN("18446744073709551616"), -ERANGE, 99 },
		{ SPAN("100000000000000000000000000"), -ERANGE, 99 },
		{ SPAN(""), -EINVAL, 99 },
		{ SPAN_NONE, -EINVAL, 99 },
		{ SPAN("-"), -EINVAL, 99 },
		{ SPAN("+1"), -EINVAL, 99 },
		{ SPAN("01"), -EINVAL, 99 },
		{ SPAN("-01"), -EINVAL, 99 },
		{ SPAN("-0"), -EINVAL, 99 },
		{ SPAN("00"), -EINVAL, 99 },
		{ SPAN(" 1"), -EINVAL, 99 },
		{ SPAN("1 "), -EINVAL, 99 },
		{ SPAN("1\0"), -EINVAL, 99 },
		{ SPAN("1.0"), -EINVAL, 99 },
		{ SPAN("1e3"), -EINVAL, 99 },
		{ SPAN("0x1"), -EINVAL, 99 },
		{ SPAN("--1"), -EINVAL, 99 },
		{ SPAN("100000000000000000000000000x"), -EINVAL, 99 },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t value = 99;
		assert_int_equal(text_parse_int64(cases[i].text, &value), cases[i].r);
		assert_int_equal(value, cases[i].value);
	}
}

static void parses_rfc3339(void **state)
{
	static const struct {
		const char *text;
		int64_t unix_ms;
	} cases[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "1970-01-01t00:00:00z", 0 },
		{ "1970-01-01T00:00:00.001Z", 1 },
		{ "1969-12-31T23:59:59.999Z", -1 },
		{ "1970-01-01T00:00:00.9999999999Z", 999 },
		{ "1970-01-01T00:00:00.1Z", 100 },
		{ "1970-01-01T00:00:00.00000Z", 0 },
		{ "2026-11-24T10:00:00.123Z", 1795514400123 },
		{ "2026-11-24T11:00:00.123+01:00", 1795514400123 },
		{ "2026-11-24T00:30:00.123-09:30", 1795514400123 },
		{ "2026-11-25T09:59:00.123+23:59", 1795514400123 },
		{ "2026-11-24T10:00:00.123-00:00", 1795514400123 },
		{ "2000-02-29T00:00:00Z", 951782400000 },
		{ "2024-02-29T23:59:59Z", 1709251199000 },
		{ "0000-01-01T00:00:00Z", -62167219200000 },
		{ "0000-02-29T00:00:00Z", -62162121600000 },
		{ "9999-12-31T23:59:59.999Z", 253402300799999 },
		/* RFC 3339, section 5.8 */
		{ "1985-04-12T23:20:50.52Z", 482196050520 },
		{ "1996-12-19T16:39:57-08:00", 851042397000 },
		{ "1990-12-31T23:59:60Z", 662688000000 },
		{ "1990-12-31T15:59:60-08:00", 662688000000 },
		{ "1937-01-01T12:00:27.87+00:20", -1041337172130 },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t unix_ms = 99;
		if (text_parse_rfc3339(span_of(cases[i].text), &unix_ms) < 0 || unix_ms != cases[i].unix_ms)
			fail_msg("%s became %lld", cases[i].text, (long long)unix_ms);
		for (size_t n = 0; n < strlen(cases[i].text); n++)
			assert_int_equal(text_parse_rfc3339((struct span){ cases[i].text, n }, &unix_ms), -EINVAL);
	}
}

static void refuses_other_times(void **state)
{
	static const char *const cases[] = {
		"2026-11-24",
		"2026-11-24T10:00:00",
		"2026-11-24 10:00:00Z",
		"2026-11-24T10:00Z",
		"2026-11-24T10:00:00.Z",
		"2026-11-24T10:00:00,5Z",
		"2026-11-24T10:00:00Zx",
		"2026-11-24T10:00:00Z ",
		" 2026-11-24T10:00:00Z",
		"2026-11-24T10:00:00+0100",
		"2026-11-24T10:00:00+01",
		"2026-11-24T10:00:00+24:00",
		"2026-11-24T10:00:00+01:60",
		"2026-11-24T10:00:00+1:00",
		"2026-11-24T24:00:00Z",
		"2026-11-24T10:60:00Z",
		"2026-11-24T10:00:61Z",
		"2026-11-24T10:00:60Z", /* no leap second here */
		"2026-11-24T23:59:60+01:00",
		"2026-13-01T00:00:00Z",
		"2026-00-01T00:00:00Z",
		"2026-11-00T00:00:00Z",
		"2026-11-31T00:00:00Z",
		"2026-12-32T00:00:00Z",
		"2026-02-29T00:00:00Z",
		"1900-02-29T00:00:00Z",
		"2026-1-24T10:00:00Z",
		"026-11-24T10:00:00Z",
		"12026-11-24T10:00:00Z",
		"-026-11-24T10:00:00Z",
		"+026-11-24T10:00:00Z",
		"20261124T100000Z",
		"2026-11-24T10:00:00.-1Z",
		"1795514400123",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t unix_ms = 99;
		if (text_parse_rfc3339(span_of(cases[i]), &unix_ms) != -EINVAL || unix_ms != 99)
			fail_msg("%s was accepted", cases[i]);
	}
}

static void writes_rfc3339(void **state)
{
	static const struct {
		int64_t unix_ms;
		const char *text;
	} cases[] = {
		{ 0, "1970-01-01T00:00:00.000Z" },
		{ 1795514400123, "2026-11-24T10:00:00.123Z" },
		{ -1, "1969-12-31T23:59:59.999Z" },
		{ 951782400000, "2000-02-29T00:00:00.000Z" },
		{ 253402300799999, "9999-12-31T23:59:59.999Z" },
		{ 253402300800000, "9999-12-31T23:59:59.999Z" },
		{ INT64_MAX, "9999-12-31T23:59:59.999Z" },
		{ -62167219200000, "0000-01-01T00:00:00.000Z" },
		{ -62167219200001, "0000-01-01T00:00:00.000Z" },
		{ INT64_MIN, "0000-01-01T00:00:00.000Z" },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct buf out = buf_of();
		text_add_rfc3339(&out, cases[i].unix_ms);
		assert_string_equal(buf_text(&out), cases[i].text);
		buf_fini(&out);
	}
}

/* One millisecond before the next day. */
static void check_day(int year, int month, int day, int64_t unix_ms)
{
	char text[25], wanted[64];
	int64_t back;
	text_rfc3339(text, unix_ms);
	snprintf(wanted, sizeof(wanted), "%04d-%02d-%02dT23:59:59.999Z", year, month, day);
	assert_string_equal(text, wanted);
	assert_int_equal(text_parse_rfc3339(span_of(text), &back), 0);
	assert_int_equal(back, unix_ms);
}

/* The first and the last day of every month of ten thousand years, by the calendar as people count it. */
static void counts_every_month(void **state)
{
	static const int days_in[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	const int64_t day = 86400000;
	int64_t unix_ms = -62167219200000 + day - 1;
	(void)state;
	for (int year = 0; year <= 9999; year++)
		for (int month = 1; month <= 12; month++) {
			const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
			const int days = days_in[month - 1] + (month == 2 && leap ? 1 : 0);
			check_day(year, month, 1, unix_ms);
			check_day(year, month, days, unix_ms + (days - 1) * day);
			unix_ms += days * day;
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(percent_encodes),
		cmocka_unit_test(percent_decodes),
		cmocka_unit_test(base64_codes),
		cmocka_unit_test(base64_refuses_what_it_would_not_write),
		cmocka_unit_test(base64_keeps_every_byte),
		cmocka_unit_test(knows_a_uuid),
		cmocka_unit_test(makes_uuids),
		cmocka_unit_test(judges_utf8),
		cmocka_unit_test(accepts_exactly_the_scalar_values),
		cmocka_unit_test(knows_printable_and_control),
		cmocka_unit_test(parses_int64),
		cmocka_unit_test(parses_rfc3339),
		cmocka_unit_test(refuses_other_times),
		cmocka_unit_test(writes_rfc3339),
		cmocka_unit_test(counts_every_month),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
