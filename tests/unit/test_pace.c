/* limiter: a pool that uses its rate as a whole, and a tenant that refuses none of its calls, however it counts them.
 * Workers wake late and calls take more or less time to arrive, as they do on a busy machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dice.h"
#include "rules/limits.h"

#define S  USEC_PER_SEC
#define MS USEC_PER_MSEC

enum { WORKERS_MAX = 4, CALLS_MAX = 1024, STEP = 100 };

enum counting { BUCKET, WINDOW, SLIDING };

struct tenant {
	enum counting counting;
	double rate;   /* calls a second */
	double burst;  /* of a bucket */
	usec_t period; /* of a window */
	double tokens;
	usec_t since; /* the window began, or the bucket was filled last */
	int64_t used;
	usec_t accepted[CALLS_MAX]; /* the last ones: a ring */
};

static bool window_takes(struct tenant *t, usec_t now)
{
	if (now - t->since >= t->period) {
		t->since = now;
		t->used = 0;
	}
	return t->used++ < (int64_t)(t->rate * (double)t->period / (double)S + 0.5);
}

static bool bucket_takes(struct tenant *t, usec_t now)
{
	t->tokens += (double)(now - t->since) * t->rate / (double)S;
	t->since = now;
	if (t->tokens > t->burst)
		t->tokens = t->burst;
	if (t->tokens < 1)
		return false;
	t->tokens -= 1;
	return true;
}

/* The strictest: no period of that length, wherever it begins, may have more. */
static bool sliding_takes(struct tenant *t, usec_t now)
{
	const int64_t most = (int64_t)(t->rate * (double)t->period / (double)S + 0.5);
	usec_t *oldest = &t->accepted[t->used % most];
	if (t->used >= most && now - *oldest < t->period)
		return false;
	*oldest = now;
	t->used++;
	return true;
}

static bool takes(struct tenant *t, usec_t now)
{
	return t->counting == BUCKET   ? bucket_takes(t, now)
	       : t->counting == WINDOW ? window_takes(t, now)
				       : sliding_takes(t, now);
}

struct pool {
	struct dice dice;
	int workers;
	struct limiter limiters[WORKERS_MAX];
	usec_t wakes_at[WORKERS_MAX];
	usec_t arrivals[CALLS_MAX]; /* calls on their way */
	size_t on_their_way;
	int64_t sent, refused;
};

static void pool_begin(struct pool *p, int workers, double rate, usec_t now)
{
	*p = (struct pool){ .dice = { 11 }, .workers = workers };
	for (int w = 0; w < workers; w++) {
		limiter_init(&p->limiters[w], false, now - LIMITER_SETTLE);
		limiter_share(&p->limiters[w], rate / workers, 0, now - LIMITER_SETTLE);
		p->wakes_at[w] = limiter_ready_at(&p->limiters[w], now) + dice_below(&p->dice, 5 * MS);
	}
}

/* Timers count milliseconds; once or twice a second somebody else has the processor. */
static usec_t lateness(struct dice *dice)
{
	return dice_below(dice, 400) == 0 ? dice_below(dice, 15 * MS) : dice_below(dice, MS);
}

static void wake(struct pool *p, int w, usec_t now)
{
	struct limiter *l = &p->limiters[w];
	for (; limiter_ready_at(l, now) <= now; p->sent++) {
		limiter_take(l, now);
		p->arrivals[p->on_their_way++] = now + 200 + dice_below(&p->dice, 3 * MS);
	}
	p->wakes_at[w] = limiter_ready_at(l, now) + lateness(&p->dice);
}

static void arrive(struct pool *p, struct tenant *t, usec_t now)
{
	for (size_t i = 0; i < p->on_their_way;)
		if (p->arrivals[i] <= now) {
			p->arrivals[i] = p->arrivals[--p->on_their_way];
			p->refused += !takes(t, now);
		} else {
			i++;
		}
}

static void check(struct tenant tenant, int workers)
{
	static struct pool p;
	const usec_t begin = 1000 * S;
	const usec_t seconds = tenant.rate < 10 ? 900 : 120;
	tenant.tokens = tenant.burst;
	tenant.since = begin;
	pool_begin(&p, workers, tenant.rate, begin);
	for (usec_t now = begin; now < begin + seconds * S; now += STEP) {
		arrive(&p, &tenant, now);
		for (int w = 0; w < workers; w++)
			if (p.wakes_at[w] <= now)
				wake(&p, w, now);
	}
	const double use = (double)p.sent / (tenant.rate * (double)seconds);
	if (use < 0.98 || (double)p.refused > 0.00002 * (double)p.sent)
		fail_msg("counting %d, rate %.1f, %d workers: use %.4f, %d of %d refused", (int)tenant.counting,
			 tenant.rate, workers, use, (int)p.refused, (int)p.sent);
}

static void test_whole_and_not_refused(void **state)
{
	static const struct tenant tenants[] = {
		{ .counting = BUCKET, .rate = 600, .burst = 30 },
		{ .counting = BUCKET, .rate = 600, .burst = 16 },
		{ .counting = BUCKET, .rate = 60, .burst = 5 },
		{ .counting = BUCKET, .rate = 1000.0 / 300, .burst = 5 },
		{ .counting = WINDOW, .rate = 600, .period = S },
		{ .counting = WINDOW, .rate = 60, .period = S },
		{ .counting = WINDOW, .rate = 1000.0 / 300, .period = 300 * S },
		{ .counting = SLIDING, .rate = 600, .period = S },
		{ .counting = SLIDING, .rate = 60, .period = S },
		{ .counting = SLIDING, .rate = 1000.0 / 300, .period = 300 * S },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(tenants) / sizeof(tenants[0]); i++)
		for (int workers = 1; workers <= WORKERS_MAX; workers *= 2)
			check(tenants[i], workers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_and_not_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
