/*
 * buf - a growing run of bytes with a limit it was born with
 *
 * Errors are sticky: after the first append that would pass the limit (or fails to allocate) the buffer is `failed`,
 * later appends do nothing, and the writer asks once, at the end, with buf_ok(). What was appended before stays.
 * Owns its memory; buf_fini(), buf_wipe() or buf_take() ends that. Always NUL-terminated behind `len` once anything was
 * appended.
 */
#ifndef HANDOFF_BUF_H
#define HANDOFF_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "handoff/macros.h"
#include "handoff/span.h"

struct buf {
	char *data;
	size_t len;
	size_t cap;
	size_t limit; /* most bytes `len` may ever be */
	bool failed;
	bool starved;  /* it failed for want of memory, not for its limit */
	bool borrowed; /* `data` is the caller's */
};

void buf_init(struct buf *b, size_t limit);
/* Uses the caller's `size` bytes, which must outlive it, and never allocates: at most size - 1 bytes, no buf_take(). */
void buf_init_on(struct buf *b, char *storage, size_t size);
void buf_fini(struct buf *b);
/* The same for what may hold a secret: nothing of it stays in the memory. */
void buf_wipe(struct buf *b);
/* Empty and not failed again; keeps the memory. */
void buf_reset(struct buf *b);

void buf_add(struct buf *b, const void *bytes, size_t n);
void buf_add_span(struct buf *b, struct span s);
void buf_add_text(struct buf *b, const char *text);
void buf_add_char(struct buf *b, char c);
void buf_add_int(struct buf *b, int64_t value);
void buf_add_format(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);
/* Takes back what was appended beyond `len`, which is at most the present length. */
void buf_cut(struct buf *b, size_t len);

static inline bool buf_ok(const struct buf *b)
{
	return !b->failed;
}

/* 0, -EMSGSIZE (the limit) or -ENOMEM. */
int buf_result(const struct buf *b) MUST_CHECK;

static inline struct span buf_span(const struct buf *b)
{
	return (struct span){ b->data ? b->data : "", b->len };
}

/* The text so far; "" when nothing was appended. Valid until the next append. */
static inline const char *buf_text(const struct buf *b)
{
	return b->data ? b->data : "";
}

/* Hands the memory to the caller, who frees it; the buffer is empty then. NULL if failed or never appended to. */
char *buf_take(struct buf *b, size_t *ret_len) MUST_CHECK;

#endif
