/*
 * done_map - the done set above the committed offset, as text for the commit's metadata
 *
 * Format: "hd1." then base64 of  version(1) | form(1) | CRC-32(4) | base(8) | span(4) | body; numbers big-endian.
 * The body is run lengths (form 1: LEB128, alternating open and done, beginning with open) or a bitmap (form 2: set is
 * done, lowest bit first), whichever is shorter. The span ends with the last done offset. The CRC covers the topic with
 * a NUL, the partition (4) and all the rest. At most DONE_MAP_MAX bytes of text, Kafka's default limit.
 * On any doubt (other magic, other base, wrong CRC, a span beyond the window, cut short) the map is ignored and nothing
 * is skipped: a record handled twice is caught by the session's marker, one that is skipped is lost.
 */
#ifndef HANDOFF_DONE_MAP_H
#define HANDOFF_DONE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "handoff/macros.h"
#include "handoff/span.h"
#include "rules/offsets.h"

#define DONE_MAP_MAX 4096
/* A span up to this fits whatever its pattern. */
#define DONE_MAP_SPAN_ALWAYS 24408
/* The widest span that a worker keeps, so the widest that a reader of its maps has to believe. */
#define DONE_MAP_SPAN_MAX ((size_t)1 << 20)

/* Appends the map of what is done above offsets_base(o); nothing at all when nothing is. 0, or -E2BIG when it would
 * pass DONE_MAP_MAX (nothing appended), or -ENOMEM. */
int done_map_write(struct buf *out, const char *topic, int32_t partition, const struct offsets *o) MUST_CHECK;
/* Will the map fit with everything read up to `end` (exclusive), whichever of the open offsets are done by then? Up to
 * offsets_limit(o) what is done is known, from there on all but the last may be. Intake rests before the answer is no.
 * Costs nothing up to a span of DONE_MAP_SPAN_ALWAYS, then a walk over the runs. */
bool done_map_fits(const struct offsets *o, int64_t end);
/* Preloads `o`, which is fresh and begins at the committed offset. 0; -ENOENT when `text` is empty; -EINVAL with
 * nothing changed when it must be ignored; -ENOMEM with nothing changed. */
int done_map_read(struct span text, const char *topic, int32_t partition, struct offsets *o) MUST_CHECK;

#endif
