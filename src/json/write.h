/*
 * write - compact JSON, appended to a buffer
 *
 * The writer puts the commas: a value follows the last one in the same container. It knows by the last byte in the
 * buffer; so a new document begins in an empty buffer or after a line feed. Strings are escaped as RFC 8259
 * asks and no further (`/` and non-ASCII stay as they are); invalid UTF-8 in a string becomes U+FFFD, so that what is
 * written always parses. Errors are the buffer's (sticky). Keys are C strings of ours and are not escaped.
 */
#ifndef HANDOFF_WRITE_H
#define HANDOFF_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "handoff/span.h"

/* An escaped, quoted string; the one function here that knows nothing of commas. */
void write_quoted(struct buf *out, struct span text);

/* `key` is NULL inside an array and at the top. */
void write_object_begin(struct buf *out, const char *key);
void write_object_end(struct buf *out);
void write_array_begin(struct buf *out, const char *key);
void write_array_end(struct buf *out);

/* A span with p == NULL is written as null. */
void write_string(struct buf *out, const char *key, struct span value);
void write_text(struct buf *out, const char *key, const char *value); /* NULL is null */
void write_int(struct buf *out, const char *key, int64_t value);
void write_double(struct buf *out, const char *key, double value); /* shortest form that reads back the same */
void write_bool(struct buf *out, const char *key, bool value);
void write_null(struct buf *out, const char *key);
/* `json` is a complete value already (p == NULL is null); white space behind it is left out. */
void write_raw(struct buf *out, const char *key, struct span json);

#endif
