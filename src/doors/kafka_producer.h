/*
 * kafka_producer - one batch of records and offsets takes effect, or it does not, and we are told which
 *
 *   loop ── submit(batch) ──> producer thread ── at-least-once: produce all, wait for every acknowledgement, then
 * commit ^                               │            exactly-once:  begin, produce, send offsets, commit └────
 * answer(batch, verdict) <──┘
 *
 * One batch at a time, immutable while it is here; the thread receives a pointer, the caller keeps owning everything.
 * Every call of the library may block, so all of them are made on the producer's own thread (DESIGN: the loop never
 * waits). A broker outage of any length is waited out in here: no verdict comes, nothing is given up.
 * Facts: librdkafka reference, sections 3 and 9.
 */
#ifndef HANDOFF_KAFKA_PRODUCER_H
#define HANDOFF_KAFKA_PRODUCER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fault.h"
#include "doors/kafka_options.h"
#include "handoff/macros.h"
#include "handoff/record.h"

struct kafka_producer;
struct kafka_consumer;

struct kafka_batch_record {
	const struct record *record; /* partition < 0: by key, as Java does (murmur2_random); timestamp < 0: now */
	/* Written by the producer before the answer: */
	bool delivered; /* at-least-once: acknowledged; a resubmission skips it */
	bool too_large; /* refused for its size (by the library or the broker); never delivered */
};

struct kafka_batch_offset {
	const char *topic;
	int32_t partition;
	int64_t offset;       /* the committed offset as Kafka wants it: the next one to read */
	const char *metadata; /* NUL-terminated ASCII, at most 4,096 bytes */
};

struct kafka_batch {
	struct kafka_batch_record *records;
	size_t record_count;
	struct kafka_batch_offset *offsets; /* none: nothing is committed */
	size_t offset_count;
};

enum kafka_verdict {
	KAFKA_COMMITTED, /* records are durable, offsets are committed */
	KAFKA_ABORTED,   /* exactly-once: nothing took effect; at-least-once: `delivered` says what did, no offset was
			    committed. Submit (what is still ours of) it again; see `too_large` */
	KAFKA_REVOKED_UNDER_US, /* the group refused the offsets: the partitions have moved, the batch is somebody
				   else's work now; do not submit it again */
	KAFKA_FENCED,           /* another process uses our transactional id */
	KAFKA_UNKNOWN           /* the commit's fate is unknown: ask the committed offsets before anything else */
};

struct kafka_answer {
	struct kafka_batch *batch;
	enum kafka_verdict verdict;
	struct fault fault; /* the reason, when it is not KAFKA_COMMITTED */
};

/* `consumer` lends its handle for commits and group metadata; NULL for programs without a group (no offsets then).
 * It must outlive the producer. `wakeup_fd` is signalled when an answer is there. Starts the thread, connects lazily.
 * NULL with the reason in `fault`. */
struct kafka_producer *kafka_producer_new(const struct kafka_options *options, struct kafka_consumer *consumer,
					  int wakeup_fd, struct fault *fault) MUST_CHECK;
/* Ends the thread; an unanswered batch is abandoned (its pointer is not used any more). Waits at most a few seconds;
 * a library call that still blocks then is left behind, and the process must exit soon. */
struct kafka_producer *kafka_producer_free(struct kafka_producer *producer);

/* 0, or -EBUSY while a batch is unanswered. The batch must stay as it is until its answer was taken. */
int kafka_producer_submit(struct kafka_producer *producer, struct kafka_batch *batch) MUST_CHECK;
/* The answer, if there is one. */
bool kafka_producer_answer(struct kafka_producer *producer, struct kafka_answer *ret);

/* How long the batch in here has been waiting, and the last sentence of trouble heard ("" when none): for the log and
 * the readiness page. Thread-safe. */
void kafka_producer_trouble(struct kafka_producer *producer, struct fault *ret);

/* Has one single call of the library not returned for a minute, far beyond every time-out it was given? Then only
 * leaving the process helps; what was in flight is decided by the brokers. Thread-safe. */
bool kafka_producer_stuck(struct kafka_producer *producer);

#endif
