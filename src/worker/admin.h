/*
 * admin - what the worker shows over HTTP: /healthz, /readyz, /metrics
 *
 * Served on the worker's own loop: it answers while the loop turns, which is what /healthz says.
 * `admin.listen = ""` turns it off; every function takes that in its stride.
 */
#ifndef HANDOFF_ADMIN_H
#define HANDOFF_ADMIN_H

#include "base/clock.h"
#include "base/fault.h"
#include "handoff/macros.h"

struct admin;
struct worker;

/* Borrows the worker. NULL with the reason in `fault`. */
struct admin *admin_new(struct worker *worker, struct fault *fault) MUST_CHECK;
struct admin *admin_free(struct admin *admin);
void admin_run(struct admin *admin);
usec_t admin_wait(const struct admin *admin);

#endif
