/*
 * survey - where is everything that this worker holds, and what does it wait for?
 *
 * Counted when somebody looks (/metrics, /status), never kept up to date. One pass over all jobs; the figures are plain
 * values of one moment, `oldest` is valid until the loop goes on. The loop's thread.
 */
#ifndef HANDOFF_SURVEY_H
#define HANDOFF_SURVEY_H

#include <stddef.h>
#include <stdint.h>

#include "worker/worker.h"

/* Why a handoff that could run does not. In the order in which they are looked at: the first that holds is told. */
enum wait_cause {
	WAIT_WORKER,  /* this worker may start nothing: stopping, giving partitions back, topics that do not fit */
	WAIT_SESSION, /* an earlier handoff of the same session runs */
	WAIT_TOKEN,
	WAIT_BREAKER,
	WAIT_GATE,  /* a 429 closed it, or it reopens paced */
	WAIT_RATE,  /* limits.requests_per_second */
	WAIT_SLOTS, /* limits.max_in_flight */
	WAIT_TURN,  /* nothing is in its way: it starts with the next turn of the loop */
	WAIT_COUNT
};

/* Retries by when they are due. */
#define SURVEY_BUCKETS   30
#define SURVEY_BUCKET_MS 10000

struct tenant_survey {
	enum wait_cause cause; /* of a handoff whose session is free; WAIT_TURN: it may start */
	size_t running;        /* calls open */
	size_t waiting;        /* those held before their trigger counted in */
	size_t parked;
};

struct survey {
	size_t calls[STAGE_COUNT]; /* open, by step */
	size_t in_flight;          /* begun and not ended: running, held, and calls whose partition has left */
	size_t held;               /* of those: between two calls, because the next one may not be made now */
	size_t waiting;            /* for their turn; held ones are not among them */
	size_t waits[WAIT_COUNT];  /* waiting and held ones, by cause */
	size_t parked;
	size_t parked_by[REASON_COUNT + 1]; /* the last: without a reason, as after a stop */
	size_t due_now;                     /* of the parked ones: due, but something must be read first */
	size_t due[SURVEY_BUCKETS];
	size_t due_later;
	size_t cancels;           /* kept until their deadlines, in case their request comes; no retries */
	usec_t next_due;          /* USEC_NEVER: nothing is parked */
	const struct job *oldest; /* of the handoffs that are not ended, by the time of the request; NULL: none */
	int64_t oldest_ms;        /* its age */
	int64_t incomplete_ms;    /* the same, what has ended but is not committed yet included */
	struct tenant_survey *tenants;
};

/* Fills `ret`; the tenants' figures go into `tenants`, which has room for all of them. */
void survey_take(const struct worker *w, struct tenant_survey *tenants, struct survey *ret);

const char *wait_cause_name(enum wait_cause cause);

/* Records of the partition at this place of the assignment that are neither read nor done; gaps count as done. */
int64_t survey_lag(const struct worker *w, size_t index);

#endif
