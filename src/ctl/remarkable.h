/*
 * remarkable - which outcomes does a person want to see by name: the slowest, and those that failed
 *
 * The REMARKABLE_SLOWEST slowest of all, the first REMARKABLE_FAILED of those that are not good (tally.c says
 * which are); what more there are is counted. Texts are copied.
 */
#ifndef HANDOFF_REMARKABLE_H
#define HANDOFF_REMARKABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "handoff/record.h"

#define REMARKABLE_SLOWEST 5
#define REMARKABLE_FAILED  20

struct remark {
	char *handoff_id;
	char *session_id;
	char *status;
	char *reason;
	char *message; /* what stood in the way; NULL: nothing */
	int64_t total_ms;
};

struct remarkable {
	struct remark slowest[REMARKABLE_SLOWEST]; /* the slowest first */
	size_t slowest_count;
	struct remark failed[REMARKABLE_FAILED];
	size_t failed_count;
	size_t failed_more;
};

/* An outcome that is not to be had as JSON is not remarked upon. */
void remarkable_take(struct remarkable *remarkable, const struct record *outcome, bool is_good);
void remarkable_fini(struct remarkable *remarkable);

void remarkable_print(const struct remarkable *remarkable, FILE *out);
/* The same as the members "slowest", "failed" and "failedLeftOut" of an object. */
void remarkable_write(const struct remarkable *remarkable, struct buf *json);

#endif
