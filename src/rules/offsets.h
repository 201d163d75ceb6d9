/*
 * offsets - which offset of one partition is safe to commit, and what above it is done already?
 *
 * Work finishes out of order; Kafka remembers one number per partition. Beside it, in the commit's metadata, goes the
 * done map (done_map.h): what above that number needs no second handling.
 *
 *      base                                  next
 *       |                                     |
 *   ### .....##########.###.....#####........ |      # done   . open     gaps (markers, compaction) count as done
 *
 * Pure: no clock, no I/O, no log. One partition of one assignment, one thread.
 * Offsets are Kafka's, so never negative. Memory: a bit per offset of the widest span so far (rounded up to a power of
 * two); at most `window` offsets of span. offsets_done() costs O(1) on average, opening O(1) and the gap's words.
 */
#ifndef HANDOFF_OFFSETS_H
#define HANDOFF_OFFSETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "handoff/macros.h"

struct offsets;

/* Begins with base = next = `start`, nothing open. `window`: the most offsets the span may hold. */
struct offsets *offsets_new(int64_t start, size_t window) MUST_CHECK;
struct offsets *offsets_free(struct offsets *o);

/* The lowest incomplete offset; next when nothing is open: what Kafka is to be told. Never decreases. */
int64_t offsets_base(const struct offsets *o);
/* One past the newest offset opened or seen. */
int64_t offsets_next(const struct offsets *o);
/* Opened and not done. */
size_t offsets_open_count(const struct offsets *o);

/* `offset` was handed to us. What lies between next and it was never delivered and counts as done.
 * 0; -EEXIST when it is done already (known from a loaded map, or below next): skip it, next is beyond it all the same;
 * -EALREADY when it is open; -E2BIG when the span would pass the window (nothing changed: stop reading, try again
 * later; never when nothing is open); -ENOMEM with nothing changed. */
int offsets_open(struct offsets *o, int64_t offset) MUST_CHECK;
/* An open offset is finished. Anything else is a programming error (asserted; ignored in release builds). */
void offsets_done(struct offsets *o, int64_t offset);
/* The partition was read to `end` (exclusive): everything below that is not open counts as done; next becomes at
 * least `end`. -E2BIG as above. */
int offsets_reach(struct offsets *o, int64_t end) MUST_CHECK;
bool offsets_is_done(const struct offsets *o, int64_t offset);

/* For the done map. Marks [from, to) as done without having been opened; only right after offsets_new(), with
 * from >= base and to <= base + window. The marks survive offsets_open() of records between them; next stays, so an
 * offset between next and the marks is expected to be delivered and not a gap. 0, -E2BIG, -ENOMEM. */
int offsets_preload(struct offsets *o, int64_t from, int64_t to) MUST_CHECK;
/* The end of the run that begins at `from` and is all done (*ret_done true) or all open (false).
 * Walks the span in runs: for (at = base; at < limit; at = end) end = offsets_run(o, at, &done). Preloaded marks beyond
 * next are walked too, hence offsets_limit(); from there on it returns `from` itself. */
int64_t offsets_run(const struct offsets *o, int64_t from, bool *ret_done);
/* Which of the 64 offsets from `from` (not below the base) on are done, `from` in the lowest bit. */
uint64_t offsets_bits(const struct offsets *o, int64_t from);
/* One past the highest offset that is open or marked done. */
int64_t offsets_limit(const struct offsets *o);

#endif
