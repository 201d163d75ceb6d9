/* limiter: never more than the share, whatever is asked and whoever owned it before */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dice.h"
#include "rules/limits.h"

#define S USEC_PER_SEC

/* A limiter whose share of `rate` holds since `now`, with an empty bucket. */
static struct limiter settled(double rate, double burst, usec_t now)
{
	struct limiter l;
	limiter_init(&l, false, now - LIMITER_SETTLE);
	limiter_share(&l, rate, burst, now - LIMITER_SETTLE);
	return l;
}

/* Calls whenever it may, looking every `turn`; how many between `from` and `to`. */
static int64_t call_greedily(struct limiter *l, usec_t from, usec_t to, usec_t turn)
{
	int64_t calls = 0;
	for (usec_t now = from; now < to; now += turn)
		for (; limiter_ready_at(l, now) <= now; calls++)
			limiter_take(l, now);
	return calls;
}

static void test_without_a_limit(void **state)
{
	struct limiter l;
	(void)state;
	limiter_init(&l, true, 5);
	for (int i = 0; i < 1000; i++)
		limiter_take(&l, 5);
	assert_true(limiter_ready_at(&l, 5) <= 5);
	limiter_share(&l, 0, 0, 6);
	assert_true(limiter_ready_at(&l, 6) <= 6);
}

static void test_nothing_without_a_share(void **state)
{
	struct limiter l;
	(void)state;
	limiter_init(&l, false, 0);
	assert_int_equal(limiter_ready_at(&l, 1000 * S), USEC_NEVER);
	limiter_share(&l, 10, 0, 1000 * S);
	assert_int_equal(call_greedily(&l, 1000 * S, 1000 * S + LIMITER_SETTLE, 1000), 0);
	assert_in_range(limiter_ready_at(&l, 1000 * S), 1000 * S + LIMITER_SETTLE + S / 10,
			1000 * S + LIMITER_SETTLE + S / 9);
	limiter_share(&l, 0, 0, 1002 * S); /* all given away: at once */
	limiter_take(&l, 1002 * S);
	assert_int_equal(limiter_ready_at(&l, 1100 * S), USEC_NEVER);
}

static void test_one_after_the_other(void **state)
{
	static const double rates[] = { 0.5, 10.0 / 3, 50, 600, 5000 };
	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		struct limiter l = settled(rates[i], 0, 1000 * S);
		const int64_t calls = call_greedily(&l, 1000 * S, 1300 * S, 1000);
		assert_true((double)calls <= 300 * rates[i]);
		assert_true((double)calls >= 300 * rates[i] * LIMITER_USE - 1 - rates[i] / 500);
		/* An idle hour is worth one call, and what a late turn of the loop may make up for. */
		const int64_t at_once = call_greedily(&l, 5000 * S, 5000 * S + 1, 1);
		const double slack = (double)LIMITER_SLACK / (double)S;
		assert_in_range(at_once, 1, 1 + (uintmax_t)(rates[i] * slack));
	}
}

static void test_late_turns_cost_no_rate(void **state)
{
	struct limiter l = settled(600, 0, 1000 * S);
	(void)state;
	assert_in_range(call_greedily(&l, 1000 * S, 1100 * S, 7000), 59300, 60000);
}

static void test_burst(void **state)
{
	struct limiter l = settled(10, 30, 1000 * S);
	(void)state;
	assert_int_equal(call_greedily(&l, 1000 * S, 1000 * S + 1, 1), 0); /* a process begins with an empty bucket */
	assert_int_equal(call_greedily(&l, 2000 * S, 2000 * S + 1, 1), 30);
	assert_in_range(limiter_ready_at(&l, 2000 * S), 2000 * S + S / 20, 2000 * S + S / 9);
	/* A clock that goes back neither gives nor takes. */
	assert_int_equal(limiter_ready_at(&l, 1990 * S), limiter_ready_at(&l, 2000 * S));
	limiter_take(&l, 2000 * S); /* a login waits for nobody, but it counts */
	assert_in_range(limiter_ready_at(&l, 2000 * S), 2000 * S + S / 10, 2000 * S + 2 * S / 9);
}

static void test_share_that_shrinks(void **state)
{
	struct limiter l = settled(100, 40, 1000 * S);
	(void)state;
	limiter_share(&l, 25, 10, 2000 * S);
	assert_in_range(call_greedily(&l, 2000 * S, 2000 * S + 1, 1), 10, 11); /* its bucket shrinks, too */
	assert_in_range(call_greedily(&l, 2000 * S, 2010 * S, 1000), 240, 251);
}

static void test_share_that_grows(void **state)
{
	struct limiter l = settled(25, 10, 1000 * S);
	(void)state;
	(void)call_greedily(&l, 1000 * S, 1010 * S, 1000);
	limiter_share(&l, 100, 40, 1010 * S);
	/* What it had already, it may go on using. */
	assert_in_range(call_greedily(&l, 1010 * S, 1010 * S + LIMITER_SETTLE, 1000), 22, 26);
	assert_in_range(call_greedily(&l, 1010 * S + LIMITER_SETTLE, 1021 * S, 1000), 980, 1010);
}

/* Partitions move about in a pool, in any way: the sum over all workers is never above the rate. */
static void test_pool_whose_partitions_move(void **state)
{
	enum { WORKERS = 4, PARTITIONS = 12 };
	struct limiter pool[WORKERS];
	struct dice dice = { 7 };
	const double rate = 60;
	int owned[WORKERS] = { 0 };
	usec_t now = 1000 * S;
	double calls = 0;
	(void)state;
	for (int w = 0; w < WORKERS; w++)
		limiter_init(&pool[w], false, now);
	for (int round = 0; round < 200; round++) {
		for (int w = 0; w < WORKERS; w++)
			owned[w] = 0;
		for (int p = 0; p < PARTITIONS; p++)
			owned[dice_below(&dice, WORKERS)]++;
		for (int w = 0; w < WORKERS; w++) {
			if (dice_chance(&dice, 20)) /* restarted */
				limiter_init(&pool[w], false, now);
			limiter_share(&pool[w], rate * owned[w] / PARTITIONS, 0, now);
		}
		const usec_t until = now + dice_below(&dice, 10 * S);
		for (; now < until; now += 1000)
			for (int w = 0; w < WORKERS; w++)
				calls += (double)call_greedily(&pool[w], now, now + 1, 1);
		assert_true(calls <= WORKERS + rate * (double)(now - 1000 * S) / (double)S);
	}
	assert_true(calls > 0.7 * rate * (double)(now - 1000 * S) / (double)S);
}

static void test_extremes(void **state)
{
	struct limiter l = settled(1e-12, 1, 0);
	(void)state;
	limiter_take(&l, 0);
	assert_int_equal(limiter_ready_at(&l, 1), USEC_NEVER);
	limiter_init(&l, false, 0);
	limiter_share(&l, -5, -5, 0);
	assert_int_equal(limiter_ready_at(&l, 100 * S), USEC_NEVER);
}

/* The time it names is right to the microsecond: there is a token then, and was none ten microseconds before. */
static void test_ready_at(void **state)
{
	struct dice dice = { 99 };
	(void)state;
	for (int round = 0; round < 200; round++) {
		usec_t now = 1 + dice_below(&dice, 1000000 * S);
		struct limiter l =
			settled(0.1 + (double)dice_below(&dice, 1000000) / 1000, (double)dice_below(&dice, 50), now);
		for (int i = 0; i < 500; i++) {
			const usec_t ready = limiter_ready_at(&l, now);
			assert_true(ready >= now && limiter_ready_at(&l, ready) <= ready);
			if (ready > now + 10)
				assert_true(limiter_ready_at(&l, ready - 10) > ready - 10);
			now = ready + (dice_chance(&dice, 20) ? dice_below(&dice, S) : 0);
			limiter_take(&l, now);
			if (dice_chance(&dice, 5))
				limiter_share(&l, 0.1 + (double)dice_below(&dice, 1000), 5, now);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_a_limit),
		cmocka_unit_test(test_nothing_without_a_share),
		cmocka_unit_test(test_one_after_the_other),
		cmocka_unit_test(test_late_turns_cost_no_rate),
		cmocka_unit_test(test_burst),
		cmocka_unit_test(test_share_that_shrinks),
		cmocka_unit_test(test_share_that_grows),
		cmocka_unit_test(test_pool_whose_partitions_move),
		cmocka_unit_test(test_extremes),
		cmocka_unit_test(test_ready_at),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
