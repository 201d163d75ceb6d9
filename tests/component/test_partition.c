/* partition: whatever is read, and whatever of it is done afterwards, the done map fits into a commit */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "unit/dice.h"
#include "worker/partition.h"

#define WINDOW   1000000
#define OPEN_MAX 30000

struct instant __wrap_clock_read(void);
struct instant __wrap_clock_read(void)
{
	return (struct instant){ 0 };
}

static struct partition *fresh(void)
{
	struct partition *p = partition_new("retry", 0, 0, "", PARTITION_SPAN_MAX);
	assert_non_null(p);
	return p;
}

static void assert_fits(const struct partition *p)
{
	struct buf text;
	buf_init(&text, DONE_MAP_MAX);
	const int r = done_map_write(&text, p->topic, p->number, p->offsets);
	buf_fini(&text);
	assert_int_equal(r, 0);
}

static bool may_open(const struct partition *p, int64_t offset)
{
	return partition_has_room(p, WINDOW) &&
	       (offset == offsets_next(p->offsets) || partition_may_reach(p, offset + 1));
}

/* Every other record is done, the base is not; then comes a gap, as an aborted transaction leaves one. */
static void test_a_gap_behind_many_holes(void **state)
{
	(void)state;
	for (int64_t span = 2000; span < 26000; span += 4000) {
		struct partition *p = fresh();
		for (int64_t offset = 0; offset < span && may_open(p, offset); offset++) {
			assert_int_equal(offsets_open(p->offsets, offset), 0);
			if (offset % 2 == 1)
				offsets_done(p->offsets, offset);
			assert_fits(p);
		}
		for (int64_t gap = 1; gap < 100000; gap *= 2) {
			const int64_t offset = offsets_next(p->offsets) + gap;
			if (!may_open(p, offset))
				break;
			assert_int_equal(offsets_open(p->offsets, offset), 0);
			assert_fits(p);
		}
		partition_free(p);
	}
}

/* Whatever order work ends in, and however long the base takes: some of what is open ends, then all but the base. */
static void test_whatever_is_done_it_fits(void **state)
{
	static int64_t open[OPEN_MAX];
	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++) {
		struct dice dice = { seed };
		struct partition *p = fresh();
		const int finishing = (int)dice_below(&dice, 100); /* percent */
		const int64_t gaps = dice_chance(&dice, 50) ? 1 + dice_below(&dice, 5000) : 1;
		size_t count = 0;
		assert_int_equal(offsets_open(p->offsets, 0), 0);
		for (int i = 0; i < 35000; i++) {
			const int64_t offset =
				offsets_next(p->offsets) + (dice_chance(&dice, 2) ? dice_below(&dice, gaps) : 0);
			if (count < OPEN_MAX && may_open(p, offset)) {
				assert_int_equal(offsets_open(p->offsets, offset), 0);
				open[count++] = offset;
			}
			if (count > 0 && dice_chance(&dice, finishing)) {
				const size_t at = (size_t)dice_below(&dice, (int64_t)count);
				offsets_done(p->offsets, open[at]);
				open[at] = open[--count];
			}
			if (i % 2000 == 0)
				assert_fits(p);
		}
		while (count > 0) {
			const size_t at = (size_t)dice_below(&dice, (int64_t)count);
			offsets_done(p->offsets, open[at]);
			open[at] = open[--count];
			if (count % 500 == 0)
				assert_fits(p);
		}
		partition_free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_gap_behind_many_holes),
		cmocka_unit_test(test_whatever_is_done_it_fits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
