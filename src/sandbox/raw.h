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

/* A top-level member to look for. `value` becomes the text of the last one whose key is written exactly `name`;
 * SPAN_NONE when there is none. */
struct raw_member {
	const char *name;
	struct span value;
};

/* `text` must be one JSON object and nothing else: 0, else -EINVAL. Finds the `count` members; `*ret_duplicates`
 * (NULL: not asked) says whether two of its first 64 members have the same key, written the same way. */
int raw_object(struct span text, struct raw_member *members, size_t count, bool *ret_duplicates) MUST_CHECK;

/* Appends `text` as a JSON string. Bytes that are no UTF-8 become U+FFFD. */
void raw_add_string(struct buf *out, struct span text);

#endif
