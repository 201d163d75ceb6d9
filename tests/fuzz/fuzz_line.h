/* fuzz_line - a fuzzer's bytes, line by line */
#ifndef HANDOFF_FUZZ_LINE_H
#define HANDOFF_FUZZ_LINE_H

#include <stdint.h>
#include <string.h>

#include "handoff/span.h"

static inline struct span fuzz_input(const uint8_t *data, size_t size)
{
	return (struct span){ size > 0 ? (const char *)data : "", size };
}

static inline struct span fuzz_take_line(struct span *rest)
{
	const char *feed = rest->n > 0 ? memchr(rest->p, '\n', rest->n) : NULL;
	const size_t n = feed ? (size_t)(feed - rest->p) : rest->n;
	const struct span line = { rest->p, n };
	const size_t taken = feed ? n + 1 : n;
	*rest = (struct span){ rest->p + taken, rest->n - taken };
	return line;
}

#endif
