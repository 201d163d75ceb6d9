/*
 * partition - one partition of the present assignment: what of it is in our hands
 *
 * Lives from its assignment to its release; everything that points here is taken away at the release (partition_free()
 * orphans what still runs). One thread.
 */
#ifndef HANDOFF_PARTITION_H
#define HANDOFF_PARTITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "handoff/macros.h"
#include "rules/done_map.h"
#include "rules/metrics.h"
#include "rules/offsets.h"
#include "rules/parking.h"
#include "worker/job.h"

/* The most offsets between a partition's base and its newest record: memory, a bit each. */
#define PARTITION_SPAN_MAX DONE_MAP_SPAN_MAX

/* A cancel that came before its request is kept among the retries: after an assignment they are read before requests
 * are. For so long at most: whoever waits on the line has nothing of retries that cannot be read, or have no end. */
#define RETRIES_FIRST (2 * USEC_PER_SEC)

struct partition {
	const char *topic;
	int32_t number;
	bool is_retry;
	int32_t lane; /* of a request topic: its place in the list */
	struct offsets *offsets;
	struct parking parking;
	bool read_to_end;    /* since the assignment; nothing parked is dispatched before: a cancel may stand behind */
	bool awaits_retries; /* of a request topic: its retries are read first, a cancel that came first may be among
				them */
	usec_t assigned_at;
	bool was_reset; /* the position is gone; the next record tells how much was lost, or that the topic is another
			 */
	bool dirty;     /* done marks that no batch carries yet */
	struct record *ahead; /* read, but too far beyond the base to be opened yet; nothing is read before it is */
	struct job *jobs;     /* every job that came from here, the newest first */
	struct job *oldest;
	size_t job_count;
	size_t memory;                  /* of its jobs */
	int64_t spilled_base;           /* where the base stood when records were last spilled from it; -1: never */
	size_t cancels;                 /* of the jobs: cancels that came before their request, parked or listening */
	size_t listeners;               /* of the jobs: cancels that are not read back from the retry topic yet */
	struct metric_series *requests; /* counter of its topic; NULL for the retry topic */
};

/* Begins at `committed` with the done map in `metadata` (ignored when it does not fit). `window`: the span offsets may
 * cover. NULL when out of memory. */
struct partition *partition_new(const char *topic, int32_t number, int64_t start, const char *metadata,
				size_t window) MUST_CHECK;
/* No job may be left inside. */
struct partition *partition_free(struct partition *p);

void partition_adopt(struct partition *p, struct job *job);
void partition_drop(struct partition *p, struct job *job);

/* May another record be read, or what is `ahead` be opened? Bounded so that the done map always fits into a commit's
 * metadata. */
bool partition_has_room(const struct partition *p, size_t window);
/* The same for everything up to offset `end` (exclusive), without a record. */
bool partition_may_reach(const struct partition *p, int64_t end);

#endif
