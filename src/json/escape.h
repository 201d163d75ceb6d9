/*
 * escape - where does a JSON string say something in other words, and what does a backslash sequence stand for?
 *
 * The one place that knows RFC 8259's escapes when reading: the scanner asks whether they are well formed, the
 * decoder asks for their text; both, and the writer, step over what stands for itself. A surrogate pair is one
 * sequence; half of one is none. Pure.
 */
#ifndef HANDOFF_ESCAPE_H
#define HANDOFF_ESCAPE_H

#include <stddef.h>

#include "handoff/macros.h"
#include "handoff/span.h"

struct escape {
	size_t length; /* of the sequence: 2, 6 or 12 */
	size_t n;      /* bytes of UTF-8 it stands for: 1..4 */
	char utf8[4];
};

/* How many bytes at the start of `s` are plain ASCII of a string: no quote, backslash or control character. */
size_t escape_free_run(struct span s);

/* `s` begins with a backslash. 0, or -EINVAL when no well-formed sequence stands there. */
int escape_read(struct span s, struct escape *ret) MUST_CHECK;

#endif
