/*
 * cognigy - the three calls of an attempt, as HTTP
 *
 * Builds each request to the letter of the contract's section 3: compact bodies, keys in order, existing variables byte
 * for byte. Knows nothing of states and retries: it is told what to send, and hands the reply's facts back.
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
#include "rules/history.h"
#include "rules/reply.h"
#include "rules/request.h"

struct cognigy_call {
	enum stage stage; /* fetch, update or trigger */
	const struct request *request;
	const struct history *history;
	const char *authorization; /* the header line */
	usec_t time_left;          /* until the deadline: caps the call's own time-out */
};

/* The body of an update: the session's variables, merged. Replaces what is in `body`. 0; -EINVAL when two of the
 * session's variables have the same name (nothing could be merged faithfully); -EMSGSIZE or -ENOMEM. */
int cognigy_write_update(const struct settings_tenant *settings, const struct request *request,
			 const struct history *history, struct scan_value variables, struct buf *body) MUST_CHECK;
int cognigy_write_trigger(const struct settings_tenant *settings, const struct request *request,
			  struct buf *body) MUST_CHECK;

/* How long the call may take. */
usec_t cognigy_timeout(const struct settings_tenant *settings, const struct cognigy_call *call);

/* Starts it; `done` as in http.h. NULL: could not be started, nothing was sent. */
struct http_call *cognigy_start(struct http *http, const struct settings_tenant *settings,
				const struct cognigy_call *call, const struct buf *body, http_done *done,
				void *arg) MUST_CHECK;

/* The facts of an ended call, for reply_read(). Borrows from `reply`. */
struct reply_facts cognigy_facts(enum stage stage, const struct http_reply *reply);

#endif
