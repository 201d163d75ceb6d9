#include "sim/call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/chance.h"
#include "sim/kafka_doors.h"
#include "sim/process.h"
#include "sim/trace.h"
#include "sim/upstream.h"
#include "sim/verdict.h"
#include "sim/witness.h"
#include "sim/world.h"

struct http {
	struct process *process;
	int tenant;
	size_t max_in_flight;
	size_t in_flight;
	struct http_call *calls; /* open, the newest first */
	size_t answered;
};

struct http *http_new(struct loop *loop, const struct http_options *options, struct fault *fault)
{
	(void)loop;
	(void)fault;
	struct process *p = world.running;
	struct http *http = agenda_memory(sizeof(*http));
	*http = (struct http){ .process = p, .tenant = p->http_count, .max_in_flight = options->max_in_flight };
	p->http[p->http_count++] = http;
	return http;
}

struct http *http_free(struct http *http)
{
	for (struct http_call *call = http->calls; call; call = call->next)
		call->open = false;
	http->calls = NULL;
	return NULL;
}

struct http_call *http_open_calls(const struct http *http)
{
	return http->calls;
}

size_t http_in_flight(const struct http *http)
{
	return http->in_flight;
}

static void close_call(struct http_call *call)
{
	struct http_call **link = &call->http->calls;
	while (*link && *link != call)
		link = &(*link)->next;
	if (*link)
		*link = call->next;
	call->http->answered -= call->answered;
	call->http->in_flight--;
	call->open = false;
}

/* ---- the way back ---- */

static void be_heard(struct http_call *call)
{
	call->answered = true;
	call->http->answered++;
	call->reply.elapsed = agenda_now() - call->started;
	process_wake(call->process);
}

static void reply_arrives(void *arg)
{
	struct http_call *call = arg;
	if (!call->open || call->answered)
		return;
	call->reply.sent = true;
	if (call->fate == FATE_CUT_BEFORE || call->fate == FATE_CUT_AFTER) {
		call->reply.error = HTTP_BROKEN;
		snprintf(call->reply.message, sizeof(call->reply.message), "the connection broke");
	} else {
		upstream_write_reply(call);
	}
	be_heard(call);
}

static void connection_fails(void *arg)
{
	struct http_call *call = arg;
	if (!call->open)
		return;
	call->reply = (struct http_reply){ .error = HTTP_CONNECT };
	snprintf(call->reply.message, sizeof(call->reply.message), "connection refused");
	be_heard(call);
}

static void time_is_over(void *arg)
{
	struct http_call *call = arg;
	if (!call->open || call->answered)
		return;
	call->reply = (struct http_reply){ .error = HTTP_TIMEOUT, .sent = true };
	snprintf(call->reply.message, sizeof(call->reply.message), "no reply in time");
	be_heard(call);
}

/* ---- the way there ---- */

static void arrives(void *arg)
{
	struct http_call *call = arg;
	const bool runs = call->fate != FATE_VANISHED && call->fate != FATE_CUT_BEFORE;
	if (runs)
		upstream_execute(call);
	if (call->fate != FATE_VANISHED && call->fate != FATE_UNANSWERED)
		agenda_in(chance_between(100, 1000 + world.plan.latency_ms * 500), reply_arrives, call);
}

static void send_off(struct http_call *call, usec_t timeout)
{
	call->fate = upstream_fate(call);
	if (call->fate == FATE_REFUSED) {
		process_in(call->process, chance_between(100, 20000), connection_fails, call);
		return;
	}
	/* Now and then the server is slower than the client waits. */
	const usec_t way = chance_hits(world.calm ? 0 : 3) ? timeout + chance_between(0, 3 * USEC_PER_SEC)
							   : chance_between(100, 1000 + world.plan.latency_ms * 500);
	agenda_in(way, arrives, call);
	process_in(call->process, timeout, time_is_over, call);
}

static enum stage stage_of(const struct http_request *request)
{
	if (strstr(request->url, "/auth/login") || strstr(request->url, "/oauth2/token"))
		return STAGE_LOGIN;
	if (strcmp(request->method, "GET") == 0)
		return STAGE_FETCH;
	return strcmp(request->method, "PUT") == 0 || strstr(request->url, "/context/inject") ? STAGE_UPDATE
											      : STAGE_TRIGGER;
}

/* The string that stands behind `before` in the text, up to its quote or `end`. */
static void take_string(char *ret, size_t size, const char *text, const char *before, char end)
{
	const char *at = strstr(text, before);
	const char ends[] = { '"', end, '\0' };
	if (at)
		at += strlen(before);
	snprintf(ret, size, "%.*s", at ? (int)strcspn(at, ends) : 0, at ? at : "");
}

static void take_session(struct http_call *call, const char *url)
{
	if (call->stage == STAGE_TRIGGER)
		take_string(call->session, sizeof(call->session), call->body, "\"sessionId\":\"", '"');
	else if (strstr(url, "/context/inject"))
		take_string(call->session, sizeof(call->session), url, "/sessions/", '/');
	else if (call->stage != STAGE_LOGIN)
		snprintf(call->session, sizeof(call->session), "%s", strrchr(url, '/') + 1);
}

static void take_headers(struct http_call *call, const struct http_request *request)
{
	for (size_t i = 0; i < request->header_count; i++) {
		const char *line = request->headers[i];
		if (strncmp(line, "Idempotency-Key: ", 17) == 0)
			snprintf(call->key, sizeof(call->key), "%s", line + 17);
		if (strncmp(line, "Authorization: Bearer ", 22) == 0)
			snprintf(call->token, sizeof(call->token), "%s", line + 22);
		if (strncmp(line, "X-API-Key: ", 11) == 0)
			snprintf(call->token, sizeof(call->token), "%s", line + 11);
	}
}

/* Where no header names the handoff, the marker in the body does. */
static void take_marker(struct http_call *call)
{
	if (call->stage != STAGE_TRIGGER || call->key[0])
		return;
	take_string(call->marker, sizeof(call->marker), call->body, "\"handoffdId\":\"", '"');
	take_string(call->key, sizeof(call->key), call->body, "\"handoffdId\":\"", '#');
}

struct http_call *http_start(struct http *http, const struct http_request *request, http_done *done, void *arg)
{
	struct process *p = http->process;
	if (http->in_flight >= http->max_in_flight)
		return NULL;
	struct http_call *call = agenda_memory(sizeof(*call));
	*call = (struct http_call){ .http = http,
				    .process = p,
				    .tenant = http->tenant,
				    .stage = stage_of(request),
				    .url = agenda_text(request->url, strlen(request->url)),
				    .body = agenda_text(request->body.p, request->body.n),
				    .started = agenda_now(),
				    .open = true,
				    .done = done,
				    .arg = arg,
				    .next = http->calls };
	take_session(call, request->url);
	take_headers(call, request);
	take_marker(call);
	http->calls = call;
	http->in_flight++;
	if (!process_effect(p, "make a call"))
		return call;
	if (request->timeout <= 0)
		verdict_give("%s starts a call without time for it", p->name);
	call->membership = consumer_membership(p->consumer);
	call->job = call->stage == STAGE_LOGIN ? NULL : arg;
	trace(p->name, "%s %s %s%s", stage_name(call->stage), call->session, call->key[0] ? "key " : "", call->key);
	witness.on_called(call);
	send_off(call, request->timeout);
	return call;
}

/* ---- the client's end ---- */

void http_cancel(struct http *http, struct http_call *call)
{
	if (http->process->alive) {
		trace(http->process->name, "gives up the %s of %s", stage_name(call->stage), call->session);
		witness.on_gave_up(call);
	}
	close_call(call);
}

static struct http_call *oldest_answered(const struct http *http)
{
	struct http_call *oldest = NULL;
	for (struct http_call *call = http->calls; call; call = call->next)
		if (call->answered)
			oldest = call;
	return oldest;
}

void http_run(struct http *http, usec_t now)
{
	(void)now;
	while (http->answered > 0) {
		struct http_call *call = oldest_answered(http);
		close_call(call);
		trace(http->process->name, "hears of the %s of %s: %d %s", stage_name(call->stage), call->session,
		      call->reply.status, call->reply.message);
		witness.on_heard(call);
		call->done(call->arg, &call->reply);
	}
}

usec_t http_wait(const struct http *http, usec_t now)
{
	(void)now;
	return http->answered > 0 ? 0 : USEC_NEVER;
}
