/*
 * simulator - the process that plays Cognigy
 *
 * One thread, one loop: the API below /api/v1 (api.c, call.c) and the control API below /_sim/ (control.c).
 */
#ifndef SANDBOX_SIMULATOR_H
#define SANDBOX_SIMULATOR_H

#include "sandbox/child.h"
#include "sandbox/world.h"

/* Serves on 127.0.0.1:`port` (0: a free one) until `parent` says stop. Reports to it. Returns the exit code. */
int simulator_run(struct world *world, unsigned port, struct child_side *parent);

#endif
