/*
 * text - the small encodings that records and URLs need
 *
 * Percent-encoding (RFC 3986), base64 (RFC 4648), UUID text (RFC 4122), date and time (RFC 3339), UTF-8 (RFC 3629),
 * whole numbers. Pure but for text_uuid4(); every parser takes a span, refuses trailing bytes and never reads past it.
 * A full `out` is told by buf_ok(), not by these functions.
 */
#ifndef HANDOFF_TEXT_H
#define HANDOFF_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "handoff/macros.h"
#include "handoff/span.h"

/* Bytes outside [A-Za-z0-9._~-] become %XX (upper case). */
void text_percent_encode(struct buf *out, struct span raw);
/* 0, or -EINVAL on a `%` without two hex digits (what was decoded so far stays in `out`). */
int text_percent_decode(struct buf *out, struct span encoded) MUST_CHECK;

/* Standard alphabet, with padding. */
void text_base64_encode(struct buf *out, struct span raw);
/* 0, or -EINVAL (and nothing appended) when the text is not exactly what the encoder would write. */
int text_base64_decode(struct buf *out, struct span encoded) MUST_CHECK;

bool text_begins(const char *text, const char *prefix);

/* 8-4-4-4-12 hexadecimal digits of either case, any version. */
bool text_is_uuid(struct span s);
bool text_is_utf8(struct span s);
/* Length in bytes of the well-formed character that `s` begins with: 1..4, or 0 when there is none. */
size_t text_utf8_next(struct span s);
/* Every byte is 0x20..0x7e; the empty span is. */
bool text_is_printable_ascii(struct span s);
/* A byte below 0x20, or 0x7f. */
bool text_has_control(struct span s);

/* A decimal whole number, optionally negative, no plus, no leading zeros beyond "0" itself, no "-0", no blanks: one
 * spelling for each. 0; -EINVAL when it is not one; -ERANGE when it does not fit. */
int text_parse_int64(struct span s, int64_t *ret) MUST_CHECK;

/* "2026-11-24T10:00:00.123Z" and every other RFC 3339 form (offset, `t`, `z`, any number of fraction digits,
 * second 60 at the end of a UTC day). Milliseconds since 1970, fractions of one dropped. 0 or -EINVAL. */
int text_parse_rfc3339(struct span s, int64_t *ret_unix_ms) MUST_CHECK;
/* Always UTC with three fraction digits: "2026-11-24T10:00:00.123Z" and a NUL. Saturates at the years 0000 and 9999. */
void text_rfc3339(char ret[25], int64_t unix_ms);
void text_add_rfc3339(struct buf *out, int64_t unix_ms);

/* A new random (version 4) UUID as 36 characters and a NUL. Reads the system's random source. */
void text_uuid4(char ret[37]);

#endif
