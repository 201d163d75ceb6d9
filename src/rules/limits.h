/*
 * limits - may this tenant be called now, and if not, when?
 *
 * gate      closed by a 429 until its Retry-After has passed; then the flow resumes paced, not all at once
 * breaker   opens after N dependency failures in a row; then one real request at a time tries, until one succeeds
 * limiter   a token bucket for a configured rate (this worker's share of it)
 *
 * Three small machines of plain values; `now` comes in, nothing is owned, nothing is logged. Microseconds, monotonic.
 */
#ifndef HANDOFF_LIMITS_H
#define HANDOFF_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

/*
 * After a closing the starts are paced:
 *
 *   first rate   what was in flight when the 429 came, spread over the time the gate was closed (at least a second);
 *                at most half the pace that the 429 came at; at least GATE_RATE_MIN
 *   growth       with each success to first rate x (1 + open time / closed time): linear, doubled after as long as it
 *                was closed (that counted as 1 s .. 60 s)
 *   end          unpaced once that factor passes GATE_GROWTH_MAX
 *
 * So the pace scales with what the server said, and a server that goes on answering 429 is met with half of it.
 */
#define GATE_RATE_MIN   1.0 /* starts per second */
#define GATE_GROWTH_MAX 11.0

struct gate {
	usec_t opens_at;    /* in the past: open */
	int32_t failures;   /* closings in a row, for the back-off where no Retry-After came */
	double rate;        /* paced starts per second after a closing; 0: unpaced */
	usec_t next_start;  /* when paced: not before this */
	double first_rate;  /* what `rate` grows from */
	double pace_before; /* the rate when the gate closed; 0: unpaced */
	usec_t closed_at;   /* when the present or last closing began */
	int32_t in_flight;  /* the most at one of its 429s */
};

void gate_init(struct gate *g);
/* A 429 says: nothing before `until`. A later time extends, an earlier one never shortens. `in_flight`: handoffs
 * running when it came, from which the pace of the reopening is derived. The 429s that come while the gate is closed
 * answer calls sent before: they are the same closing, and count as one failure. */
void gate_close(struct gate *g, usec_t until, usec_t now, int32_t in_flight);
bool gate_is_closed(const struct gate *g, usec_t now);
/* When the next start is allowed; `now` or earlier: at once. */
usec_t gate_ready_at(const struct gate *g);
/* A handoff was started: counts against the pace. */
void gate_started(struct gate *g, usec_t now);
/* A call succeeded: back-off forgotten, the pace grows. While the gate is closed it says nothing: it was sent before.
 */
void gate_succeeded(struct gate *g, usec_t now);

enum breaker_state { BREAKER_CLOSED, BREAKER_HALF_OPEN, BREAKER_OPEN };

struct breaker {
	int32_t limit; /* failures in a row that open it */
	usec_t open_for;
	int32_t failures;
	usec_t retry_at;
	enum breaker_state state;
};

/* `limit` 0: it never opens. */
void breaker_init(struct breaker *b, int32_t limit, usec_t open_for);
/* May one be started now? In HALF_OPEN (and in OPEN once its time has passed) only the one probe may: the caller starts
 * exactly one and reports its end before it asks again. */
bool breaker_allows(const struct breaker *b, usec_t now);
/* A start under OPEN whose time has passed turns it to HALF_OPEN: this one is the probe. */
void breaker_started(struct breaker *b, usec_t now);
/* Late failures of calls sent before it opened do not put the probe off. */
void breaker_failed(struct breaker *b, usec_t now);
/* Closes it, whatever its state: the dependency has answered. */
void breaker_succeeded(struct breaker *b);
/* The probe ended in neither way (cancelled, locked): another may try. */
void breaker_undecided(struct breaker *b, usec_t now);
/* When a probe may start; INT64_MIN when closed, USEC_NEVER while one is under way. */
usec_t breaker_ready_at(const struct breaker *b);

struct limiter {
	double rate;  /* tokens per second; 0: no limit */
	double burst; /* bucket size */
	double tokens;
	usec_t at; /* when `tokens` was right */
};

/* The bucket begins full. `burst` 0: strictly one after the other, at the rate. */
void limiter_init(struct limiter *l, double rate, double burst, usec_t now);
/* A new share; tokens already in the bucket stay, up to the new burst. */
void limiter_set_rate(struct limiter *l, double rate, double burst, usec_t now);
/* When `n` tokens will be there; `now` or earlier: at once. n above burst counts as burst. */
usec_t limiter_ready_at(const struct limiter *l, double n, usec_t now);
/* Takes them; the bucket may go below zero (a call that is owed is made). */
void limiter_take(struct limiter *l, double n, usec_t now);

#endif
