/*
 * done - is this record done in the group?
 *
 * The committed offset and the done map beside it, as a worker reads them after an assignment.
 */
#ifndef HANDOFF_DONE_H
#define HANDOFF_DONE_H

#include <stdint.h>

#include "doors/kafka_group.h"
#include "handoff/macros.h"
#include "rules/offsets.h"

/* What the group has done of a partition; NULL where nothing was committed. 0 or -ENOMEM. */
int done_read(const struct kafka_group_offset *committed, const char *topic, int32_t partition,
	      struct offsets **ret) MUST_CHECK;

#endif
