/*
 * kafka_reader - read whole topics without a group, as tools do
 *
 * Assigns every partition of the topics itself, reads with read_committed, commits nothing, joins nothing.
 * Blocking, one thread; for handoffctl.
 */
#ifndef HANDOFF_KAFKA_READER_H
#define HANDOFF_KAFKA_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/fault.h"
#include "doors/kafka_options.h"
#include "handoff/macros.h"
#include "handoff/record.h"

struct kafka_reader;

enum kafka_reader_start {
	KAFKA_READER_EARLIEST,
	KAFKA_READER_LATEST /* what is written after kafka_reader_new() returned is read, all of it */
};

/* Waits at most `timeout` for the brokers and the topics. NULL with one sentence in `fault`. */
struct kafka_reader *kafka_reader_new(const struct kafka_options *options, const char *const *topics, size_t count,
				      enum kafka_reader_start start, usec_t timeout, struct fault *fault) MUST_CHECK;
struct kafka_reader *kafka_reader_free(struct kafka_reader *reader);

/* 1 and a record of the caller's; 0 after `timeout` without one; -EPIPE with `fault` when reading cannot go on. */
int kafka_reader_next(struct kafka_reader *reader, usec_t timeout, struct record **ret, struct fault *fault) MUST_CHECK;
/* Has every partition been read to the end it had when the reader was made? */
bool kafka_reader_caught_up(const struct kafka_reader *reader);

#endif
