/* token_cache: one login at a time, ahead of time, never earlier than asked, and never giving up. HTTP and the clock
 * are fakes: the test answers the login that is open and says how late it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker/token_cache.h"

#define START    (1000 * USEC_PER_SEC)
#define START_MS INT64_C(1763978400000) /* Mon, 24 Nov 2025 10:00:00 GMT */

static usec_t now;

struct instant __wrap_clock_read(void);
struct instant __wrap_clock_read(void)
{
	return (struct instant){ .mono = now, .unix_ms = START_MS + (now - START) / USEC_PER_MSEC };
}

/* ---- HTTP ---- */

static struct {
	bool open;
	bool refuses; /* to start a call */
	int started;
	int cancelled;
	char url[256];
	char body[512];
	char headers[512];
	http_done *done;
	void *arg;
} web;

struct http_call *http_start(struct http *http, const struct http_request *request, http_done *done, void *arg)
{
	(void)http;
	assert_false(web.open); /* single flight */
	if (web.refuses)
		return NULL;
	assert_string_equal(request->method, "POST");
	snprintf(web.url, sizeof(web.url), "%s", request->url);
	snprintf(web.body, sizeof(web.body), "%.*s", SPAN_FMT(request->body));
	web.headers[0] = '\0';
	for (size_t i = 0; i < request->header_count; i++)
		snprintf(web.headers + strlen(web.headers), sizeof(web.headers) - strlen(web.headers), "%s\n",
			 request->headers[i]);
	web.open = true;
	web.started++;
	web.done = done;
	web.arg = arg;
	return (struct http_call *)&web;
}

void http_cancel(struct http *http, struct http_call *call)
{
	(void)http;
	assert_ptr_equal(call, &web);
	assert_true(web.open);
	web.open = false;
	web.cancelled++;
}

static void reply(struct http_reply r)
{
	assert_true(web.open);
	web.open = false;
	web.done(web.arg, &r);
}

static void answer(int status, const char *body)
{
	reply((struct http_reply){ .status = status, .sent = true, .body = span_of(body) });
}

/* ---- the cache ---- */

static struct settings_tenant tenant;
static struct token_cache *cache;
static int heard_ok, heard_trouble;

static void on_heard(void *arg, bool ok, const struct fault *fault, usec_t at)
{
	(void)arg;
	(void)at;
	heard_ok += ok;
	heard_trouble += !ok;
	assert_int_equal(fault->kind == FAULT_NONE, ok);
	assert_int_equal(fault->message[0] == '\0', ok);
}

static int set_up(void **state)
{
	(void)state;
	now = START;
	memset(&web, 0, sizeof(web));
	heard_ok = heard_trouble = 0;
	tenant = (struct settings_tenant){ .name = "acme",
					   .base_url = "http://origin/api/v1",
					   .endpoint_url = "",
					   .token_url = "",
					   .update_path = "",
					   .scope = "",
					   .login_path = "/auth/login",
					   .client_id = "me",
					   .client_secret = "s\"ecret",
					   .client_secret_file = "",
					   .login_timeout_ms = 10000 };
	cache = token_cache_new(NULL, &tenant, on_heard, NULL);
	assert_non_null(cache);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	cache = token_cache_free(cache);
	assert_false(web.open);
	return 0;
}

static void run(usec_t later)
{
	now += later;
	const struct instant instant = __wrap_clock_read();
	token_cache_run(cache, &instant);
}

static usec_t wait_for_login(void)
{
	return token_cache_wait(cache, now);
}

static const char *header(uint64_t *ret_serial)
{
	return token_cache_header(cache, now, ret_serial);
}

static bool has_token(void)
{
	uint64_t serial;
	return header(&serial) != NULL;
}

static void log_in(const char *body)
{
	run(wait_for_login());
	answer(200, body);
}

/* ---- the tests ---- */

static void test_single_flight_and_what_is_sent(void **state)
{
	uint64_t serial;
	(void)state;
	assert_null(header(&serial));
	run(0);
	run(USEC_PER_SEC); /* http_start() would fail the test were it called again */
	assert_int_equal(web.started, 1);
	assert_int_equal(wait_for_login(), USEC_NEVER);
	assert_string_equal(web.url, "http://origin/api/v1/auth/login");
	assert_string_equal(web.body, "{\"client_id\":\"me\",\"client_secret\":\"s\\\"ecret\",\"grant_type\":\"client_"
				      "credentials\"}");
	answer(200, "{\"access_token\":\"a.b-c\",\"token_type\":\"Bearer\",\"expires_in\":3600}");
	assert_string_equal(header(&serial), "Authorization: Bearer a.b-c");
	assert_int_equal(serial, 1);
	assert_int_equal(heard_ok, 1);
	run(USEC_PER_SEC);
	assert_int_equal(web.started, 1);
}

static void test_oauth2_in_the_form(void **state)
{
	uint64_t serial;
	(void)state;
	tenant.auth = CREDENTIAL_OAUTH2;
	tenant.token_url = "https://login/token";
	tenant.scope = "a b";
	run(0);
	assert_string_equal(web.url, "https://login/token");
	assert_string_equal(web.body, "grant_type=client_credentials&client_id=me&client_secret=s%22ecret&scope=a%20b");
	assert_string_equal(web.headers, "Content-Type: application/x-www-form-urlencoded\nAccept: application/json\n");
	answer(200, "{\"access_token\":\"t\",\"expires_in\":3600}");
	assert_string_equal(header(&serial), "Authorization: Bearer t");
}

static void test_oauth2_by_the_basic_scheme(void **state)
{
	(void)state;
	tenant.auth = CREDENTIAL_OAUTH2_BASIC;
	tenant.token_url = "https://login/token";
	run(0);
	assert_string_equal(web.body, "grant_type=client_credentials&scope=");
	/* me:s%22ecret */
	assert_string_equal(web.headers, "Authorization: Basic bWU6cyUyMmVjcmV0\nContent-Type: application/"
					 "x-www-form-urlencoded\nAccept: application/json\n");
}

/* The secret is all: no call is made, and a refusal has it read again. */
static void test_secrets_that_need_no_login(void **state)
{
	uint64_t serial;
	(void)state;
	tenant.auth = CREDENTIAL_API_KEY;
	run(0);
	assert_int_equal(web.started, 0);
	assert_string_equal(header(&serial), "X-API-Key: s\"ecret");
	assert_int_equal(heard_ok, 1);
	run(1000 * 3600 * USEC_PER_SEC);
	assert_string_equal(header(&serial), "X-API-Key: s\"ecret");
	assert_int_equal(heard_ok, 1);
	tenant.auth = CREDENTIAL_BEARER;
	tenant.client_secret = "other";
	token_cache_refuse(cache, serial);
	assert_null(header(&serial));
	assert_int_equal(wait_for_login(), 0);
	run(0);
	assert_string_equal(header(&serial), "Authorization: Bearer other");
	assert_int_equal(serial, 2);
	assert_int_equal(web.started, 0);
}

static void test_life(void **state)
{
	static const struct {
		const char *expires_in; /* the member, or "" */
		int64_t serves_s;
	} cases[] = {
		{ ",\"expires_in\":3600", 3300 },
		{ ",\"expires_in\":601", 301 },
		{ ",\"expires_in\":600", 300 }, /* half its life when it lives no longer */
		{ ",\"expires_in\":2", 1 },
		{ "", 3300 }, /* not said */
		{ ",\"expires_in\":null", 3300 },
		{ ",\"expires_in\":\"600\"", 3300 }, /* no number */
		{ ",\"expires_in\":0", 3300 },
		{ ",\"expires_in\":-5", 3300 },
		{ ",\"expires_in\":true", 3300 },
		{ ",\"expires_in\":9223372036854775807", 365 * 86400 - 300 },
		{ ",\"expires_in\":99999999999999999999", 365 * 86400 - 300 },
		{ ",\"expires_in\":7.2e3", 6900 },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char body[128];
		tear_down(state);
		set_up(state);
		snprintf(body, sizeof(body), "{\"access_token\":\"t\"%s}", cases[i].expires_in);
		log_in(body);
		const usec_t end = now + cases[i].serves_s * USEC_PER_SEC;
		const usec_t ahead = end - now - wait_for_login();
		now = end - 1;
		if (!has_token())
			fail_msg("case %zu ends too early", i);
		now = end;
		if (has_token())
			fail_msg("case %zu serves too long", i);
		/* The next login begins while this one still serves. */
		assert_true(ahead > 0 && ahead <= 30 * USEC_PER_SEC && ahead <= cases[i].serves_s * USEC_PER_SEC / 4);
	}
}

static void test_refresh_ahead(void **state)
{
	uint64_t serial;
	(void)state;
	log_in("{\"access_token\":\"one\",\"expires_in\":3600}");
	run(wait_for_login());
	assert_int_equal(web.started, 2);
	assert_string_equal(header(&serial), "Authorization: Bearer one"); /* it still serves */
	answer(500, "");
	assert_string_equal(header(&serial), "Authorization: Bearer one"); /* a failed refresh takes nothing away */
	log_in("{\"access_token\":\"two\",\"expires_in\":3600}");
	assert_string_equal(header(&serial), "Authorization: Bearer two");
	assert_int_equal(serial, 2);
	assert_int_equal(token_cache_trouble(cache)->kind, FAULT_NONE);
}

/* However a login fails, the next one follows: after half a second, then later each time, five seconds at most. */
static void test_failures_are_backed_off_from(void **state)
{
	static const struct {
		int status;
		const char *body;
		enum fault_class kind;
	} cases[] = {
		{ 401, "{\"error\":\"invalid_client\"}", FAULT_AUTH },
		{ 403, "", FAULT_AUTH },
		{ 302, "", FAULT_DEPENDENCY_DOWN },
		{ 503, "no", FAULT_DEPENDENCY_DOWN },
		{ 429, "", FAULT_RATE_LIMITED },
		{ 200, "", FAULT_DEPENDENCY_DOWN },
		{ 200, "no json", FAULT_DEPENDENCY_DOWN },
		{ 200, "[]", FAULT_DEPENDENCY_DOWN },
		{ 200, "{}", FAULT_DEPENDENCY_DOWN },
		{ 200, "{\"access_token\":null}", FAULT_DEPENDENCY_DOWN },
		{ 200, "{\"access_token\":\"\"}", FAULT_DEPENDENCY_DOWN },
		{ 200, "{\"access_token\":\"a b\"}", FAULT_DEPENDENCY_DOWN },
		{ 200, "{\"access_token\":\"a\\r\\nX-Evil: 1\"}", FAULT_DEPENDENCY_DOWN },
	};
	static const usec_t waits_ms[] = {
		500, 1000, 2000, 4000, 5000, 5000, 5000, 5000, 5000, 5000, 5000, 5000, 5000
	};
	(void)state;
	run(0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		answer(cases[i].status, cases[i].body);
		assert_false(has_token());
		assert_int_equal(heard_trouble, i + 1);
		if (token_cache_trouble(cache)->kind != cases[i].kind ||
		    wait_for_login() != waits_ms[i] * USEC_PER_MSEC)
			fail_msg("case %zu: class %d, wait %lld", i, (int)token_cache_trouble(cache)->kind,
				 (long long)wait_for_login());
		run(wait_for_login() - 1);
		assert_false(web.open);
		run(1);
	}
	reply((struct http_reply){ .error = HTTP_CONNECT, .message = "refused" });
	assert_non_null(strstr(token_cache_trouble(cache)->message, "refused"));
	web.refuses = true;
	run(wait_for_login()); /* out of memory is a failure like any other */
	assert_true(wait_for_login() > 0);
	web.refuses = false;
	log_in("{\"access_token\":\"t\"}");
	assert_true(has_token());
	run(wait_for_login());
	answer(500, "");
	assert_int_equal(wait_for_login(), 500 * USEC_PER_MSEC); /* a success forgets the failures */
}

static void test_retry_after_is_strict(void **state)
{
	uint64_t serial;
	(void)state;
	log_in("{\"access_token\":\"one\",\"expires_in\":3600}");
	run(wait_for_login());
	reply((struct http_reply){ .status = 429, .sent = true, .retry_after = SPAN("20") });
	assert_int_equal(wait_for_login(), 20 * USEC_PER_SEC);
	assert_non_null(header(&serial));
	/* The old token is refused: urgent, and yet not before its time. */
	run(5 * USEC_PER_SEC);
	token_cache_refuse(cache, serial);
	assert_int_equal(wait_for_login(), 15 * USEC_PER_SEC);
	run(15 * USEC_PER_SEC - 1);
	assert_false(web.open);
	run(1);
	assert_true(web.open);
	/* A date counts from the reply's own clock, which is an hour ahead of ours. */
	reply((struct http_reply){ .status = 429,
				   .sent = true,
				   .retry_after = SPAN("Mon, 24 Nov 2025 11:00:45 GMT"),
				   .date = SPAN("Mon, 24 Nov 2025 11:00:15 GMT") });
	assert_int_equal(wait_for_login(), 30 * USEC_PER_SEC);
}

static void test_only_the_refused_token_is_dropped(void **state)
{
	uint64_t one, two;
	(void)state;
	log_in("{\"access_token\":\"one\"}");
	assert_non_null(header(&one));
	token_cache_refuse(cache, one);
	token_cache_refuse(cache, one); /* by every call that was under way with it */
	assert_false(has_token());
	assert_int_equal(wait_for_login(), 0);
	run(0);
	token_cache_refuse(cache, one);
	answer(200, "{\"access_token\":\"two\"}");
	token_cache_refuse(cache, one); /* a late 401 says nothing of its successor */
	assert_string_equal(header(&two), "Authorization: Bearer two");
	assert_true(two != one);
	assert_int_equal(web.started, 2);
}

static void test_missing_scopes(void **state)
{
	static const struct {
		const char *scope; /* the member, or "" */
		const char *missing;
	} cases[] = {
		{ "", "" },
		{ ",\"scope\":\"session:write flow:execute telephony:transfer\"", "" },
		{ ",\"scope\":\"flow:execute\"", "session:write telephony:transfer" },
		{ ",\"scope\":\"session:writer xflow:execute telephony:transfer\"", "session:write flow:execute" },
		{ ",\"scope\":[\"flow:execute\"]", "" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char body[256];
		tear_down(state);
		set_up(state);
		snprintf(body, sizeof(body), "{\"access_token\":\"t\"%s}", cases[i].scope);
		log_in(body);
		assert_string_equal(token_cache_missing_scopes(cache), cases[i].missing);
	}
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void test_secret_file_is_read_before_each_login(void **state)
{
	char path[] = "/tmp/handoff-secret-XXXXXX";
	const int fd = mkstemp(path);
	(void)state;
	assert_true(fd >= 0);
	close(fd);
	tenant.client_secret = "";
	tenant.client_secret_file = path;
	write_file(path, "first\n");
	run(0);
	assert_non_null(strstr(web.body, "\"client_secret\":\"first\""));
	answer(401, "");
	write_file(path, "second\n");
	run(wait_for_login());
	assert_non_null(strstr(web.body, "\"client_secret\":\"second\""));
	answer(401, "");
	assert_int_equal(unlink(path), 0);
	run(wait_for_login()); /* gone: said, and tried again */
	assert_false(web.open);
	assert_int_equal(heard_trouble, 3);
	assert_null(strstr(token_cache_trouble(cache)->message, "second"));
	write_file(path, "third");
	run(wait_for_login());
	assert_non_null(strstr(web.body, "\"client_secret\":\"third\""));
	unlink(path);
}

static void test_free_cancels_the_login(void **state)
{
	(void)state;
	run(0);
	cache = token_cache_free(cache);
	assert_int_equal(web.cancelled, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_single_flight_and_what_is_sent),
		TEST(test_oauth2_in_the_form),
		TEST(test_oauth2_by_the_basic_scheme),
		TEST(test_secrets_that_need_no_login),
		TEST(test_life),
		TEST(test_refresh_ahead),
		TEST(test_failures_are_backed_off_from),
		TEST(test_retry_after_is_strict),
		TEST(test_only_the_refused_token_is_dropped),
		TEST(test_missing_scopes),
		TEST(test_secret_file_is_read_before_each_login),
		TEST(test_free_cancels_the_login),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
