/* dedupe: what was seen, from where, and for how long */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "dice.h"
#include "rules/dedupe.h"
#include "torture.h"

static struct origin at(const char *topic, int32_t partition, int64_t offset)
{
	struct origin origin = { .partition = partition, .offset = offset };
	snprintf(origin.topic, sizeof(origin.topic), "%s", topic);
	return origin;
}

static void test_what_makes_a_duplicate(void **state)
{
	(void)state;
	static const struct {
		const char *tenant, *session, *id, *topic;
		int32_t partition;
		int64_t offset;
		bool seen;
	} cases[] = {
		{ "acme", "s1", "h1", "t", 3, 7, false },
		{ "acme", "s1", "h1", "t", 3, 7, false }, /* a redelivery */
		{ "acme", "s1", "h1", "t", 3, 8, true },
		{ "acme", "s1", "h1", "t", 4, 7, true },
		{ "acme", "s1", "h1", "u", 3, 7, true },
		{ "acme", "s1", "h1", "t", 3, 7, false }, /* the first one stays the first */
		{ "acme", "s1", "h2", "t", 3, 9, false },
		{ "acme", "s2", "h1", "t", 3, 10, false },
		{ "else", "s1", "h1", "t", 3, 11, false },
		{ NULL, "s1", "h1", "t", 3, 12, false },
		{ "", "s1", "h1", "t", 3, 13, true }, /* NULL is "" */
		{ "a", "bc", "d", "t", 3, 14, false },
		{ "ab", "c", "d", "t", 3, 15, false }, /* the fields do not run into each other */
		{ NULL, NULL, NULL, "t", 3, 16, false },
	};
	struct dedupe *d = dedupe_new(100, 1000);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		/* The strings are copied: whoever asks may free them. */
		char session[8] = "", id[8] = "";
		snprintf(session, sizeof(session), "%s", cases[i].session ? cases[i].session : "");
		snprintf(id, sizeof(id), "%s", cases[i].id ? cases[i].id : "");
		const struct origin origin = at(cases[i].topic, cases[i].partition, cases[i].offset);
		if (dedupe_seen(d, cases[i].tenant, session, id, &origin, 50) != cases[i].seen)
			fail_msg("case %zu", i);
	}
	assert_int_equal(dedupe_count(d), 8);
	dedupe_free(d);
}

static bool seen(struct dedupe *d, const char *id, int64_t offset, usec_t now)
{
	const struct origin origin = at("t", 0, offset);
	return dedupe_seen(d, "acme", "s", id, &origin, now);
}

static void test_old_ones_are_forgotten(void **state)
{
	(void)state;
	struct dedupe *d = dedupe_new(100, 1000);
	assert_false(seen(d, "a", 1, 10));
	assert_false(seen(d, "b", 2, 500));
	assert_true(seen(d, "a", 3, 1010));  /* as old as it may be */
	assert_false(seen(d, "a", 3, 1011)); /* age counts from the first sight */
	assert_int_equal(dedupe_count(d), 2);
	assert_true(seen(d, "b", 9, 1011));
	assert_true(seen(d, "a", 1, 1012));
	assert_false(seen(d, "c", 4, 99999));
	assert_int_equal(dedupe_count(d), 1);
	dedupe_free(d);
}

static void test_capacity(void **state)
{
	(void)state;
	struct dedupe *d = dedupe_new(2, 1000);
	assert_false(seen(d, "a", 1, 0));
	assert_false(seen(d, "b", 2, 0));
	assert_false(seen(d, "c", 3, 0));
	assert_int_equal(dedupe_count(d), 2);
	assert_true(seen(d, "b", 9, 0));
	assert_true(seen(d, "c", 9, 0));
	assert_false(seen(d, "a", 9, 0)); /* the oldest had to go */
	dedupe_free(d);

	d = dedupe_new(0, 1000);
	assert_false(seen(d, "a", 1, 0));
	assert_false(seen(d, "a", 2, 0));
	assert_int_equal(dedupe_count(d), 0);
	assert_null(dedupe_free(d));
	assert_null(dedupe_free(NULL));
}

static void test_out_of_memory_remembers_nothing(void **state)
{
	(void)state;
	if (!torture_works())
		skip();
	for (long n = 0;; n++) {
		struct dedupe *d = dedupe_new(1, 1000);
		assert_false(seen(d, "old", 1, 0));
		torture_after(n);
		assert_false(seen(d, "new", 2, 0));
		const bool struck = torture_end();
		assert_int_equal(dedupe_count(d), 1);
		assert_int_equal(seen(d, "old", 3, 0), struck);
		dedupe_free(d);
		if (!struck)
			break;
		assert_true(n < 3);
	}
	torture_after(0);
	assert_null(dedupe_new(1, 1));
	torture_end();
}

/* ---- the model: a list, searched from one end to the other ---- */

#define IDS      60
#define CAPACITY 20
#define MAX_AGE  200

struct sight {
	int id;
	int64_t offset;
	usec_t at;
};

static struct sight sights[CAPACITY + 1];
static size_t sight_count;

static void model_forget(void)
{
	sight_count--;
	memmove(&sights[0], &sights[1], sight_count * sizeof(sights[0]));
}

static bool model_seen(int id, int64_t offset, usec_t now)
{
	while (sight_count > 0 && now - sights[0].at > MAX_AGE)
		model_forget();
	for (size_t i = 0; i < sight_count; i++)
		if (sights[i].id == id)
			return sights[i].offset != offset;
	sights[sight_count++] = (struct sight){ id, offset, now };
	if (sight_count > CAPACITY)
		model_forget();
	return false;
}

static void test_model(void **state)
{
	(void)state;
	struct dice dice = { 8 };
	struct dedupe *d = dedupe_new(CAPACITY, MAX_AGE);
	usec_t now = 0;
	for (int n = 0; n < 20000; n++) {
		now += dice_chance(&dice, 2) ? dice_below(&dice, 300) : dice_below(&dice, 8);
		const int id = (int)dice_below(&dice, IDS);
		const int64_t offset = dice_below(&dice, 3);
		char name[16];
		snprintf(name, sizeof(name), "h-%d", id);
		assert_int_equal(seen(d, name, offset, now), model_seen(id, offset, now));
		assert_int_equal(dedupe_count(d), sight_count);
	}
	dedupe_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_makes_a_duplicate),
		cmocka_unit_test(test_old_ones_are_forgotten),
		cmocka_unit_test(test_capacity),
		cmocka_unit_test(test_out_of_memory_remembers_nothing),
		cmocka_unit_test(test_model),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
