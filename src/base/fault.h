/*
 * fault - what went wrong, and of which kind?
 *
 * A value, carried up by return and formatted once by the floor that knows whether it will be tried again.
 * The class alone decides what follows (rules/handoff.c); the message is for people and holds no secret.
 */
#ifndef HANDOFF_FAULT_H
#define HANDOFF_FAULT_H

#include "handoff/macros.h"

enum fault_class {
	FAULT_NONE,
	FAULT_RATE_LIMITED,    /* 429: the tenant's gate closes */
	FAULT_LOCKED,          /* 409, 412, 423, `processing`: a flow holds the session */
	FAULT_SERVER,          /* 5xx: the connector's error */
	FAULT_AMBIGUOUS,       /* sent, and nobody can say whether it was executed */
	FAULT_AUTH,            /* 401, 403 */
	FAULT_PERMANENT,       /* no later attempt can change it */
	FAULT_BAD_RESPONSE,    /* a reply that cannot be read */
	FAULT_DEPENDENCY_DOWN, /* surely not sent: nobody there to ask */
	FAULT_OURS,            /* out of memory, a limit of our own */
	FAULT_SHUTDOWN         /* we gave the call up ourselves */
};

struct fault {
	enum fault_class kind;
	char message[256];
};

const char *fault_name(enum fault_class kind);

/* Fills `f` (a NULL `f` is allowed) and returns `code`, so that a failing function can `return fault_set(...)`. */
int fault_set(struct fault *f, int code, enum fault_class kind, const char *format, ...) PRINTF_LIKE(4, 5);

#endif
