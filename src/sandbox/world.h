/*
 * world - all that the simulator knows: what the script set, and what has happened since
 *
 * One per simulator, no global. Freed by world_fini(); world_reset() makes it new again, script settings included.
 */
#ifndef SANDBOX_WORLD_H
#define SANDBOX_WORLD_H

#include "sandbox/auth.h"
#include "sandbox/book.h"
#include "sandbox/limit.h"
#include "sandbox/rule.h"
#include "sandbox/session.h"

struct json_tokener;

struct settings {
	usec_t latency[STAGE_COUNT];
	usec_t jitter[STAGE_COUNT]; /* up to so much more, evenly */
	bool keys_ignored;          /* Idempotency-Key means nothing */
	bool sessions_listed;       /* only sessions of the script exist */
	usec_t clock_skew;          /* how far the simulator's Date is ahead */
	int64_t lock_every;         /* 0: none; each so-many-th session that comes to exist is locked */
	usec_t lock_for;
	enum lock_style lock_style;
	char flow_status[SESSION_WORD];
	char flow_media[SESSION_WORD];       /* "none": the reply has no mediaStreamStatus */
	char flow_session[SESSION_WORD];     /* a session's status after a trigger */
	char transfer_status[SESSION_WORD];  /* telephony.status of an update's reply */
	char transfer_session[SESSION_WORD]; /* a session's status after an update */
};

struct world {
	struct settings settings;
	struct auth auth;
	struct limit limit;
	struct rules rules;
	struct sessions sessions;
	struct book book;
	uint64_t transfers;           /* numbers transferIds */
	uint64_t executions;          /* numbers flowExecutionIds */
	uint64_t traces;              /* numbers traceIds */
	uint64_t random;              /* state of the jitter */
	struct json_tokener *tokener; /* json-c's, used again and again */
};

/* 0, or -ENOMEM. */
int world_init(struct world *world) MUST_CHECK;
void world_fini(struct world *world);
void world_reset(struct world *world);

#endif
