/*
 * evidence - what do the topics and the group say of each source record?
 *
 * One array of ledger entries (16 bytes) for each partition of the request topics and the retry topic, indexed by
 * offset from the partition's first one on: a million requests are 16 MB, whatever became of them. Entries that no
 * record stands for are never written to, so the system gives them no memory. A record of the retry topic that is no
 * retry is a source like any other.
 */
#ifndef HANDOFF_EVIDENCE_H
#define HANDOFF_EVIDENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "doors/kafka_group.h"
#include "doors/kafka_reader.h"
#include "handoff/macros.h"
#include "handoff/record.h"
#include "rules/ledger.h"
#include "rules/offsets.h"
#include "rules/request.h"

enum evidence_kind { EVIDENCE_REQUESTS, EVIDENCE_RETRIES, EVIDENCE_OUTCOMES };

struct evidence_part {
	enum evidence_kind kind;
	const char *topic; /* borrowed */
	int32_t partition;
	int64_t start; /* offsets [start, end) */
	int64_t end;
	struct ledger_entry *entries; /* NULL: outcomes, or an empty partition */
	struct offsets *done;         /* in the group; NULL: nothing was committed */
	int64_t first_ms;             /* time of the first record read; -1: none was */
};

struct evidence {
	struct evidence_part *parts;
	size_t count;
	struct request_limits limits;
	size_t cancels;
	int64_t outcomes_from_s; /* outcomes of older records may be gone; -1: none is gone */
};

void evidence_init(struct evidence *evidence, const struct request_limits *limits);
void evidence_fini(struct evidence *evidence);

/* 0 or -ENOMEM. `topic` must live as long as the evidence. */
int evidence_add_part(struct evidence *evidence, enum evidence_kind kind, const struct kafka_reader_part *part,
		      const struct kafka_group_offset *committed) MUST_CHECK;
/* Notes what the record says, whatever was read before it. `now_ms`: when it was received. 0; -ENOMEM; -ERANGE when a
 * partition holds more retries than can be told apart. */
int evidence_take(struct evidence *evidence, const struct record *record, int64_t now_ms) MUST_CHECK;
/* Retention has removed outcomes from this partition: those of records that are no younger than what is left are
 * unknown. `now_s` is the answer where nothing is left. */
void evidence_outcomes_removed(struct evidence *evidence, const struct evidence_part *part, int64_t now_s);

/* The verdict on the record at `offset` of `part`; VERDICT_COUNT where no source record stands. */
enum verdict evidence_judge(const struct evidence *evidence, const struct evidence_part *part, int64_t offset,
			    int64_t now_s);

#endif
