#include "sandbox/api_vendor.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "sandbox/raw.h"

enum { FORM_VALUE_MAX = 1024 };

/* --- paths --- */

/* What stands between the two, if nothing but one segment does. */
static struct span between(const char *path, const char *before, const char *behind)
{
	if (!text_begins(path, before))
		return SPAN_NONE;
	path += strlen(before);
	const size_t n = strcspn(path, "/");
	return n > 0 && strcmp(path + n, behind) == 0 ? (struct span){ path, n } : SPAN_NONE;
}

void api_vendor_route(struct api_route *route, const char *method, const char *path)
{
	const bool post = strcmp(method, "POST") == 0;
	if (text_begins(path, "/new/"))
		path += strlen("/new");
	const struct span conversation = between(path, "/v2.0/conversations/", "");
	const struct span context = between(path, "/v2.0/sessions/", "/context/inject");
	const bool is_deprecated = strcmp(path, "/v2.0/endpoint/inject") == 0;
	route->status = 405;
	route->session = conversation.p ? conversation : context;
	route->needs_token = is_deprecated;
	if (conversation.p)
		route->stage = strcmp(method, "GET") == 0 ? STAGE_FETCH : STAGE_COUNT;
	else if (context.p)
		route->stage = post ? STAGE_UPDATE : STAGE_COUNT;
	else if (is_deprecated || between(path, "/inject/", "").p)
		route->stage = post ? STAGE_TRIGGER : STAGE_COUNT;
	else if (strcmp(path, "/oauth2/token") == 0)
		route->stage = post ? STAGE_LOGIN : STAGE_COUNT;
	else
		route->status = 404;
}

/* --- bodies --- */

/* The decoded value of a form's field becomes a member of `into`. */
static void take_field(struct span field, struct json_object *into)
{
	const char *equals = memchr(field.p, '=', field.n);
	const size_t name = equals ? (size_t)(equals - field.p) : field.n;
	char key[64], storage[FORM_VALUE_MAX];
	struct buf value;
	if (!equals || name >= sizeof(key))
		return;
	memcpy(key, field.p, name);
	key[name] = '\0';
	buf_init_on(&value, storage, sizeof(storage));
	if (text_percent_decode(&value, (struct span){ equals + 1, field.n - name - 1 }) == 0 && buf_ok(&value))
		json_object_object_add(into, key, json_object_new_string_len(buf_text(&value), (int)value.len));
	buf_fini(&value);
}

/* Both are percent-encoded in it. */
static void take_basic(const char *authorization, struct json_object *into)
{
	static const char scheme[] = "Basic ";
	char storage[2 * FORM_VALUE_MAX], fields[2 * FORM_VALUE_MAX + 64];
	struct buf pair;
	if (!authorization || !text_begins(authorization, scheme))
		return;
	buf_init_on(&pair, storage, sizeof(storage));
	if (text_base64_decode(&pair, span_of(authorization + strlen(scheme))) == 0 && buf_ok(&pair)) {
		const size_t name = strcspn(buf_text(&pair), ":");
		const char *secret = buf_text(&pair) + name;
		snprintf(fields, sizeof(fields), "client_id=%.*s", (int)name, buf_text(&pair));
		take_field(span_of(fields), into);
		snprintf(fields, sizeof(fields), "client_secret=%s", *secret ? secret + 1 : "");
		take_field(span_of(fields), into);
	}
	buf_fini(&pair);
}

/* The form becomes what the seed's login would have been. */
static const char *read_login(struct api_request *request, const char *authorization, struct span text)
{
	struct json_object *value;
	request->body = json_object_new_object();
	while (text.n > 0) {
		const char *end = memchr(text.p, '&', text.n);
		const size_t n = end ? (size_t)(end - text.p) : text.n;
		take_field((struct span){ text.p, n }, request->body);
		text.p += n + (end != NULL);
		text.n -= n + (end != NULL);
	}
	take_basic(authorization, request->body);
	if (!json_object_object_get_ex(request->body, "client_id", &value) ||
	    !json_object_object_get_ex(request->body, "client_secret", &value))
		return "client_id and client_secret are in neither form nor Authorization";
	if (!json_object_object_get_ex(request->body, "grant_type", &value) ||
	    strcmp(json_object_get_string(value), "client_credentials") != 0)
		return "grant_type must be client_credentials";
	return NULL;
}

static bool is_string(struct raw_member member)
{
	return member.value.p && *member.value.p == '"' && member.value.n > 2;
}

static const char *read_update(struct api_request *request, struct span text)
{
	struct raw_member members[] = { { .name = "userId" }, { .name = "context" } };
	if (raw_object(text, members, ARRAY_SIZE(members), NULL) < 0)
		return "the body is not a JSON object";
	if (!is_string(members[0]))
		return "userId must be a string";
	request->variables = members[1].value;
	return request->variables.p && *request->variables.p == '{' ? NULL : "context must be an object";
}

static const char *read_trigger(struct api_request *request, struct json_tokener *tokener, struct span text)
{
	enum { USER, SESSION, TEXT, TOKEN, DATA };
	struct raw_member members[] = { { .name = "userId" },
					{ .name = "sessionId" },
					{ .name = "text" },
					{ .name = "URLToken" },
					{ .name = "data" } };
	if (raw_object(text, members, ARRAY_SIZE(members), NULL) < 0)
		return "the body is not a JSON object";
	if (!is_string(members[USER]) || !is_string(members[SESSION]) || !is_string(members[TEXT]))
		return "userId, sessionId and text must be strings";
	if (request->needs_token && !is_string(members[TOKEN]))
		return "URLToken must be a string";
	if (members[DATA].value.p && *members[DATA].value.p != '{')
		return "data must be an object";
	request->variables = members[DATA].value;
	json_tokener_reset(tokener);
	request->body = json_tokener_parse_ex(tokener, text.p, (int)text.n);
	return NULL;
}

const char *api_vendor_read(struct api_request *request, struct json_tokener *tokener, const char *authorization,
			    struct span text)
{
	if (request->stage == STAGE_LOGIN)
		return read_login(request, authorization, text);
	return request->stage == STAGE_UPDATE ? read_update(request, text) : read_trigger(request, tokener, text);
}

/* --- access --- */

enum auth_verdict api_vendor_check(const struct auth *auth, const char *api_key, const char *authorization, usec_t now)
{
	static const char scheme[] = "Bearer ";
	const char *scope;
	if (api_key)
		return strcmp(api_key, auth->client_secret) == 0 ? AUTH_OK : AUTH_UNKNOWN;
	if (authorization && text_begins(authorization, scheme) &&
	    strcmp(authorization + strlen(scheme), auth->client_secret) == 0)
		return AUTH_OK;
	return auth_check(auth, authorization, STAGE_FETCH, now, &scope); /* its tokens have no scopes */
}

/* --- replies --- */

static void add_item(struct buf *out, int64_t unix_ms, const char *text, const char *data, bool in_handover)
{
	buf_add_format(out, "{\"type\":\"input\",\"source\":\"user\",\"inputText\":\"%s\",\"inputData\":%s,", text,
		       data);
	buf_add_text(out, "\"channel\":\"voiceGateway2\",\"inHandoverRequest\":false,\"timestamp\":\"");
	text_add_rfc3339(out, unix_ms);
	buf_add_format(out, "\",\"inHandoverConversation\":%s}", in_handover ? "true" : "false");
}

bool api_vendor_fetch(const struct session *session, const struct instant *now, struct reply *reply)
{
	struct buf *out = &reply->body;
	const bool in_handover = strcmp(session->status, "transferring") == 0;
	reply->status = 200;
	/* The newest first, so that nobody relies on the order. */
	buf_add_text(out, "{\"items\":[");
	if (session->note) {
		add_item(out, now->unix_ms - 1000, "(injected)", session->note, in_handover);
		buf_add_char(out, ',');
	}
	add_item(out, now->unix_ms - 2000, "I want to speak to somebody", "{}", in_handover && !session->note);
	buf_add_format(out, "],\"total\":%d}", session->note ? 2 : 1);
	return true;
}

void api_vendor_tell(const struct api_request *request, struct reply *reply)
{
	if (request->stage != STAGE_UPDATE && request->stage != STAGE_TRIGGER)
		return;
	buf_reset(&reply->body);
	if (request->stage == STAGE_UPDATE) {
		buf_add_text(&reply->body, "{}");
		return;
	}
	buf_add_text(&reply->body, "\"Message was sent to AI for Flow processing\"");
	free(request->session->note);
	request->session->note = request->variables.p ? strndup(request->variables.p, request->variables.n) : NULL;
}
