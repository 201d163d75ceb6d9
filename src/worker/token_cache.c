#include "worker/token_cache.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "rules/login.h"
#include "rules/reply.h"
#include "rules/retry_after.h"
#include "worker/cognigy.h"
#include "json/scan.h"

#define HEADER_MAX       (LOGIN_TOKEN_MAX + 64)
#define MISSING_MAX      128
#define FIRST_DELAY_MS   500
#define LONGEST_DELAY_MS 5000
#define AHEAD            (30 * USEC_PER_SEC) /* the next login starts this much before the old token ends serving */

struct token_cache {
	struct http *http;
	const struct settings_tenant *settings;
	token_cache_heard *heard;
	void *arg;
	struct buf header;  /* the line as sent; empty: no token */
	struct buf basic;   /* a login's own header line, while it is started */
	struct buf missing; /* scopes that were not granted */
	uint64_t serial;
	usec_t serves_until;
	usec_t refresh_at; /* when the next login is due; USEC_NEVER never happens */
	usec_t not_before; /* no login before this, however urgent: the last one failed */
	struct http_call *call;
	struct buf body;
	struct fault trouble;
	int32_t failures;
	struct instant now; /* of the last run, for the reply's arithmetic */
	bool dated;         /* the last reply told the time */
	int64_t ahead_ms;   /* by how much its clock was ahead of ours */
};

struct token_cache *token_cache_new(struct http *http, const struct settings_tenant *settings, token_cache_heard *heard,
				    void *arg)
{
	struct token_cache *cache = calloc(1, sizeof(*cache));
	if (!cache)
		return NULL;
	cache->http = http;
	cache->settings = settings;
	cache->heard = heard;
	cache->arg = arg;
	buf_init(&cache->header, HEADER_MAX);
	buf_init(&cache->missing, MISSING_MAX);
	buf_init(&cache->basic, 4 * HEADER_MAX);
	buf_init(&cache->body, HEADER_MAX);
	return cache;
}

static void wipe(struct buf *secret)
{
	if (secret->data)
		explicit_bzero(secret->data, secret->cap);
	buf_reset(secret);
}

struct token_cache *token_cache_free(struct token_cache *cache)
{
	if (!cache)
		return NULL;
	if (cache->call)
		http_cancel(cache->http, cache->call);
	wipe(&cache->header);
	wipe(&cache->body);
	buf_fini(&cache->header);
	buf_fini(&cache->missing);
	buf_fini(&cache->basic);
	buf_fini(&cache->body);
	free(cache);
	return NULL;
}

/* The login did not give a token: try again, later each time, never earlier than asked. */
static void fail(struct token_cache *cache, int64_t retry_after_ms)
{
	cache->failures++;
	int64_t delay = back_off_ms(FIRST_DELAY_MS, LONGEST_DELAY_MS, cache->failures, 0);
	if (retry_after_ms > delay)
		delay = retry_after_ms;
	cache->not_before = cache->now.mono + delay * USEC_PER_MSEC;
	cache->refresh_at = cache->not_before;
	cache->heard(cache->arg, false, &cache->trouble, cache->now.mono);
}

static const struct credential *credential_of(const struct token_cache *cache)
{
	return profile_credential(cache->settings->auth);
}

static void succeed(struct token_cache *cache)
{
	cache->failures = 0;
	cache->trouble.kind = FAULT_NONE;
	cache->trouble.message[0] = '\0';
	cache->heard(cache->arg, true, &cache->trouble, cache->now.mono);
}

/* Takes the token over; false when there is no memory for it. */
static bool take_token(struct token_cache *cache, const struct login_reply *login)
{
	wipe(&cache->header);
	buf_add_text(&cache->header, credential_of(cache)->header);
	scan_decode_string(&cache->header, login->access_token);
	buf_reset(&cache->missing);
	if (profile_knows_scopes(cache->settings->profile))
		login_missing_scopes(&cache->missing, login->scope);
	if (!buf_ok(&cache->header)) {
		wipe(&cache->header);
		return false;
	}
	cache->serial++;
	cache->serves_until = cache->now.mono + login->life;
	cache->refresh_at = cache->serves_until - (AHEAD < login->life / 4 ? AHEAD : login->life / 4);
	return true;
}

/* What the operator reads; the reply's own words stay out of it. */
static void say(struct token_cache *cache, const struct reply *reply, bool complete)
{
	if (!complete)
		fault_set(&cache->trouble, 0, reply->kind, "login failed: %s", reply->message);
	else if (reply->kind == FAULT_RATE_LIMITED)
		fault_set(&cache->trouble, 0, reply->kind, "login was rate-limited (HTTP status 429)");
	else if (reply->http_status >= 200 && reply->http_status <= 299)
		fault_set(&cache->trouble, 0, reply->kind, "login's reply holds no usable access_token");
	else
		fault_set(&cache->trouble, 0, reply->kind, "login was refused with HTTP status %d", reply->http_status);
}

static void on_reply(void *arg, const struct http_reply *http)
{
	struct token_cache *cache = arg;
	struct reply reply;
	cache->call = NULL;
	wipe(&cache->body);
	cache->now = clock_read();
	cache->dated = http_date_ahead(http->date, cache->now.unix_ms, &cache->ahead_ms);
	const struct reply_facts facts = cognigy_facts(cache->settings, STAGE_LOGIN, http);
	reply_read(&facts, NULL, cache->now.unix_ms, &reply);
	if (reply.kind == FAULT_NONE && take_token(cache, &reply.login)) {
		succeed(cache);
		return;
	}
	if (reply.kind == FAULT_NONE)
		fault_set(&cache->trouble, 0, FAULT_OURS, "login failed: out of memory");
	else
		say(cache, &reply, facts.complete);
	fail(cache, reply.retry_after_ms);
}

/* "name:secret" by the Basic scheme, both percent-encoded first (RFC 6749, 2.3.1). */
static void write_basic(struct token_cache *cache, struct span secret)
{
	struct buf pair;
	buf_init(&pair, HEADER_MAX);
	text_percent_encode(&pair, span_of(cache->settings->client_id));
	buf_add_char(&pair, ':');
	text_percent_encode(&pair, secret);
	buf_reset(&cache->basic);
	buf_add_text(&cache->basic, "Authorization: Basic ");
	text_base64_encode(&cache->basic, buf_span(&pair));
	buf_wipe(&pair);
}

static void log_in(struct token_cache *cache, struct span secret)
{
	struct cognigy_call call = { .stage = STAGE_LOGIN,
				     .filling = { .settings = cache->settings, .secret = secret },
				     .time_left = USEC_NEVER };
	if (credential_of(cache)->is_basic) {
		write_basic(cache, secret);
		call.authorization = buf_text(&cache->basic);
	}
	if (buf_ok(&cache->basic) && cognigy_write_body(STAGE_LOGIN, &call.filling, &cache->body) == 0)
		cache->call = cognigy_start(cache->http, &call, &cache->body, on_reply, cache);
	wipe(&cache->basic);
	if (!cache->call) {
		fault_set(&cache->trouble, 0, FAULT_OURS, "login could not be started: out of memory");
		fail(cache, -1);
	}
}

/* The secret is all: it serves until it is refused, and is read again then. */
static void take_secret(struct token_cache *cache, struct span secret)
{
	wipe(&cache->header);
	buf_add_text(&cache->header, credential_of(cache)->header);
	buf_add_span(&cache->header, secret);
	if (!buf_ok(&cache->header)) {
		wipe(&cache->header);
		fault_set(&cache->trouble, 0, FAULT_OURS, "the secret cannot be kept: out of memory");
		fail(cache, -1);
		return;
	}
	cache->serial++;
	cache->serves_until = cache->refresh_at = USEC_NEVER;
	succeed(cache);
}

static void start_login(struct token_cache *cache)
{
	struct buf secret, error;
	buf_init(&secret, 4096);
	buf_init(&error, sizeof(cache->trouble.message));
	if (settings_secret(cache->settings, &secret, &error) < 0) {
		fault_set(&cache->trouble, 0, FAULT_DEPENDENCY_DOWN, "login is not possible: %s", buf_text(&error));
		fail(cache, -1);
	} else if (credential_of(cache)->login.method) {
		log_in(cache, buf_span(&secret));
	} else {
		take_secret(cache, buf_span(&secret));
	}
	buf_wipe(&secret);
	buf_fini(&error);
}

void token_cache_run(struct token_cache *cache, const struct instant *now)
{
	cache->now = *now;
	if (!cache->call && now->mono >= cache->refresh_at)
		start_login(cache);
}

usec_t token_cache_wait(const struct token_cache *cache, usec_t now)
{
	if (cache->call)
		return USEC_NEVER;
	return cache->refresh_at > now ? cache->refresh_at - now : 0;
}

const char *token_cache_header(const struct token_cache *cache, usec_t now, uint64_t *ret_serial)
{
	if (cache->header.len == 0 || now >= cache->serves_until)
		return NULL;
	*ret_serial = cache->serial;
	return buf_text(&cache->header);
}

usec_t token_cache_earliest(const struct token_cache *cache, usec_t now)
{
	uint64_t serial;
	if (cache->call || cache->trouble.kind != FAULT_RATE_LIMITED || token_cache_header(cache, now, &serial))
		return now;
	return cache->not_before;
}

usec_t token_cache_serves_until(const struct token_cache *cache)
{
	return cache->header.len > 0 ? cache->serves_until : 0;
}

void token_cache_refuse(struct token_cache *cache, uint64_t serial)
{
	if (serial != cache->serial || cache->header.len == 0)
		return;
	wipe(&cache->header);
	cache->refresh_at = cache->not_before;
}

const char *token_cache_missing_scopes(const struct token_cache *cache)
{
	return buf_text(&cache->missing);
}

const struct fault *token_cache_trouble(const struct token_cache *cache)
{
	return &cache->trouble;
}

bool token_cache_clock_ahead(const struct token_cache *cache, int64_t *ret_ms)
{
	*ret_ms = cache->ahead_ms;
	return cache->dated;
}
