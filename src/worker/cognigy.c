#include "worker/cognigy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "rules/profile.h"

#define URL_MAX    4096
#define LINES_MAX  4096 /* of a profile's headers */
#define HEADER_MAX 1024

static const struct profile_step *step_of(const struct settings_tenant *settings, enum stage stage)
{
	return profile_step(settings->profile, settings->auth, stage);
}

int cognigy_write_body(enum stage stage, const struct filling *filling, struct buf *body)
{
	const struct profile_step *step = step_of(filling->settings, stage);
	buf_reset(body);
	if (!step->body)
		return 0;
	return step->is_form ? filling_encoded(body, step->body, filling) : filling_body(body, step->body, filling);
}

struct http_options cognigy_http_options(const struct settings_tenant *settings, size_t max_in_flight)
{
	return (struct http_options){
		.max_in_flight = max_in_flight,
		.max_body_bytes = (size_t)settings->max_body_bytes,
		.connect_timeout = settings->connect_timeout_ms * USEC_PER_MSEC,
		.ca_file = settings->ca_file,
		.client_cert = settings->client_cert,
		.client_key = settings->client_key,
		.user_agent = "handoffd/" HANDOFF_VERSION,
	};
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

static int write_url(struct buf *url, const struct cognigy_call *call)
{
	const struct settings_tenant *settings = call->filling.settings;
	const struct {
		const char *host, *path;
	} places[] = {
		[STAGE_LOGIN] = { settings->token_url, settings->token_url[0] ? "" : settings->login_path },
		[STAGE_FETCH] = { "", settings->session_path },
		[STAGE_UPDATE] = { "", settings->update_path[0] ? settings->update_path : settings->session_path },
		[STAGE_TRIGGER] = { settings->endpoint_url, settings->flow_path },
	};
	const char *host = places[call->stage].host;
	buf_add_text(url, host[0] ? host : settings->base_url);
	return filling_encoded(url, places[call->stage].path, &call->filling);
}

/* The header lines of a call: those without a hole are the profile's own, the others are written into `text`. */
struct header_lines {
	const char *line[HTTP_MAX_HEADERS];
	size_t count;
	char trace[2][HEADER_MAX];
	struct buf text; /* never grows: its lines do not move */
	char storage[LINES_MAX];
};

static int add_line(struct header_lines *lines, const char *template, const struct filling *filling)
{
	const char *line = template;
	if (strchr(template, '{')) {
		line = lines->text.data + lines->text.len;
		const int r = filling_header(&lines->text, template, filling);
		if (r < 0)
			return r;
		buf_add_char(&lines->text, '\0');
	}
	lines->line[lines->count++] = line;
	return buf_result(&lines->text);
}

/* SPAN_NONE adds nothing. */
static void add_trace(struct header_lines *lines, size_t slot, const char *name, struct span value)
{
	if (!value.p)
		return;
	snprintf(lines->trace[slot], HEADER_MAX, "%s: %.*s", name, SPAN_FMT(value));
	lines->line[lines->count++] = lines->trace[slot];
}

static int add_lines(struct header_lines *lines, const struct cognigy_call *call)
{
	const struct request *request = call->filling.request;
	const char *const *templates = step_of(call->filling.settings, call->stage)->headers;
	int r = 0;
	lines->count = 0;
	buf_init_on(&lines->text, lines->storage, sizeof(lines->storage));
	if (call->authorization)
		lines->line[lines->count++] = call->authorization;
	if (request)
		add_trace(lines, 0, "traceparent", request->traceparent);
	if (request)
		add_trace(lines, 1, "tracestate", request->tracestate);
	for (size_t i = 0; r == 0 && templates[i]; i++)
		r = add_line(lines, templates[i], &call->filling);
	return r;
}

struct http_call *cognigy_start(struct http *http, const struct cognigy_call *call, const struct buf *body,
				http_done *done, void *arg)
{
	const struct settings_tenant *settings = call->filling.settings;
	const struct profile_step *step = step_of(settings, call->stage);
	struct header_lines lines;
	struct buf url;
	struct http_call *started = NULL;
	buf_init(&url, URL_MAX);
	if (add_lines(&lines, call) == 0 && write_url(&url, call) == 0) {
		const struct http_request request = {
			.method = step->method,
			.url = buf_text(&url),
			.headers = lines.line,
			.header_count = lines.count,
			.body = step->body ? buf_span(body) : SPAN_NONE,
			.timeout = cognigy_timeout(settings, call),
			.once = call->stage == STAGE_UPDATE || call->stage == STAGE_TRIGGER,
		};
		started = http_start(http, &request, done, arg);
	}
	buf_fini(&url);
	return started;
}

struct reply_facts cognigy_facts(const struct settings_tenant *settings, enum stage stage,
				 const struct http_reply *reply)
{
	return (struct reply_facts){
		.stage = stage,
		.step = step_of(settings, stage),
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
