/*
 * call - the life of one call, from its arrival to its answer
 *
 *   arrive ─┬─ a `before` rule ──────────────── wait ──> the rule's answer          (not executed)
 *           ├─ limit, token, scope, body ──────────────> 429, 401, 403, 400         (not executed)
 *           └─ wait (latency) ──> execute ─┬─ `after` rule ─ wait ──> spoiled answer  (executed)
 *                                          └───────────────────────> the step's answer
 *
 * A client that goes away does not stop its call: it is executed all the same when its time comes, as upstream does,
 * and counted as a ghost until then. Calls that hang stay until their client goes, or the end.
 */
#ifndef SANDBOX_CALL_H
#define SANDBOX_CALL_H

#include "base/heap.h"
#include "doors/http_server.h"
#include "sandbox/api.h"
#include "sandbox/world.h"

struct call;

struct calls {
	struct world *world;
	struct heap due;
	struct call *open; /* all of them */
	struct call *idle; /* ended ones, kept for the next */
	size_t idle_count;
	uint64_t ties;
};

void calls_init(struct calls *calls, struct world *world);
/* Ends every call without a reply. The server must still be there. */
void calls_drop(struct calls *calls);
void calls_fini(struct calls *calls);

/* A request to one of the two APIs; `path` is what follows its base. */
void calls_arrive(struct calls *calls, struct http_exchange *exchange, enum personality as, const char *path,
		  const struct instant *now);
void calls_vanish(struct calls *calls, struct http_exchange *exchange);
/* Goes on with what has waited long enough. */
void calls_run(struct calls *calls, const struct instant *now);
/* How long until then; USEC_NEVER when nothing waits. */
usec_t calls_wait(const struct calls *calls, usec_t now);

#endif
