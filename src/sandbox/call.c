#include "sandbox/call.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>

#include "base/text.h"
#include "sandbox/api.h"
#include "sandbox/api_vendor.h"

enum { IDLE_MAX = 512, KEY_MAX = 256, REASON_SIZE = 96 };

/* What comes next when the waiting is over. */
enum call_phase { CALL_FAULT, CALL_EXECUTE, CALL_ANSWER, CALL_HUNG };

struct call {
	struct heap_link due;
	struct call *prev, *next;
	struct http_exchange *exchange; /* NULL: the client has gone */
	struct api_request request;
	enum call_phase phase;
	bool executed;
	struct rule *rule; /* that spoils the answer, or NULL */
	char *body;        /* the body's copy, once the exchange is gone */
	char key[KEY_MAX];
	uint64_t seq;
	struct reply reply;
};

/* --- calls and their list --- */

void calls_init(struct calls *calls, struct world *world)
{
	*calls = (struct calls){ .world = world };
	heap_init(&calls->due);
}

static struct call *call_new(struct calls *calls, struct http_exchange *exchange, enum stage stage)
{
	struct call *call = calls->idle;
	if (call) {
		calls->idle = call->next;
		calls->idle_count--;
	} else {
		call = calloc(1, sizeof(*call));
		if (!call)
			return NULL;
		reply_init(&call->reply);
	}
	reply_reset(&call->reply);
	call->exchange = exchange;
	call->request = (struct api_request){ .stage = stage };
	call->executed = false;
	call->prev = NULL;
	call->next = calls->open;
	if (call->next)
		call->next->prev = call;
	calls->open = call;
	calls->world->book.open++;
	http_exchange_set_data(exchange, call);
	return call;
}

static void call_end(struct calls *calls, struct call *call)
{
	struct session *session = call->request.session;
	if (session && call->exchange)
		session->open--;
	else if (session)
		session->ghosts--;
	calls->world->book.open--;
	heap_remove(&calls->due, &call->due);
	json_object_put(call->request.body);
	call->request.body = NULL;
	call->rule = rule_unref(call->rule);
	free(call->body);
	call->body = NULL;
	if (call->prev)
		call->prev->next = call->next;
	else
		calls->open = call->next;
	if (call->next)
		call->next->prev = call->prev;
	if (calls->idle_count == IDLE_MAX) {
		reply_fini(&call->reply);
		free(call);
		return;
	}
	call->next = calls->idle;
	calls->idle = call;
	calls->idle_count++;
}

void calls_drop(struct calls *calls)
{
	while (calls->open) {
		struct call *call = calls->open;
		if (call->exchange)
			http_answer_drop(call->exchange);
		call_end(calls, call);
	}
}

void calls_fini(struct calls *calls)
{
	while (calls->idle) {
		struct call *call = calls->idle;
		calls->idle = call->next;
		reply_fini(&call->reply);
		free(call);
	}
	heap_fini(&calls->due);
}

/* --- answering --- */

static void send_reply(struct call *call, struct span body)
{
	const struct reply *reply = &call->reply;
	http_answer(call->exchange, &(struct http_answer){ .status = reply->status,
							   .content_type = reply->content_type,
							   .headers = reply->headers,
							   .header_count = reply->header_count,
							   .body = body });
}

static struct span half(struct span whole)
{
	return (struct span){ whole.p, whole.n / 2 };
}

/* The reply as a rule wants it, in place of the step's own. */
static void write_rule_reply(struct call *call, const struct instant *now, usec_t skew)
{
	const struct rule *rule = call->rule;
	struct reply *reply = &call->reply;
	reply_problem(reply, rule->status, "scripted", "a rule of the script says so");
	if (rule->body) {
		buf_reset(&reply->body);
		buf_add_text(&reply->body, rule->body);
	}
	reply->content_type = rule->type;
	reply->header_count = rule->header_count;
	for (size_t i = 0; i < rule->header_count; i++)
		reply->headers[i] = rule->headers[i];
	reply_retry_after(reply, rule->form, rule->wait, now, skew);
	if (rule->form == RETRY_DATE || skew != 0)
		reply_date(reply, now, skew);
}

/* Sends what the rule makes of the reply. Returns the status the client can read, 0 when none; -EAGAIN: never. */
static int spoil(struct call *call, const struct instant *now, usec_t skew)
{
	switch (call->rule->action) {
	case RULE_REPLY:
		write_rule_reply(call, now, skew);
		send_reply(call, buf_span(&call->reply.body));
		return call->reply.status;
	case RULE_DROP:
		if (call->rule->when != RULE_DURING) {
			http_answer_drop(call->exchange);
			return 0;
		}
		http_answer_cut(call->exchange, &(struct http_answer){ .status = call->reply.status,
								       .body = buf_span(&call->reply.body) });
		return call->reply.status;
	case RULE_GARBAGE:
		http_answer_raw(call->exchange, SPAN("\x16\x03\x01 this is not HTTP \x00\xff\r\n\r\n"));
		return 0;
	case RULE_TRUNCATED:
		send_reply(call, half(buf_span(&call->reply.body)));
		return call->reply.status;
	case RULE_WRONG:
		call->reply.status = 200;
		call->reply.content_type = "text/html";
		send_reply(call, SPAN("<html><body>It works!</body></html>"));
		return 200;
	default:
		return -EAGAIN;
	}
}

static void answer(struct calls *calls, struct call *call, const struct instant *now)
{
	struct world *world = calls->world;
	int status = call->reply.status;
	if (call->exchange && call->rule) {
		status = spoil(call, now, world->settings.clock_skew);
		if (status == -EAGAIN) {
			call->phase = CALL_HUNG;
			return;
		}
	} else if (call->exchange) {
		if (world->settings.clock_skew != 0 || call->reply.closed_until > 0)
			reply_date(&call->reply, now, world->settings.clock_skew);
		send_reply(call, buf_span(&call->reply.body));
	} else {
		status = 0;
	}
	if (status == 429)
		book_limit(&world->book, call->request.session, call->reply.closed_until);
	book_answer(&world->book, call->seq, call->request.stage, status, call->executed,
		    call->rule ? rule_name(call->rule) : NULL, now->mono);
	call_end(calls, call);
}

static const char *session_name(const struct call *call)
{
	return call->request.session ? call->request.session->id : NULL;
}

/* --- waiting and executing --- */

static void wait_for(struct calls *calls, struct call *call, usec_t delay, const struct instant *now);

static void execute(struct calls *calls, struct call *call, const struct instant *now)
{
	struct world *world = calls->world;
	usec_t delay = 0;
	call->executed = api_execute(world, &call->request, now, &call->reply);
	if (call->executed) {
		book_executed(&world->book, call->request.stage, call->request.session);
		call->rule = rules_match(&world->rules, call->request.stage, session_name(call), call->request.key,
					 true, &delay);
	}
	call->phase = CALL_ANSWER;
	wait_for(calls, call, delay, now);
}

/* The waiting is over. */
static void proceed(struct calls *calls, struct call *call, const struct instant *now)
{
	if (call->phase == CALL_EXECUTE)
		execute(calls, call, now);
	else
		answer(calls, call, now);
}

static void wait_for(struct calls *calls, struct call *call, usec_t delay, const struct instant *now)
{
	/* A heap that cannot grow makes the call early rather than lost. */
	if (delay <= 0 || heap_push(&calls->due, &call->due, now->mono + delay, calls->ties++) < 0)
		proceed(calls, call, now);
}

static usec_t latency(struct world *world, enum stage stage)
{
	const usec_t jitter = world->settings.jitter[stage];
	if (jitter == 0)
		return world->settings.latency[stage];
	world->random ^= world->random << 13; /* xorshift64: the same run again gives the same delays */
	world->random ^= world->random >> 7;
	world->random ^= world->random << 17;
	return world->settings.latency[stage] + (usec_t)(world->random % (uint64_t)(jitter + 1));
}

void calls_run(struct calls *calls, const struct instant *now)
{
	for (struct heap_link *link; (link = heap_top(&calls->due)) && link->key <= now->mono;) {
		heap_pop(&calls->due);
		proceed(calls, CONTAINER_OF(link, struct call, due), now);
	}
}

usec_t calls_wait(const struct calls *calls, usec_t now)
{
	const struct heap_link *link = heap_top(&calls->due);
	if (!link)
		return USEC_NEVER;
	return link->key > now ? link->key - now : 0;
}

/* --- arriving --- */

/* The entry of the session that the call is about. NULL: none, and the call is none of ours then. */
static struct session *find_session(struct world *world, const struct api_request *request, struct span encoded)
{
	struct buf id;
	struct session *session = NULL;
	if (request->stage == STAGE_TRIGGER && request->body) {
		const char *text = api_session_id(request);
		return text && *text && strlen(text) <= SESSION_ID_MAX ? sessions_need(&world->sessions, span_of(text))
								       : NULL;
	}
	if (!encoded.p || encoded.n >= 3 * SESSION_ID_MAX + 1)
		return NULL;
	buf_init(&id, SESSION_ID_MAX);
	if (text_percent_decode(&id, encoded) == 0 && buf_ok(&id) && id.len > 0 && !text_has_control(buf_span(&id)))
		session = sessions_need(&world->sessions, buf_span(&id));
	buf_fini(&id);
	return session;
}

/* Does the kernel know of clients that have gone, before we count `arriving` beside theirs? That its own has gone, too,
 * is told when it has been written down. */
static void look_for_gone(struct calls *calls, const struct call *arriving)
{
	for (struct call *call = calls->open, *next; call; call = next) {
		next = call->next;
		if (call != arriving && call->request.session == arriving->request.session && call->exchange &&
		    http_exchange_gone(call->exchange)) {
			struct http_exchange *exchange = call->exchange;
			calls_vanish(calls, exchange);
			http_exchange_set_data(exchange, NULL);
		}
	}
}

static void write_down(struct calls *calls, struct call *call, const struct instant *now)
{
	struct http_exchange *x = call->exchange;
	struct session *session = call->request.session;
	struct book_arrival arrival = { .stage = call->request.stage };
	if (session && session->open > 0)
		look_for_gone(calls, call);
	if (session)
		session->open++;
	if (calls->world->book.mode == BOOK_FULL) {
		arrival.method = http_exchange_method(x);
		arrival.path = http_exchange_path(x);
		arrival.session = session_name(call);
		arrival.body = http_exchange_body(x);
		for (enum book_header h = 0; h < BOOK_HEADERS; h++)
			arrival.headers[h] = http_exchange_header(x, book_header_names[h]);
	}
	call->seq = book_arrive(&calls->world->book, now, &arrival, session);
}

static bool over_limit(struct world *world, struct reply *reply, const struct instant *now)
{
	usec_t wait = 0;
	if (limit_take(&world->limit, now->mono, &wait))
		return false;
	reply_problem(reply, 429, "rate_limited", "too many requests");
	reply_retry_after(reply, world->limit.form, wait, now, world->settings.clock_skew);
	return true;
}

static bool not_allowed(struct world *world, const struct call *call, struct reply *reply, const struct instant *now)
{
	const char *scope = "";
	if (call->request.stage == STAGE_LOGIN)
		return false;
	const char *authorization = http_exchange_header(call->exchange, "authorization");
	const enum auth_verdict verdict =
		call->request.personality == PERSONALITY_COGNIGY_AI
			? api_vendor_check(&world->auth, http_exchange_header(call->exchange, "x-api-key"),
					   authorization, now->mono)
			: auth_check(&world->auth, authorization, call->request.stage, now->mono, &scope);
	switch (verdict) {
	case AUTH_OK:
		return false;
	case AUTH_MISSING:
		reply_problem(reply, 401, "token_missing", "there is no Authorization header, or none that counts");
		return true;
	case AUTH_UNKNOWN:
		reply_problem(reply, 401, "token_unknown", "this token was never issued, or was revoked");
		return true;
	case AUTH_EXPIRED:
		reply_problem(reply, 401, "token_expired", "the token has expired");
		return true;
	case AUTH_FORBIDDEN:
		reply_problem(reply, 403, "insufficient_scope", scope);
		return true;
	}
	return true;
}

/* What stands between the client and the step: true when the call is refused, and `reply` says how. */
static bool refused(struct world *world, struct call *call, const char *problem, const struct instant *now)
{
	struct reply *reply = &call->reply;
	if (over_limit(world, reply, now) || not_allowed(world, call, reply, now))
		return true;
	const char *type = http_exchange_header(call->exchange, "content-type");
	const char *wanted = api_content_type(&call->request);
	if (wanted && (!type || strncasecmp(type, wanted, strlen(wanted)) != 0)) {
		reply_problem(reply, 415, "content_type", wanted);
		return true;
	}
	if (!problem && call->request.stage != STAGE_LOGIN && !call->request.session)
		problem = "the session id is not 1 to 256 bytes without control characters";
	if (problem)
		reply_problem(reply, 400, "bad_request", problem);
	return problem;
}

static void read_key(struct call *call)
{
	const char *key = http_exchange_header(call->exchange, "idempotency-key");
	if (!key)
		return;
	const size_t n = strnlen(key, KEY_MAX - 1);
	memcpy(call->key, key, n);
	call->key[n] = '\0';
	call->request.key = call->key;
}

/* No step: told at once, without limit or token. */
static void refuse_unknown(struct calls *calls, struct call *call, int status, const struct instant *now)
{
	write_down(calls, call, now);
	reply_problem(&call->reply, status, status == 404 ? "not_found" : "method_not_allowed", NULL);
	answer(calls, call, now);
}

void calls_arrive(struct calls *calls, struct http_exchange *exchange, enum personality as, const char *path,
		  const struct instant *now)
{
	struct world *world = calls->world;
	struct api_route route = { .personality = as };
	api_route(&route, http_exchange_method(exchange), path);
	struct call *call = call_new(calls, exchange, route.stage);
	if (!call) {
		http_answer_drop(exchange);
		return;
	}
	if (call->request.stage == STAGE_COUNT) {
		refuse_unknown(calls, call, route.status, now);
		return;
	}
	call->reply.trace = as == PERSONALITY_COGNIGY_AI ? ++world->traces : 0;
	call->request.personality = as;
	call->request.needs_token = route.needs_token;
	const char *problem = api_read(&call->request, world->tokener, http_exchange_header(exchange, "authorization"),
				       http_exchange_body(exchange));
	call->request.session = find_session(world, &call->request, route.session);
	read_key(call);
	write_down(calls, call, now);
	usec_t delay = 0;
	call->phase = CALL_FAULT;
	call->rule =
		rules_match(&world->rules, call->request.stage, session_name(call), call->request.key, false, &delay);
	if (!call->rule) {
		if (refused(world, call, problem, now)) {
			answer(calls, call, now);
			return;
		}
		call->phase = CALL_EXECUTE;
	}
	wait_for(calls, call, delay + latency(world, call->request.stage), now);
}

void calls_vanish(struct calls *calls, struct http_exchange *exchange)
{
	struct call *call = http_exchange_data(exchange);
	if (!call)
		return;
	struct session *session = call->request.session;
	book_vanish(&calls->world->book, call->seq, session);
	/* The step is still to come, and its text goes with the exchange. */
	const struct span variables = call->request.variables;
	call->body = variables.p ? strndup(variables.p, variables.n) : NULL;
	call->request.variables = (struct span){ call->body, call->body ? variables.n : 0 };
	call->exchange = NULL;
	if (session) {
		session->open--;
		session->ghosts++;
	}
	if (call->phase == CALL_HUNG) {
		book_answer(&calls->world->book, call->seq, call->request.stage, 0, call->executed,
			    rule_name(call->rule), clock_read().mono);
		call_end(calls, call);
	}
}
