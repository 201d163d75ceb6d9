#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <time.h>

#include "base/clock.h"
#include "handoff/macros.h"

static void reads_both_clocks(void **state)
{
	const struct instant a = clock_read();
	const time_t wall = time(NULL);
	const struct instant b = clock_read();
	(void)state;
	assert_true(a.mono > 0 && b.mono >= a.mono);
	assert_true(b.unix_ms / 1000 >= wall - 1 && a.unix_ms / 1000 <= wall + 1);
}

static void maps_unix_to_mono(void **state)
{
	static const struct {
		struct instant now;
		int64_t unix_ms;
		usec_t mono;
	} cases[] = {
		{ { 5000000, 1000 }, 1000, 5000000 },
		{ { 5000000, 1000 }, 1001, 5001000 },
		{ { 5000000, 1000 }, 4000, 8000000 },
		{ { 5000000, 1000 }, 999, 5000000 },
		{ { 5000000, 1000 }, 0, 5000000 },
		{ { 5000000, 1000 }, INT64_MIN, 5000000 },
		{ { 5000000, 1000 }, UNIX_MS_NEVER, USEC_NEVER },
		{ { 5000000, 1000 }, INT64_MAX / 1000, USEC_NEVER },
		{ { 0, -1000 }, INT64_MAX, USEC_NEVER },
		{ { USEC_NEVER - 1, 0 }, 1, USEC_NEVER },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(clock_mono_at(&cases[i].now, cases[i].unix_ms), cases[i].mono);
}

static void maps_mono_to_unix(void **state)
{
	static const struct {
		struct instant now;
		usec_t mono;
		int64_t unix_ms;
	} cases[] = {
		{ { 5000000, 1000 }, 5000000, 1000 },
		{ { 5000000, 1000 }, 5000001, 1002 },
		{ { 5000000, 1000 }, 5001000, 1002 },
		{ { 5000000, 1000 }, 5001001, 1003 },
		{ { 5000000, 1000 }, 4999999, 1000 },
		{ { 5000000, 1000 }, 4000000, 0 },
		{ { 5000000, 1000 }, USEC_NEVER, UNIX_MS_NEVER },
		{ { 0, INT64_MAX - 1 }, 5000, UNIX_MS_NEVER },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(clock_unix_at(&cases[i].now, cases[i].mono), cases[i].unix_ms);
}

/* A record's not-before time is written by one worker and read by another: nothing may become early on the way. */
static void never_earlier_there_and_back(void **state)
{
	(void)state;
	for (usec_t into_ms = 0; into_ms < 1000; into_ms++) {
		/* What the wall clock shows lags behind what it is by up to a millisecond. */
		const struct instant now = { .mono = 7000000 + into_ms, .unix_ms = 1000 };
		for (usec_t wait = 0; wait < 5000; wait += 7) {
			const int64_t unix_ms = clock_unix_at(&now, now.mono + wait);
			/* The wall clock shows unix_ms at this monotonic time. */
			const usec_t shown = 7000000 + (unix_ms - 1000) * USEC_PER_MSEC;
			assert_true(shown >= now.mono + wait || wait == 0);
			assert_true(shown <= now.mono + wait + 2 * USEC_PER_MSEC);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_both_clocks),
		cmocka_unit_test(maps_unix_to_mono),
		cmocka_unit_test(maps_mono_to_unix),
		cmocka_unit_test(never_earlier_there_and_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
