/* dispatch - jobs walk through their calls: the state machine orders, this file carries out and feeds the replies back
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "worker/cognigy.h"
#include "worker/worker.h"

static void carry_out(struct job *job, struct handoff_order order);

static struct handoff_order feed(struct job *job, const struct handoff_event *event)
{
	struct worker *w = job->worker;
	w->policy.retrigger_keyed = job->tenant->settings->retrigger_keyed; /* each tenant has its own */
	return handoff_feed(&job->handoff, event, &w->policy, &w->now, worker_random(w));
}

/* Out of every list of the tenant's; its session is free again. */
static void leave_tenant(struct job *job)
{
	struct tenant *t = job->tenant;
	if (job->place == JOB_HELD)
		heap_remove(&t->held, &job->held);
	line_remove(&t->line, &job->line);
	if (job->place == JOB_RUNNING || job->place == JOB_HELD || job->place == JOB_IN_LINE)
		roster_release(t->roster, &job->turn);
	else if (job->place == JOB_WAITING)
		roster_remove(t->roster, &job->turn);
	job->place = JOB_NOWHERE;
}

static void forget(struct worker *w, struct job *job)
{
	w->job_memory -= job_memory(job);
	if (job->partition)
		partition_drop(job->partition, job);
	job_free(job);
}

void dispatch_enqueue(struct worker *w, struct job *job)
{
	(void)w;
	job->place = JOB_WAITING;
	if (roster_add(job->tenant->roster, &job->turn) == 0)
		return;
	job->place = JOB_NOWHERE;
	worker_fail(w, "out of memory");
}

/* ---- orphans: a list of their own, by the links that their partition's had ---- */

static void add_orphan(struct worker *w, struct job *job)
{
	job->prev = NULL;
	job->next = w->orphans;
	if (job->next)
		job->next->prev = job;
	w->orphans = job;
	w->orphan_count++;
}

static void drop_orphan(struct worker *w, struct job *job)
{
	if (job->prev)
		job->prev->next = job->next;
	else
		w->orphans = job->next;
	if (job->next)
		job->next->prev = job->prev;
	w->orphan_count--;
}

void dispatch_free_orphans(struct worker *w)
{
	while (w->orphans) {
		struct job *job = w->orphans;
		http_cancel(job->tenant->http, job->call);
		leave_tenant(job);
		drop_orphan(w, job);
		forget(w, job);
	}
}

/* ---- the end of a job ---- */

void dispatch_finish(struct worker *w, struct job *job)
{
	w->cancels_may_end = w->cancels_may_end || job->handoff.history.progress.cancel_asked;
	if (job->partition && !report_job(w, job)) {
		job->next_unreported = w->unreported;
		w->unreported = job;
		return;
	}
	if (!job->partition)
		drop_orphan(w, job);
	forget(w, job);
}

void dispatch_report_again(struct worker *w)
{
	struct job *job = w->unreported;
	w->unreported = NULL;
	while (job) {
		struct job *next = job->next_unreported;
		dispatch_finish(w, job);
		job = next;
	}
}

/* ---- calls ---- */

static void count_call(struct worker *w, const struct job *job, const struct reply *reply)
{
	char code[16];
	snprintf(code, sizeof(code), "%d", reply->http_status);
	const char *const labels[] = { tenant_name(job->tenant), stage_name(reply->stage),
				       reply->http_status ? code : fault_name(reply->kind) };
	metric_add(metrics_series(w->metrics, METRIC_UPSTREAM_REQUESTS, labels), 1);
	const char *const stage[] = { stage_name(reply->stage) };
	metric_observe(metrics_series(w->metrics, METRIC_UPSTREAM_SECONDS, stage),
		       (double)reply->elapsed / (double)USEC_PER_SEC);
	if (reply->kind == FAULT_RATE_LIMITED && reply->retry_after_ms >= 0)
		metric_observe(metrics_plain(w->metrics, METRIC_RETRY_AFTER_SECONDS),
			       (double)reply->retry_after_ms / 1000.0);
	if (reply->kind == FAULT_NONE && reply->stage == STAGE_FETCH && reply->session.status == SESSION_UNKNOWN)
		metric_add(metrics_plain(w->metrics, METRIC_UNKNOWN_SESSION_STATUS), 1);
}

static const enum stage stages[] = {
	[ORDER_FETCH] = STAGE_FETCH, [ORDER_UPDATE] = STAGE_UPDATE, [ORDER_TRIGGER] = STAGE_TRIGGER
};

static struct filling filling_of(const struct job *job)
{
	return (struct filling){
		.settings = job->tenant->settings,
		.request = &job->request,
		.history = &job->handoff.history,
	};
}

/* The update's body is made at once, while the fetched session is still at hand: a PUT never carries a stale copy. */
static bool write_body(struct job *job, const struct handoff_order *order, const struct reply *reply, int *ret_error)
{
	struct filling filling = filling_of(job);
	*ret_error = 0;
	if (order->fresh_token)
		return true; /* the same call again, with the body it had */
	if (order->kind == ORDER_UPDATE)
		filling.variables = reply->session.variables;
	*ret_error = cognigy_write_body(stages[order->kind], &filling, &job->body);
	return *ret_error == 0;
}

static void on_reply(void *arg, const struct http_reply *http);

static bool start_call(struct job *job, enum stage stage)
{
	struct worker *w = job->worker;
	const struct cognigy_call call = {
		.stage = stage,
		.filling = filling_of(job),
		.authorization = token_cache_header(job->tenant->token, w->now.mono, &job->token_serial),
		.time_left = clock_mono_at(&w->now, job->handoff.history.deadline_ms) - w->now.mono,
	};
	if (w->unproven || !call.authorization || !tenant_may_call(job->tenant, w->now.mono))
		return false;
	job->call = cognigy_start(job->tenant->http, &call, &job->body, on_reply, job);
	if (job->call)
		tenant_called(job->tenant, w->now.mono);
	job->calling = stage;
	job->called_at = w->now.mono;
	job->call_ends_at_ms = w->now.unix_ms + cognigy_timeout(job->tenant->settings, &call) / USEC_PER_MSEC + 1;
	job->place = JOB_RUNNING;
	return job->call != NULL;
}

/* While we leave, no further call is begun: what has made progress is parked with it. */
static bool is_leaving(const struct job *job)
{
	const struct worker *w = job->worker;
	return w->leaving != LEAVING_NOT || !job->partition || (w->stopping && w->now.mono >= w->stop_calls_by);
}

void dispatch_hold(struct job *job)
{
	const struct handoff_event event = { .kind = HANDOFF_HELD };
	if (job->place == JOB_IN_LINE) {
		line_remove(&job->tenant->line, &job->line);
		job->place = JOB_RUNNING;
	}
	carry_out(job, feed(job, &event));
}

void dispatch_send(struct job *job)
{
	line_remove(&job->tenant->line, &job->line);
	job->place = JOB_RUNNING;
	if (is_leaving(job) || !start_call(job, job->calling))
		dispatch_hold(job);
}

/* Waits for room, behind whoever is more urgent. False: it need not, or nothing may be called at all. */
static bool stand_in_line(struct job *job, enum stage stage)
{
	struct tenant *t = job->tenant;
	const struct worker *w = job->worker;
	const usec_t now = w->now.mono;
	const int64_t urgency = roster_urgency(&job->turn);
	const bool is_first = line_lets_pass(&t->line, urgency, stage, now) &&
			      (stage == STAGE_FETCH || urgency <= roster_next_urgency(t->roster));
	if (w->unproven || !tenant_may_call(t, now) || (is_first && tenant_room_at(t, now) <= now))
		return false;
	if (line_add(&t->line, &job->line, urgency, stage, job->handoff.history.deadline_ms, now) < 0)
		return false;
	job->calling = stage;
	job->place = JOB_IN_LINE;
	return true;
}

static void end_unmergeable(struct job *job, int error)
{
	struct reply reply = {
		.stage = STAGE_FETCH,
		.kind = FAULT_PERMANENT,
		.reason = REASON_BAD_RESPONSE,
		.budget = BUDGET_COUNT,
		.retry_after_ms = -1,
		.code = "UNMERGEABLE",
	};
	snprintf(reply.message, sizeof(reply.message), "%s",
		 error == -EINVAL ? "the session's variables cannot be merged faithfully: a name stands in them twice"
				  : "the merged variables are too large");
	const struct handoff_event event = { .kind = HANDOFF_UNSENDABLE, .reply = &reply };
	carry_out(job, feed(job, &event));
}

static void end_unsendable(struct job *job, int error)
{
	if (error != -ENOMEM) {
		end_unmergeable(job, error);
		return;
	}
	leave_tenant(job); /* nothing was decided: it is for the next owner of its record */
	worker_fail(job->worker, "out of memory");
}

static void call_ordered(struct job *job, struct handoff_order order, const struct reply *reply)
{
	int error;
	if (!write_body(job, &order, reply, &error))
		end_unsendable(job, error);
	else if (is_leaving(job) || (!stand_in_line(job, stages[order.kind]) && !start_call(job, stages[order.kind])))
		dispatch_hold(job);
}

static void wait_again(struct job *job)
{
	struct tenant *t = job->tenant;
	const struct handoff_event abandon = { .kind = HANDOFF_ABANDON };
	if (is_leaving(job) || job->worker->stopping) {
		/* Nothing is started any more: its progress goes into a retry record at once. */
		carry_out(job, feed(job, &abandon));
		return;
	}
	if (handoff_is_held(&job->handoff)) {
		job->place = JOB_HELD;
		if (heap_push(&t->held, &job->held, job->handoff.history.deadline_ms, 0) == 0)
			return;
		worker_fail(job->worker, "out of memory");
		return;
	}
	leave_tenant(job);
	dispatch_enqueue(job->worker, job);
}

static void carry_out_reply(struct job *job, struct handoff_order order, const struct reply *reply)
{
	switch (order.kind) {
	case ORDER_NOTHING:
		break;
	case ORDER_FETCH:
	case ORDER_UPDATE:
	case ORDER_TRIGGER:
		call_ordered(job, order, reply);
		break;
	case ORDER_WAIT:
		wait_again(job);
		break;
	case ORDER_PARK:
	case ORDER_FINISH:
		leave_tenant(job);
		dispatch_finish(job->worker, job);
		break;
	}
}

static void carry_out(struct job *job, struct handoff_order order)
{
	carry_out_reply(job, order, NULL);
}

static void on_reply(void *arg, const struct http_reply *http)
{
	struct job *job = arg;
	struct worker *w = job->worker;
	const struct reply_facts facts = cognigy_facts(job->tenant->settings, job->calling, http);
	const struct session_reader reader = {
		.handoff_id = job->request.handoff_id,
		.history = &job->handoff.history,
		.queue_id = job->request.queue_id,
		.marker_variable = job->tenant->settings->marker_variable,
	};
	struct reply reply;
	job->call = NULL;
	worker_read_clock(w);
	reply_read(&facts, &reader, w->now.unix_ms, &reply);
	count_call(w, job, &reply);
	const struct tenant_call call = {
		.began = job->called_at,
		.token = job->token_serial,
		.is_first_refusal = handoff_would_repeat(&job->handoff, &reply),
	};
	tenant_hear(job->tenant, &reply, &call, &w->now);
	if (!job->partition) {
		/* Its partition has left: the end of the call frees the session, and that is all. */
		leave_tenant(job);
		dispatch_finish(w, job);
		return;
	}
	const struct handoff_event event = {
		.kind = HANDOFF_REPLY,
		.reply = &reply,
		.missing_scopes = token_cache_missing_scopes(job->tenant->token),
	};
	carry_out_reply(job, feed(job, &event), &reply);
}

void dispatch_begin(struct job *job)
{
	const struct handoff_event event = { .kind = HANDOFF_START };
	job->place = JOB_RUNNING;
	carry_out(job, feed(job, &event));
}

/* ---- giving up ---- */

static void abandon(struct job *job)
{
	const struct handoff_event event = { .kind = HANDOFF_ABANDON, .call_ends_at_ms = job->call_ends_at_ms };
	if (job->call) {
		http_cancel(job->tenant->http, job->call);
		job->call = NULL;
		breaker_undecided(&job->tenant->breaker, job->called_at, job->worker->now.mono);
	}
	carry_out(job, feed(job, &event));
}

bool dispatch_end(struct job *job, const struct handoff_event *event)
{
	const struct handoff_order order = feed(job, event);
	if (order.kind != ORDER_FINISH) {
		/* In line no call is open: a cancel ends it as it does whatever waits, unless a trigger may have run.
		 */
		const bool ends = job->place == JOB_IN_LINE && event->kind == HANDOFF_CANCEL &&
				  job->handoff.history.resume != RESUME_VERIFY;
		if (ends)
			dispatch_hold(job);
		return ends;
	}
	if (job->place == JOB_PARKED) {
		parking_remove(&job->partition->parking, &job->parked);
		job->place = JOB_NOWHERE;
	}
	carry_out(job, order);
	return true;
}

void dispatch_abandon(struct worker *w, bool calls)
{
	for (size_t i = 0; i < w->partition_count; i++)
		for (struct job *job = w->partitions[i]->jobs, *next; job; job = next) {
			next = job->next;
			if (job->place == JOB_IN_LINE && (calls || w->leaving != LEAVING_NOT))
				dispatch_hold(job);
			else if (job->place == JOB_HELD || (calls && job->place == JOB_RUNNING))
				abandon(job);
		}
}

size_t dispatch_busy(const struct worker *w)
{
	size_t busy = 0;
	for (size_t i = 0; i < w->tenant_count; i++)
		busy += roster_running(w->tenants[i].roster);
	return busy - w->orphan_count;
}

void dispatch_orphan(struct worker *w, struct job *job)
{
	if (job->place == JOB_RUNNING) {
		partition_drop(job->partition, job);
		add_orphan(w, job);
		return;
	}
	if (job->place == JOB_PARKED)
		parking_remove(&job->partition->parking, &job->parked);
	else if (job->place != JOB_NOWHERE)
		leave_tenant(job);
	forget(w, job);
}
