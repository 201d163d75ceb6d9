/*
 * limit - may one more call pass, and if not, when?
 *
 * A fixed number of calls in each period (a period begins with its first call), or a token bucket of the same mean
 * rate. Calls that are refused cost nothing. Pure: time is passed in.
 */
#ifndef SANDBOX_LIMIT_H
#define SANDBOX_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "sandbox/reply.h"

enum limit_kind { LIMIT_WINDOW, LIMIT_BUCKET };

struct limit {
	int64_t calls; /* per period; 0: no limit */
	usec_t period;
	enum limit_kind kind;
	int64_t burst; /* of the bucket: calls it holds when full */
	enum retry_form form;

	bool begun;
	usec_t since; /* begin of the period, or when the bucket was last filled */
	int64_t used; /* in this period */
	double tokens;
};

/* Takes a place; false, and how long to wait for the next one, when there is none. */
bool limit_take(struct limit *limit, usec_t now, usec_t *ret_wait);

#endif
