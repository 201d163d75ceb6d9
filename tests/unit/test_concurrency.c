/* concurrency: up by one, down by a part, once for each overload */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rules/concurrency.h"

/* One round: as many calls as may be open are opened, and all succeed. */
static void succeed_all(struct concurrency *c)
{
	const int64_t limit = concurrency_limit(c);
	for (int64_t open = 1; open <= limit; open++)
		concurrency_started(c, open);
	for (int64_t open = limit; open > 0; open--)
		concurrency_succeeded(c);
}

static struct concurrency at(int64_t limit)
{
	struct concurrency c;
	concurrency_init(&c, 256, false);
	c.limit = (double)limit;
	c.overloaded = true;
	return c;
}

static void test_begins_small_and_grows_fast(void **state)
{
	struct concurrency c;
	int rounds = 0;
	(void)state;
	concurrency_init(&c, 256, false);
	assert_int_equal(concurrency_limit(&c), CONCURRENCY_FIRST);
	for (; concurrency_limit(&c) < 256; rounds++)
		succeed_all(&c);
	assert_in_range(rounds, 5, 10);
	succeed_all(&c);
	assert_int_equal(concurrency_limit(&c), 256);
	concurrency_init(&c, 3, false);
	assert_int_equal(concurrency_limit(&c), 3);
}

static void test_fixed(void **state)
{
	struct concurrency c;
	(void)state;
	concurrency_init(&c, 256, true);
	concurrency_overloaded(&c, 200);
	assert_int_equal(concurrency_limit(&c), 256);
	succeed_all(&c);
	assert_int_equal(concurrency_limit(&c), 256);
}

static void test_up_by_one_a_round(void **state)
{
	struct concurrency c = at(50);
	(void)state;
	for (int64_t want = 51; want < 60; want++) {
		succeed_all(&c);
		succeed_all(&c);
		assert_in_range(concurrency_limit(&c), want, want + 10);
	}
	assert_in_range(concurrency_limit(&c), 65, 68);
}

static void test_down_once_for_each_overload(void **state)
{
	struct concurrency c = at(100);
	(void)state;
	for (int64_t open = 99; open >= 0; open--)
		concurrency_overloaded(&c, open);
	assert_int_equal(concurrency_limit(&c), 75);
	concurrency_overloaded(&c, 74);
	assert_int_equal(concurrency_limit(&c), 56);
	for (int i = 0; i < 74; i++)
		concurrency_ended(&c);
	for (int i = 0; i < 100; i++)
		concurrency_overloaded(&c, 0);
	assert_int_equal(concurrency_limit(&c), 1); /* never less */
	for (int i = 0; i < 4; i++)
		succeed_all(&c);
	assert_true(concurrency_limit(&c) > 1);
}

static void test_idle_tenants_learn_nothing(void **state)
{
	struct concurrency c = at(50);
	(void)state;
	for (int i = 0; i < 1000; i++) {
		concurrency_started(&c, 1);
		concurrency_succeeded(&c);
	}
	assert_int_equal(concurrency_limit(&c), 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_begins_small_and_grows_fast), cmocka_unit_test(test_fixed),
		cmocka_unit_test(test_up_by_one_a_round),           cmocka_unit_test(test_down_once_for_each_overload),
		cmocka_unit_test(test_idle_tenants_learn_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
