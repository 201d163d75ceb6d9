/*
 * status - what does somebody on call have to know about this worker now?
 *
 * The document behind /status and the page at /: one JSON object of one moment, described by
 * config/schemas/status.schema.json. Ids and places only: no session variables, no secrets. The loop's thread.
 */
#ifndef HANDOFF_STATUS_H
#define HANDOFF_STATUS_H

#include <stddef.h>

#include "base/buf.h"
#include "worker/worker.h"

#define STATUS_OBSTACLES_MAX 16

/* Why the worker is not ready, as many sentences as are returned; none: it is. They live as long as the turn. */
size_t status_obstacles(const struct worker *w, const char *ret[STATUS_OBSTACLES_MAX]);

/* Appends the document; a failure is the buffer's. */
void status_write(const struct worker *w, struct buf *out);

#endif
