/*
 * span - a borrowed run of bytes
 *
 * Pointer and length, never NUL-terminated, never owned. A span is valid as long as the memory it was cut from;
 * whoever keeps one longer copies it. `p == NULL` means "absent", which is not the same as empty.
 */
#ifndef HANDOFF_SPAN_H
#define HANDOFF_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct span {
	const char *p;
	size_t n;
};

/* A string literal as a span, and a span as the two arguments of "%.*s". */
#define SPAN(literal) ((struct span){ "" literal, sizeof(literal) - 1 })
#define SPAN_NONE     ((struct span){ NULL, 0 })
#define SPAN_FMT(s)   (int)(s).n, (s).p ? (s).p : ""

static inline struct span span_of(const char *text)
{
	return (struct span){ text, text ? strlen(text) : 0 };
}

static inline bool span_eq(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool span_is(struct span a, const char *text)
{
	return a.p && span_eq(a, span_of(text));
}

/* Without the blanks and tabs at either end, as HTTP lets them stand around a header's value. */
static inline struct span span_trim(struct span s)
{
	while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t')) {
		s.p++;
		s.n--;
	}
	while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

#endif
