/*
 * handoff - what is to be done next for this one request?
 *
 * A pure function of (state, event, now) to one order. It does not know how calls are made, records written or
 * partitions owned; the worker carries orders out and feeds what came of them back. The picture and the list of
 * transitions stand at the top of handoff.c. Plain values plus what history, transfer and outcome_error own.
 */
#ifndef HANDOFF_HANDOFF_H
#define HANDOFF_HANDOFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "handoff/contract.h"
#include "rules/history.h"
#include "rules/outcome.h"
#include "rules/reply.h"
#include "rules/request.h"

enum handoff_step {
	HANDOFF_WAITING, /* for its turn, its tenant or its session; no call is open */
	HANDOFF_FETCHING,
	HANDOFF_UPDATING,
	HANDOFF_TRIGGERING,
	HANDOFF_PARKED,  /* its next attempt is a retry record's matter */
	HANDOFF_FINISHED /* an outcome is to be written, or was */
};

enum handoff_event_kind {
	HANDOFF_START,      /* its turn has come */
	HANDOFF_REPLY,      /* the open call ended: `reply` */
	HANDOFF_HELD,       /* the call that was ordered could not be started now: gate, breaker or token */
	HANDOFF_UNSENDABLE, /* the update that was ordered cannot be made of this session: `reply` says why */
	HANDOFF_ABANDON,    /* we give up for our own reasons (revoke, shutdown); an open call is cancelled */
	HANDOFF_EXPIRE,     /* waits, and its deadline has passed or (`unreachable`) nothing can start before it */
	HANDOFF_CANCEL      /* the caller hung up */
};

struct handoff_event {
	enum handoff_event_kind kind;
	const struct reply *reply;
	const char *missing_scopes; /* of a 403: what the token lacks, "" when it cannot be said */
	bool unreachable;
	int64_t call_ends_at_ms; /* of ABANDON: when the open call's time-out passes at the latest */
};

enum handoff_order_kind {
	ORDER_NOTHING,
	ORDER_FETCH,
	ORDER_UPDATE,
	ORDER_TRIGGER,
	ORDER_WAIT,  /* back to its turn (next is a fetch), or held before its trigger: see handoff_is_held() */
	ORDER_PARK,  /* write the retry record that handoff->history describes */
	ORDER_FINISH /* write the outcome */
};

struct handoff_order {
	enum handoff_order_kind kind;
	bool fresh_token; /* of a call: the token was refused; get another one first */
};

/* The settings that matter here. */
struct handoff_policy {
	int64_t base_delay_ms;
	int64_t max_delay_ms;
	int64_t locked_delay_ms;
	int32_t budgets[BUDGET_COUNT];
	bool retrigger_keyed; /* the tenant's */
	const char *const *redact;
	size_t redact_count;
};

struct handoff {
	enum handoff_step step;
	struct history history;
	bool relogged[STAGE_COUNT]; /* a 401 of this call was answered by a new login: the next one is final */
	bool marked;                /* this attempt has sent its update */
	bool held_at_trigger;       /* waits, and continues with the trigger */
	bool unknown_status;        /* the session's status was none we know (to be counted) */
	/* what the outcome says: */
	enum status status;
	enum reason reason;
	bool retryable;
	struct transfer transfer;
	struct outcome_error error;
	int64_t stage_ms[STAGE_COUNT];
};

/* Takes over what `history` owns. */
void handoff_init(struct handoff *h, const struct history *history);
void handoff_fini(struct handoff *h);

/* One event in, one order out. `random` dithers a back-off. After ORDER_PARK and ORDER_FINISH nothing more is fed. */
struct handoff_order handoff_feed(struct handoff *h, const struct handoff_event *event,
				  const struct handoff_policy *policy, const struct instant *now, uint64_t random);

/* The request cannot even begin: rejected, duplicate, cancelled before its first attempt. */
void handoff_finish_unstarted(struct handoff *h, enum reason reason, const char *message);

/* Is this a 401 that a new login answers? The call it belongs to is made once more then. */
static inline bool handoff_would_repeat(const struct handoff *h, const struct reply *reply)
{
	return reply->reason == REASON_AUTH_REJECTED && !h->relogged[reply->stage];
}

/* Waits in the middle of an attempt: its session stays locked, it goes on with the trigger. */
static inline bool handoff_is_held(const struct handoff *h)
{
	return h->step == HANDOFF_WAITING && h->held_at_trigger;
}

#endif
