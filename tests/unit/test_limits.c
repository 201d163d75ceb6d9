/* limits: gate, breaker and limiter, with the time stepped by hand */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "dice.h"
#include "rules/limits.h"

#define S USEC_PER_SEC

/* ---- gate ---- */

static void test_gate_begins_open(void **state)
{
	(void)state;
	struct gate g;
	gate_init(&g);
	assert_false(gate_is_closed(&g, 0));
	assert_true(gate_ready_at(&g) <= 0);
	for (usec_t now = 0; now < 100; now++) {
		gate_started(&g, now);
		assert_true(gate_ready_at(&g) <= now);
	}
}

static void test_gate_extends_and_never_shortens(void **state)
{
	(void)state;
	struct gate g;
	gate_init(&g);
	gate_close(&g, 60 * S, 50 * S, 10);
	gate_close(&g, 55 * S, 51 * S, 10);
	assert_int_equal(gate_ready_at(&g), 60 * S);
	gate_close(&g, 70 * S, 52 * S, 10);
	assert_int_equal(gate_ready_at(&g), 70 * S);
	assert_true(gate_is_closed(&g, 70 * S - 1));
	assert_false(gate_is_closed(&g, 70 * S));
	/* One that says nothing of the future closes nothing, but the pace holds. */
	gate_close(&g, 0, 80 * S, 10);
	assert_false(gate_is_closed(&g, 80 * S));
	assert_int_equal(gate_ready_at(&g), 80 * S);
	assert_true(g.rate > 0);
}

static void test_gate_counts_closings_not_replies(void **state)
{
	(void)state;
	struct gate g;
	gate_init(&g);
	for (int i = 0; i < 100; i++)
		gate_close(&g, 10 * S, 9 * S + i, 100);
	assert_int_equal(g.failures, 1);
	gate_succeeded(&g, 9 * S + 500); /* sent before the 429: says nothing */
	assert_int_equal(g.failures, 1);
	gate_close(&g, 12 * S, 10 * S, 1);
	assert_int_equal(g.failures, 2);
	gate_succeeded(&g, 12 * S);
	assert_int_equal(g.failures, 0);
	g.failures = INT32_MAX;
	gate_close(&g, 20 * S, 15 * S, 1);
	assert_int_equal(g.failures, INT32_MAX);
}

/* Starts whenever the gate allows it, looking every `turn`; returns how many between `from` and `to`. */
static int64_t start_greedily(struct gate *g, usec_t from, usec_t to, usec_t turn)
{
	int64_t starts = 0;
	for (usec_t now = from; now < to; now += turn)
		for (; gate_ready_at(g) <= now; starts++) {
			assert_false(gate_is_closed(g, now));
			gate_started(g, now);
		}
	return starts;
}

static void test_gate_reopens_paced(void **state)
{
	(void)state;
	static const struct {
		int32_t in_flight;
		usec_t closed;
		double rate;
	} cases[] = {
		{ 256, 1 * S, 256 }, { 256, 4 * S, 64 }, { 100, 10 * S, 10 }, { 256, 300 * S, 1 }, { 1, 1 * S, 1 },
		{ 0, 5 * S, 1 },     { -3, 5 * S, 1 },   { 50, 1000, 50 },    { 50, 0, 50 },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gate g;
		gate_init(&g);
		const usec_t now = 1000 * S, opens = now + cases[i].closed;
		gate_close(&g, opens, now, cases[i].in_flight);
		assert_true(fabs(g.rate - cases[i].rate) < 1e-6);
		assert_int_equal(start_greedily(&g, opens - 100, opens, 1), 0);
		const int64_t starts = start_greedily(&g, opens, opens + 10 * S, 20000);
		/* No more than the pace and one at the opening; a coarse loop costs next to nothing of it. */
		assert_in_range(starts, (uintmax_t)(9.9 * cases[i].rate), (uintmax_t)(10 * cases[i].rate) + 1);
	}
}

static void test_gate_idle_time_is_no_credit(void **state)
{
	(void)state;
	struct gate g;
	gate_init(&g);
	gate_close(&g, 1 * S, 0, 100);
	const int64_t burst = start_greedily(&g, 30 * S, 30 * S + 1, 1);
	assert_in_range(burst, 1, 6); /* a twentieth of a second's worth, and one */
}

static void test_gate_pace_grows_until_it_ends(void **state)
{
	(void)state;
	struct gate g;
	gate_init(&g);
	gate_close(&g, 110 * S, 100 * S, 200);
	assert_true(fabs(g.rate - 20) < 1e-9);
	gate_succeeded(&g, 109 * S);
	assert_true(fabs(g.rate - 20) < 1e-9);
	gate_succeeded(&g, 115 * S);
	assert_true(fabs(g.rate - 30) < 1e-9);
	gate_succeeded(&g, 120 * S);
	assert_true(fabs(g.rate - 40) < 1e-9);
	gate_succeeded(&g, 209 * S);
	assert_true(g.rate > 200);
	gate_succeeded(&g, 210 * S);
	assert_true(g.rate <= 0);
	gate_started(&g, 210 * S);
	assert_true(gate_ready_at(&g) <= 210 * S);

	/* However long it was closed, the pace ends within ten minutes. */
	gate_init(&g);
	gate_close(&g, 86400 * S, 0, 200);
	gate_succeeded(&g, 86400 * S + 599 * S);
	assert_true(g.rate > 0);
	gate_succeeded(&g, 86400 * S + 600 * S);
	assert_true(g.rate <= 0);
}

static void test_gate_429_under_the_pace_halves_it(void **state)
{
	(void)state;
	struct gate g;
	gate_init(&g);
	gate_close(&g, 10 * S, 0, 200); /* 20 a second */
	gate_succeeded(&g, 15 * S);     /* 30 */
	gate_close(&g, 16 * S, 15 * S, 200);
	gate_close(&g, 16 * S, 15 * S + 1, 200);
	assert_true(fabs(g.rate - 15) < 1e-9);
	gate_close(&g, 100 * S, 16 * S, 84);
	assert_true(fabs(g.rate - 1) < 1e-9);
	/* A later reply of the same closing knows more. */
	gate_init(&g);
	gate_close(&g, 1 * S, 0, 40);
	gate_close(&g, 10 * S, 1000, 30);
	assert_true(fabs(g.rate - 4) < 1e-9);
}

static void test_gate_closed_for_good(void **state)
{
	(void)state;
	struct gate g;
	gate_init(&g);
	gate_close(&g, USEC_NEVER, 5, 10);
	assert_int_equal(gate_ready_at(&g), USEC_NEVER);
	gate_started(&g, 6);
	gate_started(&g, 7);
	assert_int_equal(gate_ready_at(&g), USEC_NEVER);
	assert_true(gate_is_closed(&g, USEC_NEVER - 1));
}

/* ---- breaker ---- */

enum verb { FAILED, SUCCEEDED, STARTED, UNDECIDED, LOOK };

struct step {
	enum verb verb;
	usec_t now;
	enum breaker_state state;
	bool allows;
	usec_t ready_at;
};

static void perform(struct breaker *b, const struct step *step)
{
	switch (step->verb) {
	case FAILED:
		breaker_failed(b, step->now);
		break;
	case SUCCEEDED:
		breaker_succeeded(b);
		break;
	case STARTED:
		breaker_started(b, step->now);
		break;
	case UNDECIDED:
		breaker_undecided(b, step->now);
		break;
	case LOOK:
		break;
	}
}

static void run_breaker(int32_t limit, const struct step *steps, size_t count)
{
	struct breaker b;
	breaker_init(&b, limit, 100);
	for (size_t i = 0; i < count; i++) {
		perform(&b, &steps[i]);
		if (b.state != steps[i].state || breaker_allows(&b, steps[i].now) != steps[i].allows ||
		    breaker_ready_at(&b) != steps[i].ready_at)
			fail_msg("step %zu: state %d, allows %d, ready at %lld", i, (int)b.state,
				 breaker_allows(&b, steps[i].now), (long long)breaker_ready_at(&b));
	}
}

static void test_breaker_opens_after_failures_in_a_row(void **state)
{
	(void)state;
	static const struct step steps[] = {
		{ LOOK, 0, BREAKER_CLOSED, true, INT64_MIN },
		{ FAILED, 1, BREAKER_CLOSED, true, INT64_MIN },
		{ FAILED, 2, BREAKER_CLOSED, true, INT64_MIN },
		{ SUCCEEDED, 3, BREAKER_CLOSED, true, INT64_MIN },
		{ FAILED, 4, BREAKER_CLOSED, true, INT64_MIN },
		{ FAILED, 5, BREAKER_CLOSED, true, INT64_MIN },
		{ STARTED, 5, BREAKER_CLOSED, true, INT64_MIN },
		{ UNDECIDED, 5, BREAKER_CLOSED, true, INT64_MIN },
		{ FAILED, 6, BREAKER_OPEN, false, 106 },
		{ FAILED, 50, BREAKER_OPEN, false, 106 },
		{ STARTED, 105, BREAKER_OPEN, false, 106 },
		{ LOOK, 106, BREAKER_OPEN, true, 106 },
		{ STARTED, 107, BREAKER_HALF_OPEN, false, USEC_NEVER },
		{ LOOK, 9999, BREAKER_HALF_OPEN, false, USEC_NEVER },
		{ SUCCEEDED, 9999, BREAKER_CLOSED, true, INT64_MIN },
		{ FAILED, 9999, BREAKER_CLOSED, true, INT64_MIN },
	};
	run_breaker(3, steps, sizeof(steps) / sizeof(steps[0]));
}

static void test_breaker_probes_one_at_a_time(void **state)
{
	(void)state;
	static const struct step steps[] = {
		{ FAILED, 0, BREAKER_OPEN, false, 100 },
		{ STARTED, 100, BREAKER_HALF_OPEN, false, USEC_NEVER },
		{ STARTED, 101, BREAKER_HALF_OPEN, false, USEC_NEVER },
		{ FAILED, 150, BREAKER_OPEN, false, 250 },
		{ LOOK, 250, BREAKER_OPEN, true, 250 },
		{ STARTED, 260, BREAKER_HALF_OPEN, false, USEC_NEVER },
		{ UNDECIDED, 270, BREAKER_OPEN, true, 270 },
		{ STARTED, 271, BREAKER_HALF_OPEN, false, USEC_NEVER },
		{ SUCCEEDED, 280, BREAKER_CLOSED, true, INT64_MIN },
		{ FAILED, 290, BREAKER_OPEN, false, 390 },
		{ SUCCEEDED, 300, BREAKER_CLOSED, true, INT64_MIN }, /* a call from before: it answers again */
	};
	run_breaker(1, steps, sizeof(steps) / sizeof(steps[0]));
}

static void test_breaker_turned_off(void **state)
{
	(void)state;
	struct breaker b;
	breaker_init(&b, 0, 100);
	for (int i = 0; i < 1000; i++)
		breaker_failed(&b, i);
	assert_int_equal(b.state, BREAKER_CLOSED);
	b.failures = INT32_MAX;
	breaker_failed(&b, 1000);
	assert_int_equal(b.failures, INT32_MAX);
}

/* ---- limiter ---- */

static void test_limiter_without_a_limit(void **state)
{
	(void)state;
	struct limiter l;
	limiter_init(&l, 0, 0, 5);
	for (int i = 0; i < 1000; i++)
		limiter_take(&l, 3, 5);
	assert_true(limiter_ready_at(&l, 100, 5) <= 5);
	limiter_set_rate(&l, 10, 2, 6); /* what was taken without a limit is not owed */
	assert_true(limiter_ready_at(&l, 1, 6) <= 6 + S / 10 + 2);
}

static void test_limiter_bucket(void **state)
{
	(void)state;
	struct limiter l;
	limiter_init(&l, 10, 3, 100 * S);
	for (int i = 0; i < 3; i++) {
		assert_true(limiter_ready_at(&l, 1, 100 * S) <= 100 * S);
		limiter_take(&l, 1, 100 * S);
	}
	const usec_t next = limiter_ready_at(&l, 1, 100 * S);
	assert_in_range(next, 100 * S + S / 10, 100 * S + S / 10 + 2);
	assert_true(limiter_ready_at(&l, 1, next) <= next);
	/* Never early, not by the fraction of a microsecond. */
	struct limiter third;
	limiter_init(&third, 3, 1, 0);
	limiter_take(&third, 1, 0);
	assert_in_range(limiter_ready_at(&third, 1, 0), 333334, 333336);
	/* A burst is all that an idle hour is worth, and more than the burst is never waited for. */
	assert_true(limiter_ready_at(&l, 3, 3700 * S) <= 3700 * S);
	assert_true(limiter_ready_at(&l, 50, 3700 * S) <= 3700 * S);
	limiter_take(&l, 4, 3700 * S);
	assert_in_range(limiter_ready_at(&l, 1, 3700 * S), 3700 * S + 2 * S / 10, 3700 * S + 2 * S / 10 + 2);
	/* A clock that goes back neither gives nor takes. */
	assert_in_range(limiter_ready_at(&l, 1, 3690 * S), 3690 * S + 2 * S / 10, 3690 * S + 2 * S / 10 + 2);
	limiter_take(&l, 0, 3690 * S);
	assert_in_range(limiter_ready_at(&l, 1, 3700 * S), 3700 * S + 2 * S / 10, 3700 * S + 2 * S / 10 + 2);
}

static void test_limiter_new_share(void **state)
{
	(void)state;
	struct limiter l;
	limiter_init(&l, 100, 50, 0);
	limiter_take(&l, 30, 0);
	limiter_set_rate(&l, 10, 40, 0); /* 20 stay */
	assert_true(limiter_ready_at(&l, 20, 0) <= 0);
	assert_in_range(limiter_ready_at(&l, 21, 0), S / 10, S / 10 + 2);
	limiter_set_rate(&l, 10, 5, 0); /* cut to the new burst */
	limiter_take(&l, 5, 0);
	assert_in_range(limiter_ready_at(&l, 1, 0), S / 10, S / 10 + 2);
	limiter_set_rate(&l, 1000, 5, 1 * S); /* the second before was worth 10, cut to 5 */
	limiter_take(&l, 5, 1 * S);
	assert_in_range(limiter_ready_at(&l, 1, 1 * S), 1 * S + 1000, 1 * S + 1002);
	limiter_init(&l, 10, 100, 0);
	limiter_take(&l, 100, 0);
	limiter_set_rate(&l, 1000, 100, 1 * S); /* time before is counted at the rate of then */
	assert_in_range(limiter_ready_at(&l, 11, 1 * S), 1 * S + 1000, 1 * S + 1002);
}

static void test_limiter_extremes(void **state)
{
	(void)state;
	struct limiter l;
	limiter_init(&l, 1e-12, 1, 0);
	limiter_take(&l, 1e9, 0);
	assert_int_equal(limiter_ready_at(&l, 1, 0), USEC_NEVER);
	limiter_init(&l, -5, -5, 0);
	assert_int_equal(limiter_ready_at(&l, 1, 7), 7);
	limiter_init(&l, 10, 0, 0); /* no burst: one after the other */
	limiter_take(&l, 1, 0);
	assert_in_range(limiter_ready_at(&l, 1, 0), S / 10, S / 10 + 2);
}

static void test_limiter_model(void **state)
{
	(void)state;
	struct dice dice = { 99 };
	for (int round = 0; round < 200; round++) {
		const double rate = 0.1 + (double)dice_below(&dice, 1000000) / 1000;
		const double burst = 1 + (double)dice_below(&dice, 50);
		struct limiter l;
		const usec_t start = dice_below(&dice, 1000000 * S);
		limiter_init(&l, rate, burst, start);
		usec_t now = start;
		double taken = 0;
		for (int i = 0; i < 500; i++) {
			const double n = (double)(1 + dice_below(&dice, 3));
			const usec_t ready = limiter_ready_at(&l, n, now);
			assert_true(ready >= now);
			assert_true(limiter_ready_at(&l, n, ready) <= ready);
			if (ready > now + 10)
				assert_true(limiter_ready_at(&l, n, ready - 10) > ready - 10);
			now = ready + (dice_chance(&dice, 20) ? dice_below(&dice, S) : 0);
			limiter_take(&l, n, now);
			taken += n;
			/* Never more than the bucket and what flowed in; n above the burst may owe 2. */
			assert_true(taken <= burst + 2 + rate * (double)(now - start) / (double)S + 1e-3);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gate_begins_open),
		cmocka_unit_test(test_gate_extends_and_never_shortens),
		cmocka_unit_test(test_gate_counts_closings_not_replies),
		cmocka_unit_test(test_gate_reopens_paced),
		cmocka_unit_test(test_gate_idle_time_is_no_credit),
		cmocka_unit_test(test_gate_pace_grows_until_it_ends),
		cmocka_unit_test(test_gate_429_under_the_pace_halves_it),
		cmocka_unit_test(test_gate_closed_for_good),
		cmocka_unit_test(test_breaker_opens_after_failures_in_a_row),
		cmocka_unit_test(test_breaker_probes_one_at_a_time),
		cmocka_unit_test(test_breaker_turned_off),
		cmocka_unit_test(test_limiter_without_a_limit),
		cmocka_unit_test(test_limiter_bucket),
		cmocka_unit_test(test_limiter_new_share),
		cmocka_unit_test(test_limiter_extremes),
		cmocka_unit_test(test_limiter_model),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
