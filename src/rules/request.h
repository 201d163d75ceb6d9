/*
 * request - what does this record ask for?
 *
 * Three shapes, told apart by headers: bare JSON, CloudEvents binary mode, CloudEvents structured mode; a
 * schema-registry prefix is skipped. Strict: what cannot be read is rejected with one sentence, and whatever could be
 * read all the same (ids for the outcome) is kept. Interface: README, "The records"; contract section 2.
 * Pure. Strings are owned by the request; the spans point into the record, which must live as long.
 */
#ifndef HANDOFF_REQUEST_H
#define HANDOFF_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fault.h"
#include "handoff/contract.h"
#include "handoff/macros.h"
#include "handoff/record.h"
#include "handoff/span.h"
#include "rules/history.h"
#include "rules/target.h"

#define REQUEST_SESSION_ID_MAX     256
#define REQUEST_ID_MAX             128 /* of a given handoffId or batchId */
#define REQUEST_TENANT_MAX         256
#define REQUEST_USER_ID_MAX        256 /* of a userId or urlToken */
#define REQUEST_METADATA_KEYS_MAX  64
#define REQUEST_METADATA_BYTES_MAX 16384

struct request {
	bool is_cancel;
	bool handoff_id_given; /* by the request or ce_id; of a cancel by the request alone (its ce_id names the cancel
				  itself), and one without it means the whole session */
	enum priority priority;
	enum target_type target_type;
	char *session_id; /* NULL when missing or invalid, as all strings here */
	char *queue_id;   /* as given, by queueId or by a target that is a queue */
	char *user_id;    /* of the caller, for profiles that need it */
	char *url_token;  /* of the endpoint that the caller came by, likewise */
	char *target;     /* the SIP URI or the number; NULL: the queue */
	char *handoff_id; /* given, ce_id, or TOPIC/PARTITION/OFFSET@TIMESTAMP; NULL only after -ENOMEM */
	char *tenant;     /* NULL: the only one */
	char *batch_id;
	struct span metadata; /* the JSON object's text inside the record's value; p == NULL when there is none */
	struct span traceparent;
	struct span tracestate;
};

struct request_limits {
	size_t max_record_bytes; /* of the value */
	int64_t max_age_ms;      /* the deadline when nothing names one */
	const char *retry_topic; /* the only topic whose records are believed to be retries; NULL: any */
};

/* Reads `record`, received at `now_ms`. Always fills `ret` and `history` as far as they can be (request_fini() and
 * history_fini() in any case). A fresh record gets a history of its own (origin, requested-at, deadline, attempt 1); a
 * retry or replay record the one in its headers (of a request topic's record only handoff-deadline, handoff-replay and,
 * with the latter, handoff-id are read: nobody else's origin can be claimed). 0; -EINVAL with the sentence for the
 * caller in `fault` (class PERMANENT): a `rejected` outcome; -ENOMEM. */
int request_read(const struct record *record, const struct request_limits *limits, int64_t now_ms, struct request *ret,
		 struct history *ret_history, struct fault *fault) MUST_CHECK;
void request_fini(struct request *request);

#endif
