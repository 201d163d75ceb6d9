/*
 * cancel - the caller hung up: end what waits, note it on what runs, keep what comes too early
 *
 *  found, nothing triggered      the handoff ends as `cancelled`; the cancel is done
 *  found, trigger may have run   the handoff goes on, its outcome says so; the cancel is done
 *  not found, request topic      kept in the retry topic until its deadline (it may have overtaken its request)
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

/* Tells every matching handoff of this worker; how many there were. Cancels are rare: a walk over all is cheap. */
static size_t tell_all(struct worker *w, const struct job *cancel)
{
	static const struct handoff_event event = { .kind = HANDOFF_CANCEL };
	size_t told = 0;
	for (size_t i = 0; i < w->partition_count; i++)
		for (struct job *job = w->partitions[i]->jobs, *next; job; job = next) {
			next = job->next;
			if (job->place == JOB_NOWHERE || !matches(cancel, job))
				continue;
			dispatch_end(job, &event);
			told++;
		}
	return told;
}

/* The cancel's record is done with, without a trace. */
static void end(struct worker *w, struct job *cancel)
{
	cancel->place = JOB_NOWHERE;
	dispatch_finish(w, cancel);
}

void cancel_take(struct worker *w, struct job *cancel)
{
	struct history *history = &cancel->handoff.history;
	if (tell_all(w, cancel) > 0 || history->deadline_ms <= w->now.unix_ms) {
		end(w, cancel);
		return;
	}
	history->not_before_ms = history->deadline_ms;
	if (cancel->partition->is_retry) {
		cancel->partition->cancels++;
		intake_park(w, cancel);
	} else {
		cancel->handoff.step = HANDOFF_PARKED;
		dispatch_finish(w, cancel);
	}
}

void cancel_expire(struct worker *w, struct job *cancel)
{
	cancel->partition->cancels--;
	end(w, cancel);
}

bool cancel_awaits(struct worker *w, const struct job *job)
{
	for (size_t i = 0; i < w->partition_count; i++) {
		struct partition *p = w->partitions[i];
		/* Every request asks, and thousands may be parked: only where there is a cancel they are walked over.
		 */
		for (struct job *cancel = p->cancels > 0 ? p->jobs : NULL; cancel; cancel = cancel->next) {
			if (!cancel->request.is_cancel || cancel->place != JOB_PARKED || !matches(cancel, job))
				continue;
			parking_remove(&p->parking, &cancel->parked);
			cancel_expire(w, cancel);
			return true;
		}
	}
	return false;
}
