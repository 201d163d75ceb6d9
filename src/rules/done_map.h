/*
 * done_map - the done set above the committed offset, as text for the commit's metadata
 *
 * Format: "hd1." then base64 of  version(1) | form(1) | CRC-32(4, over topic, partition, base, span and body) |
 * base(8) | span(4) | body; numbers big-endian. The body is run lengths (LEB128, alternating open and done, beginning
 * with open) or a bitmap, whichever is shorter. At most DONE_MAP_MAX bytes of text, Kafka's default limit.
 * On any doubt (other magic, other base, wrong CRC, a span beyond the window, cut short) the map is ignored and nothing
 * is skipped: a record handled twice is caught by the session's marker, one that is skipped is lost.
 */
#ifndef HANDOFF_DONE_MAP_H
#define HANDOFF_DONE_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "handoff/macros.h"
#include "handoff/span.h"
#include "rules/offsets.h"

#define DONE_MAP_MAX 4096

/* Appends the map of what is done above offsets_base(o); nothing at all when nothing is. 0, or -E2BIG when it would
 * pass DONE_MAP_MAX (nothing appended), or -ENOMEM. */
int done_map_write(struct buf *out, const char *topic, int32_t partition, const struct offsets *o) MUST_CHECK;
/* The length done_map_write() would append, without its limit: intake rests before this reaches DONE_MAP_MAX. */
size_t done_map_size(const struct offsets *o);
/* Preloads `o`, which is fresh and begins at the committed offset. 0; -ENOENT when `text` is empty; -EINVAL with
 * nothing changed when it must be ignored. */
int done_map_read(struct span text, const char *topic, int32_t partition, struct offsets *o) MUST_CHECK;

#endif
