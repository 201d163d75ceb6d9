/*
 * cancel - the caller hung up: end what waits, note it on what runs, keep what comes too early
 *
 *  found, waiting or parked      the handoff ends as `cancelled`; the cancel is done
 *  found, a call is open         it ends at the next step, or goes on where a trigger may have run
 *  found, trigger may have run   it goes on; its retry record and its outcome say that it was cancelled
 *  the latter two, WITNESSING    the cancel is done when that is reported: after a crash it is read once more
 *  not found, request topic      kept in the retry topic until its deadline (it may have overtaken its request)
 *  that one, LISTENING           compared from here until it is read back from there
 *                                (after an assignment the retries are read before requests are: intake.c)
 *  not found, retry topic        parked here until its deadline, compared with every request that comes
 */
#include <string.h>

#include "worker/worker.h"

static bool matches(const struct job *cancel, const struct job *job)
{
	return !job->request.is_cancel && job->tenant == cancel->tenant && job->request.session_id &&
	       strcmp(job->request.session_id, cancel->request.session_id) == 0 &&
	       (!cancel->request.handoff_id_given || strcmp(job->request.handoff_id, cancel->request.handoff_id) == 0);
}

/* Told, and it goes on here: only the memory of this worker knows yet that it was. */
static bool goes_on(const struct job *job)
{
	return job->handoff.history.progress.cancel_asked && (job->place == JOB_RUNNING || job->place == JOB_IN_LINE ||
							      job->place == JOB_HELD || job->place == JOB_WAITING);
}

struct told {
	size_t count;
	size_t open; /* of them: it goes on, a call is open or its trigger may have run */
};

/* True: it goes on here, and remembers it. */
static bool tell(struct worker *w, struct job *job)
{
	static const struct handoff_event event = { .kind = HANDOFF_CANCEL };
	const bool is_known = job->handoff.history.progress.cancel_asked;
	if (dispatch_end(job, &event))
		return false;
	/* Its outcome has to say so, whoever writes it. */
	if (job->place == JOB_PARKED && !is_known && spill_renew(w, job))
		return false;
	return goes_on(job);
}

/* Tells every matching handoff of this worker. Cancels are rare: a walk over all is cheap. */
static struct told tell_all(struct worker *w, const struct job *cancel)
{
	struct told told = { 0 };
	for (size_t i = 0; i < w->partition_count; i++)
		for (struct job *job = w->partitions[i]->jobs, *next; job; job = next) {
			next = job->next;
			if (job->place == JOB_NOWHERE || !matches(cancel, job))
				continue;
			told.count++;
			told.open += tell(w, job);
		}
	return told;
}

/* The cancel's record is done with, without a trace. */
static void end(struct worker *w, struct job *cancel)
{
	cancel->place = JOB_NOWHERE;
	dispatch_finish(w, cancel);
}

static bool is_same_origin(const struct origin *a, const struct origin *b)
{
	return a->offset == b->offset && a->partition == b->partition && strcmp(a->topic, b->topic) == 0;
}

/* Its record is written and counts as done; only the memory of it goes. */
static void forget(struct worker *w, struct job *cancel)
{
	cancel->partition->cancels -= cancel->place == JOB_LISTENING;
	cancel->place = JOB_NOWHERE;
	dispatch_orphan(w, cancel);
}

/* A cancel that was written to the retry topic has come back, or its time has passed: whoever listened for it here
 * stops. True when it was used up meanwhile. */
static bool stop_listening(struct worker *w, const struct job *echo)
{
	bool used = false;
	for (size_t i = 0; i < w->partition_count; i++) {
		struct partition *p = w->partitions[i];
		for (struct job *job = p->listeners > 0 ? p->jobs : NULL, *next; job; job = next) {
			const struct history *h = &job->handoff.history;
			const bool is_echo = is_same_origin(&h->origin, &echo->handoff.history.origin);
			next = job->next;
			if (job == echo || !job->is_written || !(is_echo || h->deadline_ms <= w->now.unix_ms))
				continue;
			used |= is_echo && job->place != JOB_LISTENING;
			p->listeners--;
			forget(w, job);
		}
	}
	return used;
}

/* Into the retry topic; compared from here until it is read back. */
static void keep(struct worker *w, struct job *cancel)
{
	cancel->handoff.step = HANDOFF_PARKED;
	if (!report_job(w, cancel)) {
		dispatch_finish(w, cancel); /* tries again later */
		return;
	}
	cancel->is_written = true;
	cancel->place = JOB_LISTENING;
	cancel->partition->cancels++;
	cancel->partition->listeners++;
}

void cancel_take(struct worker *w, struct job *cancel)
{
	struct history *history = &cancel->handoff.history;
	const bool used = cancel->partition->is_retry && stop_listening(w, cancel);
	const struct told told = used ? (struct told){ .count = 1 } : tell_all(w, cancel);
	if (told.open > 0) {
		cancel->place = JOB_WITNESSING;
		return;
	}
	if (told.count > 0 || history->deadline_ms <= w->now.unix_ms) {
		end(w, cancel);
		return;
	}
	history->not_before_ms = history->deadline_ms;
	if (cancel->partition->is_retry) {
		cancel->partition->cancels++;
		intake_park(w, cancel);
	} else {
		keep(w, cancel);
	}
}

void cancel_expire(struct worker *w, struct job *cancel)
{
	cancel->partition->cancels--;
	end(w, cancel);
}

static bool has_witness(const struct worker *w, const struct job *cancel)
{
	for (size_t i = 0; i < w->partition_count; i++)
		for (const struct job *job = w->partitions[i]->jobs; job; job = job->next)
			if (goes_on(job) && matches(cancel, job))
				return true;
	return false;
}

void cancel_settle(struct worker *w)
{
	if (!w->cancels_may_end)
		return;
	w->cancels_may_end = false;
	for (size_t i = 0; i < w->partition_count; i++)
		for (struct job *job = w->partitions[i]->jobs, *next; job; job = next) {
			next = job->next;
			if (job->place == JOB_WITNESSING && !has_witness(w, job))
				end(w, job);
		}
}

bool cancel_awaits(struct worker *w, const struct job *job)
{
	for (size_t i = 0; i < w->partition_count; i++) {
		struct partition *p = w->partitions[i];
		/* Every request asks, and thousands may be parked: only where there is a cancel they are walked over.
		 */
		for (struct job *cancel = p->cancels > 0 ? p->jobs : NULL; cancel; cancel = cancel->next) {
			if (!cancel->request.is_cancel || !matches(cancel, job))
				continue;
			if (cancel->place == JOB_LISTENING) {
				/* Its echo must not cancel another one. */
				cancel->place = JOB_NOWHERE;
				p->cancels--;
				return true;
			}
			if (cancel->place == JOB_PARKED) {
				parking_remove(&p->parking, &cancel->parked);
				cancel_expire(w, cancel);
				return true;
			}
		}
	}
	return false;
}
