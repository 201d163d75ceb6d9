/* check_cognigy - is each tenant's login good, for enough, and do the clocks agree? */
#include <inttypes.h>
#include <stdlib.h>

#include "doors/http.h"
#include "doors/loop.h"
#include "worker/check.h"
#include "worker/cognigy.h"
#include "worker/token_cache.h"

#define MARGIN      USEC_PER_SEC
#define SKEW_SEEN   INT64_C(2000)  /* ms: a Date header tells whole seconds, and a reply takes its time */
#define SKEW_HARMS  INT64_C(30000) /* deadlines and not-before times are compared with this clock */
#define MS_A_SECOND 1000

struct trial {
	const struct settings_tenant *settings;
	struct http *http;
	struct token_cache *token;
	bool ended;
	struct fault fault; /* kind FAULT_NONE: logged in */
};

static void on_login(void *arg, bool ok, const struct fault *fault, usec_t now)
{
	struct trial *trial = arg;
	(void)now;
	trial->ended = true;
	trial->fault = ok ? (struct fault){ 0 } : *fault;
}

static void begin(struct trial *trial, const struct settings_tenant *settings, struct loop *loop)
{
	const struct http_options options = cognigy_http_options(settings, 1);
	trial->settings = settings;
	trial->http = http_new(loop, &options, &trial->fault);
	trial->token = trial->http ? token_cache_new(trial->http, settings, on_login, trial) : NULL;
	trial->ended = !trial->token;
	if (trial->http && !trial->token)
		fault_set(&trial->fault, 0, FAULT_OURS, "out of memory");
}

static bool turn(struct trial *trial, const struct instant *now, usec_t *wait)
{
	if (trial->ended)
		return false;
	token_cache_run(trial->token, now);
	http_run(trial->http, now->mono);
	const usec_t own = http_wait(trial->http, now->mono);
	*wait = own < *wait ? own : *wait;
	return !trial->ended;
}

/* All at once: one that is silent does not keep the others waiting. */
static void run(struct loop *loop, struct trial *trials, size_t count, usec_t deadline)
{
	for (;;) {
		const struct instant now = clock_read();
		usec_t wait = deadline - now.mono;
		bool open = false;
		for (size_t i = 0; i < count; i++)
			open = turn(&trials[i], &now, &wait) || open;
		if (!open || now.mono >= deadline || loop_once(loop, wait) < 0)
			return;
	}
}

/* --- what is said of it --- */

static const char *advice(const struct fault *fault)
{
	switch (fault->kind) {
	case FAULT_AUTH:
		return "check client_id and client_secret";
	case FAULT_RATE_LIMITED:
		return "the tenant's limit is used up: wait, and lower limits.requests_per_second";
	case FAULT_DEPENDENCY_DOWN:
		return "check base_url, the network between, and ca_file where the authority is a private one";
	default:
		return "check base_url, client_id and client_secret";
	}
}

static void say_scopes(struct check *check, const struct trial *trial, const char *name)
{
	const char *missing = token_cache_missing_scopes(trial->token);
	if (*missing)
		check_say(check, CHECK_FAIL, "scopes", name,
			  "not granted: %s; let the tenant grant them to client_id %s", missing,
			  trial->settings->client_id);
	else
		check_say(check, CHECK_OK, "scopes", name, "none that a handoff needs is missing");
}

static void say_clock(struct check *check, const struct trial *trial, const char *name)
{
	int64_t ahead_ms;
	const bool dated = token_cache_clock_ahead(trial->token, &ahead_ms);
	if (!dated && trial->fault.message[0])
		return;
	if (!dated) {
		check_say(check, CHECK_WARN, "clock", name,
			  "the reply has no Date header to compare with: see that this machine follows NTP");
		return;
	}
	const int64_t skew_ms = ahead_ms < 0 ? -ahead_ms : ahead_ms;
	if (skew_ms <= SKEW_SEEN)
		check_say(check, CHECK_OK, "clock", name, "agrees with the Date header");
	else
		check_say(check, skew_ms > SKEW_HARMS ? CHECK_FAIL : CHECK_WARN, "clock", name,
			  "this machine's is %" PRId64
			  " s %s the Date header's, and deadlines are judged by it: let it follow NTP",
			  (skew_ms + MS_A_SECOND / 2) / MS_A_SECOND, ahead_ms > 0 ? "behind" : "ahead of");
}

static void say_login(struct check *check, const struct trial *trial, const char *name)
{
	check_say(check, CHECK_OK, "login", name, "a token that serves for %" PRId64 " s",
		  (token_cache_serves_until(trial->token) - clock_read().mono) / USEC_PER_SEC);
	if (profile_knows_scopes(trial->settings->profile))
		say_scopes(check, trial, name);
}

static void say(struct check *check, const struct trial *trial)
{
	const char *name = check->settings->tenant_count > 1 ? trial->settings->name : "";
	if (!trial->ended) {
		check_say(check, CHECK_FAIL, "login", name,
			  "%s did not answer in time: check base_url and the network between",
			  trial->settings->base_url);
		return;
	}
	const bool has_login = profile_credential(trial->settings->auth)->login.method != NULL;
	if (trial->fault.message[0]) {
		check_say(check, CHECK_FAIL, "login", name, "%s: %s", trial->fault.message, advice(&trial->fault));
	} else if (!has_login) {
		check_say(check, CHECK_WARN, "login", name,
			  "there is none: the secret goes with every call, and the first handoff tells whether it is "
			  "taken; watch its outcome");
	} else {
		say_login(check, trial, name);
	}
	if (trial->token && has_login)
		say_clock(check, trial, name);
}

static usec_t longest_login(const struct settings *settings)
{
	int64_t longest_ms = 0;
	for (size_t i = 0; i < settings->tenant_count; i++)
		if (settings->tenants[i].login_timeout_ms > longest_ms)
			longest_ms = settings->tenants[i].login_timeout_ms;
	return longest_ms * USEC_PER_MSEC;
}

void check_cognigy(struct check *check)
{
	const struct settings *s = check->settings;
	struct loop *loop = loop_new();
	struct trial *trials = loop ? calloc(s->tenant_count, sizeof(*trials)) : NULL;
	if (!trials) {
		check_say(check, CHECK_FAIL, "login", "", "not tried: out of memory or file descriptors");
		loop_free(loop);
		return;
	}
	for (size_t i = 0; i < s->tenant_count; i++)
		begin(&trials[i], &s->tenants[i], loop);
	run(loop, trials, s->tenant_count, clock_read().mono + longest_login(s) + MARGIN);
	for (size_t i = 0; i < s->tenant_count; i++) {
		say(check, &trials[i]);
		token_cache_free(trials[i].token);
		http_free(trials[i].http);
	}
	free(trials);
	loop_free(loop);
}
