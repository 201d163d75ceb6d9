/*
 * limited_origin - a tenant that limits its calls, and a worker with more to do than it may, in virtual time
 *
 * The worker knows no rate: its gate and its concurrency have to find it. Steps of a millisecond. Handoffs are three
 * calls; one that meets a 429 begins anew later, one that cannot go on while the gate is closed fetches again.
 */
#ifndef LIMITED_ORIGIN_H
#define LIMITED_ORIGIN_H

#include <string.h>

#include "rules/concurrency.h"
#include "rules/limits.h"

enum { ORIGIN_CALLS_MAX = 4096 };

struct limited_origin {
	double rate;    /* calls a second */
	double burst;   /* of a bucket */
	usec_t period;  /* > 0: it counts by periods of this length instead */
	usec_t latency; /* of each call */
	/* its own: */
	double tokens;
	usec_t filled_at;
	usec_t period_since;
	double used;
	struct {
		usec_t ends_at;
		int stage;
		bool refused;
		usec_t retry_after;
	} calls[ORIGIN_CALLS_MAX];
	size_t open;
	struct gate gate;
	struct concurrency concurrency;
	int64_t ready[3]; /* handoffs whose next call is this one; of the fetch: how often it came to that again */
	int64_t sent, refused, done;
};

static inline usec_t rounded_up(usec_t wait)
{
	return (wait + USEC_PER_SEC - 1) / USEC_PER_SEC * USEC_PER_SEC;
}

/* 0: passes; else the Retry-After, as the simulator says it: in seconds, rounded up. */
static inline usec_t origin_take(struct limited_origin *o, usec_t now)
{
	if (o->period > 0) {
		if (o->period_since == 0 || now - o->period_since >= o->period) {
			o->period_since = now;
			o->used = 0;
		}
		if (o->used >= o->rate * (double)o->period / (double)USEC_PER_SEC)
			return rounded_up(o->period_since + o->period - now);
		o->used++;
		return 0;
	}
	o->tokens += (double)(now - o->filled_at) * o->rate / (double)USEC_PER_SEC;
	o->filled_at = now;
	if (o->tokens > o->burst)
		o->tokens = o->burst;
	if (o->tokens < 1)
		return rounded_up((usec_t)((1 - o->tokens) / o->rate * (double)USEC_PER_SEC) + 1);
	o->tokens--;
	return 0;
}

static inline void origin_send(struct limited_origin *o, int stage, usec_t now)
{
	const usec_t wait = origin_take(o, now);
	o->calls[o->open].ends_at = now + o->latency;
	o->calls[o->open].stage = stage;
	o->calls[o->open].refused = wait > 0;
	o->calls[o->open++].retry_after = wait;
	o->sent++;
	o->refused += wait > 0;
	gate_called(&o->gate, now);
	concurrency_started(&o->concurrency, (int64_t)o->open);
}

static inline void origin_end(struct limited_origin *o, size_t i, usec_t now)
{
	const int stage = o->calls[i].stage;
	const bool refused = o->calls[i].refused;
	const usec_t wait = o->calls[i].retry_after;
	o->calls[i] = o->calls[--o->open];
	if (refused) {
		concurrency_ended(&o->concurrency);
		gate_close(&o->gate, now + wait, now);
		return;
	}
	concurrency_succeeded(&o->concurrency);
	gate_succeeded(&o->gate, now);
	if (stage == 2)
		o->done++;
	else
		o->ready[stage + 1]++;
}

static inline void origin_turn(struct limited_origin *o, usec_t now)
{
	for (size_t i = 0; i < o->open;)
		if (o->calls[i].ends_at <= now)
			origin_end(o, i, now);
		else
			i++;
	if (gate_is_closed(&o->gate, now))
		o->ready[1] = 0;
	while (gate_ready_at(&o->gate) <= now && o->open < (size_t)concurrency_limit(&o->concurrency)) {
		const int stage = o->ready[2] ? 2 : o->ready[1] ? 1 : 0;
		if (stage > 0)
			o->ready[stage]--;
		origin_send(o, stage, now);
	}
}

/* Handoffs that were done in `time`, in parts of what the origin's limit allows. */
static inline double origin_goodput(struct limited_origin *o, usec_t begin, usec_t time)
{
	const int64_t before = o->done;
	for (usec_t now = begin; now < begin + time; now += USEC_PER_MSEC)
		origin_turn(o, now);
	return (double)(o->done - before) * 3 / (o->rate * (double)time / (double)USEC_PER_SEC);
}

static inline void origin_begin(struct limited_origin *o)
{
	o->tokens = o->burst;
	o->filled_at = 1000 * USEC_PER_SEC;
	gate_init(&o->gate);
	concurrency_init(&o->concurrency, 256, false);
}

#endif
