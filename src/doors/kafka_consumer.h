/*
 * kafka_consumer - membership of the group, and the records of the partitions it gave us
 *
 *   broker ── rebalance ──> ASSIGNED(list with committed offsets and metadata) ── kafka_consumer_accept(starts) ──>
 * reading ── rebalance ──> REVOKED | LOST ── (finish, commit) ── kafka_consumer_release() ──> not reading
 *
 * librdkafka's event API; one thread, the loop's. Nothing here waits, but for a fence (who stands for our instance is
 * asked, three seconds at most) and kafka_consumer_renew(): committed offsets are fetched on a thread before ASSIGNED
 * is handed out, an answer that a newer rebalance has overtaken is thrown away. Every partition has a queue of its own,
 * so that back-pressure is "do not read" - pause() is never used (it purges what was prefetched, and a resume of
 * something that is not paused rewinds; librdkafka 2.0.2). Assignor `range`, eager: each rebalance takes everything and
 * gives the new whole. The consumer commits nothing by itself: offsets travel with a batch (kafka_producer.h).
 */
#ifndef HANDOFF_KAFKA_CONSUMER_H
#define HANDOFF_KAFKA_CONSUMER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/fault.h"
#include "doors/kafka_options.h"
#include "handoff/macros.h"
#include "handoff/record.h"

#define KAFKA_OFFSET_NONE INT64_C(-1001) /* nothing committed: begin at the earliest record */

/* About what a partition's records take in the library before they are read, where they are not read for long. */
#define KAFKA_FETCHED_AHEAD ((size_t)1 << 20)

struct kafka_consumer;

/* One partition of an assignment. Strings belong to the event and live until the next kafka_consumer_next(). */
struct kafka_partition {
	const char *topic;
	int32_t partition;
	int64_t committed;    /* KAFKA_OFFSET_NONE when the group has none */
	const char *metadata; /* what was committed beside it; "" when nothing was */
};

enum kafka_consumer_event_kind {
	KAFKA_ASSIGNED, /* partitions: the whole new assignment, may be empty; answer with kafka_consumer_accept() */
	KAFKA_REVOKED,  /* all partitions are to be given back; answer with kafka_consumer_release() */
	KAFKA_LOST,     /* all partitions are gone already; answer with kafka_consumer_release() at once */
	KAFKA_OFFSETS,  /* the answer to kafka_consumer_ask(); `fault` is set when it failed */
	KAFKA_TROUBLE,  /* worth a log line: brokers unreachable, a topic unknown, authorization; librdkafka goes on */
	KAFKA_FATAL,    /* this client can do no more (fenced static instance): leave, or kafka_consumer_renew() */
	KAFKA_CLOSED    /* after kafka_consumer_close(): the group is left */
};

struct kafka_consumer_event {
	enum kafka_consumer_event_kind kind;
	const struct kafka_partition *partitions;
	size_t count;
	struct fault fault;    /* the sentence of TROUBLE and FATAL; class DEPENDENCY_DOWN when no broker answers */
	bool all_brokers_down; /* of TROUBLE */
	bool fenced;           /* of FATAL: another process uses our static instance id */
	bool by_ourselves;     /* of `fenced`: the group knows us, under an id that we had before */
};

/* Where to begin in each partition of the last ASSIGNED event, in its order. */
struct kafka_start {
	int64_t offset; /* KAFKA_OFFSET_NONE: the earliest record */
};

enum kafka_read_kind {
	KAFKA_READ_NOTHING, /* nothing at hand now */
	KAFKA_READ_RECORD,  /* `record` is the caller's now */
	KAFKA_READ_END,     /* read to the end; `offset` is the next one that will be written (markers counted) */
	KAFKA_READ_RESET    /* the position no longer exists (retention); reading goes on at the earliest record */
};

struct kafka_read {
	enum kafka_read_kind kind;
	struct record *record;
	int64_t offset;
};

/* Does not connect or subscribe yet. `wakeup_fd`: an eventfd (loop.h) that is signalled whenever there is something to
 * take. NULL with the reason in `fault`. */
struct kafka_consumer *kafka_consumer_new(const struct kafka_options *options, int wakeup_fd,
					  struct fault *fault) MUST_CHECK;
/* Frees it; waits at most a few seconds for the library. Call after KAFKA_CLOSED, or to abandon everything. */
struct kafka_consumer *kafka_consumer_free(struct kafka_consumer *consumer);

/* Joins the group with the request topics and the retry topic. */
int kafka_consumer_subscribe(struct kafka_consumer *consumer, struct fault *fault) MUST_CHECK;
/* After FATAL: a new client in the old one's place, which has not joined yet; nothing is assigned, and what was asked
 * is moot. Waits at most a few seconds for the library. No batch may be with the producer. 0, or -errno and `fault`:
 * then only kafka_consumer_free() is left. */
int kafka_consumer_renew(struct kafka_consumer *consumer, struct fault *fault) MUST_CHECK;
/* Begins to leave: REVOKED (if anything is assigned) and then KAFKA_CLOSED follow. */
void kafka_consumer_close(struct kafka_consumer *consumer);

/* The next event, false when there is none. Must be called until it returns false after each wake-up, and at least
 * once a second in any case (else the group expels us). */
bool kafka_consumer_next(struct kafka_consumer *consumer, struct kafka_consumer_event *ret);

/* Answers ASSIGNED: reading begins. `starts` has as many entries as the event had partitions. */
int kafka_consumer_accept(struct kafka_consumer *consumer, const struct kafka_start *starts,
			  struct fault *fault) MUST_CHECK;
/* Answers REVOKED or LOST; records not yet read are gone from here. */
void kafka_consumer_release(struct kafka_consumer *consumer);

/* One step of reading partition number `index` of the accepted assignment. Never blocks. A partition wakes the loop
 * only when something comes after KAFKA_READ_NOTHING; who stops reading it earlier comes back by himself. */
void kafka_consumer_read(struct kafka_consumer *consumer, size_t index, struct kafka_read *ret);

/* Asks for the committed offsets and metadata of the accepted assignment; one KAFKA_OFFSETS event answers, unless the
 * assignment changes first. */
int kafka_consumer_ask(struct kafka_consumer *consumer, struct fault *fault) MUST_CHECK;

/* The partition's end as last heard from the broker (read_committed), or -1. From a cache: never blocks. */
int64_t kafka_consumer_end(struct kafka_consumer *consumer, size_t index);

/* The library's handle, for kafka_producer (group metadata, commits) and kafka_topology only. */
void *kafka_consumer_handle(struct kafka_consumer *consumer);

#endif
