/*
 * clock - what time is it, on both clocks, in one read?
 *
 * Monotonic microseconds are for waiting; Unix milliseconds are for records and HTTP dates only.
 * A loop turn reads the clock once and passes the instant on, so rules are arithmetic and their tests never sleep.
 */
#ifndef HANDOFF_CLOCK_H
#define HANDOFF_CLOCK_H

#include <stdint.h>

typedef int64_t usec_t; /* microseconds: monotonic when a point in time, else a duration */

#define USEC_PER_MSEC ((usec_t)1000)
#define USEC_PER_SEC  ((usec_t)1000000)
#define USEC_NEVER    INT64_MAX
#define UNIX_MS_NEVER INT64_MAX

/* One reading of both clocks. */
struct instant {
	usec_t mono;
	int64_t unix_ms;
};

struct instant clock_read(void);

/* The monotonic time at which the wall clock will show `unix_ms`, if nobody sets it meanwhile.
 * Saturates: UNIX_MS_NEVER stays USEC_NEVER, the distant past becomes `now`. Never earlier than asked. */
usec_t clock_mono_at(const struct instant *now, int64_t unix_ms);

/* The Unix time, rounded up to a millisecond, at which the monotonic clock will show `mono`. Saturates. */
int64_t clock_unix_at(const struct instant *now, usec_t mono);

#endif
