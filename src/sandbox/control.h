/*
 * control - the requests by which a test rules the simulator: everything below /_sim/
 *
 * Answered at once, never limited, never faulty, not in the book. handoff-sandbox(1) describes them.
 */
#ifndef SANDBOX_CONTROL_H
#define SANDBOX_CONTROL_H

#include "doors/http_server.h"
#include "sandbox/call.h"
#include "sandbox/world.h"

/* `path` is what follows "/_sim/". */
void control_answer(struct world *world, struct calls *calls, struct http_exchange *exchange, const char *path);

#endif
