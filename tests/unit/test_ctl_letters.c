/* letters: each dead letter has one fate, and a circle of replays ends */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "ctl/letters.h"

#define FAILED_AT "1700000000000"

static const struct letters_filter everything = { .reason = REASON_COUNT };
static const struct letters_rule plain = { .most = 3 };

struct said {
	const char *id;
	const char *key;
	const char *replay; /* NULL: none */
	const char *reason;
	bool truncated;
};

static void take(struct letters *letters, const struct letters_filter *filter, struct said said)
{
	struct header headers[] = { { HDR_ID, span_of(said.id) },
				    { HDR_FAILED_AT, SPAN(FAILED_AT) },
				    { HDR_REASON, span_of(said.reason ? said.reason : "auth.rejected") },
				    { said.replay ? HDR_REPLAY : "x", span_of(said.replay) },
				    { said.truncated ? HDR_TRUNCATED : "y", SPAN("9") } };
	const struct record record = { .topic = "dlq",
				       .key = span_of(said.key),
				       .value = SPAN("{}"),
				       .headers = headers,
				       .header_count = ARRAY_SIZE(headers) };
	assert_int_equal(letters_take(letters, filter, &record), 0);
}

static void replayed(struct letters *letters, const char *id, const char *key, const char *number)
{
	struct header headers[] = { { HDR_ID, span_of(id) }, { HDR_REPLAY, span_of(number) } };
	const struct record record = {
		.topic = "requests", .key = span_of(key), .headers = headers, .header_count = ARRAY_SIZE(headers)
	};
	letters_replay(letters, &record);
}

static void test_a_letter_is_open_until_its_replay_is_seen(void **state)
{
	(void)state;
	struct letters letters = { 0 };
	take(&letters, &everything, (struct said){ .id = "h1", .key = "s1" });
	take(&letters, &everything, (struct said){ .id = "h2", .key = "s2" });
	take(&letters, &everything, (struct said){ .id = "h2", .key = "s3" }); /* another session's */
	replayed(&letters, "h2", "s2", "1");
	replayed(&letters, "h1", "s1", "0"); /* no replay */
	letters_judge(&letters, &plain);
	assert_int_equal(letters.items[0].fate, LETTER_OPEN);
	assert_int_equal(letters.items[1].fate, LETTER_REPLAYED);
	assert_int_equal(letters.items[2].fate, LETTER_OPEN);
	const struct letters_rule again = { .most = 3, .again = true };
	letters_judge(&letters, &again);
	assert_int_equal(letters.items[1].fate, LETTER_OPEN);
	letters_fini(&letters);
}

static void test_a_later_letter_proves_the_replay(void **state)
{
	(void)state;
	struct letters letters = { 0 };
	take(&letters, &everything, (struct said){ .id = "h", .key = "s", .replay = "1" });
	take(&letters, &everything, (struct said){ .id = "h", .key = "s" });
	letters_judge(&letters, &plain);
	assert_int_equal(letters.items[0].fate, LETTER_OPEN);
	assert_int_equal(letters.items[1].fate, LETTER_REPLAYED);
	letters_fini(&letters);
}

static void test_a_circle_ends(void **state)
{
	(void)state;
	struct letters letters = { 0 };
	take(&letters, &everything, (struct said){ .id = "h", .key = "s", .replay = "3" });
	take(&letters, &everything, (struct said){ .id = "i", .key = "s", .replay = "many" });
	letters_judge(&letters, &plain);
	assert_int_equal(letters.items[0].fate, LETTER_TOO_OFTEN);
	assert_int_equal(letters.items[1].fate, LETTER_TOO_OFTEN); /* who knows how often? */
	letters_fini(&letters);
}

static void test_what_cannot_be_sent_or_known(void **state)
{
	(void)state;
	struct letters letters = { 0 };
	take(&letters, &everything, (struct said){ .id = "h", .key = "s", .truncated = true });
	take(&letters, &everything, (struct said){ .id = "i", .key = NULL });
	const struct letters_rule cut = { .most = 3, .removed_before_ms = INT64_C(1700000000001) };
	letters_judge(&letters, &cut);
	assert_int_equal(letters.items[0].fate, LETTER_TRUNCATED);
	assert_int_equal(letters.items[1].fate, LETTER_UNSURE);
	const struct letters_rule whole = { .most = 3, .removed_before_ms = INT64_C(1700000000000) };
	letters_judge(&letters, &whole);
	assert_int_equal(letters.items[1].fate, LETTER_OPEN);
	letters_fini(&letters);
}

static void test_only_what_is_asked_for_is_kept(void **state)
{
	(void)state;
	struct letters letters = { 0 };
	const struct letters_filter one = { .id = "h1", .reason = REASON_AUTH_REJECTED };
	take(&letters, &one, (struct said){ .id = "h1", .key = "s" });
	take(&letters, &one, (struct said){ .id = "h1", .key = "s", .reason = "request.invalid" });
	take(&letters, &one, (struct said){ .id = "h2", .key = "s" });
	assert_int_equal(letters.count, 1);
	assert_int_equal(letters.seen, 3);
	letters_fini(&letters);
	take(&letters, &everything, (struct said){ .id = "h1", .key = "s", .reason = "of.another.version" });
	assert_int_equal(letters.items[0].reason, REASON_COUNT);
	letters_fini(&letters);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_letter_is_open_until_its_replay_is_seen),
		cmocka_unit_test(test_a_later_letter_proves_the_replay),
		cmocka_unit_test(test_a_circle_ends),
		cmocka_unit_test(test_what_cannot_be_sent_or_known),
		cmocka_unit_test(test_only_what_is_asked_for_is_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
