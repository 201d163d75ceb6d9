#include "sandbox/api.h"

#include <errno.h>
#include <json-c/json.h>

#include "sandbox/api_vendor.h"
#include "sandbox/raw.h"

/* --- reading --- */

/* json-c takes more than JSON; what it is given here has passed raw_object(). */
static struct json_object *parse(struct json_tokener *tokener, struct span text)
{
	json_tokener_reset(tokener);
	return json_tokener_parse_ex(tokener, text.p, (int)text.n);
}

static const char *text_of(struct json_object *object, const char *key)
{
	struct json_object *value;
	if (!json_object_object_get_ex(object, key, &value) || !json_object_is_type(value, json_type_string))
		return NULL;
	return json_object_get_string(value);
}

static const char *read_login(struct json_object *body)
{
	const char *grant = text_of(body, "grant_type");
	if (!text_of(body, "client_id") || !text_of(body, "client_secret"))
		return "client_id and client_secret must be strings";
	return grant && strcmp(grant, "client_credentials") == 0 ? NULL : "grant_type must be client_credentials";
}

/* Only the telephony is read by json-c: the variables are the caller's and stay text. */
static const char *read_update(struct api_request *request, struct json_tokener *tokener, struct span text)
{
	enum { VARIABLES, TELEPHONY };
	struct raw_member members[] = { { .name = "variables" }, { .name = "telephony" } };
	if (raw_object(text, members, ARRAY_SIZE(members), NULL) < 0)
		return "the body is not a JSON object";
	request->variables = members[VARIABLES].value;
	if (request->variables.p && *request->variables.p != '{')
		return "variables must be an object";
	if (!members[TELEPHONY].value.p)
		return NULL;
	request->body = parse(tokener, members[TELEPHONY].value);
	return json_object_is_type(request->body, json_type_object) ? NULL : "telephony must be an object";
}

static const char *read_trigger(struct json_object *body)
{
	static const char *const keys[] = { "sessionId", "intent", "text", "channel" };
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (!text_of(body, keys[i]))
			return "sessionId, intent, text and channel must be strings";
	return NULL;
}

static bool starts_with(const char **path, const char *prefix)
{
	const size_t n = strlen(prefix);
	if (strncmp(*path, prefix, n) != 0)
		return false;
	*path += n;
	return true;
}

/* The seed's paths. */
static void route_seed(struct api_route *route, const char *method, const char *path)
{
	const bool post = strcmp(method, "POST") == 0;
	if (strcmp(path, "/auth/login") == 0) {
		route->stage = post ? STAGE_LOGIN : STAGE_COUNT;
	} else if (strcmp(path, "/flow") == 0) {
		route->stage = post ? STAGE_TRIGGER : STAGE_COUNT;
	} else if (!starts_with(&path, "/session/") || *path == '\0' || strchr(path, '/')) {
		route->status = 404;
	} else {
		route->session = span_of(path);
		if (strcmp(method, "GET") == 0)
			route->stage = STAGE_FETCH;
		else if (strcmp(method, "PUT") == 0)
			route->stage = STAGE_UPDATE;
	}
}

void api_route(struct api_route *route, const char *method, const char *path)
{
	*route = (struct api_route){ .personality = route->personality, .stage = STAGE_COUNT, .status = 405 };
	if (route->personality == PERSONALITY_COGNIGY_AI)
		api_vendor_route(route, method, path);
	else
		route_seed(route, method, path);
}

const char *api_content_type(const struct api_request *request)
{
	if (request->stage == STAGE_FETCH)
		return NULL;
	return request->stage == STAGE_LOGIN && request->personality == PERSONALITY_COGNIGY_AI
		       ? "application/x-www-form-urlencoded"
		       : "application/json";
}

const char *api_read(struct api_request *request, struct json_tokener *tokener, const char *authorization,
		     struct span text)
{
	request->body = NULL;
	request->variables = SPAN_NONE;
	if (request->personality == PERSONALITY_COGNIGY_AI && request->stage != STAGE_FETCH)
		return api_vendor_read(request, tokener, authorization, text);
	if (request->stage == STAGE_FETCH)
		return text.n > 0 ? "a fetch has no body" : NULL;
	if (request->stage == STAGE_UPDATE)
		return read_update(request, tokener, text);
	if (raw_object(text, NULL, 0, NULL) < 0)
		return "the body is not a JSON object";
	request->body = parse(tokener, text);
	if (!json_object_is_type(request->body, json_type_object))
		return "the body is not a JSON object";
	return request->stage == STAGE_LOGIN ? read_login(request->body) : read_trigger(request->body);
}

const char *api_session_id(const struct api_request *request)
{
	return text_of(request->body, "sessionId");
}

/* --- login --- */

static bool login(struct world *world, const struct api_request *request, const struct instant *now,
		  struct reply *reply)
{
	if (!auth_accepts(&world->auth, text_of(request->body, "client_id"), text_of(request->body, "client_secret"))) {
		reply_problem(reply, 401, "invalid_client", "client_id or client_secret is wrong");
		return false;
	}
	reply->status = 200;
	auth_issue(&world->auth, now->mono, &reply->body);
	return true;
}

/* --- the steps on a session --- */

/* A session a fetch has not seen yet comes to exist, and each so-many-th one is locked from there on. */
static void be_born(struct world *world, struct session *session)
{
	if (session->exists || world->settings.sessions_listed)
		return;
	session_create(&world->sessions, session);
	world->sessions.born++;
	if (world->settings.lock_every > 0 && world->sessions.born % (uint64_t)world->settings.lock_every == 0) {
		session->lock_pending = world->settings.lock_for;
		session->lock_style = world->settings.lock_style;
	}
}

/* Answers for a lock; false when none is in the way of this step. */
static bool refuse_locked(struct world *world, const struct api_request *request, const struct instant *now,
			  struct reply *reply)
{
	struct session *session = request->session;
	if (!session_locked(session, now->mono) ||
	    (request->stage == STAGE_FETCH && session->lock_style == LOCK_PROCESSING))
		return false;
	session->locked++;
	world->book.locked++;
	reply_problem(reply, 409, "session_locked", "the session is locked by a running flow");
	return true;
}

static void add_transfer_id(struct buf *out, const struct session *session)
{
	if (session->transfer_id > 0)
		buf_add_format(out, ",\"transferId\":\"genesys_xfer_%llu\"", (unsigned long long)session->transfer_id);
}

static void add_name(struct buf *out, const char *given, const char *prefix, uint64_t number)
{
	if (given)
		raw_add_string(out, span_of(given));
	else
		buf_add_format(out, "\"%s%llu\"", prefix, (unsigned long long)number);
}

static bool fetch(const struct session *session, usec_t now, struct reply *reply)
{
	struct buf *out = &reply->body;
	const bool processing = now < session->locked_until; /* the other style of lock did not come here */
	reply->status = 200;
	buf_add_text(out, "{\"sessionId\":");
	raw_add_string(out, span_of(session->id));
	buf_add_text(out, ",\"userId\":");
	add_name(out, session->user_id, "user_", session->number);
	buf_add_text(out, ",\"channel\":");
	raw_add_string(out, span_of(session->channel ? session->channel : "voice"));
	buf_add_text(out, ",\"status\":");
	raw_add_string(out, span_of(processing ? "processing" : session->status));
	buf_add_text(out, ",\"variables\":");
	buf_add_span(out, session_variables(session));
	buf_add_text(out, ",\"telephony\":{\"callId\":");
	add_name(out, session->call_id, "genesys_call_", session->number);
	if (session->telephony[0]) {
		buf_add_text(out, ",\"status\":");
		raw_add_string(out, span_of(session->telephony));
	}
	add_transfer_id(out, session);
	buf_add_text(out, "}}");
	return true;
}

/* What the update asks of the telephony; false when it asks for something we do not know. */
static bool wants_transfer(struct json_object *telephony, bool *ret_transfer)
{
	const char *action = telephony ? text_of(telephony, "action") : NULL;
	*ret_transfer = action && strcmp(action, "transfer") == 0;
	return !action || *ret_transfer;
}

static int store_variables(struct world *world, const struct api_request *request)
{
	struct session *session = request->session;
	struct raw_member target = { .name = "transferTarget" };
	bool duplicates;
	if (!request->variables.p)
		return 0;
	if (raw_object(request->variables, &target, 1, &duplicates) < 0 ||
	    session_set_variables(session, request->variables) < 0)
		return -ENOMEM;
	world->book.duplicate_keys += duplicates;
	/* Decoded by json-c: it may hold escapes. */
	struct json_object *text =
		target.value.p && *target.value.p == '"' ? parse(world->tokener, target.value) : NULL;
	const int r = session_set_text(&session->target, text ? json_object_get_string(text) : NULL);
	json_object_put(text);
	return r;
}

static bool update(struct world *world, const struct api_request *request, struct reply *reply)
{
	struct session *session = request->session;
	bool transfer;
	if (!wants_transfer(request->body, &transfer)) {
		reply_problem(reply, 422, "unknown_action", "telephony.action is not known");
		return false;
	}
	if (store_variables(world, request) < 0) {
		reply_problem(reply, 503, "out_of_memory", NULL);
		return false;
	}
	if (transfer) {
		session->transfer_id = ++world->transfers;
		session_set_word(session->status, world->settings.transfer_session);
		session_set_word(session->telephony, world->settings.transfer_status);
	}
	reply->status = 200;
	buf_add_text(&reply->body, "{\"sessionId\":");
	raw_add_string(&reply->body, span_of(session->id));
	buf_add_text(&reply->body, ",\"status\":");
	raw_add_string(&reply->body, span_of(session->status));
	buf_add_text(&reply->body, ",\"telephony\":{\"status\":");
	raw_add_string(&reply->body, span_of(session->telephony));
	add_transfer_id(&reply->body, session);
	buf_add_text(&reply->body, "}}");
	return true;
}

/* Spreads the counter over 64 bits (splitmix64), so that ids look like the vendor's and never repeat. */
static uint64_t scatter(uint64_t n)
{
	n *= 0x9e3779b97f4a7c15U;
	n = (n ^ n >> 30) * 0xbf58476d1ce4e5b9U;
	n = (n ^ n >> 27) * 0x94d049bb133111ebU;
	return n ^ n >> 31;
}

static void add_execution(const struct settings *settings, const struct execution *execution, struct reply *reply)
{
	struct buf *out = &reply->body;
	reply->status = 200;
	buf_add_format(out, "{\"flowExecutionId\":\"exec_%016llx\",\"status\":",
		       (unsigned long long)scatter(execution->number));
	raw_add_string(out, span_of(settings->flow_status));
	buf_add_text(out, ",\"result\":{\"action\":\"transfer_to_genesis\",\"targetQueue\":");
	if (execution->target)
		raw_add_string(out, span_of(execution->target));
	else
		buf_add_text(out, "null");
	if (strcmp(settings->flow_media, "none") != 0) {
		buf_add_text(out, ",\"mediaStreamStatus\":");
		raw_add_string(out, span_of(settings->flow_media));
	}
	buf_add_text(out, ",\"agentWaitTime\":2.4}}");
}

static bool trigger(struct world *world, const struct api_request *request, struct reply *reply)
{
	struct session *session = request->session;
	const char *key = request->key && !world->settings.keys_ignored ? request->key : "";
	const struct execution *execution = *key ? session_execution(session, key) : NULL;
	if (execution) {
		session->replayed++;
		world->book.replayed++;
		add_execution(&world->settings, execution, reply);
		return false;
	}
	execution = session_add_execution(session, key, world->executions + 1);
	if (!execution) {
		reply_problem(reply, 503, "out_of_memory", NULL);
		return false;
	}
	world->executions++;
	session_set_word(session->status, world->settings.flow_session);
	session_set_word(session->telephony, world->settings.flow_media);
	add_execution(&world->settings, execution, reply);
	return true;
}

static bool execute(struct world *world, const struct api_request *request, const struct instant *now,
		    struct reply *reply)
{
	if (request->stage == STAGE_LOGIN)
		return login(world, request, now, reply);
	if (request->stage == STAGE_FETCH)
		be_born(world, request->session);
	if (!request->session->exists) {
		reply_problem(reply, 404, "session_not_found", NULL);
		return false;
	}
	if (refuse_locked(world, request, now, reply))
		return false;
	switch (request->stage) {
	case STAGE_FETCH:
		return request->personality == PERSONALITY_COGNIGY_AI ? api_vendor_fetch(request->session, now, reply)
								      : fetch(request->session, now->mono, reply);
	case STAGE_UPDATE:
		return update(world, request, reply);
	default:
		return trigger(world, request, reply);
	}
}

bool api_execute(struct world *world, const struct api_request *request, const struct instant *now, struct reply *reply)
{
	const bool executed = execute(world, request, now, reply);
	if (executed && request->personality == PERSONALITY_COGNIGY_AI)
		api_vendor_tell(request, reply);
	return executed;
}
