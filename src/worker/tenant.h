/*
 * tenant - one Cognigy tenant: its connections, its token, its queue, and whether it may be called now
 *
 * Everything that one tenant's trouble could spoil for another is in here, once per tenant. The struct is open to the
 * worker's own files: the dispatcher moves jobs in and out, the metrics read it. One thread.
 */
#ifndef HANDOFF_TENANT_H
#define HANDOFF_TENANT_H

#include <stdbool.h>

#include "base/heap.h"
#include "doors/http.h"
#include "doors/settings.h"
#include "rules/concurrency.h"
#include "rules/limits.h"
#include "rules/line.h"
#include "rules/metrics.h"
#include "rules/reply.h"
#include "rules/roster.h"
#include "worker/token_cache.h"

struct tenant {
	const struct settings_tenant *settings;
	struct http *http;
	struct token_cache *token;
	struct roster *roster;
	struct heap held; /* jobs before their trigger, by deadline, while nothing may be called */
	struct line line; /* jobs whose next call waits for room */
	struct gate gate;
	struct breaker breaker;
	struct limiter limiter;
	struct concurrency concurrency;
	struct metrics *metrics;
	size_t ramp;         /* calls that may be open at once after an outage, one more with each answer; 0: no ramp */
	usec_t had_token_at; /* the last turn with one, or the start */
	bool opened_by_login;  /* the breaker: no call of a handoff has failed */
	bool login_said;       /* the present trouble with the login was logged */
	usec_t parked_told_at; /* expiry.c: when those that are parked were looked at last, */
	usec_t parked_told;    /* and until when it was closed then */
};

/* 0, or the reason in `fault`; tenant_fini() is due in any case. */
int tenant_init(struct tenant *t, const struct settings_tenant *settings, struct loop *loop, struct metrics *metrics,
		usec_t now, struct fault *fault) MUST_CHECK;
void tenant_fini(struct tenant *t);

static inline const char *tenant_name(const struct tenant *t)
{
	return t->settings->name;
}

/* Its connections and its token have their turn. Call once a loop turn. */
void tenant_run(struct tenant *t, const struct instant *now);
/* How long the loop may sleep for their sake. */
usec_t tenant_wait(const struct tenant *t, usec_t now);

/* Is there a token, and neither gate nor breaker in the way of a call in the middle of a handoff? */
bool tenant_may_call(const struct tenant *t, usec_t now);
/* May another handoff begin, or one that was held go on? With a breaker that is open it is the probe. */
bool tenant_may_begin(const struct tenant *t, usec_t now);
/* More handoffs are not begun than their calls could be made within ten seconds at the rate that is allowed: none is
 * left in the middle for want of tokens. */
bool tenant_is_booked_up(const struct tenant *t, usec_t now);
/* When rate and concurrency have room for the next call; USEC_NEVER: an event has to come first. */
usec_t tenant_room_at(const struct tenant *t, usec_t now);
/* A call was sent. */
void tenant_called(struct tenant *t, usec_t now);
/* The earliest time at which somebody who waits may have his turn; USEC_NEVER: an event has to come first. */
usec_t tenant_ready_at(const struct tenant *t, usec_t now);

/* Whatever happens, nothing of it is called before this: its gate is closed, or there is no token and the tenant has
 * forbidden to ask for one. `now` or earlier: it may be. */
usec_t tenant_closed_until(const struct tenant *t, usec_t now);
/* When it may open, as far as it is closed by its gate or its breaker, or has been without a token for a second (then
 * as long as the breaker would be); `now` or earlier: it is not, or a probe is open. */
usec_t tenant_opens_at(const struct tenant *t, usec_t now);

/* The call that was answered. */
struct tenant_call {
	usec_t began;
	uint64_t token;        /* the serial of the one that it was made with */
	bool is_first_refusal; /* of a 401: the call is repeated with another token */
};

/* What a reply means for everybody who calls this tenant: gate, breaker, token. */
void tenant_hear(struct tenant *t, const struct reply *reply, const struct tenant_call *call,
		 const struct instant *now);

/* Why it cannot be called, for the readiness page; NULL when it can. */
const char *tenant_obstacle(const struct tenant *t, usec_t now);

#endif
