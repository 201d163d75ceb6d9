/*
 * parking - records of one retry partition that wait for their due time
 *
 * "Pop if due, else tell me how long." Two orders over the same records: earliest due (what runs next) and furthest due
 * (what is spilled first when the window is full). Intrusive: the link lives in the owner's struct. Pure.
 */
#ifndef HANDOFF_PARKING_H
#define HANDOFF_PARKING_H

#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/heap.h"
#include "handoff/macros.h"

/* All zero before the first parking_add(). */
struct parked {
	struct heap_link soonest;
	struct heap_link furthest;
};

struct parking {
	struct heap soonest;
	struct heap furthest;
	uint64_t arrivals;
};

void parking_init(struct parking *p);
void parking_fini(struct parking *p);
size_t parking_count(const struct parking *p);
/* 0 or -ENOMEM with nothing changed. Equal due times leave in the order they came. */
int parking_add(struct parking *p, struct parked *item, usec_t due) MUST_CHECK;
/* Nothing happens if it is not parked. */
void parking_remove(struct parking *p, struct parked *item);
/* Takes out the earliest if it is due at `now`; NULL otherwise. */
struct parked *parking_take_due(struct parking *p, usec_t now);
/* When the earliest is due; USEC_NEVER when there is none. */
usec_t parking_next_due(const struct parking *p);
/* The one due last, of equals the one that came last; stays in. NULL when there is none. */
struct parked *parking_furthest(const struct parking *p);

#endif
