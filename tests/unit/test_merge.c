#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>

#include "json/merge.h"

#define PAIRS_MAX 4

/* The program's own reallocarray(), so that a test can have it fail: after so many calls, once. */
static int calls_until_failure = -1;

void *reallocarray(void *p, size_t count, size_t size)
{
	if (calls_until_failure >= 0 && calls_until_failure-- == 0)
		return NULL;
	return realloc(p, count * size);
}

static struct scan_value object_of(struct span json)
{
	struct scan_value value;
	if (scan_check(json, &value, NULL) < 0)
		fail_msg("not JSON: %.*s", SPAN_FMT(json));
	return value;
}

static size_t count_of(const struct merge_pair *pairs)
{
	size_t count = 0;
	while (count < PAIRS_MAX && pairs[count].key.p)
		count++;
	return count;
}

struct merging {
	const char *existing;
	struct merge_pair pairs[PAIRS_MAX];
	const char *merged; /* NULL: refused */
};

static void merge_all(const struct merging *cases, size_t count)
{
	struct buf out;
	buf_init(&out, 1000);
	for (size_t i = 0; i < count; i++) {
		const struct scan_value existing = object_of(span_of(cases[i].existing));
		buf_reset(&out);
		buf_add_char(&out, '#');
		const int r = merge_object(&out, existing, cases[i].pairs, count_of(cases[i].pairs));
		assert_true(buf_ok(&out));
		assert_int_equal(r, cases[i].merged ? 0 : -EINVAL);
		assert_int_equal(buf_text(&out)[0], '#');
		assert_string_equal(buf_text(&out) + 1, cases[i].merged ? cases[i].merged : "");
	}
	buf_fini(&out);
}

static void keeps_places_and_texts(void **state)
{
	const struct merging cases[] = {
		{ "{}", { { SPAN_NONE, SPAN_NONE } }, "{}" },
		{ "{}", { { SPAN("a"), SPAN("1") } }, "{\"a\":1}" },
		{ "{\"a\":1}", { { SPAN_NONE, SPAN_NONE } }, "{\"a\":1}" },
		{ "{\"a\":1,\"big\":18446744073709551616,\"transferTarget\":\"old\"}",
		  { { SPAN("transferTarget"), SPAN("\"new\"") }, { SPAN("handoffTrigger"), SPAN("true") } },
		  "{\"a\":1,\"big\":18446744073709551616,\"transferTarget\":\"new\",\"handoffTrigger\":true}" },
		/* new keys in the order of the pairs */
		{ "{\"m\":0}",
		  { { SPAN("z"), SPAN("1") }, { SPAN("a"), SPAN("2") }, { SPAN("mm"), SPAN("3") } },
		  "{\"m\":0,\"z\":1,\"a\":2,\"mm\":3}" },
		/* the later pair wins, in the place of the first */
		{ "{}",
		  { { SPAN("a"), SPAN("1") }, { SPAN("b"), SPAN("2") }, { SPAN("a"), SPAN("3") } },
		  "{\"a\":3,\"b\":2}" },
		{ "{\"x\":0,\"a\":0}",
		  { { SPAN("a"), SPAN("1") }, { SPAN("b"), SPAN("2") }, { SPAN("a"), SPAN("3") } },
		  "{\"x\":0,\"a\":3,\"b\":2}" },
		/* numbers and escapes that are not ours stay as they are written */
		{ "{\"n\":[-0,1.10,1E5,1e400,123456789012345678901234567890],\"s\":\"\\u00e9\\/\xc3\xa9\\u0000\"}",
		  { { SPAN("a"), SPAN("1") } },
		  "{\"n\":[-0,1.10,1E5,1e400,123456789012345678901234567890],\"s\":\"\\u00e9\\/\xc3\xa9\\u0000\","
		  "\"a\":1}" },
		{ "{\"o\":{ \"a\" : [ 1 , {} ] }}",
		  { { SPAN("a"), SPAN("1") } },
		  "{\"o\":{ \"a\" : [ 1 , {} ] },\"a\":1}" },
		/* white space between members goes, in values it stays */
		{ " { \"a\" : 1 ,\n\t\"b\" : [ 2 ] } ", { { SPAN("c"), SPAN("3") } }, "{\"a\":1,\"b\":[ 2 ],\"c\":3}" },
	};
	(void)state;
	merge_all(cases, ARRAY_SIZE(cases));
}

static void compares_keys_decoded(void **state)
{
	const struct merging cases[] = {
		/* a key is what it means, however it is spelled */
		{ "{\"\\u0076ar\":1,\"x\":2}", { { SPAN("var"), SPAN("9") } }, "{\"\\u0076ar\":9,\"x\":2}" },
		{ "{\"\\u0076ar\":1,\"va\":2}",
		  { { SPAN("vars"), SPAN("9") } },
		  "{\"\\u0076ar\":1,\"va\":2,\"vars\":9}" },
		{ "{\"\\\"\":1}", { { SPAN("\""), SPAN("2") } }, "{\"\\\"\":2}" },
		{ "{\"\\ud83d\\ude00\":1}", { { SPAN("\xf0\x9f\x98\x80"), SPAN("2") } }, "{\"\\ud83d\\ude00\":2}" },
		{ "{\"\xc3\xa9\":1}", { { SPAN("\xc3\xa9"), SPAN("2") } }, "{\"\xc3\xa9\":2}" },
		{ "{\"k\\u0000y\":1,\"k\\u0000z\":2,\"k\":3}",
		  { { SPAN("k\0z"), SPAN("9") } },
		  "{\"k\\u0000y\":1,\"k\\u0000z\":9,\"k\":3}" },
		{ "{\"\\u0000\":1}", { { SPAN(""), SPAN("2") } }, "{\"\\u0000\":1,\"\":2}" },
		{ "{\"\":1}", { { SPAN(""), SPAN("2") } }, "{\"\":2}" },
		{ "{}", { { SPAN("a\"\n\0"), SPAN("1") } }, "{\"a\\\"\\n\\u0000\":1}" },
	};
	(void)state;
	merge_all(cases, ARRAY_SIZE(cases));
}

static void refuses_and_descends_never(void **state)
{
	const struct merging cases[] = {
		/* only the members themselves, not those within them */
		{ "{\"a\":{\"b\":1}}", { { SPAN("b"), SPAN("2") } }, "{\"a\":{\"b\":1},\"b\":2}" },
		{ "{\"a\":{\"b\":1,\"b\":2}}", { { SPAN("b"), SPAN("2") } }, "{\"a\":{\"b\":1,\"b\":2},\"b\":2}" },
		{ "{\"a\":{\"b\":1}}", { { SPAN("a"), SPAN("{\"c\":2}") } }, "{\"a\":{\"c\":2}}" },
		/* two members of one key cannot be kept faithfully, not even when a pair overrides them */
		{ "{\"a\":1,\"a\":1}", { { SPAN_NONE, SPAN_NONE } }, NULL },
		{ "{\"a\":1,\"b\":2,\"\\u0061\":3}", { { SPAN("z"), SPAN("1") } }, NULL },
		{ "{\"a\":1,\"b\":2,\"a\":3}", { { SPAN("a"), SPAN("1") } }, NULL },
		{ "{\"\\u0000\":1,\"\\u0000\":2}", { { SPAN("a"), SPAN("1") } }, NULL },
		{ "[1]", { { SPAN("a"), SPAN("1") } }, NULL },
		{ "null", { { SPAN("a"), SPAN("1") } }, NULL },
	};
	(void)state;
	merge_all(cases, ARRAY_SIZE(cases));
}

static void takes_nothing_for_an_empty_object(void **state)
{
	const struct merge_pair pair = { SPAN("a"), SPAN("[]") };
	const struct scan_value nothing = { .text = SPAN_NONE };
	struct buf out;
	(void)state;
	buf_init(&out, 100);
	assert_int_equal(merge_object(&out, nothing, &pair, 1), 0);
	assert_string_equal(buf_text(&out), "{\"a\":[]}");
	buf_reset(&out);
	assert_int_equal(merge_object(&out, nothing, NULL, 0), 0);
	assert_string_equal(buf_text(&out), "{}");
	buf_fini(&out);
}

/* At every limit below the length it says so and leaves no half object behind. */
static void says_when_it_does_not_fit(void **state)
{
	static const char merged[] = "head{\"a\":1,\"b\":2}";
	const struct merge_pair pair = { SPAN("b"), SPAN("2") };
	(void)state;
	for (size_t limit = 4; limit < sizeof(merged); limit++) {
		struct buf out;
		buf_init(&out, limit);
		buf_add_text(&out, "head");
		const int r = merge_object(&out, object_of(SPAN("{\"a\":1}")), &pair, 1);
		assert_int_equal(r, limit < sizeof(merged) - 1 ? -EMSGSIZE : 0);
		assert_string_equal(buf_text(&out), r < 0 ? "head" : merged);
		buf_fini(&out);
	}
}

/* `members` of the form "kN":N (every third spelled with an escape), from `first` on. */
static void add_members(struct buf *out, size_t first, size_t members)
{
	for (size_t i = first; i < first + members; i++)
		buf_add_format(out, "%s\"%s%zu\":%zu", i > first ? "," : "", i % 3 == 0 ? "\\u006b" : "k", i, i);
}

/* More members than there is room for without allocation, and every other one of them overridden. */
static void merges_many(void **state)
{
	enum { MEMBERS = 5000, PAIRS = 80 };
	struct buf json, wanted, out;
	struct merge_pair pairs[PAIRS];
	char keys[PAIRS][24];
	(void)state;
	buf_init(&json, 1 << 20);
	buf_init(&wanted, 1 << 20);
	buf_init(&out, 1 << 20);
	buf_add_char(&json, '{');
	add_members(&json, 0, MEMBERS);
	buf_add_char(&json, '}');
	for (size_t i = 0; i < PAIRS; i++) {
		const int n = snprintf(keys[i], sizeof(keys[i]), "k%zu", MEMBERS - PAIRS / 2 + i);
		pairs[i] = (struct merge_pair){ { keys[i], (size_t)n }, SPAN("null") };
	}
	buf_add_char(&wanted, '{');
	add_members(&wanted, 0, MEMBERS - PAIRS / 2);
	for (size_t i = MEMBERS - PAIRS / 2; i < MEMBERS + PAIRS / 2; i++)
		buf_add_format(&wanted, ",\"%s%zu\":null", i < MEMBERS && i % 3 == 0 ? "\\u006b" : "k", i);
	buf_add_char(&wanted, '}');
	assert_int_equal(merge_object(&out, object_of(buf_span(&json)), pairs, PAIRS), 0);
	assert_string_equal(buf_text(&out), buf_text(&wanted));

	/* The last member repeats the first. */
	buf_cut(&json, json.len - 1);
	buf_add_text(&json, ",\"k0\":1}");
	buf_reset(&out);
	assert_int_equal(merge_object(&out, object_of(buf_span(&json)), pairs, PAIRS), -EINVAL);
	buf_fini(&json);
	buf_fini(&wanted);
	buf_fini(&out);
}

static void survives_lack_of_memory(void **state)
{
	const struct merge_pair pair = { SPAN("z"), SPAN("1") };
	struct buf json, out;
	int r = -ENOMEM;
	(void)state;
	buf_init(&json, 1 << 20);
	buf_init(&out, 1 << 20);
	buf_add_char(&json, '{');
	add_members(&json, 0, 1000);
	buf_add_char(&json, '}');
	for (int calls = 0; r == -ENOMEM; calls++) {
		assert_true(calls < 20);
		assert_int_equal(out.len, 0);
		calls_until_failure = calls;
		r = merge_object(&out, object_of(buf_span(&json)), &pair, 1);
		assert_true(r == 0 || calls_until_failure < 0);
	}
	assert_true(calls_until_failure > -1);
	calls_until_failure = -1;
	assert_int_equal(r, 0);
	buf_fini(&json);
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_places_and_texts),     cmocka_unit_test(compares_keys_decoded),
		cmocka_unit_test(refuses_and_descends_never), cmocka_unit_test(takes_nothing_for_an_empty_object),
		cmocka_unit_test(says_when_it_does_not_fit),  cmocka_unit_test(merges_many),
		cmocka_unit_test(survives_lack_of_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
