/* gate: closed as long as it was told, then paced, and it finds what the tenant bears */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "limited_origin.h"

#define S USEC_PER_SEC

static void test_begins_open(void **state)
{
	struct gate g;
	(void)state;
	gate_init(&g);
	assert_false(gate_is_closed(&g, 0));
	for (usec_t now = 0; now < 100; now++) {
		gate_called(&g, now);
		assert_true(gate_ready_at(&g) <= now);
	}
}

static void test_extends_and_never_shortens(void **state)
{
	struct gate g;
	(void)state;
	gate_init(&g);
	gate_close(&g, 60 * S, 50 * S);
	gate_close(&g, 55 * S, 51 * S);
	assert_int_equal(gate_ready_at(&g), 60 * S);
	gate_close(&g, 70 * S, 52 * S);
	assert_int_equal(gate_ready_at(&g), 70 * S);
	assert_true(gate_is_closed(&g, 70 * S - 1));
	assert_false(gate_is_closed(&g, 70 * S));
	/* One that says nothing of the future closes nothing, but the calls are paced. */
	gate_close(&g, 0, 80 * S);
	assert_false(gate_is_closed(&g, 80 * S));
	assert_true(g.rate > 0);
}

static void test_counts_closings_not_replies(void **state)
{
	struct gate g;
	(void)state;
	gate_init(&g);
	for (int i = 0; i < 100; i++)
		gate_close(&g, 10 * S, 9 * S + i);
	assert_int_equal(g.failures, 1);
	gate_succeeded(&g, 9 * S + 500); /* sent before the 429: says nothing */
	assert_int_equal(g.failures, 1);
	gate_close(&g, 12 * S, 10 * S);
	assert_int_equal(g.failures, 2);
	gate_succeeded(&g, 12 * S);
	assert_int_equal(g.failures, 0);
	g.failures = INT32_MAX;
	gate_close(&g, 20 * S, 15 * S);
	assert_int_equal(g.failures, INT32_MAX);
}

/* Calls whenever the gate allows it, each answered at once; how many between `from` and `to`. */
static int64_t call_greedily(struct gate *g, usec_t from, usec_t to, bool succeeds)
{
	int64_t calls = 0;
	for (usec_t now = from; now < to; now += 1000)
		for (; gate_ready_at(g) <= now; calls++) {
			assert_false(gate_is_closed(g, now));
			gate_called(g, now);
			if (succeeds)
				gate_succeeded(g, now);
		}
	return calls;
}

/* A gate that has a 429 at a pace of 100 calls a second, open for 20 s, closed for 1 s from `now` on. */
static struct gate at_hundred(usec_t now)
{
	struct gate g;
	gate_init(&g);
	for (usec_t at = now - 20 * S; at < now; at += S / 100)
		gate_succeeded(&g, at);
	g.rate = 100;
	gate_close(&g, now + S, now);
	return g;
}

static void test_reopens_below_the_pace_of_the_429(void **state)
{
	struct gate g = at_hundred(1000 * S);
	(void)state;
	assert_true(g.rate >= 89 && g.rate <= 90);
	assert_int_equal(call_greedily(&g, 1000 * S, 1001 * S, false), 0);
	assert_in_range(call_greedily(&g, 1001 * S, 1011 * S, false), 880, 901); /* without a success it stays there */
}

static void test_grows_around_the_pace_of_the_429(void **state)
{
	struct gate g = at_hundred(1000 * S);
	(void)state;
	(void)call_greedily(&g, 1001 * S, 1031 * S, true);
	assert_true(g.rate > 98 && g.rate < 99.9); /* fast, */
	(void)call_greedily(&g, 1031 * S, 1081 * S, true);
	assert_true(g.rate > 99.9 && g.rate < 101); /* long flat, */
	(void)call_greedily(&g, 1081 * S, 1119 * S, true);
	assert_true(g.rate > 105); /* then fast again: it bears more now, */
	(void)call_greedily(&g, 1119 * S, 1160 * S, true);
	assert_true(g.rate > 1000 || g.rate <= 0); /* and is searched for anew */
}

static void test_idle_time_proves_nothing(void **state)
{
	struct gate g = at_hundred(1000 * S);
	(void)state;
	const double rate = g.rate;
	gate_succeeded(&g, 9000 * S);
	assert_true(g.rate < rate * 1.01);
	assert_in_range(call_greedily(&g, 9000 * S, 9000 * S + 1, false), 1, 3); /* nor is it credit */
}

static void test_refused_at_once(void **state)
{
	struct gate g = at_hundred(1000 * S);
	(void)state;
	gate_succeeded(&g, 1001 * S);
	gate_close(&g, 1002 * S, 1001 * S + S / 10);
	assert_true(g.rate < 60); /* much too fast */
	assert_true(g.ceiling < 80);
}

static void test_server_that_counts_by_periods(void **state)
{
	struct gate g;
	(void)state;
	gate_init(&g);
	for (int i = 0; i < 1000; i++) /* 1,000 calls in two seconds, then five minutes are over at 1300 s */
		gate_succeeded(&g, 1000 * S + i * 2000);
	gate_close(&g, 1300 * S, 1002 * S);
	assert_true(g.rate > 3.1 && g.rate < 3.4);
}

static void test_closed_for_good(void **state)
{
	struct gate g;
	(void)state;
	gate_init(&g);
	gate_close(&g, USEC_NEVER, 5);
	assert_int_equal(gate_ready_at(&g), USEC_NEVER);
	gate_called(&g, 6);
	gate_called(&g, 7);
	assert_int_equal(gate_ready_at(&g), USEC_NEVER);
	assert_true(gate_is_closed(&g, USEC_NEVER - 1));
}

/* ---- against tenants that limit their calls, by a worker that was told no rate ---- */

static void test_finds_the_rate(void **state)
{
	static const struct limited_origin origins[] = {
		{ .rate = 600, .burst = 60, .latency = 20000 },
		{ .rate = 600, .burst = 10, .latency = 20000 },
		{ .rate = 600, .burst = 600, .latency = 5000 },
		{ .rate = 600, .burst = 60, .latency = 200000 },
		{ .rate = 60, .burst = 6, .latency = 20000 },
		{ .rate = 10, .burst = 3, .latency = 20000 },
		{ .rate = 1000.0 / 300, .burst = 10, .latency = 20000 },
		{ .rate = 600, .period = 1 * S, .latency = 20000 },
		{ .rate = 60, .period = 10 * S, .latency = 20000 },
		{ .rate = 10, .period = 60 * S, .latency = 20000 },
		{ .rate = 1000.0 / 300, .period = 300 * S, .latency = 20000 },
	};
	(void)state;
	for (size_t i = 0; i < 3 * sizeof(origins) / sizeof(origins[0]); i++) {
		static struct limited_origin o;
		o = origins[i / 3];
		o.workers = 1 << i % 3;
		origin_begin(&o);
		/* It may learn for a minute, or for two periods of the tenant's. */
		const usec_t learning = 60 * S + 2 * o.period;
		(void)origin_goodput(&o, 1000 * S, learning);
		const int64_t sent = o.sent, refused = o.refused;
		const double goodput = origin_goodput(&o, 1000 * S + learning, 300 * S + 2 * o.period);
		const double part = (double)(o.refused - refused) / (double)(o.sent - sent);
		if (goodput < 0.9 || part > 0.01)
			fail_msg("origin %zu, %d workers: goodput %.3f, refused %.4f", i / 3, o.workers, goodput, part);
	}
}

/* The limit is raised: found within minutes; it is lowered: at once. */
static void test_follows_the_rate(void **state)
{
	static struct limited_origin o;
	(void)state;
	o = (struct limited_origin){ .rate = 100, .burst = 10, .latency = 20000 };
	origin_begin(&o);
	(void)origin_goodput(&o, 1000 * S, 120 * S);
	o.rate = 400;
	(void)origin_goodput(&o, 1120 * S, 180 * S);
	assert_true(origin_goodput(&o, 1300 * S, 120 * S) > 0.9);
	o.rate = 50;
	(void)origin_goodput(&o, 1420 * S, 20 * S);
	assert_true(origin_goodput(&o, 1440 * S, 120 * S) > 0.9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_begins_open),
		cmocka_unit_test(test_extends_and_never_shortens),
		cmocka_unit_test(test_counts_closings_not_replies),
		cmocka_unit_test(test_reopens_below_the_pace_of_the_429),
		cmocka_unit_test(test_grows_around_the_pace_of_the_429),
		cmocka_unit_test(test_idle_time_proves_nothing),
		cmocka_unit_test(test_refused_at_once),
		cmocka_unit_test(test_server_that_counts_by_periods),
		cmocka_unit_test(test_closed_for_good),
		cmocka_unit_test(test_finds_the_rate),
		cmocka_unit_test(test_follows_the_rate),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
