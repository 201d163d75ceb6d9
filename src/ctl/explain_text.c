#include "ctl/explain_text.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "ctl/body.h"
#include "json/write.h"

/* --- pieces --- */

/* A text of ours or of somebody else's, with nothing in it that a terminal would obey. */
static void add_safe(struct buf *out, const char *text)
{
	for (const char *p = text ? text : "-"; *p; p++)
		buf_add_char(out, (unsigned char)*p < 0x20 || *p == 0x7f ? '?' : *p);
}

static void add_member(struct buf *out, struct json_object *object, const char *key)
{
	struct json_object *found = body_member(object, key);
	add_safe(out, found ? json_object_get_string(found) : "-");
}

/* "10:00:00.123", the day is said once. */
static void add_clock(struct buf *out, int64_t unix_ms)
{
	char text[25];
	text_rfc3339(text, unix_ms);
	text[23] = '\0';
	buf_add_text(out, text + 11);
}

static void add_seconds(struct buf *out, int64_t ms)
{
	buf_add_format(out, "%" PRId64 ".%" PRId64 " s", ms / 1000, ms % 1000 / 100);
}

static void add_place(struct buf *out, const struct record *record)
{
	buf_add_format(out, "%s/%" PRId32 "/%" PRId64, record->topic, record->partition, record->offset);
}

/* --- what it waits for --- */

/* What stood in its way when it was parked. */
static const char *cause_of(const struct history *history)
{
	switch (history->reason) {
	case REASON_LOCKED:
		return "lock";
	case REASON_RATE_LIMITED:
		return "gate";
	case REASON_COUNT:
		return "worker";
	default:
		return "back-off";
	}
}

static const char *reply_of(const struct history *history)
{
	switch (history->reason) {
	case REASON_LOCKED:
		return "the session was locked";
	case REASON_RATE_LIMITED:
		return "the calls were rate-limited (429)";
	case REASON_SERVER_ERROR:
		return "the connector failed (5xx)";
	case REASON_BAD_RESPONSE:
		return "the reply could not be read";
	case REASON_TIMEOUT:
		return "no reply came";
	case REASON_COUNT:
		return "its worker gave it back (a stop, a rebalance)";
	default:
		return reason_name(history->reason);
	}
}

/* Does this worker have the partition that the newest record stands in? */
static bool owns(const struct worker_view *view, const struct record *record)
{
	struct json_object *list = body_member(view->status, "partitions");
	if (!json_object_is_type(list, json_type_array))
		return false;
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *one = json_object_array_get_idx(list, i);
		struct json_object *topic = body_member(one, "topic");
		if (topic && !strcmp(json_object_get_string(topic), record->topic) &&
		    json_object_get_int(body_member(one, "partition")) == record->partition)
			return true;
	}
	return false;
}

/* The tenant of the handoff in the worker's view; the only one where the request names none. */
static struct json_object *tenant_of(const struct worker_view *view, const char *name)
{
	struct json_object *list = body_member(view->status, "tenants");
	if (!json_object_is_type(list, json_type_array))
		return NULL;
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *one = json_object_array_get_idx(list, i);
		struct json_object *its = body_member(one, "name");
		if (!name || (its && !strcmp(json_object_get_string(its), name)))
			return one;
	}
	return NULL;
}

static const char *what_holds(struct json_object *tenant)
{
	struct json_object *cause = body_member(tenant, "waitsFor");
	return json_object_is_type(cause, json_type_string) ? json_object_get_string(cause) : NULL;
}

/* One word for what keeps it: "ended" has none. */
static const char *waits_for(const struct story_event *newest, const struct story_chapter *chapter,
			     const struct worker_view *view)
{
	if (chapter->state == STORY_OVER || chapter->state == STORY_LOST)
		return NULL;
	if (chapter->state == STORY_WAITING)
		return cause_of(&newest->history);
	const char *held = owns(view, newest->record) ? what_holds(tenant_of(view, newest->request.tenant)) : NULL;
	return held ? held : "worker";
}

/* --- for people --- */

static void tell_request(const struct story_event *e, struct buf *out)
{
	if (e->history.replay > 0)
		buf_add_format(out, "replayed, for the %" PRId32 ". time", e->history.replay);
	else
		buf_add_text(out, "requested");
	buf_add_text(out, "; to be done by ");
	add_clock(out, e->history.deadline_ms);
}

static void tell_retry(const struct story_event *e, struct buf *out)
{
	const struct history *h = &e->history;
	if (e->kind == STORY_MOVED) {
		buf_add_text(out, "moved to the tail of the retry topic; nothing else has changed");
		return;
	}
	buf_add_format(out, "attempt %" PRId32 ": ", h->attempt - 1);
	if (e->step < STAGE_COUNT)
		buf_add_format(out, "%s: ", stage_name(e->step));
	buf_add_text(out, reply_of(h));
	if (h->resume == RESUME_VERIFY)
		buf_add_text(out, "; the trigger may have been executed");
	buf_add_format(out, "; attempt %" PRId32 " not before ", h->attempt);
	add_clock(out, h->not_before_ms);
}

static void tell_error(struct json_object *error, struct buf *out)
{
	if (!json_object_is_type(error, json_type_object))
		return;
	buf_add_text(out, "; ");
	if (body_member(error, "stage")) {
		add_member(out, error, "stage");
		buf_add_text(out, ": ");
	}
	if (body_member(error, "httpStatus")) {
		add_member(out, error, "httpStatus");
		buf_add_char(out, ' ');
	}
	add_member(out, error, "message");
	if (body_member(error, "traceId")) { /* what the vendor's support asks for */
		buf_add_text(out, " (traceId ");
		add_member(out, error, "traceId");
		buf_add_char(out, ')');
	}
}

static void tell_outcome(const struct story_event *e, struct buf *out)
{
	struct json_object *body = body_parse(e->record);
	buf_add_text(out, "ended as ");
	add_member(out, body, "status");
	buf_add_char(out, '/');
	add_member(out, body, "reason");
	buf_add_text(out, " after ");
	add_member(out, body_member(body, "timing"), "totalMs");
	buf_add_text(out, " ms and ");
	add_member(out, body, "attempts");
	buf_add_text(out, json_object_get_int(body_member(body, "attempts")) == 1 ? " attempt" : " attempts");
	if (json_object_get_boolean(body_member(body, "cancelRequested")))
		buf_add_text(out, "; a cancel had come too late");
	tell_error(body_member(body, "error"), out);
	if (json_object_get_boolean(body_member(body, "retryable")))
		buf_add_text(out, "; asking again may help");
	json_object_put(body);
}

static void tell_event(const struct story_event *e, struct buf *out)
{
	switch (e->kind) {
	case STORY_REQUEST:
		tell_request(e, out);
		break;
	case STORY_CANCEL:
		buf_add_text(out, "the caller hung up: cancelled");
		break;
	case STORY_ENDED:
		tell_outcome(e, out);
		break;
	case STORY_DEAD:
		buf_add_text(out, "put among the dead letters; handoffctl replay --id sends it again");
		break;
	default:
		tell_retry(e, out);
		break;
	}
}

static void write_events(const struct story *story, const struct story_chapter *chapter, struct buf *out)
{
	const int64_t began = story->events[chapter->first].at_ms;
	for (size_t i = 0; i < chapter->count; i++) {
		const struct story_event *e = &story->events[chapter->first + i];
		buf_add_text(out, "  ");
		add_clock(out, e->at_ms);
		buf_add_text(out, "  +");
		add_seconds(out, e->at_ms > began ? e->at_ms - began : 0);
		buf_add_text(out, "  ");
		tell_event(e, out);
		buf_add_text(out, "  (");
		add_place(out, e->record);
		buf_add_text(out, ")\n");
	}
}

static void tell_tenant(struct json_object *tenant, struct buf *out)
{
	struct json_object *gate = body_member(tenant, "gate");
	struct json_object *breaker = body_member(tenant, "breaker");
	buf_add_text(out, json_object_get_boolean(body_member(gate, "closed")) ? "gate closed" : "gate open");
	if (body_member(gate, "opensInSeconds")) {
		buf_add_text(out, " for ");
		add_member(out, gate, "opensInSeconds");
		buf_add_text(out, " s");
	}
	buf_add_text(out, ", breaker ");
	add_member(out, breaker, "state");
	buf_add_text(out, ", calls ");
	add_member(out, tenant, "calls");
	buf_add_text(out, " of ");
	add_member(out, tenant, "maxInFlight");
	if (body_member(body_member(tenant, "rate"), "sharePerSecond")) {
		buf_add_text(out, ", rate ");
		add_member(out, body_member(tenant, "rate"), "sharePerSecond");
		buf_add_text(out, " calls/s");
	}
}

static void tell_view(const struct story_event *newest, const struct worker_view *view, struct buf *out)
{
	struct json_object *tenant = tenant_of(view, newest->request.tenant);
	if (!view->status) {
		if (view->trouble[0])
			buf_add_format(out,
				       "       no worker answers at %s (%s); --admin HOST:PORT names another one\n",
				       view->address, view->trouble);
		else
			buf_add_text(out, "       --admin HOST:PORT asks a worker for its gate, breaker and rate\n");
		return;
	}
	buf_add_text(out, "       worker ");
	add_member(out, view->status, "instance");
	if (!owns(view, newest->record)) {
		buf_add_format(out, " does not own %s/%" PRId32 "; --admin HOST:PORT names another one\n",
			       newest->record->topic, newest->record->partition);
		return;
	}
	buf_add_text(out, ": ");
	tell_tenant(tenant, out);
	buf_add_char(out, '\n');
}

static void tell_deadline(const struct story *story, const struct story_chapter *chapter, struct buf *out)
{
	const int64_t left = chapter->deadline_ms - story->now_ms;
	if (left > 0) {
		buf_add_text(out, "; ends as expired in ");
		add_seconds(out, left);
	} else {
		buf_add_text(out, "; its deadline passed ");
		add_seconds(out, -left);
		buf_add_text(out, " ago, so it ends as expired when a worker reads it");
	}
	buf_add_char(out, '\n');
}

static void write_now(const struct story *story, const struct story_chapter *chapter, const struct worker_view *view,
		      struct buf *out)
{
	const struct story_event *newest = &story->events[chapter->newest];
	buf_add_text(out, "  now: ");
	switch (chapter->state) {
	case STORY_OVER:
		buf_add_text(out, "it is over\n");
		return;
	case STORY_LOST:
		buf_add_text(out, "the group has done it, but there is no trace of it; see handoffctl verify\n");
		return;
	case STORY_WAITING:
		buf_add_format(out, "waits (%s) for ", cause_of(&newest->history));
		add_seconds(out, chapter->due_ms - story->now_ms);
		break;
	default:
		buf_add_format(out, "%s, and waits for its turn (%s)",
			       chapter->state == STORY_DUE ? "due" : "not ended by any worker yet",
			       waits_for(newest, chapter, view));
		break;
	}
	tell_deadline(story, chapter, out);
	tell_view(newest, view, out);
}

static void write_head(const struct story *story, const struct story_chapter *chapter, struct buf *out)
{
	const struct story_event *first = &story->events[chapter->first];
	const struct origin *origin = &first->origin;
	char day[25];
	text_rfc3339(day, first->at_ms);
	buf_add_format(out, "%s of %s/%" PRId32 "/%" PRId64 ", %.10s", story->id, origin->topic, origin->partition,
		       origin->offset, day);
	if (first->kind == STORY_REQUEST || first->kind == STORY_PARKED) {
		buf_add_text(out, ", session ");
		add_safe(out, first->request.session_id);
	}
	if (first->request.tenant) {
		buf_add_text(out, ", tenant ");
		add_safe(out, first->request.tenant);
	}
	if (first->request.batch_id) {
		buf_add_text(out, ", batch ");
		add_safe(out, first->request.batch_id);
	}
	buf_add_char(out, '\n');
}

void explain_write_text(const struct story *story, const struct worker_view *view, struct buf *out)
{
	for (size_t i = 0; i < story->chapter_count; i++) {
		write_head(story, &story->chapters[i], out);
		write_events(story, &story->chapters[i], out);
		write_now(story, &story->chapters[i], view, out);
	}
}

/* --- for machines --- */

static void write_time(struct buf *out, const char *key, int64_t unix_ms)
{
	char text[25];
	text_rfc3339(text, unix_ms);
	write_text(out, key, unix_ms > 0 ? text : NULL);
}

static void write_place(struct buf *out, const char *key, const char *topic, int32_t partition, int64_t offset)
{
	char place[320];
	snprintf(place, sizeof(place), "%s/%" PRId32 "/%" PRId64, topic, partition, offset);
	write_text(out, key, place);
}

static void write_retry(const struct story_event *e, struct buf *out)
{
	const struct history *h = &e->history;
	write_int(out, "nextAttempt", h->attempt);
	write_text(out, "step", stage_name(e->step));
	write_text(out, "reason", reason_name(h->reason));
	write_text(out, "resume", resume_name(h->resume));
	write_time(out, "notBefore", h->not_before_ms);
	write_object_begin(out, "failures");
	for (int b = 0; b < BUDGET_COUNT; b++)
		write_int(out, budget_name((enum budget)b), h->failures[b]);
	write_object_end(out);
}

static void write_event(const struct story_event *e, struct buf *out)
{
	write_object_begin(out, NULL);
	write_text(out, "kind", story_kind_name(e->kind));
	write_time(out, "at", e->at_ms);
	write_place(out, "place", e->record->topic, e->record->partition, e->record->offset);
	if (e->kind == STORY_REQUEST)
		write_int(out, "replay", e->history.replay);
	if (e->kind == STORY_PARKED || e->kind == STORY_MOVED)
		write_retry(e, out);
	if (e->kind == STORY_ENDED)
		write_raw(out, "outcome", e->record->value);
	if (e->kind == STORY_DEAD)
		write_string(out, "error", record_header(e->record, HDR_ERROR));
	write_object_end(out);
}

static void write_chapter(const struct story *story, const struct story_chapter *chapter,
			  const struct worker_view *view, struct buf *out)
{
	const struct story_event *first = &story->events[chapter->first];
	const struct story_event *newest = &story->events[chapter->newest];
	const bool is_open = chapter->state == STORY_WAITING || chapter->state == STORY_DUE;
	write_object_begin(out, NULL);
	write_place(out, "origin", first->origin.topic, first->origin.partition, first->origin.offset);
	write_text(out, "sessionId", first->request.session_id);
	write_text(out, "tenant", first->request.tenant);
	write_text(out, "batchId", first->request.batch_id);
	write_time(out, "deadline", chapter->deadline_ms);
	write_text(out, "state", story_state_name(chapter->state));
	write_text(out, "waitsFor", waits_for(newest, chapter, view));
	write_time(out, "dueAt", is_open ? chapter->due_ms : 0);
	write_array_begin(out, "events");
	for (size_t i = 0; i < chapter->count; i++)
		write_event(&story->events[chapter->first + i], out);
	write_array_end(out);
	write_object_end(out);
}

void explain_write_json(const struct story *story, const struct worker_view *view, struct buf *out)
{
	write_object_begin(out, NULL);
	write_text(out, "handoffId", story->id);
	write_time(out, "at", story->now_ms);
	write_array_begin(out, "handoffs");
	for (size_t i = 0; i < story->chapter_count; i++)
		write_chapter(story, &story->chapters[i], view, out);
	write_array_end(out);
	write_text(out, "worker", view->status ? json_object_get_string(body_member(view->status, "instance")) : NULL);
	write_object_end(out);
	buf_add_char(out, '\n');
}
