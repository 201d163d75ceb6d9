/*
 *  WAITING ──> FETCHING ──> UPDATING ──> TRIGGERING ──> FINISHED
 *     ^ ^         │            │            │  │            ^
 *     │ └─────────┴────────────┘ held       │  │            │ success, permanent fault, budget used up,
 *     └──────────────────────── held ───────┘  │            │ deadline passed or not reachable, cancelled
 *                 │            │               │            │
 *                 └────────────┴───────────────┴──> PARKED  │ (any step can go to FINISHED)
 *
 *  transition               made by        guaranteed in the new step
 *  WAITING    -> FETCHING   on_start       before the deadline; no effect of this attempt yet
 *  FETCHING   -> UPDATING   on_fetched     the session's decision table allows it; nothing sent in this attempt
 *  UPDATING   -> TRIGGERING on_updated     the marker of this attempt is in the session
 *  TRIGGERING -> FINISHED   on_triggered   the flow answered
 *  FETCHING, UPDATING -> WAITING  hold     surely nothing happened; goes on with a new fetch, the attempt is the same
 *  TRIGGERING -> WAITING    hold           the trigger surely was not sent; goes on with the trigger
 *  any        -> PARKED     park           history says what may have happened: resume never goes back
 *  any        -> FINISHED   finish         one outcome; an unanswered trigger never ends as failed or expired
 *
 *  A trigger is ordered only when no trigger of this attempt was sent (or the last one surely was not executed): one
 *  trigger on the wire per attempt.
 */
#include "rules/handoff.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "rules/redact.h"
#include "rules/retry_after.h"

/* What every transition needs to see. */
struct turn {
	const struct handoff_event *event;
	const struct handoff_policy *policy;
	const struct instant *now;
	uint64_t random;
};

static const struct handoff_order nothing = { .kind = ORDER_NOTHING };

void handoff_init(struct handoff *h, const struct history *history)
{
	*h = (struct handoff){ .step = HANDOFF_WAITING, .history = *history };
	for (size_t i = 0; i < STAGE_COUNT; i++)
		h->stage_ms[i] = -1;
}

void handoff_fini(struct handoff *h)
{
	transfer_fini(&h->transfer);
	outcome_error_fini(&h->error);
	history_fini(&h->history);
}

/* The only place a handoff changes step. */
static void enter(struct handoff *h, enum handoff_step to)
{
	assert(h->step != HANDOFF_FINISHED && h->step != HANDOFF_PARKED);
	assert(to != HANDOFF_UPDATING || h->step == HANDOFF_FETCHING || h->step == HANDOFF_UPDATING);
	assert(to != HANDOFF_TRIGGERING || h->step == HANDOFF_UPDATING || h->step == HANDOFF_TRIGGERING ||
	       handoff_is_held(h));
	h->held_at_trigger = to == HANDOFF_WAITING && h->step == HANDOFF_TRIGGERING;
	h->step = to;
}

static void raise_resume(struct handoff *h, enum resume to)
{
	if (h->history.resume < to)
		h->history.resume = to;
}

/* `was_budget`: an exhausted budget is worth asking again later, whatever its class. */
static struct handoff_order finish(struct handoff *h, enum reason reason, bool was_budget)
{
	enum status status = reason_status(reason);
	h->retryable = was_budget || reason_is_retryable(reason);
	if (h->history.progress.unanswered && (status == STATUS_FAILED || status == STATUS_EXPIRED)) {
		/* Two agents are worse than an unconfirmed one, and "failed" would invite a second transfer. */
		status = STATUS_INITIATED;
		reason = REASON_UNCONFIRMED;
		h->retryable = false;
	}
	h->status = status;
	h->reason = reason;
	if (status == STATUS_COMPLETED || status == STATUS_CANCELLED || status == STATUS_DUPLICATE ||
	    (status == STATUS_INITIATED && !h->history.progress.unanswered))
		outcome_error_fini(&h->error);
	enter(h, HANDOFF_FINISHED);
	return (struct handoff_order){ .kind = ORDER_FINISH };
}

/* What stood in the way, in our own words; a connector's body stays from record_error(). */
static void say(struct handoff *h, enum stage stage, const char *code, const char *message)
{
	outcome_error_fini(&h->error);
	h->error.present = true;
	h->error.stage = stage;
	h->error.code = code ? strdup(code) : NULL;
	h->error.message = strndup(message, OUTCOME_MESSAGE_MAX);
}

void handoff_finish_unstarted(struct handoff *h, enum reason reason, const char *message)
{
	say(h, STAGE_COUNT, NULL, message);
	h->status = reason_status(reason);
	h->reason = reason;
	h->retryable = reason_is_retryable(reason);
	if (h->status == STATUS_DUPLICATE || h->status == STATUS_CANCELLED)
		outcome_error_fini(&h->error);
	enter(h, HANDOFF_FINISHED);
}

/* A fault's own account, with the personal values taken out. */
static void record_error(struct handoff *h, const struct reply *reply, const struct handoff_policy *policy)
{
	struct buf text;
	outcome_error_fini(&h->error);
	h->error.present = true;
	h->error.stage = reply->stage;
	h->error.http_status = reply->http_status;
	buf_init(&text, OUTCOME_BODY_MAX);
	redact_text(&text, span_of(reply->code), policy->redact, policy->redact_count, OUTCOME_CODE_MAX);
	h->error.code = text.len > 0 ? strndup(buf_text(&text), OUTCOME_CODE_MAX) : NULL;
	buf_reset(&text);
	redact_text(&text, span_of(reply->message), policy->redact, policy->redact_count, OUTCOME_MESSAGE_MAX);
	h->error.message = strndup(buf_text(&text), OUTCOME_MESSAGE_MAX);
	buf_reset(&text);
	if (reply->body.n > 0) {
		h->error.body_truncated =
			redact_text(&text, reply->body, policy->redact, policy->redact_count, OUTCOME_BODY_MAX);
		h->error.body = buf_take(&text, NULL);
	}
	buf_fini(&text);
}

/* The caller hung up while a call was open, and no trigger can have been executed: there is no next step. */
static bool is_called_off(const struct handoff *h)
{
	return h->history.progress.cancel_asked && h->history.resume != RESUME_VERIFY;
}

static struct handoff_order expire(struct handoff *h, bool unreachable)
{
	/* An earlier attempt's body is not in its retry record, but its reason is. */
	const char *reason = reason_name(h->history.reason);
	if (!h->error.present)
		say(h, STAGE_COUNT, reason ? reason : "",
		    unreachable ? "the next possible attempt lies at or beyond the deadline"
				: "the deadline passed before the handoff was done");
	return finish(h, unreachable ? REASON_DEADLINE_UNREACHABLE : REASON_DEADLINE_PASSED, false);
}

/* The next attempt is due at `due_ms`; one that cannot come in time is told at once. */
static struct handoff_order park(struct handoff *h, enum reason reason, int64_t due_ms)
{
	if (is_called_off(h))
		return finish(h, REASON_CANCELLED, false);
	if (due_ms >= h->history.deadline_ms)
		return expire(h, true);
	h->history.reason = reason;
	h->history.not_before_ms = due_ms;
	h->history.spilled_at_ms = 0;
	h->history.progress.unmarked = h->marked ? 0 : h->history.progress.unmarked + 1;
	h->history.attempt++;
	enter(h, HANDOFF_PARKED);
	return (struct handoff_order){ .kind = ORDER_PARK };
}

static struct handoff_order call(struct handoff *h, enum handoff_step step, const struct turn *t)
{
	static const struct {
		enum handoff_order_kind order;
	} orders[] = {
		[HANDOFF_FETCHING] = { ORDER_FETCH },
		[HANDOFF_UPDATING] = { ORDER_UPDATE },
		[HANDOFF_TRIGGERING] = { ORDER_TRIGGER },
	};
	if (t->now->unix_ms >= h->history.deadline_ms)
		return expire(h, false);
	if (is_called_off(h))
		return finish(h, REASON_CANCELLED, false);
	enter(h, step);
	return (struct handoff_order){ .kind = orders[step].order };
}

static struct handoff_order on_start(struct handoff *h, const struct turn *t)
{
	if (h->held_at_trigger)
		return call(h, HANDOFF_TRIGGERING, t);
	const struct handoff_order order = call(h, HANDOFF_FETCHING, t);
	if (order.kind == ORDER_FETCH && h->history.progress.started_at_ms == 0)
		h->history.progress.started_at_ms = t->now->unix_ms;
	return order;
}

static struct handoff_order hold(struct handoff *h)
{
	if (is_called_off(h))
		return finish(h, REASON_CANCELLED, false);
	enter(h, HANDOFF_WAITING);
	return (struct handoff_order){ .kind = ORDER_WAIT };
}

/* The trigger may have been executed. With a key that the connector honours, asking again is harmless. */
static struct handoff_order resume_trigger(struct handoff *h, const struct turn *t)
{
	if (t->policy->retrigger_keyed)
		return call(h, HANDOFF_UPDATING, t);
	return finish(h, REASON_UNCONFIRMED, false);
}

static struct handoff_order locked(struct handoff *h, const struct turn *t, int64_t delay_ms);

/* The contract's table "What a fetch decides", in its order. A missing session is on_fault()'s. */
static struct handoff_order on_fetched(struct handoff *h, const struct turn *t)
{
	const struct session *s = &t->event->reply->session;
	const bool ours = s->marker == MARKER_THIS || s->marker == MARKER_EARLIER;
	/* Somebody was here before us in this attempt, and is not any more: whatever follows has to know. */
	if (s->marker == MARKER_THIS)
		raise_resume(h, RESUME_VERIFY);
	const bool verify = h->history.resume == RESUME_VERIFY;
	if (s->marker == MARKER_TWIN)
		return finish(h, REASON_DUPLICATE, false);
	if (!s->is_voice) {
		say(h, STAGE_FETCH, "NOT_VOICE", "the session's channel is not `voice`");
		return finish(h, REASON_NOT_VOICE, false);
	}
	if (s->status == SESSION_PROCESSING) {
		say(h, STAGE_FETCH, "PROCESSING", "a flow is running in the session");
		return locked(h, t, -1);
	}
	if (s->status == SESSION_OVER && (ours || verify))
		return finish(h, REASON_UNCONFIRMED, false);
	if (s->status == SESSION_OVER) {
		say(h, STAGE_FETCH, "ENDED", "the session has ended");
		return finish(h, REASON_ENDED, false);
	}
	if (s->status == SESSION_TRANSFERRING && !ours)
		return finish(h, REASON_ALREADY_TRANSFERRING, false);
	h->unknown_status = s->status == SESSION_UNKNOWN;
	if (verify)
		return resume_trigger(h, t);
	return call(h, HANDOFF_UPDATING, t);
}

/* The decoded text of a JSON string, or NULL (absent, or out of memory: then the outcome says null). */
static char *take_string(struct span json)
{
	if (!json.p)
		return NULL;
	struct buf text;
	buf_init(&text, 4096);
	if (json.p[0] == '"')
		scan_decode_string(&text, json);
	else
		buf_add_span(&text, json);
	char *taken = buf_take(&text, NULL);
	buf_fini(&text);
	return taken;
}

/* What was known stays where the reply does not say. For want of memory it is not known; nothing depends on it. */
static void keep_id(struct span json, char **id)
{
	char *text = take_string(json);
	if (text)
		(void)history_keep_id(id, span_of(text));
	free(text);
}

static struct handoff_order on_updated(struct handoff *h, const struct turn *t)
{
	keep_id(t->event->reply->update.transfer_id, &h->history.progress.transfer_id);
	raise_resume(h, RESUME_UPDATE);
	return call(h, HANDOFF_TRIGGERING, t);
}

static struct handoff_order on_triggered(struct handoff *h, const struct turn *t)
{
	static const char *const completed = "completed";
	static const char *const bridged = "bridged";
	const struct flow_reply *flow = &t->event->reply->flow;
	const bool ok =
		session_says(flow->status, &completed, 1) && session_says(flow->media_stream_status, &bridged, 1);
	return finish(h, ok ? REASON_OK : REASON_UNCONFIRMED, false);
}

static void keep_transfer(struct handoff *h, const struct flow_reply *flow)
{
	transfer_fini(&h->transfer);
	h->transfer = (struct transfer){
		.flow_execution_id = take_string(flow->execution_id),
		.flow_status = take_string(flow->status),
		.action = take_string(flow->action),
		.media_stream_status = take_string(flow->media_stream_status),
		.agent_wait_time = take_string(flow->agent_wait_time),
	};
}

/* Burns one of `budget`; true when that was the last. */
static bool spend(struct handoff *h, enum budget budget, const struct handoff_policy *policy)
{
	return ++h->history.failures[budget] >= policy->budgets[budget];
}

static struct handoff_order locked(struct handoff *h, const struct turn *t, int64_t delay_ms)
{
	if (spend(h, BUDGET_LOCKED, t->policy))
		return finish(h, REASON_LOCKED, true);
	return park(h, REASON_LOCKED, t->now->unix_ms + (delay_ms >= 0 ? delay_ms : t->policy->locked_delay_ms));
}

/* Never earlier than asked; without a usable Retry-After, exponential back-off by the failures of that kind. */
static struct handoff_order retry_later(struct handoff *h, const struct turn *t)
{
	const struct reply *reply = t->event->reply;
	const struct handoff_policy *policy = t->policy;
	if (reply->budget == BUDGET_LOCKED)
		return locked(h, t, reply->retry_after_ms);
	if (spend(h, reply->budget, policy))
		return finish(h, reply->reason, true);
	int64_t delay =
		back_off_ms(policy->base_delay_ms, policy->max_delay_ms, h->history.failures[reply->budget], t->random);
	if (reply->kind == FAULT_RATE_LIMITED && reply->retry_after_ms >= 0)
		delay = reply->retry_after_ms;
	else if (reply->retry_after_ms > delay)
		delay = reply->retry_after_ms;
	return park(h, reply->reason, t->now->unix_ms + delay);
}

/* What this fault says about the trigger; resume only ever rises. */
static void note_resume(struct handoff *h, const struct reply *reply)
{
	const bool may_have_run = reply->kind == FAULT_SERVER || reply->kind == FAULT_AMBIGUOUS;
	if (reply->stage == STAGE_TRIGGER && may_have_run)
		raise_resume(h, RESUME_VERIFY);
	else if (reply->stage != STAGE_FETCH || reply->kind == FAULT_AMBIGUOUS)
		raise_resume(h, RESUME_UPDATE);
	if (reply->stage == STAGE_TRIGGER && reply->kind == FAULT_AMBIGUOUS)
		h->history.progress.unanswered = true;
}

static struct handoff_order on_auth(struct handoff *h, const struct turn *t)
{
	const struct reply *reply = t->event->reply;
	if (reply->reason == REASON_AUTH_REJECTED && is_called_off(h))
		return finish(h, REASON_CANCELLED, false);
	if (handoff_would_repeat(h, reply)) {
		static const enum handoff_order_kind again[] = {
			[STAGE_FETCH] = ORDER_FETCH, [STAGE_UPDATE] = ORDER_UPDATE, [STAGE_TRIGGER] = ORDER_TRIGGER
		};
		if (t->now->unix_ms >= h->history.deadline_ms)
			return expire(h, false);
		h->relogged[reply->stage] = true;
		return (struct handoff_order){ .kind = again[reply->stage], .fresh_token = true };
	}
	if (reply->reason == REASON_AUTH_FORBIDDEN && t->event->missing_scopes && t->event->missing_scopes[0]) {
		char message[OUTCOME_MESSAGE_MAX + 1];
		snprintf(message, sizeof(message), "forbidden: the token lacks the scopes %s",
			 t->event->missing_scopes);
		free(h->error.message);
		h->error.message = strdup(message);
	}
	return finish(h, reply->reason, false);
}

static struct handoff_order on_fault(struct handoff *h, const struct turn *t)
{
	const struct reply *reply = t->event->reply;
	record_error(h, reply, t->policy);
	switch (reply->kind) {
	case FAULT_DEPENDENCY_DOWN:
		return hold(h);
	case FAULT_AUTH:
		return on_auth(h, t);
	case FAULT_RATE_LIMITED:
	case FAULT_LOCKED:
	case FAULT_SERVER:
	case FAULT_AMBIGUOUS:
	case FAULT_BAD_RESPONSE:
		note_resume(h, reply);
		return retry_later(h, t);
	default:
		break;
	}
	/* A session that is gone after its trigger may have run: the transfer may be why. */
	if (reply->reason == REASON_NOT_FOUND && h->history.resume == RESUME_VERIFY)
		return finish(h, REASON_UNCONFIRMED, false);
	return finish(h, reply->reason, false);
}

/* A call was sent. */
static void note_call(struct handoff *h, enum stage stage)
{
	h->history.progress.calls[stage]++;
	h->marked = h->marked || stage == STAGE_UPDATE;
}

static void count_call(struct handoff *h, const struct reply *reply)
{
	h->stage_ms[reply->stage] = (reply->elapsed + USEC_PER_MSEC / 2) / USEC_PER_MSEC;
	h->history.progress.calls[reply->stage] += reply->sends;
	h->marked = h->marked || (reply->stage == STAGE_UPDATE && reply->sends > 0);
	if (reply->kind == FAULT_NONE && reply->stage == STAGE_FETCH)
		keep_id(reply->session.call_id, &h->history.progress.call_id);
	if (reply->stage == STAGE_TRIGGER)
		keep_transfer(h, &reply->flow);
}

static struct handoff_order on_reply(struct handoff *h, const struct turn *t)
{
	const struct reply *reply = t->event->reply;
	count_call(h, reply);
	if (reply->kind != FAULT_NONE)
		return on_fault(h, t);
	/* An earlier attempt's trouble is no error of this one. */
	outcome_error_fini(&h->error);
	switch (reply->stage) {
	case STAGE_FETCH:
		return on_fetched(h, t);
	case STAGE_UPDATE:
		return on_updated(h, t);
	default:
		return on_triggered(h, t);
	}
}

/* The next owner needs to know what may have happened; an open trigger's fate is decided when its time-out has passed.
 */
static struct handoff_order on_abandon(struct handoff *h, const struct turn *t)
{
	int64_t due = t->now->unix_ms;
	if (h->step == HANDOFF_TRIGGERING) {
		raise_resume(h, RESUME_VERIFY);
		h->history.progress.unanswered = true;
		note_call(h, STAGE_TRIGGER);
		due = t->event->call_ends_at_ms;
	} else if (h->step == HANDOFF_UPDATING || h->held_at_trigger) {
		raise_resume(h, RESUME_UPDATE);
	}
	if (h->step == HANDOFF_FETCHING || h->step == HANDOFF_UPDATING)
		note_call(h, h->step == HANDOFF_FETCHING ? STAGE_FETCH : STAGE_UPDATE);
	return park(h, h->step == HANDOFF_TRIGGERING ? REASON_TIMEOUT : REASON_COUNT, due);
}

static struct handoff_order on_cancel(struct handoff *h)
{
	h->history.progress.cancel_asked = true;
	/* What may have been triggered goes on, and so does an open call: its end asks again. */
	if (h->step == HANDOFF_WAITING && h->history.resume != RESUME_VERIFY)
		return finish(h, REASON_CANCELLED, false);
	return nothing;
}

struct handoff_order handoff_feed(struct handoff *h, const struct handoff_event *event,
				  const struct handoff_policy *policy, const struct instant *now, uint64_t random)
{
	const struct turn t = { .event = event, .policy = policy, .now = now, .random = random };
	switch (event->kind) {
	case HANDOFF_START:
		return on_start(h, &t);
	case HANDOFF_REPLY:
		return on_reply(h, &t);
	case HANDOFF_UNSENDABLE:
		return on_fault(h, &t);
	case HANDOFF_HELD:
		return hold(h);
	case HANDOFF_ABANDON:
		return on_abandon(h, &t);
	case HANDOFF_EXPIRE:
		return expire(h, event->unreachable);
	case HANDOFF_CANCEL:
		return on_cancel(h);
	}
	return nothing;
}
