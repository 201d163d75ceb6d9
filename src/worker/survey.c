#include "worker/survey.h"

#include <assert.h>

static enum wait_cause cause_of(const struct worker *w, const struct tenant *t)
{
	const usec_t now = w->now.mono;
	uint64_t serial;
	if (w->stopping || w->leaving != LEAVING_NOT || w->unproven || !w->topics_fit)
		return WAIT_WORKER;
	if (!token_cache_header(t->token, now, &serial))
		return WAIT_TOKEN;
	if (!breaker_allows(&t->breaker, now))
		return WAIT_BREAKER;
	if (gate_ready_at(&t->gate) > now)
		return WAIT_GATE;
	if (limiter_ready_at(&t->limiter, now) > now)
		return WAIT_RATE;
	return tenant_room_at(t, now) == USEC_NEVER ? WAIT_SLOTS : WAIT_TURN;
}

const char *wait_cause_name(enum wait_cause cause)
{
	static const char *const names[] = {
		[WAIT_WORKER] = "worker",   [WAIT_SESSION] = "session", [WAIT_TOKEN] = "token",
		[WAIT_BREAKER] = "breaker", [WAIT_GATE] = "gate",       [WAIT_RATE] = "rate",
		[WAIT_SLOTS] = "slots",     [WAIT_TURN] = "turn",
	};
	static_assert(ARRAY_SIZE(names) == WAIT_COUNT, "every cause has a name");
	return names[cause];
}

static void note_parked(const struct worker *w, const struct job *job, struct survey *s)
{
	const usec_t wait = job->due - w->now.mono;
	const int64_t bucket = wait / (SURVEY_BUCKET_MS * USEC_PER_MSEC);
	if (job->request.is_cancel) {
		s->cancels++;
		return;
	}
	s->parked++;
	s->parked_by[job->handoff.history.reason]++;
	if (wait <= 0)
		s->due_now++;
	else if (bucket < SURVEY_BUCKETS)
		s->due[bucket]++;
	else
		s->due_later++;
	if (job->due < s->next_due)
		s->next_due = job->due;
}

static void note_waiting(const struct job *job, struct tenant_survey *t, struct survey *s)
{
	const bool is_behind = job->turn.place == ROSTER_BEHIND;
	t->waiting++;
	s->waits[is_behind && t->cause != WAIT_WORKER ? WAIT_SESSION : t->cause]++;
}

static void note_age(const struct worker *w, const struct job *job, struct survey *s)
{
	const int64_t at = job->handoff.history.progress.requested_at_ms;
	if (at <= 0 || job->request.is_cancel || (s->oldest && w->now.unix_ms - at <= s->oldest_ms))
		return;
	s->oldest = job;
	s->oldest_ms = at < w->now.unix_ms ? w->now.unix_ms - at : 0;
}

static void note_job(const struct worker *w, const struct job *job, struct survey *s)
{
	struct tenant_survey *t = job->tenant ? &s->tenants[job->tenant - w->tenants] : NULL;
	note_age(w, job, s);
	switch (job->place) {
	case JOB_NOWHERE:
	case JOB_WITNESSING:
		break;
	case JOB_LISTENING:
		s->cancels++;
		break;
	case JOB_WAITING:
		s->waiting++;
		note_waiting(job, t, s);
		break;
	case JOB_PARKED:
		t->parked += !job->request.is_cancel;
		note_parked(w, job, s);
		break;
	case JOB_RUNNING:
		s->in_flight++;
		s->calls[job->calling]++;
		t->running++;
		break;
	case JOB_IN_LINE:
	case JOB_HELD:
		s->in_flight++;
		s->held++;
		note_waiting(job, t, s);
		break;
	}
}

void survey_take(const struct worker *w, struct tenant_survey *tenants, struct survey *ret)
{
	*ret = (struct survey){ .next_due = USEC_NEVER, .tenants = tenants };
	for (size_t i = 0; i < w->tenant_count; i++)
		tenants[i] = (struct tenant_survey){ .cause = cause_of(w, &w->tenants[i]) };
	for (size_t i = 0; i < w->partition_count; i++)
		for (const struct job *job = w->partitions[i]->jobs; job; job = job->next)
			note_job(w, job, ret);
	for (const struct job *job = w->orphans; job; job = job->next) {
		ret->in_flight++;
		ret->calls[job->calling]++;
		tenants[job->tenant - w->tenants].running++;
	}
	const int64_t unsaid_ms = outlet_oldest(w->outlet, w->now.mono) / USEC_PER_MSEC;
	ret->incomplete_ms = ret->oldest_ms > unsaid_ms ? ret->oldest_ms : unsaid_ms;
}

int64_t survey_lag(const struct worker *w, size_t index)
{
	const struct partition *p = w->partitions[index];
	/* Before the first answer of the broker the end is -1 and nothing counts as unread. */
	const int64_t end = kafka_consumer_end(w->consumer, index);
	const int64_t unread = end > offsets_next(p->offsets) ? end - offsets_next(p->offsets) : 0;
	return unread + (int64_t)offsets_open_count(p->offsets);
}
