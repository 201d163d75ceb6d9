/*
 * outlet - what became of records goes out together with the news that they are done
 *
 *   job ends ──> effect (records to publish, the source's offset) ──> outbox ──> batch ──> producer door
 *                                                                        one at a time: immutable until its verdict
 *
 * An effect enters exactly one batch and leaves it only by KAFKA_COMMITTED or because its partition has gone. One batch
 * is built from one snapshot: its records, and for each partition base and done map including them (promise 2).
 * Done marks are set when the batch is built; a batch is submitted again until it takes effect or its partitions are
 * gone, so a mark is never committed without its record. One thread.
 */
#ifndef HANDOFF_OUTLET_H
#define HANDOFF_OUTLET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "doors/kafka_producer.h"
#include "handoff/macros.h"
#include "handoff/record.h"
#include "rules/metrics.h"
#include "worker/partition.h"

struct outlet;

/* Borrows the producer and the metrics. `interval`: the most an effect waits for company. */
struct outlet *outlet_new(struct kafka_producer *producer, usec_t interval, struct metrics *metrics) MUST_CHECK;
struct outlet *outlet_free(struct outlet *outlet);

/* Room is made before work is begun, so that a finished job can always be reported: -ENOMEM here means that nothing
 * was taken; the caller keeps the job and tries again later. Takes over the records (NULLs allowed). */
int outlet_add(struct outlet *outlet, struct partition *partition, int64_t offset, struct record *first,
	       struct record *second, usec_t now) MUST_CHECK;

/* The next batch carries a commit of every partition, records or not: proof that we still own them. */
void outlet_prove(struct outlet *outlet);
bool outlet_proof_pending(const struct outlet *outlet);

/* Submits what is due. `partitions` is the present assignment. `at_once`: do not wait for company. */
void outlet_run(struct outlet *outlet, struct partition *const *partitions, size_t count, usec_t now, bool at_once);
usec_t outlet_wait(const struct outlet *outlet, usec_t now);

enum outlet_news {
	OUTLET_QUIET,
	OUTLET_COMMITTED,
	OUTLET_AGAIN,    /* nothing took effect; the batch is submitted again */
	OUTLET_DISOWNED, /* the group refused our offsets: nothing goes out until the assignment has changed */
	OUTLET_ASK,      /* the fate of a commit is unknown: ask the committed offsets, then outlet_told() */
	OUTLET_TWIN      /* somebody else uses our transactional id: the process must end */
};

/* Takes the producer's verdict, if one is there. `ret_fault` is valid until the next call. */
enum outlet_news outlet_hear(struct outlet *outlet, usec_t now, const struct fault **ret_fault);
/* The answer to OUTLET_ASK: what is committed for a partition. The batch took effect if one of its offsets is done
 * there; call for each partition, then outlet_told() with the verdict (which is ignored when nothing is asked). */
bool outlet_batch_is_in(const struct outlet *outlet, const struct partition *partition, int64_t committed,
			const char *metadata);
void outlet_told(struct outlet *outlet, bool took_effect);

/* The assignment has gone: every effect that has not reached a batch in flight is dropped. Must not be called while
 * outlet_is_busy() unless the partitions were lost; a batch in flight then ends without consequences. */
void outlet_forget(struct outlet *outlet);

bool outlet_is_asking(const struct outlet *outlet);   /* an answer by outlet_told() is due */
bool outlet_is_disowned(const struct outlet *outlet); /* after OUTLET_DISOWNED, until outlet_forget() */
bool outlet_is_busy(const struct outlet *outlet);     /* a batch is with the producer */
bool outlet_is_empty(const struct outlet *outlet);    /* and nothing waits either */
/* Is there something that outlet_run() would still send: effects, or done marks without one? */
bool outlet_has_news(const struct outlet *outlet, struct partition *const *partitions, size_t count);
size_t outlet_memory(const struct outlet *outlet);
/* Ends of jobs that are not committed yet, and how long the oldest of them has waited for it. */
size_t outlet_count(const struct outlet *outlet);
usec_t outlet_oldest(const struct outlet *outlet, usec_t now);

#endif
