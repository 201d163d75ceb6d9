/*
 * profile - which calls does this kind of Cognigy want, and what do its replies mean?
 *
 * One table for each kind of API; a row is a call, and all of it is data: method, host, headers and body as templates,
 * the statuses that are a success, where in the reply its values stand (JSON pointers) and which of them say that the
 * transfer failed, and what every other status leads to. Sending (worker/cognigy.c), reading (rules/reply.c) and the
 * state machine know no profile by name. Constant, pure.
 */
#ifndef HANDOFF_PROFILE_H
#define HANDOFF_PROFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/fault.h"
#include "handoff/contract.h"
#include "rules/session.h"

enum profile_kind { PROFILE_SEED_V1, PROFILE_KINDS };

/* What follows from a reply. */
struct reply_meaning {
	enum fault_class kind;
	enum reason reason; /* what an outcome would say if this ended it */
	enum budget budget; /* which budget it burns; BUDGET_COUNT: none */
};

struct reply_row {
	int first, last; /* HTTP statuses, both included; the first row that has the status counts */
	struct reply_meaning means;
};

struct profile_step {
	const char *method;
	/* Templates: "{name}" is a placeholder (worker/cognigy.c lists them). A value in a body is a JSON value. */
	const char *const *headers; /* NULL-terminated; beside the authorization and the trace */
	const char *body;           /* NULL: none */
	int success_first, success_last;
	const struct reply_row *rows;    /* what is no success; the last row has every status */
	struct reply_meaning unreadable; /* a success whose body cannot be read */
	struct session_view session;     /* of a fetch */
	struct update_view update;       /* of an update */
	struct flow_view flow;           /* of a trigger */
};

struct profile {
	const char *name;
	struct profile_step steps[STAGE_COUNT];
};

extern const struct profile profiles[PROFILE_KINDS];

static inline const struct profile_step *profile_step(enum profile_kind kind, enum stage stage)
{
	return &profiles[kind].steps[stage];
}

#endif
