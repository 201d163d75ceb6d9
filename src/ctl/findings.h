/*
 * findings - how many records are there of each verdict, and which of them break a promise?
 *
 * The first FINDINGS_NAMED of the broken ones are kept by their places, the rest are counted.
 */
#ifndef HANDOFF_FINDINGS_H
#define HANDOFF_FINDINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "rules/ledger.h"

#define FINDINGS_NAMED 100

struct finding {
	enum verdict verdict;
	const char *topic; /* borrowed */
	int32_t partition;
	int64_t offset;
	char *handoff_id; /* NULL: not known */
};

struct findings {
	size_t counts[VERDICT_COUNT];
	struct finding named[FINDINGS_NAMED];
	size_t named_count;
};

void findings_fini(struct findings *findings);
/* Counts it; one that breaks a promise is kept if there is room. */
void findings_add(struct findings *findings, enum verdict verdict, const char *topic, int32_t partition,
		  int64_t offset);
size_t findings_total(const struct findings *findings);
/* How many break a promise. */
size_t findings_broken(const struct findings *findings);

/* A line for each verdict, then one for each record named. */
void findings_print(const struct findings *findings, bool colour, FILE *out);
/* How many there are of each verdict, in one line. */
void findings_print_line(const struct findings *findings, FILE *out);
/* The same as the members "records", "counts", "findings" and "leftOut" of an object. */
void findings_write(const struct findings *findings, struct buf *json);

#endif
