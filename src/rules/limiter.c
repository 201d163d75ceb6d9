#include "rules/limits.h"

#define WAIT_MAX 1e18 /* microseconds; more is as good as never, and must not overflow */

static double not_negative(double value)
{
	return value > 0 ? value : 0;
}

void limiter_init(struct limiter *l, double rate, double burst, usec_t now)
{
	*l = (struct limiter){ .rate = not_negative(rate), .burst = not_negative(burst), .at = now };
	l->tokens = l->burst;
}

static double least(double a, double b)
{
	return a < b ? a : b;
}

/* What the bucket holds at `now`; a clock that went back adds nothing. */
static double tokens_at(const struct limiter *l, usec_t now)
{
	const double gained = now > l->at ? (double)(now - l->at) * l->rate / (double)USEC_PER_SEC : 0;
	return least(l->tokens + gained, l->burst);
}

static void settle(struct limiter *l, usec_t now)
{
	l->tokens = tokens_at(l, now);
	if (now > l->at)
		l->at = now;
}

void limiter_set_rate(struct limiter *l, double rate, double burst, usec_t now)
{
	settle(l, now);
	l->rate = not_negative(rate);
	l->burst = not_negative(burst);
}

usec_t limiter_ready_at(const struct limiter *l, double n, usec_t now)
{
	const double missing = least(n, l->burst) - tokens_at(l, now);
	if (l->rate <= 0 || missing <= 0)
		return now;
	const double wait = missing / l->rate * (double)USEC_PER_SEC;
	/* Rounded up, and one more for what the division may have lost. */
	return wait < WAIT_MAX ? now + (usec_t)wait + 2 : USEC_NEVER;
}

void limiter_take(struct limiter *l, double n, usec_t now)
{
	if (l->rate <= 0)
		return;
	settle(l, now);
	l->tokens -= n;
}
