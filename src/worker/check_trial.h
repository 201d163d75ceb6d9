/*
 * check_trial - a tenant tried: its login, the first call of a handoff, and the host of its endpoints
 *
 *   login ──> fetch of a session that there is not ──> the same without a credential
 *   endpoint: is anybody there?
 *
 * Nothing is changed at the other side: but for the login, all of it is GET. The last fetch tells whether the
 * credential matters at all: a path that is wrong answers alike with and without it. No secret in any text here. One
 * thread, with a loop of the caller's, so that all tenants are tried at once.
 */
#ifndef HANDOFF_CHECK_TRIAL_H
#define HANDOFF_CHECK_TRIAL_H

#include <stdbool.h>

#include "base/clock.h"
#include "base/fault.h"
#include "doors/http.h"
#include "doors/loop.h"
#include "doors/settings.h"
#include "rules/reply.h"
#include "worker/token_cache.h"

enum check_call { CHECK_FETCH, CHECK_STRANGER, CHECK_ENDPOINT, CHECK_CALLS };

struct check_answer {
	bool asked, ended;
	bool dated;         /* the reply told the time */
	int64_t ahead_ms;   /* by how much its clock was ahead of ours */
	int status;         /* 0: none came, and `trouble` says why */
	struct reply reply; /* its kind and reason; its spans are gone */
	char trouble[160];
};

struct check_trial {
	const struct settings_tenant *settings;
	struct http *http;
	struct token_cache *token;
	bool logged_in;     /* or has the secret that goes with every call */
	bool login_ended;   /* well or not */
	struct fault login; /* message[0] == '\0': well */
	struct check_answer answers[CHECK_CALLS];
	struct http_call *calls[CHECK_CALLS];
};

/* Borrows both. What cannot even begin says so in `login`. */
void check_trial_begin(struct check_trial *trial, const struct settings_tenant *settings, struct loop *loop);
/* One turn; lowers `wait` to the time that the loop may sleep. False: all has ended. */
bool check_trial_turn(struct check_trial *trial, const struct instant *now, usec_t *wait);
/* How long it takes at most. */
usec_t check_trial_time(const struct settings_tenant *settings);
void check_trial_end(struct check_trial *trial);

#endif
