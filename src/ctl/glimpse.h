/*
 * glimpse - what does a running worker say of itself at this moment?
 *
 * One GET of its /status (admin.listen). Blocking, for at most `timeout`.
 */
#ifndef HANDOFF_GLIMPSE_H
#define HANDOFF_GLIMPSE_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/fault.h"
#include "handoff/macros.h"

/* `address` is HOST:PORT. Appends the JSON that it answers: 0, or -EIO with the reason in `fault`. */
int glimpse_take(const char *address, usec_t timeout, struct buf *ret, struct fault *fault) MUST_CHECK;

#endif
