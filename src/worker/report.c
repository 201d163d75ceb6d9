/* report - the end of a job becomes records for the outlet: its outcome (and dead letter), or its retry */
#include "base/log.h"
#include "rules/redact.h"
#include "worker/worker.h"

static void count_outcome(struct worker *w, const struct job *job)
{
	const struct handoff *h = &job->handoff;
	const char *const labels[] = { job->tenant ? tenant_name(job->tenant) : "", status_name(h->status),
				       reason_name(h->reason) };
	metric_add(metrics_series(w->metrics, METRIC_OUTCOMES, labels), 1);
	meter_count(&w->ended[h->reason], w->now.mono);
	w->ended_ever[h->reason]++;
	metric_observe(metrics_plain(w->metrics, METRIC_HANDOFF_SECONDS),
		       (double)(w->now.unix_ms - h->history.progress.requested_at_ms) / 1000.0);
	const struct log_subject subject = job_subject(job);
	const bool is_trouble = h->status == STATUS_FAILED || h->status == STATUS_EXPIRED;
	log_write(is_trouble ? worker_complaint_level(w) : LOG_DEBUG, &subject, "%s (%s)", status_name(h->status),
		  reason_name(h->reason));
}

static void count_retry(struct worker *w, const struct job *job)
{
	const enum reason reason = job->handoff.history.reason;
	const char *const labels[] = { reason == REASON_COUNT ? "worker.stopping" : reason_name(reason) };
	metric_add(metrics_series(w->metrics, METRIC_RETRIES, labels), 1);
}

static struct outcome outcome_of(const struct worker *w, const struct job *job, const char *event_id)
{
	const struct handoff *h = &job->handoff;
	struct outcome outcome = {
		.status = h->status,
		.reason = h->reason,
		.retryable = h->retryable,
		.cancel_requested = h->history.progress.cancel_asked && h->status != STATUS_CANCELLED,
		.transfer = &h->transfer,
		.error = &h->error,
		.finished_at_ms = w->now.unix_ms,
		.default_tenant = job->tenant ? tenant_name(job->tenant) : NULL,
		.source = w->event_source,
		.instance = w->settings->kafka.instance,
		.version = HANDOFF_VERSION,
		.event_id = event_id,
	};
	for (size_t i = 0; i < STAGE_COUNT; i++)
		outcome.stage_ms[i] = h->stage_ms[i];
	return outcome;
}

/* The event's id is the source record's place: the same outcome written twice has the same id. */
static void write_event_id(struct buf *out, const struct history *history)
{
	origin_write(out, &history->origin);
	if (history->replay > 0)
		buf_add_format(out, ".r%d", history->replay);
}

/* Errors like to name the path that was asked for, and this word in it opens the endpoint to anybody. */
static void hide_token(struct job *job)
{
	struct outcome_error *error = &job->handoff.error;
	if (!job->request.url_token)
		return;
	if (error->message)
		redact_word(error->message, job->request.url_token);
	if (error->body)
		redact_word(error->body, job->request.url_token);
}

static bool build_outcome(struct worker *w, struct job *job, struct record **ret_first, struct record **ret_second)
{
	struct buf id;
	hide_token(job);
	buf_init(&id, 512);
	write_event_id(&id, &job->handoff.history);
	const struct outcome outcome = outcome_of(w, job, buf_text(&id));
	const struct handoff *h = &job->handoff;
	*ret_first = outcome_record(w->settings->kafka.outcomes, job->record, &job->request, &h->history, &outcome);
	const bool is_dead = reason_is_dead_letter(h->reason);
	if (is_dead)
		*ret_second = dead_letter_record(w->settings->kafka.dead_letters, job->record, &job->request,
						 &h->history, &outcome);
	buf_fini(&id);
	return *ret_first && (*ret_second || !is_dead);
}

static bool build_retry(struct worker *w, const struct job *job, struct record **ret_first)
{
	*ret_first = history_retry_record(job->record, w->settings->kafka.retry, job->request.handoff_id,
					  job->request.batch_id, &job->handoff.history);
	if (!*ret_first)
		return false;
	(*ret_first)->timestamp_ms = w->now.unix_ms; /* it is parked from now on, not from when its batch is written */
	return true;
}

bool report_job(struct worker *w, struct job *job)
{
	struct record *first = NULL;
	struct record *second = NULL;
	const bool is_parked = job->handoff.step == HANDOFF_PARKED;
	const bool is_silent = job->request.is_cancel && job->handoff.step == HANDOFF_WAITING;
	const bool ok = is_silent || (is_parked ? build_retry(w, job, &first) : build_outcome(w, job, &first, &second));
	if (ok && outlet_add(w->outlet, job->partition, job->record->offset, first, second, w->now.mono) == 0) {
		if (is_parked)
			count_retry(w, job);
		else if (!is_silent)
			count_outcome(w, job);
		return true;
	}
	record_free(first);
	record_free(second);
	return false;
}

bool report_spill(struct worker *w, struct job *job)
{
	struct progress *progress = &job->handoff.history.progress;
	const int64_t parked_ms = progress->parked_ms;
	struct record *record = NULL;
	if (job->place == JOB_PARKED && job->record->timestamp_ms > 0 && w->now.unix_ms > job->record->timestamp_ms)
		progress->parked_ms += w->now.unix_ms - job->record->timestamp_ms;
	if (build_retry(w, job, &record) &&
	    outlet_add(w->outlet, job->partition, job->record->offset, record, NULL, w->now.mono) == 0)
		return true;
	progress->parked_ms = parked_ms;
	record_free(record);
	return false;
}
