/*
 * merge - put our variables among somebody else's, and harm none of them
 *
 *   existing  {"a":1,"big":18446744073709551616,"transferTarget":"old"}
 *   pairs                                        transferTarget="new"  handoffTrigger=true
 *   result    {"a":1,"big":18446744073709551616,"transferTarget":"new","handoffTrigger":true}
 *
 * Existing members keep their place and their text byte for byte; one that a pair also names (in whatever spelling:
 * escapes are decoded) keeps its place and takes the new value; new keys follow in the order of the pairs. When two
 * pairs share a key the later one wins, in the place of the first. White space between members is not kept.
 * Pure. Fuzzed against an independent parser (tests/fuzz/fuzz_merge.c).
 */
#ifndef HANDOFF_MERGE_H
#define HANDOFF_MERGE_H

#include <stddef.h>

#include "base/buf.h"
#include "handoff/macros.h"
#include "handoff/span.h"
#include "json/scan.h"

struct merge_pair {
	struct span key;   /* decoded text */
	struct span value; /* a complete JSON value */
};

/* Appends the merged object to `out`. `existing` is a SCAN_OBJECT that scan_check() accepted (or one with
 * text.p == NULL, which counts as {}). 0; -EINVAL when it cannot be merged faithfully, because two of its members
 * have the same decoded key (whichever the other side reads, the other would be lost); -EMSGSIZE when `out` is full;
 * -ENOMEM. On failure `out` is as long as it was. `out` must not hold what the spans point to. */
int merge_object(struct buf *out, struct scan_value existing, const struct merge_pair *pairs, size_t count) MUST_CHECK;

#endif
