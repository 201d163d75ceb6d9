/*
 * tally - which outcomes are awaited, and what came?
 *
 * An outcome belongs to a request by handoffId and session. Under at-least-once it may come again: the second counts
 * for nothing. Borrows the batch.
 */
#ifndef HANDOFF_TALLY_H
#define HANDOFF_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/buf.h"
#include "ctl/batch.h"
#include "ctl/pair_map.h"
#include "ctl/remarkable.h"
#include "handoff/contract.h"
#include "handoff/macros.h"
#include "handoff/record.h"

struct tally {
	struct remarkable remarkable;
	struct pair_map ids;
	size_t *missing; /* by the slots' numbers */
	size_t awaited;
	size_t seen;
	size_t unknown; /* outcomes that name no status or reason of the contract */
	size_t counts[STATUS_COUNT][REASON_COUNT];
};

/* Awaits the outcome of every request of the batch. 0 or -ENOMEM; tally_fini() in any case. */
int tally_init(struct tally *tally, const struct batch *batch) MUST_CHECK;
void tally_fini(struct tally *tally);

/* Does the record say what became of one of them, for the first time? */
bool tally_take(struct tally *tally, const struct record *outcome);
/* Did everything that came end as `completed` or `initiated`, or was it sent before (`request.duplicate`)? */
bool tally_is_clean(const struct tally *tally);

/* A row for each status and reason; the statuses in colour where `colour` is set. */
void tally_print(const struct tally *tally, bool colour, FILE *out);
/* The rows as the members "outcomes":[...] and "missing":N of an object. */
void tally_write(const struct tally *tally, struct buf *json);

#endif
