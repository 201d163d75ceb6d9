/*
 * reply - what one call is answered with, until it is sent
 *
 * Status, a JSON body and at most a few header lines. Embedded; reply_fini() frees, reply_reset() keeps the memory.
 */
#ifndef SANDBOX_REPLY_H
#define SANDBOX_REPLY_H

#include "base/buf.h"
#include "base/clock.h"

enum { REPLY_HEADERS_MAX = 8 };

/* In which form a client is told to wait. */
enum retry_form { RETRY_SECONDS, RETRY_DATE, RETRY_NONE };

struct reply {
	int status;
	const char *content_type; /* NULL: JSON; lives elsewhere */
	struct buf body;
	const char *headers[REPLY_HEADERS_MAX + 2]; /* lines of a rule, or the two below */
	size_t header_count;
	char retry_after[64];
	char date[64];
	uint64_t trace;      /* number of its traceId; 0: it has none */
	usec_t closed_until; /* monotonic: what Retry-After promised; 0 when it did not */
};

void reply_init(struct reply *reply);
void reply_fini(struct reply *reply);
void reply_reset(struct reply *reply);

/* An error as the vendor writes them (RFC 7807): nothing was executed. `detail` may be NULL. */
void reply_problem(struct reply *reply, int status, const char *code, const char *detail);
/* Tells the client to wait, rounded up to whole seconds; as a date by a wall clock that is `skew` ahead of ours. */
void reply_retry_after(struct reply *reply, enum retry_form form, usec_t wait, const struct instant *now, usec_t skew);
/* Dates the reply by a wall clock that is `skew` ahead of ours. */
void reply_date(struct reply *reply, const struct instant *now, usec_t skew);

#endif
