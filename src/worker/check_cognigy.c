/* check_cognigy - what is said of each tenant: is its login good, for enough, is its API there, do the clocks agree? */
#include <inttypes.h>
#include <stdlib.h>

#include "worker/check.h"
#include "worker/check_trial.h"

#define SKEW_SEEN   INT64_C(2000)  /* ms: a Date header tells whole seconds, and a reply takes its time */
#define SKEW_HARMS  INT64_C(30000) /* deadlines and not-before times are compared with this clock */
#define MS_A_SECOND 1000

/* All at once: one that is silent does not keep the others waiting. */
static void run(struct loop *loop, struct check_trial *trials, size_t count, usec_t deadline)
{
	for (;;) {
		const struct instant now = clock_read();
		usec_t wait = deadline - now.mono;
		bool open = false;
		for (size_t i = 0; i < count; i++)
			open = check_trial_turn(&trials[i], &now, &wait) || open;
		if (!open || now.mono >= deadline || loop_once(loop, wait) < 0)
			return;
	}
}

static const struct credential *credential_of(const struct check_trial *trial)
{
	return profile_credential(trial->settings->auth);
}

static bool has_login(const struct check_trial *trial)
{
	return credential_of(trial)->login.method != NULL;
}

#define THE_WAY_THERE                                                                                                  \
	"the network between, ca_file where the authority is a private one, and client_cert where a certificate is "   \
	"asked for"

/* --- the login --- */

static const char *advice(const struct fault *fault)
{
	switch (fault->kind) {
	case FAULT_AUTH:
		return "check client_id and client_secret";
	case FAULT_RATE_LIMITED:
		return "the tenant's limit is used up: wait, and lower limits.requests_per_second";
	case FAULT_DEPENDENCY_DOWN:
		return "check base_url, " THE_WAY_THERE;
	default:
		return "check base_url, client_id and client_secret";
	}
}

static void say_scopes(struct check *check, const struct check_trial *trial, const char *name)
{
	const char *missing = token_cache_missing_scopes(trial->token);
	if (*missing)
		check_say(check, CHECK_FAIL, "scopes", name,
			  "not granted: %s; let the tenant grant them to client_id %s", missing,
			  trial->settings->client_id);
	else
		check_say(check, CHECK_OK, "scopes", name, "none that a handoff needs is missing");
}

static void say_login(struct check *check, const struct check_trial *trial, const char *name)
{
	check_say(check, CHECK_OK, "login", name, "a token that serves for %" PRId64 " s",
		  (token_cache_serves_until(trial->token) - clock_read().mono) / USEC_PER_SEC);
	if (profile_knows_scopes(trial->settings->profile))
		say_scopes(check, trial, name);
}

static void say_no_login(struct check *check, const struct check_trial *trial, const char *name)
{
	if (!trial->login_ended)
		check_say(check, CHECK_FAIL, "login", name,
			  "%s did not answer in time: check base_url and the network between",
			  trial->settings->base_url);
	else if (has_login(trial))
		check_say(check, CHECK_FAIL, "login", name, "%s: %s", trial->login.message, advice(&trial->login));
	else
		check_say(check, CHECK_FAIL, "login", name, "%s", trial->login.message);
}

/* --- the first call of a handoff --- */

static bool is_not_found(const struct check_answer *answer)
{
	return answer->reply.reason == REASON_NOT_FOUND;
}

/* Nobody's session was read, or found not to be there. Does that say anything of the credential? */
static void say_welcome(struct check *check, const struct check_trial *trial, const char *name)
{
	const struct check_answer *with = &trial->answers[CHECK_FETCH];
	const struct check_answer *without = &trial->answers[CHECK_STRANGER];
	const char *what = credential_of(trial)->name;
	/* Some refuse with another status than 401, or send whoever has no credential elsewhere. */
	if (without->reply.kind == FAULT_AUTH || (without->reply.kind == FAULT_PERMANENT && !is_not_found(without)))
		check_say(check, CHECK_OK, "fetch", name,
			  "the %s is taken: HTTP status %d for a session that there is not, and %d without it", what,
			  with->status, without->status);
	else if (without->status == 0)
		check_say(
			check, CHECK_WARN, "fetch", name,
			"HTTP status %d with the %s, and without it none (%s), so it is not known whether it is looked "
			"at: ask again",
			with->status, what, without->trouble);
	else
		check_say(check, CHECK_WARN, "fetch", name,
			  "HTTP status %d with the %s and %d without it, so it is not known whether it is looked at: "
			  "check "
			  "base_url and session_path, and watch the first handoff's outcome",
			  with->status, what, without->status);
}

static void say_refused(struct check *check, const struct check_trial *trial, const char *name)
{
	const int status = trial->answers[CHECK_FETCH].status;
	const char *what = credential_of(trial)->name;
	if (trial->answers[CHECK_FETCH].reply.reason == REASON_AUTH_FORBIDDEN)
		check_say(check, CHECK_FAIL, "fetch", name,
			  "the %s may not read sessions (HTTP status %d): let the tenant give it the right to", what,
			  status);
	else if (has_login(trial))
		check_say(
			check, CHECK_FAIL, "fetch", name,
			"the %s that the login gave was refused with HTTP status %d: check that base_url and the login "
			"belong to one tenant",
			what, status);
	else
		check_say(check, CHECK_FAIL, "fetch", name,
			  "the %s was refused with HTTP status %d: check client_secret (or what its file holds) and "
			  "base_url",
			  what, status);
}

/* Neither welcome nor refused. */
static void say_odd(struct check *check, const struct check_answer *answer, const char *name)
{
	switch (answer->reply.kind) {
	case FAULT_RATE_LIMITED:
		check_say(check, CHECK_WARN, "fetch", name,
			  "HTTP status %d, the tenant's limit is used up: wait, and lower limits.requests_per_second",
			  answer->status);
		break;
	case FAULT_SERVER:
		check_say(check, CHECK_WARN, "fetch", name, "HTTP status %d, an error of the tenant's own: ask again",
			  answer->status);
		break;
	case FAULT_BAD_RESPONSE:
		check_say(check, CHECK_WARN, "fetch", name,
			  "HTTP status %d, but what came cannot be read as a session: check base_url, session_path and "
			  "profile",
			  answer->status);
		break;
	default:
		check_say(check, CHECK_WARN, "fetch", name,
			  "HTTP status %d for a session that there is not: check base_url, session_path and profile",
			  answer->status);
	}
}

static void say_fetch(struct check *check, const struct check_trial *trial, const char *name)
{
	const struct check_answer *answer = &trial->answers[CHECK_FETCH];
	if (answer->status == 0)
		check_say(check, CHECK_FAIL, "fetch", name, "%s: check base_url, " THE_WAY_THERE, answer->trouble);
	else if (trial->answers[CHECK_STRANGER].asked)
		say_welcome(check, trial, name);
	else if (answer->reply.kind == FAULT_AUTH)
		say_refused(check, trial, name);
	else
		say_odd(check, answer, name);
}

/* --- the endpoint --- */

static void say_endpoint(struct check *check, const struct check_trial *trial, const char *name)
{
	const struct check_answer *answer = &trial->answers[CHECK_ENDPOINT];
	if (profile_is_deprecated(trial->settings->profile, trial->settings->flow_path))
		check_say(check, CHECK_WARN, "flow_path", name,
			  "the vendor has announced to remove %s: give endpoint_url, and leave flow_path out",
			  trial->settings->flow_path);
	if (!answer->asked)
		return;
	if (answer->status == 0)
		check_say(check, CHECK_FAIL, "endpoint", name, "%s: check endpoint_url, " THE_WAY_THERE,
			  answer->trouble);
	else
		check_say(check, CHECK_OK, "endpoint", name,
			  "answers (HTTP status %d); that it takes a trigger shows with the first handoff",
			  answer->status);
}

/* --- the clocks --- */

static void say_clock(struct check *check, const struct check_trial *trial, const char *name)
{
	const struct check_answer *fetch = &trial->answers[CHECK_FETCH];
	int64_t ahead_ms = fetch->ahead_ms;
	const bool dated = fetch->dated || (trial->token && token_cache_clock_ahead(trial->token, &ahead_ms));
	if (!dated && fetch->status == 0)
		return; /* nobody answered */
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

/* --- all of it --- */

static void say(struct check *check, const struct check_trial *trial)
{
	const char *name = check->settings->tenant_count > 1 ? trial->settings->name : "";
	if (!trial->logged_in)
		say_no_login(check, trial, name);
	else if (has_login(trial))
		say_login(check, trial, name);
	if (trial->answers[CHECK_FETCH].asked)
		say_fetch(check, trial, name);
	say_endpoint(check, trial, name);
	say_clock(check, trial, name);
}

static usec_t longest(const struct settings *settings)
{
	usec_t longest = 0;
	for (size_t i = 0; i < settings->tenant_count; i++)
		if (check_trial_time(&settings->tenants[i]) > longest)
			longest = check_trial_time(&settings->tenants[i]);
	return longest;
}

void check_cognigy(struct check *check)
{
	const struct settings *s = check->settings;
	struct loop *loop = loop_new();
	struct check_trial *trials = loop ? calloc(s->tenant_count, sizeof(*trials)) : NULL;
	if (!trials) {
		check_say(check, CHECK_FAIL, "login", "", "not tried: out of memory or file descriptors");
		loop_free(loop);
		return;
	}
	for (size_t i = 0; i < s->tenant_count; i++)
		check_trial_begin(&trials[i], &s->tenants[i], loop);
	run(loop, trials, s->tenant_count, clock_read().mono + longest(s));
	for (size_t i = 0; i < s->tenant_count; i++) {
		say(check, &trials[i]);
		check_trial_end(&trials[i]);
	}
	free(trials);
	loop_free(loop);
}
