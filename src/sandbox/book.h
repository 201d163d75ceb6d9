/*
 * book - what did the simulator see, by which the tests judge?
 *
 * Totals for all calls, a ledger per session (session.h) and the newest calls one by one. Bounded: BOOK_CALLS calls
 * and BOOK_BYTES bytes of them, bodies cut at BOOK_BODY. A call is written down when it arrives and completed when it
 * is answered. Modes: off (nothing is counted), totals (no single calls), full.
 */
#ifndef SANDBOX_BOOK_H
#define SANDBOX_BOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "handoff/macros.h"
#include "handoff/span.h"
#include "sandbox/session.h"

enum { BOOK_CALLS = 50000, BOOK_BODY = 16 * 1024, BOOK_BYTES = 256 * 1024 * 1024, BOOK_STATUSES = 600 };

enum book_mode { BOOK_OFF, BOOK_TOTALS, BOOK_FULL, BOOK_MODES };

/* The headers that are written down; the first one only as "present" or "absent". */
enum book_header {
	BOOK_AUTHORIZATION,
	BOOK_IDEMPOTENCY_KEY,
	BOOK_TRACEPARENT,
	BOOK_TRACESTATE,
	BOOK_CONTENT_TYPE,
	BOOK_USER_AGENT,
	BOOK_HEADERS
};
extern const char *const book_header_names[BOOK_HEADERS];

struct book_step {
	uint64_t calls;
	uint64_t executed;
	uint64_t by_status[BOOK_STATUSES]; /* 0: no reply */
};

struct book_entry; /* one call */

struct book {
	enum book_mode mode;
	struct book_step steps[STAGE_COUNT + 1]; /* the last: requests that are no step */
	uint64_t open;
	uint64_t vanished;
	uint64_t limited;
	uint64_t early;      /* calls while a Retry-After given to anybody had not passed */
	uint64_t early_same; /* calls for a session while a Retry-After given for it had not passed */
	uint64_t locked;
	uint64_t bad; /* 400, 404, 405, 415: calls no client of ours should make */
	uint64_t replayed;
	uint64_t duplicate_keys; /* updates whose variables hold a key twice */
	uint64_t sessions_triggered;
	uint64_t sessions_sent_twice;
	uint64_t sessions_executed_twice;
	uint32_t most_open; /* for one session */
	uint32_t most_with_ghosts;
	usec_t closed_until;

	struct book_entry **ring;     /* by seq modulo BOOK_CALLS; NULL until the first call is written down */
	uint64_t first_seq, next_seq; /* [first, next) are there; 1 is the first ever */
	size_t bytes;
};

/* A call as it arrives. Everything is copied. */
struct book_arrival {
	enum stage stage;
	const char *method;
	const char *path;
	const char *session; /* or NULL */
	const char *headers[BOOK_HEADERS];
	struct span body;
};

void book_init(struct book *book);
/* Forgets everything but the mode. */
void book_clear(struct book *book);

/* The call's number, 0 when calls are not written down one by one. */
uint64_t book_arrive(struct book *book, const struct instant *now, const struct book_arrival *arrival,
		     struct session *session);
/* `status` 0: no reply. `fault` names the rule that spoiled the reply, or is NULL. */
void book_answer(struct book *book, uint64_t seq, enum stage stage, int status, bool executed, const char *fault,
		 usec_t now);
void book_executed(struct book *book, enum stage stage, struct session *session);
void book_vanish(struct book *book, uint64_t seq, struct session *session);
/* A 429 is going out; `closed_until` is what its Retry-After promised, 0 for none. */
void book_limit(struct book *book, struct session *session, usec_t closed_until);

/* JSON: all totals; one session; the calls from `since` on, one object a line, at most `limit`. */
void book_report(const struct book *book, const struct sessions *sessions, struct buf *out);
void book_report_session(const struct book *book, const struct session *session, usec_t now, struct buf *out);
void book_report_calls(const struct book *book, uint64_t since, uint64_t limit, struct buf *out);

#endif
