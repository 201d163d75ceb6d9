#include "base/clock.h"

#include <time.h>

static int64_t read_usec(clockid_t which)
{
	struct timespec t;
	clock_gettime(which, &t); /* cannot fail for these two clocks */
	return (int64_t)t.tv_sec * USEC_PER_SEC + t.tv_nsec / 1000;
}

struct instant clock_read(void)
{
	return (struct instant){ .mono = read_usec(CLOCK_MONOTONIC),
				 .unix_ms = read_usec(CLOCK_REALTIME) / USEC_PER_MSEC };
}

usec_t clock_mono_at(const struct instant *now, int64_t unix_ms)
{
	int64_t wait;
	usec_t at;
	if (unix_ms <= now->unix_ms)
		return now->mono;
	/* `unix_ms` was cut down to whole milliseconds, so the wait is up to one too long, never too short. */
	if (__builtin_sub_overflow(unix_ms, now->unix_ms, &wait) ||
	    __builtin_mul_overflow(wait, USEC_PER_MSEC, &wait) || __builtin_add_overflow(now->mono, wait, &at))
		return USEC_NEVER;
	return at;
}

int64_t clock_unix_at(const struct instant *now, usec_t mono)
{
	if (mono == USEC_NEVER)
		return UNIX_MS_NEVER;
	const usec_t wait = mono - now->mono;
	/* One more, for the part of a millisecond that was cut off `now`: never earlier than asked. */
	const int64_t wait_ms = wait > 0 ? (wait - 1) / USEC_PER_MSEC + 2 : wait / USEC_PER_MSEC;
	int64_t at;
	return __builtin_add_overflow(now->unix_ms, wait_ms, &at) ? UNIX_MS_NEVER : at;
}
