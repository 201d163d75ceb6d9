/*
 * sent_record - the records that clients and operators send to the topic of the requests
 *
 * A request, a cancel and a replay, each built here and nowhere else; what the worker writes itself is in history.h
 * (retries) and outcome.h (outcomes, dead letters). Keyed by session, so that the session's worker reads them: the
 * partition is the producer's choice by that key, or the one that the caller names. Pure. The records are the caller's;
 * NULL is out of memory.
 */
#ifndef HANDOFF_SENT_RECORD_H
#define HANDOFF_SENT_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "handoff/macros.h"
#include "handoff/record.h"
#include "handoff/span.h"
#include "rules/history.h"

/* `value` is the request's JSON as it is sent. */
struct record *sent_request(const char *topic, const char *session_id, struct span value) MUST_CHECK;

/* The caller hung up. Without a `handoff_id` every handoff of the session is meant; `tenant` and `handoff_id` may be
 * NULL; `partition` < 0: by the key. */
struct record *sent_cancel(const char *topic, int32_t partition, const char *session_id, const char *handoff_id,
			   const char *tenant) MUST_CHECK;

/* How often a record was replayed: its handoff-replay; 0 without one, -1 when it cannot be read. */
int32_t sent_replay_of(const struct record *record);

/* A dead letter as a request once more: its key, value and own headers, the id that it was handled under, one more in
 * handoff-replay, a deadline of its own; nothing that a retry or the dead letter had added. It goes where it came from:
 * to the partition number of its first record (-1 when the letter does not say). */
struct record *sent_replay(const struct record *letter, const char *topic, int64_t deadline_ms) MUST_CHECK;

#endif
