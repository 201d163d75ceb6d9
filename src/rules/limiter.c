#include "rules/limits.h"

#define WAIT_MAX 1e18 /* microseconds; more is as good as never, and must not overflow */

void limiter_init(struct limiter *l, bool unlimited, usec_t now)
{
	*l = (struct limiter){ .unlimited = unlimited, .at = now, .next_at = USEC_NEVER };
}

static double least(double a, double b)
{
	return a < b ? a : b;
}

static double most(double a, double b)
{
	return a > b ? a : b;
}

static double bucket_size(const struct limiter *l)
{
	return most(l->burst, 1) + l->rate * (double)LIMITER_SLACK / (double)USEC_PER_SEC;
}

/* A clock that went back adds nothing. */
static void fill_until(struct limiter *l, usec_t now)
{
	if (now <= l->at)
		return;
	l->tokens = least(l->tokens + (double)(now - l->at) * l->rate / (double)USEC_PER_SEC, bucket_size(l));
	l->at = now;
}

static void use(struct limiter *l, double rate, double burst)
{
	l->rate = rate;
	l->burst = burst;
	l->tokens = least(l->tokens, bucket_size(l));
}

static void settle(struct limiter *l, usec_t now)
{
	if (now >= l->next_at) {
		fill_until(l, l->next_at);
		use(l, l->next_rate, l->next_burst);
		l->next_at = USEC_NEVER;
	}
	fill_until(l, now);
}

void limiter_share(struct limiter *l, double rate, double burst, usec_t now)
{
	settle(l, now);
	rate = most(rate, 0) * LIMITER_USE;
	use(l, least(l->rate, rate), least(l->burst, burst));
	l->next_rate = rate;
	l->next_burst = burst;
	l->next_at = now + LIMITER_SETTLE;
}

/* With the present rate alone. */
static usec_t next_token(const struct limiter *l)
{
	const double missing = 1 - l->tokens;
	if (missing <= 0)
		return l->at;
	const double wait = l->rate > 0 ? missing / l->rate * (double)USEC_PER_SEC : WAIT_MAX;
	/* Rounded up, and one more for what the division may have lost. */
	return wait < WAIT_MAX ? l->at + (usec_t)wait + 2 : USEC_NEVER;
}

usec_t limiter_ready_at(const struct limiter *l, usec_t now)
{
	if (l->unlimited)
		return now;
	struct limiter then = *l;
	settle(&then, now);
	const usec_t at = next_token(&then);
	if (at <= then.next_at)
		return at;
	settle(&then, then.next_at);
	return next_token(&then);
}

void limiter_take(struct limiter *l, usec_t now)
{
	if (l->unlimited)
		return;
	settle(l, now);
	l->tokens -= 1;
}

double limiter_rate(const struct limiter *l, usec_t now)
{
	return now >= l->next_at ? l->next_rate : l->rate;
}
