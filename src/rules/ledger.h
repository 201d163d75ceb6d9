/*
 * ledger - what does the evidence about one source record amount to?
 *
 * For each record that asked for something: what the topics hold of it (its time, its newest retry, its outcomes), in
 * 16 bytes; and, with what the group says is done, one verdict.
 * Times are whole Unix seconds, so every judgement by time gives way by a second. Pure, plain values.
 */
#ifndef HANDOFF_LEDGER_H
#define HANDOFF_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "handoff/contract.h"

#define LEDGER_OVERDUE_S   60         /* a pending record that has been due for longer is overdue */
#define LEDGER_RETRIES_MAX UINT32_MAX /* retries of one partition that can be told apart */

enum verdict {
	VERDICT_DONE,          /* one outcome */
	VERDICT_PENDING,       /* not yet done in the group, or its newest retry is not */
	VERDICT_OVERDUE,       /* pending, and due for more than LEDGER_OVERDUE_S */
	VERDICT_LOST,          /* done in the group, and there is neither an outcome nor a waiting retry */
	VERDICT_DOUBLED,       /* more than one outcome, all of which say the same */
	VERDICT_CONTRADICTORY, /* more than one outcome, and they differ in status or reason */
	VERDICT_UNKNOWN,       /* as lost, but its outcome may have been removed by the topic's retention */
	VERDICT_COUNT
};

struct ledger_entry {
	uint32_t time_s;  /* of the record; 0: it has none */
	uint32_t due_s;   /* of the newest retry; 0: at once */
	uint32_t retry;   /* the newest retry's place, counted from 1 on; 0: none */
	uint8_t outcomes; /* how many; stays at 255 */
	uint8_t said;     /* by the first of them: status and reason */
	bool is_source;   /* such a record was read, and has to have an outcome */
	bool differs;     /* some outcome said something else than the first */
};

/* What the group says, and when we look. */
struct ledger_view {
	bool done;       /* in the group: the record */
	bool retry_done; /* in the group: its newest retry */
	int64_t now_s;
	int64_t outcomes_from_s; /* outcomes of older records may be gone; negative: none is gone */
};

/* A record without a time (negative) is never overdue, nor older than anything. */
void ledger_add_source(struct ledger_entry *entry, int64_t time_ms);
/* `place` counts from 0 on in the retry topic's partition; -1 as `due_ms`: it does not say. An older one than is known
 * changes nothing. False when the place is beyond LEDGER_RETRIES_MAX. */
bool ledger_add_retry(struct ledger_entry *entry, int64_t place, int64_t due_ms);
/* STATUS_COUNT, REASON_COUNT: a name that this version does not know. */
void ledger_add_outcome(struct ledger_entry *entry, enum status status, enum reason reason);

enum verdict ledger_judge(const struct ledger_entry *entry, const struct ledger_view *view);

const char *verdict_name(enum verdict verdict);
/* Does it break a promise? */
bool verdict_is_broken(enum verdict verdict);
/* Why it was judged so, for people; NULL where nobody asks. */
const char *verdict_why(enum verdict verdict);

#endif
