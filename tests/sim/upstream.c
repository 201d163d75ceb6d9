#include "sim/upstream.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "sim/chance.h"
#include "sim/trace.h"
#include "sim/world.h"
#include "json/scan.h"

#define HTTP_DATE "%a, %d %b %Y %H:%M:%S GMT"

struct tenant_state {
	struct upstream_session sessions[SESSIONS_MAX];
	int valid_from; /* tokens below are refused */
	int newest_token;
	usec_t down_until;
	usec_t key_refused_until; /* an API key that is not good for a while */
};

static struct tenant_state tenants[TENANTS_MAX];

#define FOREIGN "\"number\":123456789012345678901234567890,\"caf\\u00e9\":1.50"

const char upstream_foreign[] = FOREIGN;

static const char variables[] = "{\"intent\":\"billing\"," FOREIGN "}";

static void init_session(struct upstream_session *s, int number)
{
	*s = (struct upstream_session){ .exists = true, .is_voice = true, .status = "active", .variables = variables };
	snprintf(s->id, sizeof(s->id), "s-%d", number);
	if (chance_hits(40))
		s->status = "idle";
	else if (chance_hits(20))
		s->status = "ended";
	else if (chance_hits(20))
		s->status = "transferring";
	else if (chance_hits(20))
		s->status = "strange";
	if (chance_hits(20))
		s->is_voice = false;
	if (chance_hits(20))
		s->exists = false;
	if (chance_hits(100))
		s->processing_until = agenda_now() + chance_between(0, 30 * USEC_PER_SEC);
}

void upstream_begin(void)
{
	for (int t = 0; t < TENANTS_MAX; t++) {
		tenants[t] = (struct tenant_state){ .valid_from = 1 };
		for (int i = 0; i < SESSIONS_MAX; i++)
			init_session(&tenants[t].sessions[i], i);
	}
}

void upstream_outage(int tenant, usec_t duration)
{
	tenants[tenant].down_until = agenda_now() + duration;
	trace("cognigy", "tenant %d is down for %.1f s", tenant, (double)duration / (double)USEC_PER_SEC);
}

void upstream_heal(void)
{
	for (int t = 0; t < TENANTS_MAX; t++) {
		tenants[t].down_until = tenants[t].key_refused_until = 0;
		for (int i = 0; i < SESSIONS_MAX; i++)
			tenants[t].sessions[i].processing_until = 0;
	}
}

static struct upstream_session *find(int tenant, const char *id)
{
	for (int i = 0; i < SESSIONS_MAX; i++)
		if (strcmp(tenants[tenant].sessions[i].id, id) == 0)
			return &tenants[tenant].sessions[i];
	return NULL;
}

int upstream_executions(int tenant, const char *session, const char *key)
{
	int count = 0;
	const struct upstream_session *s = find(tenant, session);
	for (const struct execution *e = s ? s->executions : NULL; e; e = e->next)
		count += strcmp(e->key, key) == 0;
	return count;
}

/* ---- fates ---- */

static int one_of(const int *statuses, int count)
{
	return statuses[chance_between(0, count - 1)];
}

static enum fate error_status(struct http_call *call, int status, bool executed)
{
	call->status = status;
	return executed ? FATE_ERROR_AFTER : FATE_ERROR_BEFORE;
}

/* By the server's clock, which is not ours. */
static void write_date(struct http_call *call, int64_t wait_s)
{
	const time_t now = (time_t)(world_unix_ms() / 1000) + (time_t)chance_between(-100, 100);
	const time_t then = now + (time_t)wait_s;
	struct tm parts;
	strftime(call->date, sizeof(call->date), HTTP_DATE, gmtime_r(&now, &parts));
	strftime(call->retry_after, sizeof(call->retry_after), HTTP_DATE, gmtime_r(&then, &parts));
}

/* How long to wait, in every form that servers have. */
static enum fate rate_limited(struct http_call *call)
{
	const int64_t wait_s = chance_between(0, chance_hits(100) ? 60 : 5);
	if (chance_hits(600))
		snprintf(call->retry_after, sizeof(call->retry_after), "%lld", (long long)wait_s);
	else if (chance_hits(300))
		write_date(call, wait_s);
	else if (chance_hits(200))
		snprintf(call->retry_after, sizeof(call->retry_after), "soon");
	return error_status(call, 429, false);
}

static enum fate trouble(struct http_call *call, const struct troubles *t)
{
	static const int locks[] = { 409, 409, 412, 423 }, broken[] = { 500, 502, 503 };
	static const int odd[] = { 404, 410, 302, 400, 418, 408, 425 };
	if (chance_hits(t->refused))
		return FATE_REFUSED;
	if (chance_hits(t->time_out))
		return chance_hits(500) ? FATE_VANISHED : FATE_UNANSWERED;
	if (chance_hits(t->cut))
		return chance_hits(500) ? FATE_CUT_BEFORE : FATE_CUT_AFTER;
	if (chance_hits(t->server_error))
		return error_status(call, one_of(broken, 3), chance_hits(500));
	if (chance_hits(t->rate_limited))
		return rate_limited(call);
	if (call->stage != STAGE_LOGIN && chance_hits(t->locked)) {
		if (chance_hits(300))
			snprintf(call->retry_after, sizeof(call->retry_after), "%lld", (long long)chance_between(0, 4));
		return error_status(call, one_of(locks, 4), false);
	}
	if (chance_hits(t->forbidden))
		return error_status(call, 403, false);
	if (chance_hits(t->garbage))
		return FATE_GARBAGE;
	if (call->stage != STAGE_LOGIN && chance_hits(t->odd_status))
		return error_status(call, one_of(odd, 7), false);
	return FATE_ANSWERED;
}

enum fate upstream_fate(struct http_call *call)
{
	struct tenant_state *t = &tenants[call->tenant];
	if (agenda_now() < t->down_until)
		return FATE_REFUSED;
	if (world.calm)
		return FATE_ANSWERED;
	if (chance_hits(world.plan.troubles.token_gone)) {
		t->valid_from = t->newest_token + 1;
		t->key_refused_until = agenda_now() + chance_between(0, 2 * USEC_PER_SEC);
	}
	return trouble(call, &world.plan.troubles);
}

/* ---- execution ---- */

static bool is_processing(const struct upstream_session *s)
{
	return agenda_now() < s->processing_until;
}

static void store_variables(struct upstream_session *s, const char *body)
{
	struct scan_value top, value;
	if (scan_check(span_of(body), &top, NULL) == 0 && scan_find(top, "variables", &value))
		s->variables = agenda_text(value.text.p, value.text.n);
	s->status = "transferring";
}

static bool is_vendor(const struct http_call *call)
{
	return world.plan.tenant_settings[call->tenant].profile == PROFILE_COGNIGY_AI;
}

static void run_flow(struct http_call *call, struct upstream_session *s)
{
	if (!is_vendor(call) && upstream_executions(call->tenant, s->id, call->key) > 0)
		return; /* the key is honoured: the first answer again */
	struct execution *e = agenda_memory(sizeof(*e));
	*e = (struct execution){ .next = s->executions, .number = ++s->execution_count, .unix_ms = world_unix_ms() };
	snprintf(e->key, sizeof(e->key), "%s", call->key);
	snprintf(e->marker, sizeof(e->marker), "%s", call->marker);
	s->executions = e;
	trace("cognigy", "the flow of %s runs, %s %s", s->id, is_vendor(call) ? "marker" : "key",
	      is_vendor(call) ? call->marker : call->key);
	if (is_vendor(call))
		e->in_handover = chance_hits(500);
	else if (chance_hits(100))
		s->status = "completed";
}

static bool is_let_in(const struct http_call *call)
{
	const struct settings_tenant *settings = &world.plan.tenant_settings[call->tenant];
	const struct tenant_state *t = &tenants[call->tenant];
	int serial = 0;
	if (!profile_credential(settings->auth)->login.method)
		return strcmp(call->token, settings->client_secret) == 0 && agenda_now() >= t->key_refused_until;
	return sscanf(call->token, "t%d", &serial) == 1 && serial >= t->valid_from;
}

/* What the session's state makes of the call. */
static int status_of(const struct http_call *call, const struct upstream_session *s)
{
	if (call->stage == STAGE_LOGIN)
		return 200;
	if (!is_let_in(call))
		return 401;
	if (!s || !s->exists)
		return 404;
	if (call->stage != STAGE_FETCH && is_processing(s))
		return 409;
	return 200;
}

void upstream_execute(struct http_call *call)
{
	struct upstream_session *s = find(call->tenant, call->session);
	if (call->fate == FATE_ERROR_BEFORE)
		return;
	const int status = status_of(call, s);
	if (call->fate != FATE_ERROR_AFTER || status != 200)
		call->status = status;
	if (status != 200)
		return;
	call->executed = true;
	call->shown = s ? s->execution_count : 0;
	if (call->stage == STAGE_UPDATE && !is_vendor(call)) {
		s->was_overtaken = s->was_overtaken || !call->open;
		store_variables(s, call->body);
	} else if (call->stage == STAGE_TRIGGER)
		run_flow(call, s);
}

/* ---- replies ---- */

static const char *write_login(struct tenant_state *t, char *text, size_t size)
{
	static const int lives[] = { 86400, 3600, 120, 20, 0 };
	snprintf(text, size, "{\"access_token\":\"t%d\",\"token_type\":\"Bearer\",\"expires_in\":%d%s}",
		 ++t->newest_token, world.calm ? 86400 : one_of(lives, 5),
		 chance_hits(300) ? ",\"scope\":\"session:write flow:execute\"" : "");
	return text;
}

static const char *write_session(const struct upstream_session *s)
{
	const size_t size = strlen(s->variables) + 256;
	char *text = agenda_memory(size);
	snprintf(text, size,
		 "{\"sessionId\":\"%s\",\"channel\":\"%s\",\"status\":\"%s\",\"variables\":%s,"
		 "\"telephony\":{\"callId\":\"call-%s\"}}",
		 s->id, s->is_voice ? "voice" : "chat", is_processing(s) ? "processing" : s->status, s->variables,
		 s->id);
	return text;
}

static const char *write_flow(void)
{
	if (chance_hits(world.calm ? 0 : 20))
		return "{\"flowExecutionId\":\"e\",\"status\":\"failed\",\"result\":{}}";
	if (chance_hits(50))
		return "{\"flowExecutionId\":\"e\",\"status\":\"accepted\",\"result\":{}}";
	return "{\"flowExecutionId\":\"e\",\"status\":\"completed\",\"result\":{\"mediaStreamStatus\":\"bridged\"}}";
}

static void add_item(struct buf *out, int64_t unix_ms, const char *marker, bool in_handover)
{
	buf_add_text(out, out->data[out->len - 1] == '[' ? "{" : ",{");
	buf_add_text(out, "\"type\":\"input\",\"timestamp\":\"");
	text_add_rfc3339(out, unix_ms);
	buf_add_format(out, "\",\"inHandoverRequest\":false,\"inHandoverConversation\":%s",
		       in_handover ? "true" : "false");
	if (*marker && chance_hits(500))
		buf_add_format(out, ",\"inputData\":{\"handoffdId\":\"%s\"}}", marker);
	else if (*marker)
		buf_add_format(out, ",\"inputData\":\"{\\\"handoffdId\\\":\\\"%s\\\"}\"}", marker);
	else
		buf_add_text(out, ",\"inputData\":{}}");
}

/* The caller's first words, and the messages that were executed until the fetch was. */
static const char *write_conversation(const struct upstream_session *s, int shown)
{
	struct buf text;
	const bool is_bare = chance_hits(300);
	buf_init(&text, 1 << 20);
	buf_add_text(&text, is_bare ? "[" : "{\"items\":[");
	for (const struct execution *e = s->executions; e; e = e->next)
		if (e->number <= shown)
			add_item(&text, e->unix_ms, e->marker, e->in_handover);
	add_item(&text, 1, "", strcmp(s->status, "transferring") == 0);
	buf_add_text(&text, is_bare ? "]" : "]}");
	const char *copy = agenda_text(buf_text(&text), text.len);
	buf_fini(&text);
	return copy;
}

static const char *write_success(const struct http_call *call)
{
	static const char updated[] = "{\"telephony\":{\"status\":\"transferring\",\"transferId\":\"x\"}}";
	if (call->stage == STAGE_LOGIN)
		return write_login(&tenants[call->tenant], agenda_memory(128), 128);
	if (call->stage == STAGE_FETCH && is_vendor(call))
		return write_conversation(find(call->tenant, call->session), call->shown);
	if (call->stage == STAGE_FETCH)
		return write_session(find(call->tenant, call->session));
	if (chance_hits(30))
		return "";
	if (is_vendor(call))
		return call->stage == STAGE_UPDATE ? "{}" : "\"Message was sent to AI for Flow processing\"";
	return call->stage == STAGE_UPDATE ? updated : write_flow();
}

void upstream_write_reply(struct http_call *call)
{
	struct http_reply *reply = &call->reply;
	reply->error = HTTP_OK;
	reply->status = call->status;
	if (call->status == 200)
		reply->body = span_of(call->fate == FATE_GARBAGE ? "{\"half\":" : write_success(call));
	else
		reply->body = span_of("{\"error\":{\"code\":\"E\",\"message\":\"no\"},\"userId\":\"u-1\"}");
	if (call->retry_after[0])
		reply->retry_after = span_of(call->retry_after);
	if (call->date[0])
		reply->date = span_of(call->date);
}

bool upstream_has_shown(int tenant, const char *session, const char *marker, int shown)
{
	const struct upstream_session *s = find(tenant, session);
	for (const struct execution *e = s ? s->executions : NULL; e; e = e->next)
		if (e->number <= shown && strncmp(e->marker, marker, strlen(marker)) == 0)
			return true;
	return false;
}

bool upstream_is_transferring(int tenant, const char *session)
{
	const struct upstream_session *s = find(tenant, session);
	return s && strcmp(s->status, "transferring") == 0;
}

bool upstream_was_overtaken(int tenant, const char *session)
{
	const struct upstream_session *s = find(tenant, session);
	return s && s->was_overtaken;
}
