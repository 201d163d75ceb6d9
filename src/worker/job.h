/*
 * job - one record's handoff inside this worker
 *
 * Owns the record, the request read from it and the state machine; knows which list holds it. A job is in exactly one
 * place at any moment (promise 1); what it leaves behind is an effect in the outlet, and then it is freed.
 * One thread, the loop's.
 */
#ifndef HANDOFF_JOB_H
#define HANDOFF_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/heap.h"
#include "base/log.h"
#include "handoff/record.h"
#include "rules/handoff.h"
#include "rules/line.h"
#include "rules/parking.h"
#include "rules/request.h"
#include "rules/roster.h"

struct partition;
struct tenant;
struct http_call;

enum job_place {
	JOB_NOWHERE,    /* being read or being ended */
	JOB_WAITING,    /* in its tenant's roster */
	JOB_PARKED,     /* in its partition's parking, until due */
	JOB_RUNNING,    /* a call is open; its session is locked */
	JOB_IN_LINE,    /* its next call waits for room in its tenant's line; its session is locked */
	JOB_LISTENING,  /* a cancel on its way to the retry topic: its record is written, it is not read back yet */
	JOB_WITNESSING, /* a cancel that an open call was told of; done when that has ended */
	JOB_HELD        /* before its trigger, because the tenant cannot be called now; its session is locked */
};

struct job {
	struct record *record;
	struct request request;
	struct handoff handoff;
	struct tenant *tenant;
	struct worker *worker;
	/* NULL once the partition has left: what still runs may publish nothing and mark nothing (promise 5). */
	struct partition *partition;
	struct job *next; /* of the partition's list */
	struct job *prev;
	struct job *next_unreported;
	enum job_place place;
	bool is_written; /* a cancel whose record stands in the retry topic: what is left is a memory of it */
	struct roster_entry turn;
	struct parked parked;
	struct heap_link held; /* by deadline */
	struct line_entry line;
	usec_t due; /* of a parked one */

	struct http_call *call;
	enum stage calling; /* of the open call, or of the one that waits in line */
	usec_t called_at;
	int64_t call_ends_at_ms;
	uint64_t token_serial;
	struct buf body; /* of the open call */
};

/* Takes over `record`. NULL when out of memory (the record is freed then). */
struct job *job_new(struct record *record) MUST_CHECK;
/* The job must be in no list; no call may be open. */
struct job *job_free(struct job *job);
size_t job_memory(const struct job *job);

/* What log lines about this job say it is about; valid as long as the job. */
struct log_subject job_subject(const struct job *job);

#endif
