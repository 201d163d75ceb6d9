/*
 * contract - how is everything that the outside world sees spelled?
 *
 * Topics, record headers, statuses, reasons and their consequences, each written once.
 * The source of every name is the interface contract, summarised in README.md ("The records").
 * Names only: no function here does anything but look up a table (src/rules/reason.c).
 */
#ifndef HANDOFF_CONTRACT_H
#define HANDOFF_CONTRACT_H

#include <stdbool.h>

#define TOPIC_REQUESTS     "handoff.requests"
#define TOPIC_RETRY        "handoff.retry"
#define TOPIC_OUTCOMES     "handoff.outcomes"
#define TOPIC_DEAD_LETTERS "handoff.dlq"

/* Headers of our own. A retry record replaces them, it never accumulates them. */
#define HDR_ID          "handoff-id"
#define HDR_ATTEMPT     "handoff-attempt"    /* the next attempt, 1-based */
#define HDR_NOT_BEFORE  "handoff-not-before" /* Unix ms */
#define HDR_FIRST_SEEN  "handoff-first-seen" /* Unix ms */
#define HDR_DEADLINE    "handoff-deadline"   /* Unix ms */
#define HDR_RESUME      "handoff-resume"     /* fetch | update | verify */
#define HDR_REASON      "handoff-reason"
#define HDR_BUDGET      "handoff-budget"   /* failures so far, by class */
#define HDR_ORIGIN      "handoff-origin"   /* TOPIC/PARTITION/OFFSET of the first record */
#define HDR_PROGRESS    "handoff-progress" /* what the outcome will need */
#define HDR_BATCH       "handoff-batch"
#define HDR_SPILLED_AT  "handoff-spilled-at" /* Unix ms; the worker only moved it to the tail */
#define HDR_REPLAY      "handoff-replay"
#define HDR_STATUS      "handoff-status"
#define HDR_STAGE       "handoff-stage"
#define HDR_HTTP_STATUS "handoff-http-status"
#define HDR_ERROR       "handoff-error"
#define HDR_FAILED_AT   "handoff-failed-at" /* Unix ms */
#define HDR_TRUNCATED   "handoff-truncated" /* original size in bytes */

/* Foreign headers we read or write. */
#define HDR_CONTENT_TYPE   "content-type"
#define HDR_TRACEPARENT    "traceparent"
#define HDR_TRACESTATE     "tracestate"
#define HDR_CE_SPECVERSION "ce_specversion"
#define HDR_CE_ID          "ce_id"
#define HDR_CE_SOURCE      "ce_source"
#define HDR_CE_TYPE        "ce_type"
#define HDR_CE_TIME        "ce_time"
#define HDR_CE_SUBJECT     "ce_subject"
#define HDR_CE_EXPIRYTIME  "ce_expirytime"

#define CONTENT_TYPE_JSON       "application/json"
#define CONTENT_TYPE_CLOUDEVENT "application/cloudevents+json"
#define CE_TYPE_OUTCOME         "voice.handoff.outcome.v1"
#define CE_TYPE_CANCEL          "voice.handoff.cancel.v1"

/* Variables that a handoff writes into the session, after the caller's metadata. */
#define VAR_TRANSFER_TARGET  "transferTarget"
#define VAR_TRANSFER_TYPE    "transferType"
#define VAR_HANDOFF_TRIGGER  "handoffTrigger"
#define VAR_TELEPHONY_ACTION "telephonyAction"

enum status {
	STATUS_COMPLETED,
	STATUS_INITIATED,
	STATUS_FAILED,
	STATUS_EXPIRED,
	STATUS_CANCELLED,
	STATUS_DUPLICATE,
	STATUS_REJECTED,
	STATUS_COUNT
};

enum reason {
	REASON_OK,
	REASON_UNCONFIRMED,
	REASON_NOT_FOUND,
	REASON_NOT_VOICE,
	REASON_ENDED,
	REASON_AUTH_REJECTED,
	REASON_AUTH_FORBIDDEN,
	REASON_SERVER_ERROR,
	REASON_BAD_RESPONSE,
	REASON_UPSTREAM_REJECTED,
	REASON_TRANSFER_REJECTED,
	REASON_LOCKED,
	REASON_RATE_LIMITED,
	REASON_TIMEOUT,
	REASON_DEADLINE_PASSED,
	REASON_DEADLINE_UNREACHABLE,
	REASON_CANCELLED,
	REASON_ALREADY_TRANSFERRING,
	REASON_DUPLICATE,
	REASON_INVALID,
	REASON_UNKNOWN_TENANT,
	REASON_COUNT
};

/* What a retry record says of the attempts before it. Ordered: once VERIFY, always VERIFY. */
enum resume {
	RESUME_FETCH,  /* nothing was sent */
	RESUME_UPDATE, /* the trigger was surely not executed */
	RESUME_VERIFY, /* the trigger may have been executed */
	RESUME_COUNT
};

/* Budgets: what kind of failure was it? A request fails when one reaches its limit. */
enum budget { BUDGET_RATE_LIMITED, BUDGET_LOCKED, BUDGET_SERVER, BUDGET_TIMEOUT, BUDGET_COUNT };

/* The steps of an attempt, and the call that must come before any of them. */
enum stage { STAGE_LOGIN, STAGE_FETCH, STAGE_UPDATE, STAGE_TRIGGER, STAGE_COUNT };

enum priority { PRIORITY_HIGH, PRIORITY_NORMAL, PRIORITY_LOW, PRIORITY_COUNT };

/* The name as it stands in records; NULL for the COUNT ("none of them"). */
const char *status_name(enum status status);
const char *reason_name(enum reason reason);
enum status reason_status(enum reason reason);
/* Does an outcome with this reason go to the dead letters as well? */
bool reason_is_dead_letter(enum reason reason);
/* May asking again later help, when the reason was not an exhausted budget? */
bool reason_is_retryable(enum reason reason);

const char *resume_name(enum resume resume);
const char *budget_name(enum budget budget);
const char *stage_name(enum stage stage);
const char *priority_name(enum priority priority);

/* The inverse look-ups: the enum's value, or its COUNT when nothing is called so. */
enum status status_by_name(const char *name);
enum reason reason_by_name(const char *name);
enum resume resume_by_name(const char *name);
enum budget budget_by_name(const char *name);
enum priority priority_by_name(const char *name);

#endif
