#include "worker/token_cache.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "rules/retry_after.h"
#include "json/scan.h"
#include "json/write.h"

#define HEADER_MAX       16384 /* a token longer than this is no token */
#define SCOPES_MAX       4096
#define DEFAULT_LIFE_S   3600
#define MARGIN_S         300
#define SHORT_LIFE_S     600
#define FIRST_DELAY_MS   500
#define LONGEST_DELAY_MS 5000
#define AHEAD            (30 * USEC_PER_SEC) /* the next login starts this much before the old token ends serving */

struct token_cache {
	struct http *http;
	const struct settings_tenant *settings;
	token_cache_heard *heard;
	void *arg;
	struct buf header; /* the line as sent; empty: no token */
	struct buf scopes; /* as granted */
	char missing[128];
	uint64_t serial;
	usec_t serves_until;
	usec_t refresh_at; /* when the next login is due; USEC_NEVER never happens */
	usec_t not_before; /* no login before this, however urgent: the last one failed */
	struct http_call *call;
	struct buf body;
	struct fault trouble;
	int32_t failures;
	struct instant now; /* of the last run, for the reply's arithmetic */
};

usec_t token_cache_life(int64_t expires_in_s)
{
	const int64_t day_s = 86400 * 365;
	if (expires_in_s <= 0)
		expires_in_s = DEFAULT_LIFE_S;
	if (expires_in_s > day_s)
		expires_in_s = day_s;
	if (expires_in_s <= SHORT_LIFE_S)
		return expires_in_s * USEC_PER_SEC / 2;
	return (expires_in_s - MARGIN_S) * USEC_PER_SEC;
}

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
	buf_init(&cache->scopes, SCOPES_MAX);
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
	buf_fini(&cache->scopes);
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

/* Is `word` one of the blank-separated words of `list`? */
static bool has_word(struct span list, const char *word)
{
	const size_t n = strlen(word);
	for (size_t i = 0; i + n <= list.n; i++) {
		const bool begins = i == 0 || list.p[i - 1] == ' ';
		const bool ends = i + n == list.n || list.p[i + n] == ' ';
		if (begins && ends && memcmp(list.p + i, word, n) == 0)
			return true;
	}
	return false;
}

static void note_missing_scopes(struct token_cache *cache)
{
	static const char *const needed[] = { "session:write", "flow:execute", "telephony:transfer" };
	cache->missing[0] = '\0';
	if (cache->scopes.len == 0)
		return;
	size_t len = 0;
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (!has_word(buf_span(&cache->scopes), needed[i]))
			len += (size_t)snprintf(cache->missing + len, sizeof(cache->missing) - len, "%s%s",
						len ? " " : "", needed[i]);
}

/* A header line must hold nothing that could end it. */
static bool token_is_clean(struct span token)
{
	return token.n > 0 && text_is_printable_ascii(token) && !memchr(token.p, ' ', token.n);
}

/* Takes the token out of a 200 reply; false when there is none in it. */
static bool accept_token(struct token_cache *cache, struct span body)
{
	struct scan_value top, token, value;
	int64_t expires_in = 0;
	if (scan_check(body, &top, NULL) < 0 || top.type != SCAN_OBJECT || !scan_find(top, "access_token", &token) ||
	    token.type != SCAN_STRING)
		return false;
	if (scan_find(top, "expires_in", &value) && scan_int64(value, &expires_in) < 0)
		expires_in = 0;
	wipe(&cache->header);
	buf_add_text(&cache->header, "Authorization: Bearer ");
	const size_t prefix = cache->header.len;
	scan_decode_string(&cache->header, token.text);
	const struct span text = { cache->header.data + prefix, cache->header.len - prefix };
	if (!buf_ok(&cache->header) || !token_is_clean(text)) {
		wipe(&cache->header);
		return false;
	}
	buf_reset(&cache->scopes);
	if (scan_find(top, "scope", &value) && value.type == SCAN_STRING)
		scan_decode_string(&cache->scopes, value.text);
	note_missing_scopes(cache);
	const usec_t life = token_cache_life(expires_in);
	cache->serial++;
	cache->serves_until = cache->now.mono + life;
	cache->refresh_at = cache->serves_until - (AHEAD < life / 4 ? AHEAD : life / 4);
	return true;
}

static void on_reply(void *arg, const struct http_reply *reply)
{
	struct token_cache *cache = arg;
	cache->call = NULL;
	wipe(&cache->body);
	cache->now = clock_read();
	if (reply->error == HTTP_OK && reply->status >= 200 && reply->status < 300 &&
	    accept_token(cache, reply->body)) {
		cache->failures = 0;
		cache->trouble.kind = FAULT_NONE;
		cache->trouble.message[0] = '\0';
		cache->heard(cache->arg, true, &cache->trouble, cache->now.mono);
		return;
	}
	if (reply->error != HTTP_OK)
		fault_set(&cache->trouble, 0, FAULT_DEPENDENCY_DOWN, "login failed: %s", reply->message);
	else if (reply->status == 429)
		fault_set(&cache->trouble, 0, FAULT_RATE_LIMITED, "login was rate-limited (HTTP status 429)");
	else if (reply->status >= 200 && reply->status < 300)
		fault_set(&cache->trouble, 0, FAULT_DEPENDENCY_DOWN, "login's reply holds no usable access_token");
	else
		fault_set(&cache->trouble, 0, FAULT_AUTH, "login was refused with HTTP status %d", reply->status);
	fail(cache, retry_after_ms(reply->retry_after, reply->date, cache->now.unix_ms));
}

/* {"client_id","client_secret","grant_type"}; false with the trouble noted when the secret cannot be read. */
static bool write_body(struct token_cache *cache)
{
	struct buf secret, error;
	buf_init(&secret, 4096);
	buf_init(&error, sizeof(cache->trouble.message));
	const bool ok = settings_secret(cache->settings, &secret, &error) == 0;
	if (ok) {
		buf_reset(&cache->body);
		write_object_begin(&cache->body, NULL);
		write_text(&cache->body, "client_id", cache->settings->client_id);
		write_string(&cache->body, "client_secret", buf_span(&secret));
		write_text(&cache->body, "grant_type", "client_credentials");
		write_object_end(&cache->body);
	} else {
		fault_set(&cache->trouble, 0, FAULT_DEPENDENCY_DOWN, "login is not possible: %s", buf_text(&error));
	}
	wipe(&secret);
	buf_fini(&secret);
	buf_fini(&error);
	return ok && buf_ok(&cache->body);
}

static void start_login(struct token_cache *cache)
{
	static const char *const headers[] = { "Content-Type: application/json" };
	char url[2048];
	if (!write_body(cache)) {
		fail(cache, -1);
		return;
	}
	snprintf(url, sizeof(url), "%s%s", cache->settings->base_url, cache->settings->login_path);
	const struct http_request request = {
		.method = "POST",
		.url = url,
		.headers = headers,
		.header_count = ARRAY_SIZE(headers),
		.body = buf_span(&cache->body),
		.timeout = cache->settings->login_timeout_ms * USEC_PER_MSEC,
	};
	cache->call = http_start(cache->http, &request, on_reply, cache);
	if (!cache->call) {
		fault_set(&cache->trouble, 0, FAULT_OURS, "login could not be started: out of memory");
		fail(cache, -1);
	}
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
	if (cache->call || token_cache_header(cache, now, &serial))
		return now;
	return cache->not_before;
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
	return cache->missing;
}

const struct fault *token_cache_trouble(const struct token_cache *cache)
{
	return &cache->trouble;
}
