/*
 * reply - what kind of answer was that?
 *
 * The one place that turns what came over the wire (or did not) into a class with its consequences: the rows of
 * profile.c are the contract's "What a reply leads to"; tests/unit/reply_table.h shows each reply to each of the four
 * calls with all that follows from it. What follows from a class is handoff.c's matter, what follows for
 * the tenant (gate, breaker, token) the worker's. Pure.
 */
#ifndef HANDOFF_REPLY_H
#define HANDOFF_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/fault.h"
#include "handoff/contract.h"
#include "handoff/span.h"
#include "rules/login.h"
#include "rules/profile.h"
#include "rules/session.h"

/* What the wire said of one call. */
struct reply_facts {
	enum stage stage;
	const struct profile_step *step; /* the call as its profile has it */
	bool complete;                   /* a whole HTTP reply came */
	bool sent;                       /* bytes of the request left us; meaningful when not complete */
	bool resent;                     /* the transport sent it twice */
	bool timed_out;
	int status; /* 0: none came */
	struct span body;
	struct span retry_after;
	struct span date;
	usec_t elapsed;
	const char *trouble; /* the transport's sentence when not complete, else "" */
};

struct reply {
	enum stage stage;
	enum fault_class kind; /* FAULT_NONE: success, and the stage's part below holds */
	enum reason reason;    /* what an outcome would say if this ended it */
	enum budget budget;    /* which budget it burns; BUDGET_COUNT: none */
	int http_status;
	int sends;              /* how often the call went out */
	int64_t retry_after_ms; /* -1: not asked for */
	usec_t elapsed;
	char code[64];
	char message[256];
	struct span body;           /* of an error; valid as long as the facts' body */
	struct login_reply login;   /* login */
	struct session session;     /* fetch */
	struct update_reply update; /* update */
	struct flow_reply flow;     /* trigger */
};

/* `reader` is needed for a fetch only. `now_ms` and the facts' Date correct a Retry-After date. */
void reply_read(const struct reply_facts *facts, const struct session_reader *reader, int64_t now_ms,
		struct reply *ret);

#endif
