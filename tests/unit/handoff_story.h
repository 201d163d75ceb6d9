/* Bringing a handoff to a step and answering the call there: shared by the tests of the state machine. */
#ifndef HANDOFF_TEST_HANDOFF_STORY_H
#define HANDOFF_TEST_HANDOFF_STORY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "rules/handoff.h"
#include "rules/retry_after.h"

#define NOW_MS  INT64_C(1700000000000)
#define LONG_MS INT64_C(900000)
#define ID      "h-1"
#define QUEUE   "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
#define ACTIVE                                                                                                         \
	"{\"sessionId\":\"s\",\"channel\":\"voice\",\"status\":\"active\",\"variables\":{},\"telephony\":{\"callId\":" \
	"\"c-1\"}}"
#define UPDATED "{\"status\":\"ok\",\"telephony\":{\"status\":\"transferring\",\"transferId\":\"x-1\"}}"
#define BRIDGED                                                                                                        \
	"{\"flowExecutionId\":\"e-1\",\"status\":\"completed\",\"result\":{\"action\":\"t\",\"mediaStreamStatus\":"    \
	"\"bridged\",\"agentWaitTime\":2.40}}"

static const struct instant now = { .mono = 5000000, .unix_ms = NOW_MS };

static struct handoff_policy policy = {
	.base_delay_ms = 1000,
	.max_delay_ms = 60000,
	.locked_delay_ms = 2000,
	.budgets = { 20, 30, 3, 5 },
	.retrigger_keyed = true,
};

static inline struct history fresh(void)
{
	struct history h = {
		.attempt = 1,
		.first_seen_ms = NOW_MS,
		.deadline_ms = NOW_MS + LONG_MS,
		.reason = REASON_COUNT,
		.origin = { .topic = "handoff.requests", .partition = 3, .offset = 1041 },
	};
	h.progress.requested_at_ms = NOW_MS;
	return h;
}

static inline struct handoff_order feed_kind(struct handoff *h, enum handoff_event_kind kind)
{
	const struct handoff_event event = { .kind = kind, .call_ends_at_ms = NOW_MS + 15000 };
	return handoff_feed(h, &event, &policy, &now, 0);
}

/* Answers the open call with these facts. */
static inline struct handoff_order answer(struct handoff *h, struct reply_facts facts, const char *scopes)
{
	static const enum stage open[] = { [HANDOFF_FETCHING] = STAGE_FETCH,
					   [HANDOFF_UPDATING] = STAGE_UPDATE,
					   [HANDOFF_TRIGGERING] = STAGE_TRIGGER };
	const struct session_reader reader = {
		.handoff_id = ID, .history = &h->history, .queue_id = QUEUE, .marker_variable = "handoffdId"
	};
	struct reply reply;
	facts.stage = open[h->step];
	facts.step = profile_step(PROFILE_SEED_V1, CREDENTIAL_LOGIN, facts.stage);
	if (!facts.trouble)
		facts.trouble = "";
	reply_read(&facts, &reader, NOW_MS, &reply);
	const struct handoff_event event = { .kind = HANDOFF_REPLY, .reply = &reply, .missing_scopes = scopes };
	return handoff_feed(h, &event, &policy, &now, 0);
}

static inline struct reply_facts http(int status, const char *body)
{
	return (struct reply_facts){ .complete = true, .sent = true, .status = status, .body = span_of(body) };
}

/* A handoff whose call of `stage` is open. */
static inline void bring_to(struct handoff *h, enum stage stage, const struct history *history)
{
	handoff_init(h, history);
	assert_int_equal(feed_kind(h, HANDOFF_START).kind, ORDER_FETCH);
	if (stage == STAGE_FETCH)
		return;
	assert_int_equal(answer(h, http(200, ACTIVE), "").kind, ORDER_UPDATE);
	if (stage == STAGE_UPDATE)
		return;
	assert_int_equal(answer(h, http(200, UPDATED), "").kind, ORDER_TRIGGER);
}

#endif
