/*
 * meter - how many lately, second by second?
 *
 * Counts events into the last METER_SECONDS seconds, so that a page that is opened in the middle of the night shows at
 * once how it went before. `now` comes in, monotonic; a plain value, all zero at the start, nothing owned.
 */
#ifndef HANDOFF_METER_H
#define HANDOFF_METER_H

#include <stdint.h>

#include "base/clock.h"

#define METER_SECONDS 300

struct meter {
	int64_t newest; /* the second of the last event */
	uint32_t counts[METER_SECONDS];
};

void meter_count(struct meter *m, usec_t now);
/* The events of `seconds` whole seconds, the last of which ended `ago` seconds before the running one began. The
 * running second is never in it: it would look like a slump. What is older than the meter remembers counts as none. */
uint64_t meter_sum(const struct meter *m, usec_t now, int64_t ago, int64_t seconds);

#endif
