/*
 * expiry - who cannot make it any more is told at once, so that the bot can fall back while the caller still listens
 *
 *  waits or is held    when its deadline comes, or as soon as its tenant is closed until then
 *  is parked           as soon as its tenant is closed until its deadline (its own due time lies before it)
 *
 * "Closed" is what cannot change any more: a gate never opens early, nor is a rate-limited login. A breaker can close
 * at any moment, so behind one the deadline itself is waited for.
 */
#include "worker/worker.h"

/* Those that are parked are looked through at most this often for each tenant: they may be many. */
#define PARKED_INTERVAL USEC_PER_SEC

static int64_t closed_until_ms(const struct worker *w, const struct tenant *t)
{
	const usec_t until = tenant_closed_until(t, w->now.mono);
	return until > w->now.mono ? clock_unix_at(&w->now, until) : w->now.unix_ms;
}

bool expiry_is_certain(const struct job *job)
{
	const struct worker *w = job->worker;
	return tenant_closed_until(job->tenant, w->now.mono) > w->now.mono &&
	       job->handoff.history.deadline_ms <= closed_until_ms(w, job->tenant);
}

static void expire(const struct worker *w, struct job *job)
{
	const struct handoff_event event = {
		.kind = HANDOFF_EXPIRE,
		.unreachable = job->handoff.history.deadline_ms > w->now.unix_ms,
	};
	dispatch_end(job, &event);
}

static void expire_parked(const struct worker *w, const struct tenant *t)
{
	for (size_t i = 0; i < w->partition_count; i++)
		for (struct job *job = w->partitions[i]->jobs, *next; job; job = next) {
			next = job->next;
			if (job->place == JOB_PARKED && job->tenant == t && !job->request.is_cancel &&
			    expiry_is_certain(job))
				expire(w, job);
		}
}

static void look_at_parked(const struct worker *w, struct tenant *t)
{
	const usec_t until = tenant_closed_until(t, w->now.mono);
	if (until <= w->now.mono || until <= t->parked_told || w->now.mono < t->parked_told_at + PARKED_INTERVAL)
		return;
	t->parked_told = until;
	t->parked_told_at = w->now.mono;
	expire_parked(w, t);
}

void expiry_run(struct worker *w)
{
	if (w->leaving != LEAVING_NOT)
		return;
	for (size_t i = 0; i < w->tenant_count; i++) {
		struct tenant *t = &w->tenants[i];
		const int64_t until = closed_until_ms(w, t);
		for (struct roster_entry *e = roster_expired(t->roster, until); e; e = roster_expired(t->roster, until))
			expire(w, CONTAINER_OF(e, struct job, turn));
		for (struct line_entry *e = line_expired(&t->line, until); e; e = line_expired(&t->line, until))
			expire(w, CONTAINER_OF(e, struct job, line));
		while (heap_top(&t->held) && heap_top(&t->held)->key <= until)
			expire(w, CONTAINER_OF(heap_top(&t->held), struct job, held));
		look_at_parked(w, t);
	}
}
