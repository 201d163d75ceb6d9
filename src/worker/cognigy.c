#include "worker/cognigy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "json/merge.h"
#include "json/write.h"

#define OWN_VARIABLES 5
#define PAIRS_MAX     (REQUEST_METADATA_KEYS_MAX + OWN_VARIABLES)
#define URL_MAX       4096
#define HEADER_MAX    1024

/* The caller's metadata as pairs; their decoded keys are collected in `keys`, which must outlive the pairs. */
static size_t add_metadata(const struct request *request, struct merge_pair *pairs, struct buf *keys)
{
	struct scan_value object;
	struct scan_member member;
	size_t ends[REQUEST_METADATA_KEYS_MAX];
	size_t count = 0;
	if (!request->metadata.p || scan_check(request->metadata, &object, NULL) < 0)
		return 0;
	struct scan_walk walk = scan_members(object);
	while (count < REQUEST_METADATA_KEYS_MAX && scan_next(&walk, &member)) {
		scan_decode_key(keys, member.key);
		ends[count] = keys->len;
		pairs[count++].value = member.value.text;
	}
	/* Only now does the buffer no longer move. */
	for (size_t i = 0, begin = 0; i < count; begin = ends[i], i++)
		pairs[i].key = (struct span){ buf_text(keys) + begin, ends[i] - begin };
	return count;
}

static size_t add_own(const struct settings_tenant *settings, const struct buf *queue, const struct buf *marker,
		      struct merge_pair *pairs)
{
	size_t count = 0;
	pairs[count++] = (struct merge_pair){ SPAN(VAR_TRANSFER_TARGET), buf_span(queue) };
	pairs[count++] = (struct merge_pair){ SPAN(VAR_TRANSFER_TYPE), SPAN("\"queue\"") };
	pairs[count++] = (struct merge_pair){ SPAN(VAR_HANDOFF_TRIGGER), SPAN("true") };
	pairs[count++] = (struct merge_pair){ SPAN(VAR_TELEPHONY_ACTION), SPAN("\"transfer\"") };
	if (settings->marker_variable[0])
		pairs[count++] = (struct merge_pair){ span_of(settings->marker_variable), buf_span(marker) };
	return count;
}

static void write_marker(struct buf *quoted, const struct request *request, const struct history *history)
{
	char storage[1025];
	struct buf marker;
	buf_init_on(&marker, storage, sizeof(storage));
	session_marker_write(&marker, request->handoff_id, history);
	write_quoted(quoted, buf_span(&marker));
	buf_fini(&marker);
}

/* The first that is not well; want of memory comes before everything else, which may be its consequence. */
static int worst_of(const struct buf *const *bufs, size_t count, int r)
{
	for (size_t i = 0; i < count; i++)
		if (buf_result(bufs[i]) == -ENOMEM || r == 0)
			r = buf_result(bufs[i]);
	return r;
}

int cognigy_write_update(const struct settings_tenant *settings, const struct request *request,
			 const struct history *history, struct scan_value variables, struct buf *body)
{
	struct merge_pair pairs[PAIRS_MAX];
	struct buf keys, queue, marker;
	buf_init(&keys, REQUEST_METADATA_BYTES_MAX);
	buf_init(&queue, 256);
	buf_init(&marker, 8192);
	size_t count = add_metadata(request, pairs, &keys);
	write_quoted(&queue, span_of(request->queue_id));
	write_marker(&marker, request, history);
	count += add_own(settings, &queue, &marker, pairs + count);

	buf_reset(body);
	buf_add_text(body, "{\"variables\":");
	int r = merge_object(body, variables, pairs, count);
	buf_add_format(body, ",\"telephony\":{\"action\":\"transfer\",\"preserveMediaStream\":%s}}",
		       settings->preserve_media_stream ? "true" : "false");
	r = worst_of((const struct buf *const[]){ body, &keys, &queue, &marker }, 4, r);
	buf_fini(&keys);
	buf_fini(&queue);
	buf_fini(&marker);
	return r;
}

int cognigy_write_trigger(const struct settings_tenant *settings, const struct request *request, struct buf *body)
{
	buf_reset(body);
	write_object_begin(body, NULL);
	write_text(body, "sessionId", request->session_id);
	write_text(body, "intent", settings->intent);
	write_text(body, "text", settings->text);
	write_text(body, "channel", "voice");
	write_object_end(body);
	return buf_result(body);
}

usec_t cognigy_timeout(const struct settings_tenant *settings, const struct cognigy_call *call)
{
	const int64_t own[] = {
		[STAGE_LOGIN] = settings->login_timeout_ms,
		[STAGE_FETCH] = settings->fetch_timeout_ms,
		[STAGE_UPDATE] = settings->update_timeout_ms,
		[STAGE_TRIGGER] = settings->trigger_timeout_ms,
	};
	const usec_t timeout = own[call->stage] * USEC_PER_MSEC;
	return call->time_left < timeout ? call->time_left : timeout;
}

/* The session's path is a template: "{sessionId}" is where the percent-encoded id goes. */
static void write_url(struct buf *url, const struct settings_tenant *settings, const struct cognigy_call *call)
{
	static const char hole[] = "{sessionId}";
	const char *path = call->stage == STAGE_TRIGGER ? settings->flow_path : settings->session_path;
	buf_add_text(url, settings->base_url);
	for (const char *at = strstr(path, hole); at; at = strstr(path, hole)) {
		buf_add(url, path, (size_t)(at - path));
		text_percent_encode(url, span_of(call->request->session_id));
		path = at + sizeof(hole) - 1;
	}
	buf_add_text(url, path);
}

/* "name: value" as a line of its own behind `lines`, NUL-terminated; SPAN_NONE writes nothing. */
struct header_lines {
	const char *line[5];
	size_t count;
	char text[4][HEADER_MAX];
};

static void add_line(struct header_lines *lines, size_t slot, const char *name, struct span value)
{
	if (!value.p)
		return;
	snprintf(lines->text[slot], HEADER_MAX, "%s: %.*s", name, SPAN_FMT(value));
	lines->line[lines->count++] = lines->text[slot];
}

/* After a replay it is another transfer that is wanted, hence another key. */
static void add_idempotency_key(struct header_lines *lines, const struct cognigy_call *call)
{
	char key[512];
	const int n = call->history->replay > 0
			      ? snprintf(key, sizeof(key), "%s.r%d", call->request->handoff_id, call->history->replay)
			      : snprintf(key, sizeof(key), "%s", call->request->handoff_id);
	add_line(lines, 2, "Idempotency-Key", (struct span){ key, (size_t)n });
}

struct http_call *cognigy_start(struct http *http, const struct settings_tenant *settings,
				const struct cognigy_call *call, const struct buf *body, http_done *done, void *arg)
{
	static const char *const methods[] = {
		[STAGE_FETCH] = "GET", [STAGE_UPDATE] = "PUT", [STAGE_TRIGGER] = "POST"
	};
	struct header_lines lines = { .line = { call->authorization, "Content-Type: application/json" }, .count = 2 };
	struct buf url;
	add_line(&lines, 0, "traceparent", call->request->traceparent);
	add_line(&lines, 1, "tracestate", call->request->tracestate);
	if (call->stage == STAGE_TRIGGER)
		add_idempotency_key(&lines, call);
	buf_init(&url, URL_MAX);
	write_url(&url, settings, call);
	const struct http_request request = {
		.method = methods[call->stage],
		.url = buf_text(&url),
		.headers = lines.line,
		.header_count = lines.count,
		.body = call->stage == STAGE_FETCH ? SPAN_NONE : buf_span(body),
		.timeout = cognigy_timeout(settings, call),
		.once = call->stage != STAGE_FETCH,
	};
	struct http_call *started = buf_ok(&url) ? http_start(http, &request, done, arg) : NULL;
	buf_fini(&url);
	return started;
}

struct reply_facts cognigy_facts(enum stage stage, const struct http_reply *reply)
{
	return (struct reply_facts){
		.stage = stage,
		.complete = reply->error == HTTP_OK,
		.sent = reply->sent,
		.resent = reply->resent,
		.timed_out = reply->error == HTTP_TIMEOUT,
		.status = reply->status,
		.body = reply->body,
		.retry_after = reply->retry_after,
		.date = reply->date,
		.elapsed = reply->elapsed,
		.trouble = reply->message,
	};
}
