/*
 * limited_origin - a tenant that limits its calls, and workers with more to do than they may, in virtual time
 *
 * The workers know no rate and nothing of each other: each one's gate and concurrency have to find what is left for it.
 * Steps of a millisecond. Handoffs are three calls; one that meets a 429 begins anew later, one that cannot go on while
 * the gate is closed fetches again.
 */
#ifndef LIMITED_ORIGIN_H
#define LIMITED_ORIGIN_H

#include <string.h>

#include "rules/concurrency.h"
#include "rules/limits.h"

enum { ORIGIN_CALLS_MAX = 1024, ORIGIN_WORKERS_MAX = 4 };

struct origin_worker {
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
};

struct limited_origin {
	double rate;    /* calls a second */
	double burst;   /* of a bucket */
	usec_t period;  /* > 0: it counts by periods of this length instead */
	usec_t latency; /* of each call */
	int workers;    /* 0: one */
	/* its own: */
	double tokens;
	usec_t filled_at;
	usec_t period_since;
	double used;
	struct origin_worker pool[ORIGIN_WORKERS_MAX];
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

static inline void origin_send(struct limited_origin *o, struct origin_worker *w, int stage, usec_t now)
{
	const usec_t wait = origin_take(o, now);
	w->calls[w->open].ends_at = now + o->latency;
	w->calls[w->open].stage = stage;
	w->calls[w->open].refused = wait > 0;
	w->calls[w->open++].retry_after = wait;
	o->sent++;
	o->refused += wait > 0;
	gate_called(&w->gate, now);
	concurrency_started(&w->concurrency, (int64_t)w->open);
}

static inline void origin_end(struct limited_origin *o, struct origin_worker *w, size_t i, usec_t now)
{
	const int stage = w->calls[i].stage;
	const bool refused = w->calls[i].refused;
	const usec_t wait = w->calls[i].retry_after;
	w->calls[i] = w->calls[--w->open];
	if (refused) {
		concurrency_ended(&w->concurrency);
		gate_close(&w->gate, now + wait, now);
		return;
	}
	concurrency_succeeded(&w->concurrency);
	gate_succeeded(&w->gate, now);
	if (stage == 2)
		o->done++;
	else
		w->ready[stage + 1]++;
}

static inline void origin_turn(struct limited_origin *o, struct origin_worker *w, usec_t now)
{
	for (size_t i = 0; i < w->open;)
		if (w->calls[i].ends_at <= now)
			origin_end(o, w, i, now);
		else
			i++;
	if (gate_is_closed(&w->gate, now))
		w->ready[1] = 0;
	while (gate_ready_at(&w->gate) <= now && w->open < (size_t)concurrency_limit(&w->concurrency)) {
		const int stage = w->ready[2] ? 2 : w->ready[1] ? 1 : 0;
		if (stage > 0)
			w->ready[stage]--;
		origin_send(o, w, stage, now);
	}
}

/* Handoffs that were done in `time`, in parts of what the origin's limit allows. */
static inline double origin_goodput(struct limited_origin *o, usec_t begin, usec_t time)
{
	const int64_t before = o->done;
	for (usec_t now = begin; now < begin + time; now += USEC_PER_MSEC)
		for (int w = 0; w < o->workers; w++)
			origin_turn(o, &o->pool[w], now);
	return (double)(o->done - before) * 3 / (o->rate * (double)time / (double)USEC_PER_SEC);
}

static inline void origin_begin(struct limited_origin *o)
{
	o->tokens = o->burst;
	o->filled_at = 1000 * USEC_PER_SEC;
	o->workers = o->workers > 0 ? o->workers : 1;
	for (int w = 0; w < o->workers; w++) {
		gate_init(&o->pool[w].gate);
		concurrency_init(&o->pool[w].concurrency, 256, false);
	}
}

#endif
