/*
 * turns - whose call is made next, tenant by tenant
 *
 *   line      handoffs under way whose next call waits for room        ┐
 *   held      before their trigger, as long as nothing may be called   ├─> room: the rate's share, the gate's pace, the
 *   roster    those that would begin                                   ┘         calls that may be open at once
 *
 * Room is used by one call at a time; rules/line.h says who comes first. When nothing may be called at all (gate,
 * breaker, token), nobody stands in line: an update would carry a stale session then, so it begins with a new fetch.
 */
#include "worker/worker.h"

static bool may_begin(const struct worker *w)
{
	return w->leaving == LEAVING_NOT && !w->stopping && !w->unproven && w->topics_fit;
}

static void hold_line(struct tenant *t, usec_t now)
{
	for (struct line_entry *e = line_first(&t->line, LINE_NOBODY, now); e;
	     e = line_first(&t->line, LINE_NOBODY, now))
		dispatch_hold(CONTAINER_OF(e, struct job, line));
}

static struct job *take_held(struct tenant *t)
{
	struct heap_link *held = heap_pop(&t->held);
	return held ? CONTAINER_OF(held, struct job, held) : NULL;
}

/* With the tenant well again, they go on in the order of all others. */
static void release_held(struct worker *w, struct tenant *t)
{
	if (!may_begin(w) || t->breaker.state != BREAKER_CLOSED || !tenant_may_call(t, w->now.mono))
		return;
	for (size_t n = t->held.count; n > 0; n--)
		dispatch_begin(take_held(t));
}

/* The next to begin: first those that have already changed their session. NULL: nobody. */
static struct job *next_job(struct tenant *t, bool is_booked_up)
{
	struct job *held = take_held(t);
	if (held || is_booked_up)
		return held;
	struct roster_entry *entry = roster_take(t->roster);
	return entry ? CONTAINER_OF(entry, struct job, turn) : NULL;
}

/* After an outage the first call is the probe, whoever makes it: one that begins or one that goes on. */
static void run(struct tenant *t, struct job *job, void (*how)(struct job *job), usec_t now)
{
	const size_t open = http_in_flight(t->http);
	breaker_started(&t->breaker, now);
	how(job);
	if (http_in_flight(t->http) == open) /* a probe that made no call decides nothing */
		breaker_undecided(&t->breaker, now, now);
}

/* Gives one call its turn; false when there is no room or nobody wants any. */
static bool give_turn(struct worker *w, struct tenant *t)
{
	const usec_t now = w->now.mono;
	if (tenant_room_at(t, now) > now)
		return false;
	const bool is_booked_up = tenant_is_booked_up(t, now);
	const bool begins = may_begin(w) && tenant_may_begin(t, now);
	const int64_t beginner = begins && !is_booked_up ? roster_next_urgency(t->roster) : LINE_NOBODY;
	struct line_entry *first = line_first(&t->line, beginner, now);
	if (first && t->breaker.state == BREAKER_HALF_OPEN)
		return false; /* the probe is under way */
	if (first) {
		run(t, CONTAINER_OF(first, struct job, line), dispatch_send, now);
		return true;
	}
	struct job *job = begins ? next_job(t, is_booked_up) : NULL;
	if (job)
		run(t, job, dispatch_begin, now);
	return job != NULL;
}

static void run_tenant(struct worker *w, struct tenant *t)
{
	if (w->unproven || !tenant_may_call(t, w->now.mono))
		hold_line(t, w->now.mono);
	release_held(w, t);
	/* A job that cannot be started after all waits again: no more rounds than there are jobs. */
	for (size_t n = roster_waiting(t->roster) + t->held.count + line_count(&t->line); n > 0; n--)
		if (!give_turn(w, t))
			return;
}

void turns_run(struct worker *w)
{
	for (size_t i = 0; i < w->tenant_count; i++)
		run_tenant(w, &w->tenants[i]);
}

static usec_t sooner(usec_t a, usec_t b)
{
	return a < b ? a : b;
}

static usec_t next_deadline(const struct worker *w, const struct tenant *t)
{
	usec_t next = sooner(clock_mono_at(&w->now, roster_next_deadline(t->roster)),
			     clock_mono_at(&w->now, line_next_deadline(&t->line)));
	if (heap_top(&t->held))
		next = sooner(next, clock_mono_at(&w->now, heap_top(&t->held)->key));
	return next;
}

usec_t turns_wait(const struct worker *w)
{
	usec_t next = USEC_NEVER;
	if (w->leaving != LEAVING_NOT)
		return USEC_NEVER; /* a deadline that passes now is the next owner's matter */
	for (size_t i = 0; i < w->tenant_count; i++) {
		const struct tenant *t = &w->tenants[i];
		const bool wants = (may_begin(w) && (roster_waiting(t->roster) > 0 || heap_top(&t->held))) ||
				   line_count(&t->line) > 0;
		if (wants && tenant_ready_at(t, w->now.mono) > w->now.mono)
			next = sooner(next, tenant_ready_at(t, w->now.mono));
		next = sooner(next, next_deadline(w, t));
	}
	if (next == USEC_NEVER)
		return USEC_NEVER;
	return next > w->now.mono ? next - w->now.mono : 0;
}
