/*
 * kafka_group - what has the group committed, and what did it write beside it?
 *
 * Joins nothing and commits nothing. Offsets that an open transaction may still change are waited for. Blocking, one
 * thread; for handoffctl.
 */
#ifndef HANDOFF_KAFKA_GROUP_H
#define HANDOFF_KAFKA_GROUP_H

#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/fault.h"
#include "doors/kafka_options.h"
#include "handoff/macros.h"
#include "handoff/span.h"

struct kafka_group;

struct kafka_group_offset {
	int64_t offset;       /* -1: nothing was committed */
	struct span metadata; /* lives as long as the answer */
};

/* Asks for every partition of the topics. Waits at most `timeout` for the brokers, and then `patience` for the offsets.
 * NULL with one sentence in `fault`. */
struct kafka_group *kafka_group_new(const struct kafka_options *options, const char *group, const char *const *topics,
				    size_t count, usec_t timeout, usec_t patience, struct fault *fault) MUST_CHECK;
struct kafka_group *kafka_group_free(struct kafka_group *group);

/* Of a partition that was not asked for: nothing was committed. */
struct kafka_group_offset kafka_group_offset(const struct kafka_group *group, const char *topic, int32_t partition);

#endif
