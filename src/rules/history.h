/*
 * history - what has already happened to a request, and may not be forgotten by a crash
 *
 * Attempts, first-seen, deadline, progress and resume live in the retry record's headers, not in memory; this is
 * their form in between. Times are Unix milliseconds. It owns the two ids of its progress: history_fini().
 */
#ifndef HANDOFF_HISTORY_H
#define HANDOFF_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/fault.h"
#include "handoff/contract.h"
#include "handoff/macros.h"
#include "handoff/record.h"
#include "handoff/span.h"

#define HISTORY_ID_MAX    512 /* bytes of a call id or transfer id kept; longer ones are cut */
#define HISTORY_TOPIC_MAX 249

/* Where the first record of the request stands. */
struct origin {
	char topic[HISTORY_TOPIC_MAX + 1];
	int32_t partition;
	int64_t offset;
};

/* What the outcome will need of earlier attempts (header handoff-progress). */
struct progress {
	int64_t requested_at_ms;
	int64_t started_at_ms; /* of the first attempt; 0 while none began */
	int64_t parked_ms;     /* time spent waiting for due times so far */
	char *call_id;         /* at most HISTORY_ID_MAX bytes; NULL: not known */
	char *transfer_id;
	int32_t calls[STAGE_COUNT]; /* sent, in all attempts; the login's place stays 0 */
	bool unanswered;            /* a trigger got no reply */
	bool cancel_asked;          /* the caller hung up; it goes on only where its trigger may have run */
	/* How many attempts right before this one sent no update. A marker of theirs is the work of a worker that died
	 * in one of them, perhaps behind its trigger: nothing else in the record tells of it. */
	int32_t unmarked;
};

struct history {
	int32_t attempt;       /* the one that comes next (or runs), 1-based */
	int64_t not_before_ms; /* 0: at once */
	int64_t first_seen_ms;
	int64_t deadline_ms;
	int64_t spilled_at_ms; /* 0: never */
	enum resume resume;
	enum reason reason; /* why it was parked last; REASON_COUNT when it never was */
	int32_t failures[BUDGET_COUNT];
	int32_t replay; /* 0: none */
	struct origin origin;
	struct progress progress;
};

#define HISTORY_TIME_MAX INT64_C(253402300799999) /* the last millisecond of the year 9999 */

void history_fini(struct history *history);

/* At most HISTORY_ID_MAX bytes of an upstream's id, cut on a UTF-8 boundary. */
struct span history_cut_id(struct span id);
/* Keeps a copy of it, cut, instead of what was there; absent, empty, with a NUL in it, or out of memory (false): NULL.
 */
bool history_keep_id(char **ret, struct span id);

/* "TOPIC/PARTITION/OFFSET" and back; 0 or -EINVAL with `ret` untouched. */
void origin_write(struct buf *out, const struct origin *origin);
int origin_read(struct span text, struct origin *ret) MUST_CHECK;

/* Does the record carry the headers of a retry (handoff-attempt, at least)? */
bool history_is_in(const struct record *record);
/* Reads a retry record's headers. Fields whose header is absent are left as they are in `ret` (fill it with the fresh
 * history first; history_fini() in any case). 0, or -EINVAL with the first unreadable header's name in `fault`; every
 * other one is read all the same; -ENOMEM. Numbers are clamped to sane bounds (attempt 1..1,000,000; times 0..year
 * 9999). */
int history_read(const struct record *record, struct history *ret, struct fault *fault) MUST_CHECK;
/* What a record of a request topic may say of its past: handoff-replay and handoff-deadline. As history_read(). */
int history_read_replay(const struct record *record, struct history *ret, struct fault *fault) MUST_CHECK;

/* Is it one of the headers that only retry records carry? Not handoff-batch and handoff-replay: clients and operators
 * write those too, and a dead letter keeps them. */
bool history_owns_header(const char *name);

/* The record to write to the retry topic: key and value of `original` byte for byte, its foreign headers kept in
 * order, every header of ours replaced by what `history` says (handoff-batch and handoff-id too; handoff-replay,
 * handoff-spilled-at only when set). Same partition number as `original`. NULL when out of memory. */
struct record *history_retry_record(const struct record *original, const char *retry_topic, const char *handoff_id,
				    const char *batch_id, const struct history *history) MUST_CHECK;

#endif
