/*
 * limits - may this tenant be called now, and if not, when?
 *
 * gate      closed by a 429 until its Retry-After has passed; then the calls resume paced, and it remembers which pace
 *           the tenant bore
 * breaker   opens after N dependency failures in a row; then one real request at a time tries, until one succeeds
 * limiter   a token bucket for a configured rate (this worker's share of it)
 *
 * Three small machines of plain values; `now` comes in, nothing is owned, nothing is logged. Microseconds, monotonic.
 * Gate and limiter count single calls: whoever is in the middle of a handoff takes its turn with the others' calls.
 */
#ifndef HANDOFF_LIMITS_H
#define HANDOFF_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

/*
 * How the gate finds the tenant's rate. Nothing is paced before the first 429. Then, calls a second over time:
 *
 *        ceiling  - - - - - - - - - -_______----- - - -/   - the pace that the last 429 came at
 *                              __----         ^       /
 *        first pace  429 |  /-               T       2T  nothing happened: search again, doubling
 *                        closed
 *
 *  first pace  what was answered lately, a little less; between a half and nine tenths of the pace of the 429.
 *              After a long closing (a server that counts by periods): what was answered since the last opening, over
 *              all the time until the next one
 *  growth      a cubic curve: fast, flat around the ceiling, fast again. T is a minute, or as long as the period. Only
 * time in which calls succeed counts: an idle hour is no evidence that the tenant bears more searching   as long as too
 * little is known (few answers) or after 2T without a 429
 */
#define GATE_RATE_MIN     0.2 /* calls a second */
#define GATE_RATE_UNKNOWN 2.0 /* where a search begins that has nothing to go by */

struct gate {
	usec_t opens_at;  /* in the past: open */
	usec_t closed_at; /* when the present or last closing began */
	int32_t failures; /* closings in a row, for the back-off where no Retry-After came */
	double rate;      /* calls a second; 0: unpaced */
	usec_t next_call; /* when paced: not before this */
	/* the curve: */
	double first_rate;
	double ceiling;   /* 0: searching */
	usec_t plateau;   /* T */
	usec_t grown_for; /* the time on the curve */
	usec_t heard_at;  /* the last success */
	double pace_then; /* the rate when the gate closed */
	/* what was answered: */
	usec_t open_since;  /* the first success after the last opening */
	int64_t answered;   /* since then */
	usec_t slot_since;  /* of the second that is being counted */
	int64_t in_slot[2]; /* in this one, and in the one before */
};

void gate_init(struct gate *g);
/* A 429 says: nothing before `until`. A later time extends, an earlier one never shortens. The 429s that come while the
 * gate is closed answer calls sent before: they are the same closing, and count as one failure. */
void gate_close(struct gate *g, usec_t until, usec_t now);
bool gate_is_closed(const struct gate *g, usec_t now);
/* When the next call is allowed; `now` or earlier: at once. */
usec_t gate_ready_at(const struct gate *g);
/* A call was sent: counts against the pace. */
void gate_called(struct gate *g, usec_t now);
/* A call succeeded: back-off forgotten, the pace grows. While the gate is closed it only counts as answered: it was
 * sent before. */
void gate_succeeded(struct gate *g, usec_t now);

enum breaker_state { BREAKER_CLOSED, BREAKER_HALF_OPEN, BREAKER_OPEN };

struct breaker {
	int32_t limit; /* failures in a row that open it */
	usec_t open_for;
	int32_t failures;
	usec_t retry_at;
	usec_t probed_at; /* when the last probe began */
	enum breaker_state state;
};

/* `limit` 0: it never opens. */
void breaker_init(struct breaker *b, int32_t limit, usec_t open_for);
/* May one be started now? In HALF_OPEN (and in OPEN once its time has passed) only the one probe may: the caller starts
 * exactly one and reports its end before it asks again. */
bool breaker_allows(const struct breaker *b, usec_t now);
/* A start under OPEN whose time has passed turns it to HALF_OPEN: this one is the probe. */
void breaker_started(struct breaker *b, usec_t now);
/* A call that began at `began` failed. What was sent before the probe neither puts it off nor decides for it. */
void breaker_failed(struct breaker *b, usec_t began, usec_t now);
#define BREAKER_NO_CALL INT64_MIN /* began: it was a login, which is never the probe */
/* Closes it, whatever its state: the dependency has answered. */
void breaker_succeeded(struct breaker *b);
/* A call ended in neither way (cancelled, locked): if it was the probe, another may try. */
void breaker_undecided(struct breaker *b, usec_t began, usec_t now);
/* When a probe may start; INT64_MIN when closed, USEC_NEVER while one is under way. */
usec_t breaker_ready_at(const struct breaker *b);

/*
 * Each worker takes its share of the pool's rate, by what it owns of the request partitions. The sum over the pool
 * stays below the rate while they move, because no bucket is handed over:
 *
 *  - a share that shrinks shrinks at once, and so does what its bucket holds
 *  - what a share gains flows only LIMITER_SETTLE after the assignment, into a bucket that had none of it. Whoever had
 *    it before has stopped by then: who gave it back had done so before it was assigned; who was expelled has heard of
 *    it by the session's clock of its own, an answered heartbeat later at most; who stood still proves its ownership
 *    first
 *  - a process begins with an empty bucket, so restarts add nothing
 *
 * A part of the rate stays unused, for one 429 stops the tenant for as long as it asks, often a second. A turn of the
 * loop that comes late may make up for LIMITER_SLACK of the rate (coarse timers cost none then), and calls that were
 * sent evenly arrive unevenly: both together stay within the hundredth that LIMITER_USE leaves of a second. So no
 * second has more calls than the rate allows (with `burst` 0), and the tenant may count as it likes: a bucket, seconds
 * by its clock, or the last second before each call. More slack would cost more of the rate than the turns that are
 * later than that do: they come about once a second on a busy machine.
 */
#define LIMITER_SETTLE (1 * USEC_PER_SEC)
#define LIMITER_USE    0.99
#define LIMITER_SLACK  (8 * USEC_PER_MSEC)

struct limiter {
	bool unlimited;
	double rate;   /* tokens per second; 0: no call is allowed */
	double burst;  /* calls at once */
	double tokens; /* below zero: owed */
	usec_t at;     /* when `tokens` was right */
	double next_rate;
	double next_burst;
	usec_t next_at; /* when those hold; USEC_NEVER: there are none */
};

/* Empty, and without a share: nothing is allowed before limiter_share(); with `unlimited` all is, for ever. */
void limiter_init(struct limiter *l, bool unlimited, usec_t now);
/* A new assignment gave this share. `burst` below 1: one call after the other, evenly spaced. */
void limiter_share(struct limiter *l, double rate, double burst, usec_t now);
/* When the next call may be sent; `now` or earlier: at once. USEC_NEVER: not with this share. */
usec_t limiter_ready_at(const struct limiter *l, usec_t now);
/* A call was sent; one that had to be (a login) may leave the bucket below zero. */
void limiter_take(struct limiter *l, usec_t now);
/* Calls a second that are allowed now; 0 may also mean without limit. */
double limiter_rate(const struct limiter *l, usec_t now);

#endif
