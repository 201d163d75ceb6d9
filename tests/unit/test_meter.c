#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rules/meter.h"

#define AT(seconds) ((usec_t)(seconds)*USEC_PER_SEC + 400000)

static void count(struct meter *m, int64_t second, int n)
{
	for (int i = 0; i < n; i++)
		meter_count(m, AT(second));
}

static void test_nothing_was_counted(void **state)
{
	struct meter m = { 0 };
	(void)state;
	assert_int_equal(meter_sum(&m, AT(5), 0, 10), 0);
	assert_int_equal(meter_sum(&m, AT(100000), 0, METER_SECONDS), 0);
}

static void test_the_running_second_is_left_out(void **state)
{
	struct meter m = { 0 };
	(void)state;
	count(&m, 1000, 3);
	assert_int_equal(meter_sum(&m, AT(1000), 0, 10), 0);
	assert_int_equal(meter_sum(&m, AT(1001), 0, 1), 3);
}

static void test_seconds_are_kept_apart(void **state)
{
	struct meter m = { 0 };
	(void)state;
	for (int64_t s = 2000; s < 2000 + METER_SECONDS; s++)
		count(&m, s, (int)(s - 2000) % 7);
	const usec_t now = AT(2000 + METER_SECONDS);
	uint64_t all = 0;
	for (int64_t ago = 0; ago < METER_SECONDS; ago++) {
		const uint64_t one = meter_sum(&m, now, ago, 1);
		assert_int_equal(one, (METER_SECONDS - 1 - ago) % 7);
		all += one;
	}
	assert_int_equal(meter_sum(&m, now, 0, METER_SECONDS), all);
}

static void test_what_is_old_is_forgotten(void **state)
{
	struct meter m = { 0 };
	(void)state;
	count(&m, 3000, 5);
	assert_int_equal(meter_sum(&m, AT(3000 + METER_SECONDS), 0, METER_SECONDS), 5);
	count(&m, 3000 + METER_SECONDS, 1); /* takes the place of second 3000 */
	assert_int_equal(meter_sum(&m, AT(3001 + METER_SECONDS), 0, METER_SECONDS + 10), 1);
	count(&m, 9000, 2); /* a long silence leaves nothing behind */
	assert_int_equal(meter_sum(&m, AT(9001), 0, METER_SECONDS), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_was_counted),
		cmocka_unit_test(test_the_running_second_is_left_out),
		cmocka_unit_test(test_seconds_are_kept_apart),
		cmocka_unit_test(test_what_is_old_is_forgotten),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
