/*
 * retry_after - how long does the server ask us to wait?
 *
 * Seconds or any of the three HTTP-date forms (RFC 9110, 10.2.3 and 5.6.7). A date is corrected by the reply's own
 * Date header, so that a skewed clock on either side costs nothing. Pure; libcurl's own parser is not enough
 * (libcurl reference, 3.5).
 */
#ifndef HANDOFF_RETRY_AFTER_H
#define HANDOFF_RETRY_AFTER_H

#include <stdbool.h>
#include <stdint.h>

#include "handoff/macros.h"
#include "handoff/span.h"

#define RETRY_AFTER_MAX_MS INT64_C(86400000) /* a day; more is as good as never, and must not overflow */

/* Milliseconds to wait, 0..RETRY_AFTER_MAX_MS, or -1 when the header is absent or unusable (garbage, negative, a
 * date that has passed: whoever asks to wait until yesterday must be backed off from, not hammered).
 * `date` is the reply's Date header (p == NULL: the local clock `now_ms` counts). */
int64_t retry_after_ms(struct span retry_after, struct span date, int64_t now_ms);

/* An HTTP-date in any of its three forms. 0 or -EINVAL. Two-digit years: RFC 9110, 5.6.7. */
int http_date_read(struct span text, int64_t now_ms, int64_t *ret_unix_ms) MUST_CHECK;

/* By how much a clock that shows this date now is ahead of ours (below 0: behind), to about a second. False: the date
 * is absent or none. */
bool http_date_ahead(struct span date, int64_t now_ms, int64_t *ret_ms);

/* Exponential back-off: base, 2 base, 4 base ... up to `max`, each plus up to a quarter of jitter taken from `random`.
 * `failures` counts from 1. Never below the undithered delay. */
int64_t back_off_ms(int64_t base_ms, int64_t max_ms, int32_t failures, uint64_t random);

#endif
