/*
 * broker - topics as logs, transactions with their markers, and what the group has committed
 *
 *   offset   0      1      2       3        4      5       6
 *          record record (gone) record  MARKER  record  record ...
 *                                aborted             └─ of an open transaction: read_committed ends before it
 *
 * A transaction's records stand in the logs as soon as they are written; its end puts a marker into each log it has
 * touched, and only then its offsets count. One that nobody ends is aborted after its time-out, or when somebody
 * begins anew under the same transactional id. A log never forgets.
 */
#ifndef SIM_BROKER_H
#define SIM_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "handoff/record.h"

struct source;

enum entry_kind { ENTRY_RECORD, ENTRY_MARKER, ENTRY_GONE };

struct entry {
	enum entry_kind kind;
	struct record *record;
	struct transaction *transaction; /* NULL: written without one */
	struct source *source;           /* the judge's: what it is about */
	struct entry *successor;         /* the judge's: what became of it */
	bool done;                       /* says the group */
};

struct log {
	const char *topic;
	int32_t partition;
	struct entry **entries;
	size_t count, cap;
	/* of the group: */
	int64_t committed; /* -1: nothing was */
	const char *metadata;
	int unstable; /* open transactions that carry offsets for it */
};

enum transaction_state { TRANSACTION_OPEN, TRANSACTION_COMMITTED, TRANSACTION_ABORTED };

struct transaction_offset {
	struct log *log;
	int64_t offset;
	const char *metadata;
};

struct transaction {
	enum transaction_state state;
	int slot; /* whose transactional id; -1: a client of somebody else's */
	struct log **logs;
	size_t log_count;
	struct entry **entries;
	size_t entry_count, entry_cap;
	struct transaction_offset *offsets;
	size_t offset_count;
};

/* Topics in the order of the settings: requests, then retry, outcomes, dead letters. */
void broker_begin(void);
void broker_end(void);

size_t broker_topic_count(void);
const char *broker_topic(size_t index);
struct log *broker_log(const char *topic, int32_t partition); /* must be there */

/* Copies the record. A negative partition: any. */
struct entry *broker_append(const struct record *record, struct transaction *transaction);
/* Offsets that nobody will ever be given: compaction. */
void broker_append_gap(struct log *log);

/* Ends what an earlier producer of that slot's id left open. The epoch to work under. */
int broker_init_producer(int slot);
bool broker_is_fenced(int slot, int epoch);
struct transaction *broker_transaction(int slot);
void broker_add_offsets(struct transaction *transaction, struct transaction_offset *offsets, size_t count);
/* Nothing when it has ended already. */
void broker_end_transaction(struct transaction *transaction, bool commit);
void broker_commit(const struct transaction_offset *offsets, size_t count);

/* What a read_committed reader may read up to (exclusive). */
int64_t broker_stable_end(const struct log *log);
/* What it gets at that offset; NULL: nothing, go on. */
struct entry *broker_read(const struct log *log, int64_t offset);
bool broker_is_visible(const struct entry *entry);

/* Until then no request is answered. */
void broker_outage(usec_t duration);
void broker_recover(void);
bool broker_is_up(void);
/* How long a request needs to get there: the outage included. */
usec_t broker_way(void);

#endif
