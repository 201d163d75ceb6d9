/*
 * cognigy - the calls of an attempt, as HTTP
 *
 * Builds each request as the tenant's profile has it (rules/profile.h; seed-v1: to the letter of the contract's section
 * 3). Knows nothing of states and retries: it is told what to send, and hands the reply's facts back.
 * One thread. Body memory is the caller's buffer and must live until the call has ended.
 */
#ifndef HANDOFF_COGNIGY_H
#define HANDOFF_COGNIGY_H

#include "base/buf.h"
#include "base/clock.h"
#include "doors/http.h"
#include "doors/settings.h"
#include "handoff/contract.h"
#include "handoff/macros.h"
#include "rules/reply.h"
#include "worker/filling.h"

struct cognigy_call {
	enum stage stage;
	struct filling filling;
	const char *authorization; /* the header line; NULL for a login */
	usec_t time_left;          /* until the deadline: caps the call's own time-out */
};

/* The body of a call. Replaces what is in `body`; 0, or as filling_body(). */
int cognigy_write_body(enum stage stage, const struct filling *filling, struct buf *body) MUST_CHECK;

/* How to connect to this tenant. Borrows from `settings`. */
struct http_options cognigy_http_options(const struct settings_tenant *settings, size_t max_in_flight);

/* How long the call may take. */
usec_t cognigy_timeout(const struct settings_tenant *settings, const struct cognigy_call *call);

/* Starts it; `done` as in http.h. NULL: could not be started, nothing was sent. */
struct http_call *cognigy_start(struct http *http, const struct cognigy_call *call, const struct buf *body,
				http_done *done, void *arg) MUST_CHECK;

/* The facts of an ended call, for reply_read(). Borrows from `reply`. */
struct reply_facts cognigy_facts(const struct settings_tenant *settings, enum stage stage,
				 const struct http_reply *reply);

#endif
