/*
 * concurrency - how many calls of a tenant may be open at once?
 *
 *   begins at CONCURRENCY_FIRST; grows by half with every window of successes until the first overload, from then on by
 *   one a window. An overload (503, a time-out, a broken connection) takes a quarter away, once for all the calls that
 *   were open when it came. Between 1 and the configured most.
 *
 * A success counts only of a call that was open while the limit was reached: idle tenants learn nothing. 429 is the
 * gate's, 401 and 403 are the token's: neither is fed here. Pure, plain values, nothing owned.
 */
#ifndef HANDOFF_CONCURRENCY_H
#define HANDOFF_CONCURRENCY_H

#include <stdbool.h>
#include <stdint.h>

#define CONCURRENCY_FIRST 8

struct concurrency {
	double limit;
	int64_t most;
	int64_t counted;  /* successes to come that count: of the calls open when the limit was reached last */
	bool fixed;       /* the limit is the most, whatever happens */
	bool overloaded;  /* ever: the first, fast growth is over */
	int64_t draining; /* ends of calls that were open at the last overload: they are the same overload */
};

void concurrency_init(struct concurrency *c, int64_t most, bool fixed);
/* Calls that may be open, at least 1. */
int64_t concurrency_limit(const struct concurrency *c);
/* A call was sent; `open`: how many are open with it. */
void concurrency_started(struct concurrency *c, int64_t open);
void concurrency_succeeded(struct concurrency *c);
/* `open`: how many calls are open still. */
void concurrency_overloaded(struct concurrency *c, int64_t open);
/* It ended in a way that says nothing of the tenant's load. */
void concurrency_ended(struct concurrency *c);

#endif
