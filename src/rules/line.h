/*
 * line - handoffs that are under way, and whose next call waits for its turn
 *
 * A call that is ordered in the middle of a handoff stands in line when the tenant's rate or concurrency has no room
 * for it at once. It is compared with whoever would begin anew:
 *
 *   first   whoever has stood here for LINE_PATIENCE: nobody is left between two calls for ever
 *   then    the more urgent class (lane, then priority); within a class triggers before updates before fetches, and all
 *           of them before the beginning of another handoff
 *
 * So a backlog of one class costs a caller of a more urgent one no more than the call that is being made. Intrusive:
 * entries are the owner's. Pure, one thread; every step costs O(log n).
 */
#ifndef HANDOFF_LINE_H
#define HANDOFF_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/heap.h"
#include "handoff/contract.h"
#include "handoff/macros.h"

#define LINE_PATIENCE (2 * USEC_PER_SEC)
#define LINE_NOBODY   INT64_MAX /* the class of nobody, behind all others */

/* All zero before the first line_add(). */
struct line_entry {
	struct heap_link turn;
	struct heap_link since;
	struct heap_link deadline;
};

struct line {
	struct heap turns;
	struct heap since;
	struct heap deadlines;
	uint64_t arrivals;
};

void line_init(struct line *line);
/* Entries still inside are forgotten, not touched. */
void line_fini(struct line *line);
size_t line_count(const struct line *line);

/* `urgency`: the class (rules/roster.h), the smaller the sooner. 0 or -ENOMEM with nothing changed. */
int line_add(struct line *line, struct line_entry *entry, int64_t urgency, enum stage next, int64_t deadline_ms,
	     usec_t now) MUST_CHECK;
/* Nothing happens if it stands in no line. */
void line_remove(struct line *line, struct line_entry *entry);
/* The one whose turn it is, if somebody of class `other` (LINE_NOBODY: nobody) would begin anew; NULL: the other. */
struct line_entry *line_first(const struct line *line, int64_t other, usec_t now);
/* Would a call of this class and step be made before all that stand here? */
bool line_lets_pass(const struct line *line, int64_t urgency, enum stage next, usec_t now);
/* The one with the earliest deadline, if that is <= `deadline_ms`. */
struct line_entry *line_expired(const struct line *line, int64_t deadline_ms);
/* UNIX_MS_NEVER when the line is empty. */
int64_t line_next_deadline(const struct line *line);

#endif
