#include "rules/outcome.h"

#include <stdlib.h>

#include "base/text.h"
#include "rules/header_list.h"
#include "json/scan.h"
#include "json/write.h"

/* Every part is bounded (ids, 8 KiB of body, six bytes for one at most), and so is their sum: never reached. */
#define VALUE_MAX    ((size_t)1 << 20)
#define HEADER_MAX   14
#define TRACE_ID_MAX 256 /* bytes, with its quotes */

void transfer_fini(struct transfer *transfer)
{
	free(transfer->flow_execution_id);
	free(transfer->flow_status);
	free(transfer->action);
	free(transfer->media_stream_status);
	free(transfer->agent_wait_time);
	*transfer = (struct transfer){ .flow_status = NULL };
}

void outcome_error_fini(struct outcome_error *error)
{
	free(error->code);
	free(error->message);
	free(error->body);
	*error = (struct outcome_error){ .stage = STAGE_COUNT };
}

int32_t outcome_attempts(const struct history *history, const struct outcome *outcome)
{
	for (int s = STAGE_FETCH; s < STAGE_COUNT; s++)
		if (outcome->stage_ms[s] >= 0)
			return history->attempt;
	return history->attempt - 1;
}

/* An upstream's text may be as long as its reply. */
static void write_cut(struct buf *out, const char *key, const char *text)
{
	if (text)
		write_string(out, key, history_cut_id(span_of(text)));
	else
		write_null(out, key);
}

static void write_time(struct buf *out, const char *key, int64_t unix_ms)
{
	struct buf text;
	buf_init(&text, 64);
	text_add_rfc3339(&text, unix_ms);
	write_string(out, key, buf_span(&text));
	if (!buf_ok(&text))
		out->failed = true;
	buf_fini(&text);
}

static void write_duration(struct buf *out, const char *key, int64_t ms)
{
	if (ms < 0)
		write_null(out, key);
	else
		write_int(out, key, ms);
}

static void write_identity(struct buf *out, const struct request *request, const struct outcome *outcome)
{
	write_text(out, "handoffId", request->handoff_id);
	write_text(out, "batchId", request->batch_id);
	write_text(out, "sessionId", request->session_id);
	write_text(out, "tenant", request->tenant ? request->tenant : outcome->default_tenant);
	write_text(out, "status", status_name(outcome->status));
	write_text(out, "reason", reason_name(outcome->reason));
	write_bool(out, "retryable", outcome->retryable);
	write_text(out, "queueId", request->queue_id);
}

static void write_transfer(struct buf *out, const struct progress *progress, const struct transfer *transfer)
{
	static const struct transfer nothing;
	const struct transfer *t = transfer ? transfer : &nothing;
	write_object_begin(out, "transfer");
	write_text(out, "callId", progress->call_id);
	write_text(out, "transferId", progress->transfer_id);
	write_cut(out, "flowExecutionId", t->flow_execution_id);
	write_cut(out, "flowStatus", t->flow_status);
	write_cut(out, "action", t->action);
	write_cut(out, "mediaStreamStatus", t->media_stream_status);
	if (t->agent_wait_time && strlen(t->agent_wait_time) <= OUTCOME_NUMBER_MAX)
		write_raw(out, "agentWaitTime", span_of(t->agent_wait_time));
	else
		write_null(out, "agentWaitTime");
	write_object_end(out);
}

static void write_calls(struct buf *out, const struct progress *progress)
{
	write_object_begin(out, "calls");
	write_int(out, "fetch", progress->calls[STAGE_FETCH]);
	write_int(out, "update", progress->calls[STAGE_UPDATE]);
	write_int(out, "trigger", progress->calls[STAGE_TRIGGER]);
	write_object_end(out);
}

/* Times of different machines' clocks may run backwards; a duration that was does not. */
static int64_t between(int64_t from_ms, int64_t to_ms)
{
	return to_ms > from_ms ? to_ms - from_ms : 0;
}

static void write_timing(struct buf *out, const struct progress *progress, const struct outcome *outcome)
{
	const bool started = progress->started_at_ms > 0;
	const int64_t requested = progress->requested_at_ms;
	const int64_t finished = outcome->finished_at_ms;
	write_object_begin(out, "timing");
	write_time(out, "requestedAt", requested);
	if (started)
		write_time(out, "startedAt", progress->started_at_ms);
	else
		write_null(out, "startedAt");
	write_time(out, "finishedAt", finished);
	write_int(out, "queuedMs", between(requested, started ? progress->started_at_ms : finished));
	write_duration(out, "fetchMs", outcome->stage_ms[STAGE_FETCH]);
	write_duration(out, "updateMs", outcome->stage_ms[STAGE_UPDATE]);
	write_duration(out, "triggerMs", outcome->stage_ms[STAGE_TRIGGER]);
	write_int(out, "parkedMs", progress->parked_ms);
	write_int(out, "totalMs", between(requested, finished));
	write_object_end(out);
}

/* What the vendor's support asks for; only where the error's body (RFC 7807) names one. */
static void write_trace_id(struct buf *out, const char *body)
{
	struct scan_value top, trace_id;
	if (body && scan_check(span_of(body), &top, NULL) == 0 && scan_point(top, "/traceId", &trace_id) &&
	    trace_id.type == SCAN_STRING && trace_id.text.n <= TRACE_ID_MAX)
		write_raw(out, "traceId", trace_id.text);
}

static void write_error(struct buf *out, const struct outcome_error *error)
{
	if (!error || !error->present) {
		write_null(out, "error");
		return;
	}
	write_object_begin(out, "error");
	write_text(out, "stage", stage_name(error->stage));
	if (error->http_status > 0)
		write_int(out, "httpStatus", error->http_status);
	else
		write_null(out, "httpStatus");
	write_text(out, "code", error->code);
	write_text(out, "message", error->message);
	write_text(out, "body", error->body);
	write_bool(out, "bodyTruncated", error->body_truncated);
	write_trace_id(out, error->body);
	write_object_end(out);
}

static void write_origins(struct buf *out, const struct origin *source, const struct outcome *outcome)
{
	write_object_begin(out, "source");
	write_text(out, "topic", source->topic);
	write_int(out, "partition", source->partition);
	write_int(out, "offset", source->offset);
	write_object_end(out);
	write_object_begin(out, "worker");
	write_text(out, "instance", outcome->instance);
	write_text(out, "version", outcome->version);
	write_object_end(out);
}

static void write_value(struct buf *out, const struct request *request, const struct history *history,
			const struct outcome *outcome)
{
	write_object_begin(out, NULL);
	write_identity(out, request, outcome);
	write_transfer(out, &history->progress, outcome->transfer);
	write_int(out, "attempts", outcome_attempts(history, outcome));
	write_calls(out, &history->progress);
	write_timing(out, &history->progress, outcome);
	write_error(out, outcome->error);
	write_origins(out, &history->origin, outcome);
	if (outcome->cancel_requested)
		write_bool(out, "cancelRequested", true);
	write_object_end(out);
}

static void add_headers(struct header_list *list, const struct request *request, const struct history *history,
			const struct outcome *outcome)
{
	header_list_add_text(list, HDR_CE_SPECVERSION, "1.0");
	header_list_add_text(list, HDR_CE_ID, outcome->event_id);
	header_list_add_text(list, HDR_CE_SOURCE, outcome->source);
	header_list_add_text(list, HDR_CE_TYPE, CE_TYPE_OUTCOME);
	text_add_rfc3339(header_list_open(list, HDR_CE_TIME), outcome->finished_at_ms);
	if (request->session_id) /* an attribute of an event is never empty: left out when there is none */
		header_list_add_text(list, HDR_CE_SUBJECT, request->session_id);
	header_list_add_text(list, HDR_ID, request->handoff_id);
	header_list_add_text(list, HDR_STATUS, status_name(outcome->status));
	header_list_add_text(list, HDR_REASON, reason_name(outcome->reason));
	origin_write(header_list_open(list, HDR_ORIGIN), &history->origin);
	if (request->batch_id)
		header_list_add_text(list, HDR_BATCH, request->batch_id);
	header_list_add_text(list, HDR_CONTENT_TYPE, CONTENT_TYPE_JSON);
	if (request->traceparent.p)
		header_list_add(list, HDR_TRACEPARENT, request->traceparent);
	if (request->tracestate.p)
		header_list_add(list, HDR_TRACESTATE, request->tracestate);
}

struct record *outcome_record(const char *topic, const struct record *original, const struct request *request,
			      const struct history *history, const struct outcome *outcome)
{
	struct header_list list;
	struct buf value;
	struct record *record = NULL;
	header_list_init(&list, HEADER_MAX);
	buf_init(&value, VALUE_MAX);
	add_headers(&list, request, history, outcome);
	write_value(&value, request, history, outcome);
	if (buf_ok(&value)) {
		const struct record like = { .topic = topic,
					     .partition = -1,
					     .offset = -1,
					     .timestamp_ms = -1,
					     .key = request->session_id ? span_of(request->session_id) : original->key,
					     .value = buf_span(&value) };
		record = header_list_record(&list, &like);
	}
	buf_fini(&value);
	header_list_fini(&list);
	return record;
}
