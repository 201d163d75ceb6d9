#include "sandbox/limit.h"

static bool take_of_window(struct limit *l, usec_t now, usec_t *ret_wait)
{
	if (!l->begun || now - l->since >= l->period) {
		l->begun = true;
		l->since = now;
		l->used = 0;
	}
	if (l->used < l->calls) {
		l->used++;
		return true;
	}
	*ret_wait = l->since + l->period - now;
	return false;
}

static bool take_of_bucket(struct limit *l, usec_t now, usec_t *ret_wait)
{
	const double per_usec = (double)l->calls / (double)l->period;
	if (!l->begun)
		l->tokens = (double)l->burst;
	else
		l->tokens += (double)(now - l->since) * per_usec;
	if (l->tokens > (double)l->burst)
		l->tokens = (double)l->burst;
	l->begun = true;
	l->since = now;
	if (l->tokens >= 1.0) {
		l->tokens -= 1.0;
		return true;
	}
	*ret_wait = (usec_t)((1.0 - l->tokens) / per_usec) + 1;
	return false;
}

bool limit_take(struct limit *l, usec_t now, usec_t *ret_wait)
{
	if (l->calls == 0)
		return true;
	return l->kind == LIMIT_WINDOW ? take_of_window(l, now, ret_wait) : take_of_bucket(l, now, ret_wait);
}
