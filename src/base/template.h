/*
 * template - a text with holes, and what goes into them
 *
 *   {"sessionId":{sessionId},"channel":"voice"}
 *                └─ a hole: letters between braces. Any other brace is a brace.
 *
 * Pure. Errors of the buffer are the buffer's (sticky).
 */
#ifndef HANDOFF_TEMPLATE_H
#define HANDOFF_TEMPLATE_H

#include "base/buf.h"
#include "handoff/macros.h"
#include "handoff/span.h"

/* Appends what belongs into the hole of that name: 0, or a negative errno that ends the filling. */
typedef int template_fill(const void *arg, struct span name, struct buf *out);

/* Appends the text with its holes filled: 0, or the first error of `fill`. */
int template_write(struct buf *out, const char *text, template_fill *fill, const void *arg) MUST_CHECK;

#endif
