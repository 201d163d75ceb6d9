/*
 * outcome - the one record that says what became of a request, and its companion among the dead letters
 *
 * CloudEvents in binary mode; body and headers exactly as the contract's section 2 spells them ("Outcome", "Dead
 * letter"). Pure: everything, the time and the event's id included, comes in.
 */
#ifndef HANDOFF_OUTCOME_H
#define HANDOFF_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "handoff/contract.h"
#include "handoff/macros.h"
#include "handoff/record.h"
#include "handoff/span.h"
#include "rules/history.h"
#include "rules/request.h"

#define OUTCOME_BODY_MAX    8192 /* bytes of a connector's error body kept */
#define OUTCOME_CODE_MAX    63   /* bytes of its code, and of its message or ours */
#define OUTCOME_MESSAGE_MAX 255
#define OUTCOME_NUMBER_MAX  64

/* What a flow reply said of the transfer; texts are copies, NULL when absent upstream. Written cut to HISTORY_ID_MAX.
 */
struct transfer {
	char *flow_execution_id;
	char *flow_status;
	char *action;
	char *media_stream_status;
	char *agent_wait_time; /* the JSON number's text; longer than OUTCOME_NUMBER_MAX: written as null */
};
void transfer_fini(struct transfer *transfer);

/* What stood in the way; owns its texts. */
struct outcome_error {
	bool present;
	enum stage stage; /* STAGE_COUNT: no call was made (null in the record) */
	int http_status;  /* 0: null */
	char *code;       /* NULL: null */
	char *message;    /* likewise; in want of memory, too */
	char *body;       /* already redacted and cut to OUTCOME_BODY_MAX; NULL: null */
	bool body_truncated;
};
void outcome_error_fini(struct outcome_error *error);

struct outcome {
	enum status status;
	enum reason reason;
	bool retryable;
	bool cancel_requested;             /* adds "cancelRequested":true */
	const struct transfer *transfer;   /* NULL: all its fields are null */
	const struct outcome_error *error; /* NULL or not present: null */
	int64_t finished_at_ms;
	int64_t stage_ms[STAGE_COUNT]; /* durations of the last attempt's calls; negative: not made (null) */
	const char *default_tenant;    /* written when the request names none */
	const char *source;            /* ce_source: "/handoffd/<group>/<instance>" */
	const char *instance;
	const char *version;
	const char *event_id; /* ce_id */
};

/* How many attempts were begun: history->attempt, less one when none of its calls was made. */
int32_t outcome_attempts(const struct history *history, const struct outcome *outcome);

/* Key: the session id, else the original key. NULL when out of memory. */
struct record *outcome_record(const char *topic, const struct record *original, const struct request *request,
			      const struct history *history, const struct outcome *outcome) MUST_CHECK;

/* The original's bytes and headers (none of a retry's), plus the error headers, each of them once. */
struct record *dead_letter_record(const char *topic, const struct record *original, const struct request *request,
				  const struct history *history, const struct outcome *outcome) MUST_CHECK;
/* Is it one of the headers that a dead letter adds? */
bool dead_letter_owns_header(const char *name);

/* The record without its value, and with handoff-truncated = the value's size: what is sent when the whole is over the
 * topic's limit. So that it surely fits, header values over 1 KiB are cut, a key over 1 KiB is left out, and so are
 * foreign headers (the last first) as far as names and values together are over 64 KiB. */
struct record *record_truncated(const struct record *record) MUST_CHECK;

#endif
