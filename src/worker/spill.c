/*
 * spill - a parked record moves to the tail of its topic, so that what stands behind it can be read
 *
 *   pressure                                      what is spilled
 *   the window (worker.window) is full            the record furthest due
 *   the memory (worker.memory_mb) is full, or     the same, where records are still unread
 *   the partition's share of it nearly is
 *   the done map nears what a commit can carry    the records at the base, for only that moves the base
 *   one of several tenants has more than half     its oldest that wait, from the request topics too, due when the
 *   of a partition's window, and cannot be        tenant may open; of one that is only slower than its requests
 *   called (gate, breaker, no token), or has no   come, in BUSY_PAUSE
 *   room for more calls
 *
 * It is written again with the same headers (attempt and, but for the last, not-before unchanged) and marked done, in
 * one batch. It may be spilled again after max(5 s, a quarter of its remaining wait), which handoff-spilled-at tells
 * also after a crash; until then reading rests. So rewriting is bounded by window / 5 s, and there is no livelock.
 */
#include "worker/worker.h"

#define PAUSE_MIN_MS  INT64_C(5000)
#define PAUSE_SHARE   4
#define SOON_MS       INT64_C(1000) /* what is due this soon makes room by itself */
#define AT_ONCE       64
#define BUSY_PAUSE    (30 * USEC_PER_SEC)
#define LOOK_EVERY    (200 * USEC_PER_MSEC) /* at the jobs of tenants that must make way */
#define OUTLET_ENOUGH ((size_t)8 << 20)     /* what is spilled occupies memory until it is committed */

static bool may_spill(const struct worker *w, const struct job *job)
{
	const struct history *h = &job->handoff.history;
	const int64_t wait = h->not_before_ms - w->now.unix_ms;
	const int64_t pause = wait / PAUSE_SHARE > PAUSE_MIN_MS ? wait / PAUSE_SHARE : PAUSE_MIN_MS;
	return job->place == JOB_PARKED && wait > SOON_MS &&
	       (h->spilled_at_ms == 0 || w->now.unix_ms - h->spilled_at_ms >= pause);
}

static bool spill(struct worker *w, struct job *job)
{
	struct history *h = &job->handoff.history;
	const int64_t before = h->spilled_at_ms;
	h->spilled_at_ms = w->now.unix_ms;
	if (!report_spill(w, job)) {
		h->spilled_at_ms = before;
		return false;
	}
	metric_add(metrics_plain(w->metrics, METRIC_SPILLS), 1);
	if (job->request.is_cancel)
		job->partition->cancels--;
	dispatch_orphan(w, job);
	return true;
}

bool spill_renew(struct worker *w, struct job *job)
{
	if (!report_spill(w, job))
		return false;
	dispatch_orphan(w, job);
	return true;
}

static bool spill_furthest(struct worker *w, struct partition *p)
{
	struct parked *furthest = parking_furthest(&p->parking);
	struct job *job = furthest ? CONTAINER_OF(furthest, struct job, parked) : NULL;
	return job && may_spill(w, job) && spill(w, job);
}

/* From the base on, as far as what is open there waits: one alone would move it by a few offsets for each batch. */
static void spill_base(struct worker *w, struct partition *p)
{
	struct job *job = p->oldest;
	if (p->spilled_base == offsets_base(p->offsets))
		return; /* it moves when the batch is built */
	for (int n = 0; n < AT_ONCE && job; n++) {
		struct job *newer = job->prev;
		if (!may_spill(w, job) || !spill(w, job))
			return;
		p->spilled_base = offsets_base(p->offsets);
		job = newer;
	}
}

static bool has_unread(const struct worker *w, size_t index)
{
	return kafka_consumer_end(w->consumer, index) > offsets_next(w->partitions[index]->offsets);
}

bool spill_make_room(struct worker *w, size_t index, bool crowded)
{
	struct partition *p = w->partitions[index];
	const bool full = p->job_count >= (size_t)w->settings->worker.window || (crowded && has_unread(w, index));
	if (!p->is_retry || outlet_memory(w->outlet) >= OUTLET_ENOUGH)
		return false;
	if (partition_has_room(p, SIZE_MAX))
		return full && spill_furthest(w, p);
	spill_base(w, p);
	return false;
}

void spill_for_memory(struct worker *w)
{
	for (size_t i = 0; i < w->partition_count; i++) {
		struct partition *p = w->partitions[i];
		if (!p->is_retry || !has_unread(w, i))
			continue;
		for (int n = 0; n < AT_ONCE && outlet_memory(w->outlet) < OUTLET_ENOUGH; n++)
			if (!spill_furthest(w, p))
				break;
	}
}

/* ---- tenants that fill the window ---- */

static bool may_make_way(const struct worker *w, const struct job *job, int64_t due_ms)
{
	const struct history *h = &job->handoff.history;
	return job->place == JOB_WAITING && !job->request.is_cancel && due_ms < h->deadline_ms &&
	       due_ms - w->now.unix_ms > SOON_MS &&
	       (h->spilled_at_ms == 0 || w->now.unix_ms - h->spilled_at_ms >= PAUSE_MIN_MS);
}

static bool make_way(struct worker *w, struct job *job, int64_t due_ms)
{
	const int64_t before = job->handoff.history.not_before_ms;
	job->handoff.history.not_before_ms = due_ms;
	if (spill(w, job))
		return true;
	job->handoff.history.not_before_ms = before;
	return false;
}

/* The newest come first in the list: whoever stands behind half a window of the tenant's is one of its oldest. */
static void make_room_from(struct worker *w, const struct partition *p, const struct tenant *t, int64_t due_ms)
{
	int64_t count = 0;
	for (struct job *job = p->jobs, *next; job; job = next) {
		next = job->next;
		/* It was due; a clock that was set back since makes it no earlier. */
		const int64_t was_ms = job->handoff.history.not_before_ms, back_ms = was_ms > due_ms ? was_ms : due_ms;
		if (job->tenant != t || ++count <= w->settings->worker.window / 2 || !may_make_way(w, job, back_ms))
			continue;
		if (outlet_memory(w->outlet) >= OUTLET_ENOUGH || !make_way(w, job, back_ms))
			return;
	}
}

static bool is_filled(const struct worker *w, const struct partition *p)
{
	return w->tenant_count > 1 && p->job_count > (size_t)w->settings->worker.window / 2;
}

usec_t spill_wait(const struct worker *w)
{
	for (size_t i = 0; i < w->partition_count; i++)
		if (is_filled(w, w->partitions[i]))
			return w->tenants_looked_at > w->now.mono ? w->tenants_looked_at - w->now.mono : 0;
	return USEC_NEVER;
}

/* When those of this tenant that make way come back; `now`: none has to. */
static usec_t back_at(const struct tenant *t, usec_t now)
{
	const usec_t opens_at = tenant_opens_at(t, now);
	if (opens_at > now)
		return opens_at;
	return tenant_room_at(t, now) > now ? now + BUSY_PAUSE : now;
}

void spill_for_tenants(struct worker *w)
{
	if (w->now.mono < w->tenants_looked_at)
		return;
	w->tenants_looked_at = w->now.mono + LOOK_EVERY;
	if (w->leaving != LEAVING_NOT || w->stopping)
		return;
	for (size_t i = 0; i < w->tenant_count; i++) {
		const struct tenant *t = &w->tenants[i];
		const usec_t at = back_at(t, w->now.mono);
		for (size_t n = 0; n < w->partition_count && at > w->now.mono; n++)
			if (is_filled(w, w->partitions[n]))
				make_room_from(w, w->partitions[n], t, clock_unix_at(&w->now, at));
	}
}
