/*
 * raw - where in a JSON text does each member stand, byte for byte?
 *
 * json-c reads values but rewrites them (big integers, escapes); the simulator has to hand back what it was given.
 * Strict RFC 8259 and UTF-8: what is accepted here is JSON. Pure.
 */
#ifndef SANDBOX_RAW_H
#define SANDBOX_RAW_H

#include "base/buf.h"
#include "handoff/macros.h"
#include "handoff/span.h"

/* `text` must be one JSON object and nothing else: 0, else -EINVAL. `*ret_value` is the text of the last top-level
 * member whose key is written exactly `name` (SPAN_NONE when there is none; `name` may be NULL), `*ret_members` how
 * many members the object has. */
int raw_member(struct span text, const char *name, struct span *ret_value, size_t *ret_members) MUST_CHECK;

/* Appends `text` as a JSON string. Bytes that are no UTF-8 become U+FFFD. */
void raw_add_string(struct buf *out, struct span text);

#endif
