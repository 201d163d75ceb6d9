/* offsets against a table of small stories, and against an array that knows no bits */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "dice.h"
#include "rules/offsets.h"
#include "torture.h"

/* ---- stories ---- */

enum verb { OPEN, DONE, REACH, PRELOAD };

struct step {
	enum verb verb;
	int64_t offset;
	int64_t to; /* PRELOAD */
	int result;
	int64_t base, next, limit;
	size_t open;
};

struct story {
	const char *name;
	int64_t start;
	size_t window;
	struct step steps[12];
	size_t count;
};

#define STORY(name, start, window, ...)                                                                                \
	{                                                                                                              \
		name, start, window, { __VA_ARGS__ }, sizeof((struct step[]){ __VA_ARGS__ }) / sizeof(struct step)     \
	}

static const struct story stories[] = {
	STORY("in order", 7, 100, { OPEN, 7, 0, 0, 7, 8, 8, 1 }, { OPEN, 8, 0, 0, 7, 9, 9, 2 },
	      { DONE, 7, 0, 0, 8, 9, 9, 1 }, { DONE, 8, 0, 0, 9, 9, 9, 0 }),
	STORY("the successor does not pass its predecessor", 0, 100, { OPEN, 0, 0, 0, 0, 1, 1, 1 },
	      { OPEN, 1, 0, 0, 0, 2, 2, 2 }, { DONE, 1, 0, 0, 0, 2, 2, 1 }, { DONE, 0, 0, 0, 2, 2, 2, 0 }),
	STORY("a gap counts as done", 10, 100, { OPEN, 10, 0, 0, 10, 11, 11, 1 }, { OPEN, 15, 0, 0, 10, 16, 16, 2 },
	      { DONE, 10, 0, 0, 15, 16, 16, 1 }, { OPEN, 12, 0, -EEXIST, 15, 16, 16, 1 },
	      { DONE, 15, 0, 0, 16, 16, 16, 0 }),
	STORY("a gap before the first record moves the base", 10, 4, { OPEN, 5000, 0, 0, 5000, 5001, 5001, 1 },
	      { DONE, 5000, 0, 0, 5001, 5001, 5001, 0 }),
	STORY("a transaction marker at the end of an idle partition", 0, 8, { OPEN, 0, 0, 0, 0, 1, 1, 1 },
	      { DONE, 0, 0, 0, 1, 1, 1, 0 }, { REACH, 2, 0, 0, 2, 2, 2, 0 }, { REACH, 1, 0, 0, 2, 2, 2, 0 },
	      { REACH, 1000000, 0, 0, 1000000, 1000000, 1000000, 0 }),
	STORY("a marker behind an open record", 0, 8, { OPEN, 0, 0, 0, 0, 1, 1, 1 }, { REACH, 5, 0, 0, 0, 5, 5, 1 },
	      { OPEN, 3, 0, -EEXIST, 0, 5, 5, 1 }, { DONE, 0, 0, 0, 5, 5, 5, 0 }),
	STORY("the window is full, then it is not", 0, 4, { OPEN, 0, 0, 0, 0, 1, 1, 1 }, { OPEN, 3, 0, 0, 0, 4, 4, 2 },
	      { OPEN, 4, 0, -E2BIG, 0, 4, 4, 2 }, { REACH, 5, 0, -E2BIG, 0, 4, 4, 2 }, { REACH, 4, 0, 0, 0, 4, 4, 2 },
	      { DONE, 0, 0, 0, 3, 4, 4, 1 }, { OPEN, 4, 0, 0, 3, 5, 5, 2 }),
	STORY("the same offset twice", 0, 4, { OPEN, 0, 0, 0, 0, 1, 1, 1 }, { OPEN, 0, 0, -EALREADY, 0, 1, 1, 1 },
	      { DONE, 0, 0, 0, 1, 1, 1, 0 }, { OPEN, 0, 0, -EEXIST, 1, 1, 1, 0 }),
	STORY("a loaded map: what is done is skipped, what lies between is delivered", 100, 50,
	      { PRELOAD, 103, 105, 0, 100, 100, 105, 0 }, { PRELOAD, 107, 108, 0, 100, 100, 108, 0 },
	      { OPEN, 100, 0, 0, 100, 101, 108, 1 }, { OPEN, 101, 0, 0, 100, 102, 108, 2 },
	      { DONE, 100, 0, 0, 101, 102, 108, 1 }, { OPEN, 103, 0, -EEXIST, 101, 104, 108, 1 },
	      { DONE, 101, 0, 0, 104, 104, 108, 0 }, { OPEN, 104, 0, -EEXIST, 105, 105, 108, 0 },
	      { OPEN, 106, 0, 0, 106, 107, 108, 1 }, { OPEN, 107, 0, -EEXIST, 106, 108, 108, 1 },
	      { OPEN, 108, 0, 0, 106, 109, 109, 2 }, { DONE, 106, 0, 0, 108, 109, 109, 1 }),
	STORY("a loaded map is within the window or nowhere", 100, 50, { PRELOAD, 149, 150, 0, 100, 100, 150, 0 },
	      { PRELOAD, 149, 151, -E2BIG, 100, 100, 150, 0 }, { PRELOAD, 120, 120, 0, 100, 100, 150, 0 }),
	STORY("a jump over a loaded map forgets it", 0, 200, { PRELOAD, 100, 130, 0, 0, 0, 130, 0 },
	      { OPEN, 120, 0, -EEXIST, 121, 121, 130, 0 }, { OPEN, 1024, 0, 0, 1024, 1025, 1025, 1 },
	      { OPEN, 1130, 0, 0, 1024, 1131, 1131, 2 }, { DONE, 1024, 0, 0, 1130, 1131, 1131, 1 }),
	STORY("offsets that no topic reaches", 0, 4, { OPEN, INT64_MAX, 0, -E2BIG, 0, 0, 0, 0 },
	      { REACH, INT64_MAX, 0, -E2BIG, 0, 0, 0, 0 }, { PRELOAD, 1, INT64_MAX, -E2BIG, 0, 0, 0, 0 }),
};

static int perform(struct offsets *o, const struct step *step)
{
	switch (step->verb) {
	case OPEN:
		return offsets_open(o, step->offset);
	case DONE:
		offsets_done(o, step->offset);
		return 0;
	case REACH:
		return offsets_reach(o, step->offset);
	case PRELOAD:
		return offsets_preload(o, step->offset, step->to);
	}
	return -EINVAL;
}

static void test_stories(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(stories) / sizeof(stories[0]); i++) {
		const struct story *story = &stories[i];
		struct offsets *o = offsets_new(story->start, story->window);
		assert_non_null(o);
		for (size_t k = 0; k < story->count; k++) {
			const struct step *s = &story->steps[k];
			const int r = perform(o, s);
			if (r != s->result || offsets_base(o) != s->base || offsets_next(o) != s->next ||
			    offsets_limit(o) != s->limit || offsets_open_count(o) != s->open)
				fail_msg("%s, step %zu: %d base %lld next %lld limit %lld open %zu", story->name, k, r,
					 (long long)offsets_base(o), (long long)offsets_next(o),
					 (long long)offsets_limit(o), offsets_open_count(o));
		}
		offsets_free(o);
	}
}

/* ---- the model: one byte an offset, every question answered by looking at all of them ---- */

#define UNIVERSE 20000

struct model {
	char state[UNIVERSE]; /* ' ' never seen, 'o' open, 'd' done, 'p' preloaded */
	int64_t next;
	int64_t window;
};

static struct model model;

static int64_t model_base(int64_t origin)
{
	for (int64_t i = origin; i < model.next; i++)
		if (model.state[i] == 'o')
			return i;
	return model.next;
}

static int64_t model_limit(int64_t base)
{
	int64_t limit = model.next;
	for (int64_t i = model.next; i < UNIVERSE && i <= base + model.window; i++)
		if (model.state[i] == 'p')
			limit = i + 1;
	return limit;
}

static size_t model_open_count(int64_t base)
{
	size_t count = 0;
	for (int64_t i = base; i < model.next; i++)
		count += model.state[i] == 'o';
	return count;
}

static void model_pass(int64_t end)
{
	for (; model.next < end; model.next++)
		model.state[model.next] = 'd';
}

static bool model_fits(int64_t base, int64_t end)
{
	return base == model.next || end - base <= model.window;
}

static int model_open(int64_t base, int64_t offset)
{
	if (offset < model.next)
		return model.state[offset] == 'o' ? -EALREADY : -EEXIST;
	if (model.state[offset] == 'p') {
		model_pass(offset + 1);
		return -EEXIST;
	}
	if (!model_fits(base, offset + 1))
		return -E2BIG;
	model_pass(offset + 1);
	model.state[offset] = 'o';
	return 0;
}

static int model_reach(int64_t base, int64_t end)
{
	if (end <= model.next)
		return 0;
	if (!model_fits(base, end))
		return -E2BIG;
	model_pass(end);
	return 0;
}

static bool model_is_done(int64_t offset)
{
	return model.state[offset] == 'd' || model.state[offset] == 'p';
}

static void check_bits(const struct offsets *o, int64_t from)
{
	uint64_t expected = 0;
	for (int i = 0; i < 64; i++)
		expected |= (uint64_t)(from + i < UNIVERSE && model_is_done(from + i)) << i;
	assert_int_equal(offsets_bits(o, from), expected);
}

static void check_runs(const struct offsets *o)
{
	const int64_t limit = offsets_limit(o);
	bool done;
	for (int64_t at = offsets_base(o), end; at < limit; at = end) {
		end = offsets_run(o, at, &done);
		assert_true(end > at && end <= limit);
		for (int64_t i = at; i < end; i++)
			assert_int_equal(model_is_done(i), done);
		assert_true(end == limit || model_is_done(end) != done);
	}
	assert_int_equal(offsets_run(o, limit, &done), limit);
	assert_false(done);
}

/* A random open offset, or -1. */
static int64_t pick_open(struct dice *dice, int64_t base)
{
	if (base == model.next)
		return -1;
	int64_t at = dice_chance(dice, 30) ? base : base + dice_below(dice, model.next - base);
	while (model.state[at] != 'o')
		at = at + 1 < model.next ? at + 1 : base;
	return at;
}

static void random_preload(struct dice *dice, struct offsets *o, int64_t start)
{
	for (int64_t n = dice_below(dice, 6); n > 0; n--) {
		const int64_t from = start + dice_below(dice, model.window);
		const int64_t to = from + dice_below(dice, start + model.window - from + 1);
		assert_int_equal(offsets_preload(o, from, to), 0);
		for (int64_t i = from; i < to; i++)
			model.state[i] = 'p';
	}
}

static void random_step(struct dice *dice, struct offsets *o, int64_t base)
{
	const int64_t kind = dice_below(dice, 100);
	/* Mostly the next offset, now and then a gap, a repetition, or one beyond the window. */
	const int64_t jump = dice_chance(dice, 80) ? 0 : dice_below(dice, dice_chance(dice, 10) ? 200 : 6) - 2;
	int64_t offset = model.next + jump;
	if (offset < base)
		offset = base;
	if (kind < 50) {
		assert_int_equal(offsets_open(o, offset), model_open(base, offset));
	} else if (kind < 55) {
		assert_int_equal(offsets_reach(o, offset), model_reach(base, offset));
	} else {
		const int64_t open = pick_open(dice, base);
		if (open < 0)
			return;
		offsets_done(o, open);
		model.state[open] = 'd';
	}
}

/* One life of a partition; returns how many operations it lasted. */
static int random_life(struct dice *dice, int64_t operations)
{
	const int64_t start = dice_below(dice, 1000);
	memset(model.state, ' ', sizeof(model.state));
	memset(model.state, 'd', (size_t)start);
	model.next = start;
	model.window = 1 + dice_below(dice, dice_chance(dice, 20) ? 3000 : 150);
	struct offsets *o = offsets_new(start, (size_t)model.window);
	assert_non_null(o);
	random_preload(dice, o, start);
	int64_t base = start;
	int n = 0;
	for (; n < operations && model.next < UNIVERSE - 4000; n++) {
		random_step(dice, o, base);
		base = model_base(base);
		const int64_t limit = model_limit(base);
		assert_int_equal(offsets_base(o), base);
		assert_int_equal(offsets_next(o), model.next);
		assert_int_equal(offsets_limit(o), limit);
		assert_int_equal(offsets_open_count(o), model_open_count(base));
		const int64_t any = base > 70 ? base - 70 + dice_below(dice, limit - base + 140) : base;
		assert_int_equal(offsets_is_done(o, any), model_is_done(any));
		check_bits(o, base + dice_below(dice, limit - base + 70));
		if (n % 16 == 0)
			check_runs(o);
	}
	offsets_free(o);
	return n;
}

static void test_model(void **state)
{
	(void)state;
	struct dice dice = { 20240611 };
	for (int operations = 0; operations < 100000;)
		operations += random_life(&dice, 50 + dice_below(&dice, 2000));
}

static void test_a_full_window_of_holes(void **state)
{
	(void)state;
	const int64_t start = INT64_C(1) << 40, window = 1000000;
	struct offsets *o = offsets_new(start, (size_t)window);
	for (int64_t i = 0; i < window; i++)
		assert_int_equal(offsets_open(o, start + i), 0);
	assert_int_equal(offsets_open(o, start + window), -E2BIG);
	for (int64_t i = window - 1; i >= 0; i -= 2)
		offsets_done(o, start + i);
	assert_int_equal(offsets_base(o), start);
	for (int64_t i = 0; i < window; i += 2) {
		offsets_done(o, start + i);
		assert_int_equal(offsets_base(o), start + i + 2);
	}
	assert_int_equal(offsets_open_count(o), 0);
	offsets_free(o);
}

static void test_out_of_memory_changes_nothing(void **state)
{
	(void)state;
	if (!torture_works())
		skip();
	torture_after(0);
	struct offsets *o = offsets_new(0, 100000);
	assert_true(torture_end());
	assert_null(o);
	torture_after(1);
	o = offsets_new(0, 100000);
	assert_true(torture_end());
	assert_null(o);

	o = offsets_new(0, 100000);
	torture_after(0);
	assert_int_equal(offsets_preload(o, 90000, 90001), -ENOMEM);
	assert_int_equal(offsets_limit(o), 0);
	assert_int_equal(offsets_open(o, 5), 0);
	assert_int_equal(offsets_open(o, 99999), -ENOMEM);
	assert_int_equal(offsets_reach(o, 99999), -ENOMEM);
	assert_true(torture_end());
	assert_int_equal(offsets_next(o), 6);
	assert_false(offsets_is_done(o, 6));
	assert_int_equal(offsets_open(o, 99999), 0);
	assert_true(offsets_is_done(o, 99998));
	offsets_free(o);
}

static void test_a_run_from_below_the_base(void **state)
{
	(void)state;
	struct offsets *o = offsets_new(1000, 2000);
	bool done;
	assert_int_equal(offsets_open(o, 1000), 0);
	assert_int_equal(offsets_run(o, 3, &done), 1000); /* what is below the base is done, up to the open one */
	assert_true(done);
	assert_int_equal(offsets_reach(o, 1500), 0);
	assert_int_equal(offsets_run(o, 1000, &done), 1001);
	assert_false(done);
	offsets_free(o);
	/* Preloaded from the base on: one run with what is below it. */
	o = offsets_new(1000, 2000);
	assert_int_equal(offsets_preload(o, 1000, 1100), 0);
	assert_int_equal(offsets_run(o, 3, &done), 1100);
	assert_true(done);
	offsets_free(o);
}

/* With the ring full to the last bit, the word behind the limit is the base's again. */
static void test_bits_behind_the_limit(void **state)
{
	(void)state;
	struct offsets *o = offsets_new(0, 1024);
	for (int64_t i = 0; i < 1024; i++)
		assert_int_equal(offsets_open(o, i), 0);
	for (int64_t i = 1; i < 1024; i++)
		offsets_done(o, i);
	assert_int_equal(offsets_bits(o, 1000), UINT64_MAX >> 40);
	assert_int_equal(offsets_bits(o, 960), UINT64_MAX);
	assert_int_equal(offsets_bits(o, 1024), 0);
	assert_int_equal(offsets_bits(o, 1024 + 64), 0);
	assert_int_equal(offsets_bits(o, 0), UINT64_MAX - 1);
	offsets_free(o);
}

/* A programming error that a release build survives: what is not open cannot be finished, and nothing moves. */
static void test_done_of_what_is_not_open(void **state)
{
	(void)state;
#ifdef NDEBUG
	struct offsets *o = offsets_new(10, 100);
	assert_int_equal(offsets_open(o, 10), 0);
	assert_int_equal(offsets_open(o, 12), 0);
	offsets_done(o, 12);
	const int64_t not_open[] = { 9, 11, 12, 13, 5000, -1 };
	for (size_t i = 0; i < sizeof(not_open) / sizeof(not_open[0]); i++)
		offsets_done(o, not_open[i]);
	assert_int_equal(offsets_base(o), 10);
	assert_int_equal(offsets_open_count(o), 1);
	offsets_free(o);
#else
	skip(); /* here it is an assertion */
#endif
}

static void test_free_takes_null(void **state)
{
	(void)state;
	assert_null(offsets_free(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stories),
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_a_full_window_of_holes),
		cmocka_unit_test(test_out_of_memory_changes_nothing),
		cmocka_unit_test(test_a_run_from_below_the_base),
		cmocka_unit_test(test_bits_behind_the_limit),
		cmocka_unit_test(test_done_of_what_is_not_open),
		cmocka_unit_test(test_free_takes_null),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
