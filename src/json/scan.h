/*
 * scan - is this JSON, and where in it does each member stand?
 *
 * Strict RFC 8259 and RFC 3629: no comments, no trailing commas, no single quotes, no raw control characters, no
 * overlong or surrogate UTF-8, no lone surrogate escapes, nesting of at most SCAN_MAX_DEPTH containers, nothing but
 * white space after the value. Values are handed out as spans of the original text, so that bytes which are not ours
 * survive untouched (json-c changes big integers and escapes; measured: this scan costs a tenth of it).
 *
 * Pure, no allocation. scan_check() first; the other functions trust text that passed it.
 */
#ifndef HANDOFF_SCAN_H
#define HANDOFF_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "handoff/macros.h"
#include "handoff/span.h"

#define SCAN_MAX_DEPTH 32

enum scan_type { SCAN_OBJECT, SCAN_ARRAY, SCAN_STRING, SCAN_NUMBER, SCAN_BOOL, SCAN_NULL };

struct scan_error {
	size_t at;        /* byte of the text, 0-based */
	const char *what; /* a static sentence fragment: "a comma is missing" */
};

struct scan_value {
	enum scan_type type;
	struct span text; /* exactly the value, without white space around it; strings with their quotes */
};

struct scan_member {
	struct span key;  /* between the quotes, as written */
	bool key_escaped; /* a backslash is in it: compare with scan_key_is(), not by bytes */
	struct scan_value value;
};

/* Walks the members of one object, in the order of the text. */
struct scan_walk {
	const char *p;
	const char *end;
};

/* The type of a valid value, by its first byte. */
enum scan_type scan_type_of(char first);

/* 0 and the trimmed top-level value, or -EINVAL with the place and the reason in `error` (may be NULL). */
int scan_check(struct span text, struct scan_value *ret, struct scan_error *error) MUST_CHECK;

/* `object` must be a SCAN_OBJECT (or SCAN_ARRAY for scan_next_element) that scan_check() accepted. */
struct scan_walk scan_members(struct scan_value object);
bool scan_next(struct scan_walk *walk, struct scan_member *ret);
bool scan_next_element(struct scan_walk *walk, struct scan_value *ret);

/* The last member called `key`, as most readers take it; false when there is none. */
bool scan_find(struct scan_value object, const char *key, struct scan_value *ret);
/* What a JSON pointer (RFC 6901) through objects leads to, as scan_find() finds each member; its keys hold no `~`. */
bool scan_point(struct scan_value top, const char *pointer, struct scan_value *ret);
/* How many members are called `key` (escaped spellings count). */
size_t scan_count(struct scan_value object, const char *key);

/* The same of an object whose members were walked once, for whoever asks for several of them: each question by itself
 * walks over everything. */
#define SCAN_INDEX_MEMBERS 24 /* of an object with more, each question does walk */
struct scan_index {
	struct scan_value object;
	size_t count;
	struct scan_member members[SCAN_INDEX_MEMBERS];
};
void scan_index_fill(struct scan_index *ret, struct scan_value object);
bool scan_index_find(const struct scan_index *index, const char *key, struct scan_value *ret);
bool scan_index_point(const struct scan_index *index, const char *pointer, struct scan_value *ret);
size_t scan_index_count(const struct scan_index *index, const char *key);

bool scan_key_is(const struct scan_member *member, struct span key);
/* Appends the string's content with every escape decoded to UTF-8. `string` is a SCAN_STRING with its quotes.
 * \u0000 is appended as a NUL byte: callers that need text look for it. */
void scan_decode_string(struct buf *out, struct span string);
/* The same for a key as it stands in scan_member. */
void scan_decode_key(struct buf *out, struct span key);

/* A number without fraction and exponent that fits: 0, else -EINVAL. */
int scan_int64(struct scan_value value, int64_t *ret) MUST_CHECK;
/* Any number: 0 and its nearest double (finite), else -EINVAL. */
int scan_double(struct scan_value value, double *ret) MUST_CHECK;

#endif
