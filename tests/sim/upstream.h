/*
 * upstream - Cognigy: sessions with a state, tokens, locks, rate limits, and whatever goes wrong with a call
 *
 * A session is what its calls make of it: an update stores the variables and puts it into `transferring`, a trigger is
 * executed once for each Idempotency-Key and ends it or leaves it so. The book is in the session: what was executed.
 * A tenant of the profile cognigy-ai shows nothing of that: an update leaves no trace, a trigger is a message, executed
 * as often as it comes, and a fetch is the list of messages.
 */
#ifndef SIM_UPSTREAM_H
#define SIM_UPSTREAM_H

#include <stdbool.h>

#include "base/clock.h"
#include "sim/call.h"

struct execution {
	struct execution *next; /* the one before */
	char key[160];
	char marker[256]; /* of a message */
	int number;       /* 1 is the session's first */
	int64_t unix_ms;
	bool in_handover; /* as the conversation shows it */
};

struct upstream_session {
	char id[32];
	bool exists, is_voice;
	const char *status;
	const char *variables;
	usec_t processing_until; /* a flow is running */
	struct execution *executions;
	int execution_count;
	bool was_overtaken; /* an update was executed after its client had given it up: the marker went back */
};

/* What stands in every session's variables, and is nobody's business. */
extern const char upstream_foreign[];

void upstream_begin(void);
/* Draws what becomes of the call. */
enum fate upstream_fate(struct http_call *call);
/* It has arrived: its effect, and the status it is answered with. */
void upstream_execute(struct http_call *call);
void upstream_write_reply(struct http_call *call);

/* Nobody can connect to the tenant. */
void upstream_outage(int tenant, usec_t duration);
/* Everything is well from now on: nothing is locked, every session that is left can be worked with. */
void upstream_heal(void);

bool upstream_is_transferring(int tenant, const char *session);
bool upstream_was_overtaken(int tenant, const char *session);
/* Is a message whose marker begins so among the first `shown` executions? */
bool upstream_has_shown(int tenant, const char *session, const char *marker, int shown);
/* How often a trigger of this key was executed in the session. */
int upstream_executions(int tenant, const char *session, const char *key);

#endif
