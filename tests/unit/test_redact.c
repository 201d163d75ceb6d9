/* redact: what of an error body may be stored */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "handoff/macros.h"
#include "rules/redact.h"

static const char *const keys[] = { "userId", "callerName", "phone" };

static void check(struct span text, const char *wanted, size_t max, bool wanted_cut)
{
	struct buf out;
	buf_init(&out, 65536);
	const bool cut = redact_text(&out, text, keys, ARRAY_SIZE(keys), max);
	if (strcmp(buf_text(&out), wanted) != 0 || cut != wanted_cut)
		fail_msg("%.*s: is %s (%s), not %s", SPAN_FMT(text), buf_text(&out), cut ? "cut" : "whole", wanted);
	buf_fini(&out);
}

struct example {
	const char *text;
	const char *redacted;
};

static void check_all(const struct example *table, size_t count)
{
	for (size_t i = 0; i < count; i++)
		check(span_of(table[i].text), table[i].redacted, 8192, false);
}

static void test_values_of_personal_keys(void **state)
{
	(void)state;
	static const struct example table[] = {
		{ "{\"phone\":\"0171 123\"}", "{\"phone\":\"***\"}" },
		{ "{ \"phone\" :\t\"0171\" , \"code\":7}", "{ \"phone\" :\t\"***\" , \"code\":7}" },
		{ "{\"PHONE\":1,\"Phone\":true,\"phone\":null}",
		  "{\"PHONE\":\"***\",\"Phone\":\"***\",\"phone\":\"***\"}" },
		{ "{\"\\u0070hon\\u0065\":\"0171\"}", "{\"\\u0070hon\\u0065\":\"***\"}" },
		{ "{\"a\":{\"b\":[{\"userId\":\"u\"}]}}", "{\"a\":{\"b\":[{\"userId\":\"***\"}]}}" },
		{ "{\"userId\":{\"x\":[\"}\",\"\\\"]\"]},\"b\":1}", "{\"userId\":\"***\",\"b\":1}" },
		{ "{\"userId\":[[1],[2]],\"b\":1}", "{\"userId\":\"***\",\"b\":1}" },
		{ "{\"phone\":\"a\\\"b\\\\\",\"b\":1}", "{\"phone\":\"***\",\"b\":1}" },
		{ "{\"phone\":-1.5e3}", "{\"phone\":\"***\"}" },
		{ "{\"phones\":\"x\",\"phon\":\"y\",\"telephone\":\"z\"}",
		  "{\"phones\":\"x\",\"phon\":\"y\",\"telephone\":\"z\"}" },
		{ "{\"a\":\"phone\",\"b\":\"c\"}", "{\"a\":\"phone\",\"b\":\"c\"}" },
		{ "[\"phone\",\"x\"]", "[\"phone\",\"x\"]" },
		{ "", "" },
		{ "plain text, no keys", "plain text, no keys" },
	};
	check_all(table, ARRAY_SIZE(table));
}

/* What was cut off or never was JSON must not show more than what is whole. */
static void test_broken_json(void **state)
{
	(void)state;
	static const struct example table[] = {
		{ "{\"phone\":\"0171 12", "{\"phone\":\"***\"" },
		{ "{\"phone\":{\"a\":\"0171", "{\"phone\":\"***\"" },
		{ "{\"phone\":", "{\"phone\":" },
		{ "{\"phone\"", "{\"phone\"" },
		{ "x\",\"phone\":\"0171\",\"b", "x\",\"phone\":\"***\",\"b" },
		{ "Error: {\"phone\":\"0171\"} (see log)", "Error: {\"phone\":\"***\"} (see log)" },
		{ "\"phone\":]", "\"phone\":]" },
		{ "{\"phone\\", "{\"phone\\" },
		{ "{\"\\u00", "{\"\\u00" },
		{ "{\"phone\":\\u0030171,\"b\":1}", "{\"phone\":\"***\",\"b\":1}" },
		{ "{\"phone\":\\n0171\\", "{\"phone\":\"***\"" },
		{ "{\\\"phone\\\":\\u002b47)56-\\\"", "{\\\"phone\\\":\\\"***\\\"\\\"" },
	};
	check_all(table, ARRAY_SIZE(table));
}

static void test_json_within_strings(void **state)
{
	(void)state;
	static const struct example table[] = {
		{ "{\"m\":\"{\\\"phone\\\":\\\"0171\\\",\\\"b\\\":1}\"}",
		  "{\"m\":\"{\\\"phone\\\":\\\"***\\\",\\\"b\\\":1}\"}" },
		{ "\"{\\\"phone\\\": \\\"a\\\\\\\"b\\\",\\\"c\\\":2}\"",
		  "\"{\\\"phone\\\": \\\"***\\\",\\\"c\\\":2}\"" },
		{ "\"{\\\"phone\\\":[\\\"1\\\"],\\\"c\\\":2}\"", "\"{\\\"phone\\\":\\\"***\\\",\\\"c\\\":2}\"" },
		{ "\"{\\\\\\\"phone\\\\\\\":\\\\\\\"0171\\\\\\\"}\"",
		  "\"{\\\\\\\"phone\\\\\\\":\\\\\\\"***\\\\\\\"}\"" },
		{ "\"{\\\"\\\\u0070hone\\\":1}\"", "\"{\\\"\\\\u0070hone\\\":\\\"***\\\"}\"" },
		{ "{\"m\":\"{\\\"phone\\\":\\\"017\",\"b\":\"c\"}",
		  "{\"m\":\"{\\\"phone\\\":\\\"***\\\"\",\"b\":\"c\"}" },
	};
	check_all(table, ARRAY_SIZE(table));
}

static void test_telephone_numbers_in_any_text(void **state)
{
	(void)state;
	static const struct example table[] = {
		{ "call +491711234567 now", "call *** now" },
		{ "call +49 (171) 123-45.67, please", "call ***, please" },
		{ "+1[555]1234567", "***" },
		{ "{\"to\":\"+491711234567\"}", "{\"to\":\"***\"}" },
		{ "{\"to\":\"\\u002B491711234567\"}", "{\"to\":\"***\"}" },
		{ "?to=%2B491711234567&x=1", "?to=***&x=1" },
		{ "+123456", "+123456" },
		{ "+1 2 3 4 5 6 7", "***" },
		{ "2026-11-24T10:00:00+01:00", "2026-11-24T10:00:00+01:00" },
		{ "a + b, +, + ( ) -", "a + b, +, + ( ) -" },
		{ "tel:112", "tel:***" },
		{ "tel:1tel:05", "tel:***tel:***" },
		{ "tel:+112", "tel:***" },
		{ "tel: +112 tel:", "tel: *** tel:" },
		{ "TEL: +49-30-1234;ext=5", "TEL: ***;ext=5" },
		{ "sip: tel:030", "sip: tel:***" },
		{ "hotel:5 tel: tel:x", "hotel:5 tel: tel:x" },
		{ "+491711234567+491711234568", "******" },
		{ "123456789012", "123456789012" },
	};
	check_all(table, ARRAY_SIZE(table));
}

static void test_cutting_comes_after_masking_and_on_a_character(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		size_t max;
		const char *redacted;
		bool cut;
	} table[] = {
		{ "abcdef", 6, "abcdef", false },
		{ "abcdef", 5, "abcde", true },
		{ "abc", 0, "", true },
		{ "", 0, "", false },
		{ "a\xc3\xa9z", 2, "a", true },
		{ "a\xc3\xa9z", 3, "a\xc3\xa9", true },
		{ "x +491711234567", 5, "x ***", false },
		{ "x +491711234567", 4, "x ", true },
		{ "x +491711234567 y", 5, "x ***", true },
		{ "{\"phone\":\"0123456789\"}", 14, "{\"phone\":\"***\"", true },
		{ "{\"phone\":\"0123456789\"}", 13, "{\"phone\":", true },
		{ "{\"phone\":\"0123456789\"}", 4, "{\"ph", true },
	};
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		check(span_of(table[i].text), table[i].redacted, table[i].max, table[i].cut);
}

static void test_what_comes_out_is_text(void **state)
{
	(void)state;
	check(SPAN("a\xff\xc3z"), "a\xef\xbf\xbd\xef\xbf\xbdz", 100, false);
	check(SPAN("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", 100, false);
	check(SPAN("a\0b"),
	      "a\xef\xbf\xbd"
	      "b",
	      100, false);
	check(SPAN("a\xff"), "a", 3, true);
	check(SPAN_NONE, "", 100, false);
}

static void test_it_appends(void **state)
{
	(void)state;
	struct buf out;
	buf_init(&out, 100);
	buf_add_text(&out, "before ");
	assert_true(redact_text(&out, SPAN("{\"phone\":1}"), NULL, 0, 5));
	assert_string_equal(buf_text(&out), "before {\"pho");
	assert_false(redact_text(&out, SPAN("ne\":1}"), NULL, 0, SIZE_MAX));
	assert_string_equal(buf_text(&out), "before {\"phone\":1}");
	buf_fini(&out);
}

static void test_credentials_whatever_the_keys(void **state)
{
	(void)state;
	static const struct example table[] = {
		{ "{\"headers\":{\"X-API-Key\":\"k\",\"Authorization\":\"Bearer t\",\"Host\":\"h\"}}",
		  "{\"headers\":{\"X-API-Key\":\"***\",\"Authorization\":\"***\",\"Host\":\"h\"}}" },
		{ "{\"URLToken\":\"u\",\"client_secret\":\"s\",\"access_token\":\"t\"}",
		  "{\"URLToken\":\"***\",\"client_secret\":\"***\",\"access_token\":\"***\"}" },
	};
	check_all(table, ARRAY_SIZE(table));
	struct buf out;
	buf_init(&out, 100);
	assert_false(redact_text(&out, SPAN("{\"x-api-key\":1}"), NULL, 0, SIZE_MAX));
	assert_string_equal(buf_text(&out), "{\"x-api-key\":\"***\"}");
	buf_fini(&out);
}

static void test_a_word(void **state)
{
	(void)state;
	static const struct {
		const char *text, *word, *left;
	} table[] = {
		{ "at /inject/secret-1 and secret-1", "secret-1", "at /inject/******** and ********" },
		{ "nothing of it", "secret-1", "nothing of it" },
		{ "cut in secret-", "secret-1", "cut in *******" },
		{ "cut in secre", "secret-1", "cut in secre" },
		{ "secret", "secret-1", "******" },
		{ "a b", "a", "a b" },
		{ "********", "******", "********" },
		{ "ababababab", "ababab", "******abab" },
		{ "", "secret-1", "" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		char text[64];
		snprintf(text, sizeof(text), "%s", table[i].text);
		redact_word(text, table[i].word);
		assert_string_equal(text, table[i].left);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values_of_personal_keys),
		cmocka_unit_test(test_credentials_whatever_the_keys),
		cmocka_unit_test(test_a_word),
		cmocka_unit_test(test_broken_json),
		cmocka_unit_test(test_json_within_strings),
		cmocka_unit_test(test_telephone_numbers_in_any_text),
		cmocka_unit_test(test_cutting_comes_after_masking_and_on_a_character),
		cmocka_unit_test(test_what_comes_out_is_text),
		cmocka_unit_test(test_it_appends),
	};
	return cmocka_run_group_tests_name("redact", tests, NULL, NULL);
}
