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
	KAFKA_READER_LATEST, /* what is written after kafka_reader_new() returned is read, all of it */
	/* From the earliest on, and the ends include what open transactions have written: to catch up is to have waited
	 * for the end of every transaction that was under way. */
	KAFKA_READER_WRITTEN
};

struct kafka_reader_part {
	const char *topic; /* lives as long as the reader */
	int32_t partition;
	int64_t start; /* the first offset there was when the reader was made, or the end */
	int64_t end;   /* one past the last there was then */
	int64_t at;    /* how far between them it has been read */
};

/* Waits at most `timeout` for the brokers and the topics. NULL with one sentence in `fault`. */
struct kafka_reader *kafka_reader_new(const struct kafka_options *options, const char *const *topics, size_t count,
				      enum kafka_reader_start start, usec_t timeout, struct fault *fault) MUST_CHECK;
/* From the first record on that is no older than `since_ms` (Unix). */
struct kafka_reader *kafka_reader_new_since(const struct kafka_options *options, const char *const *topics,
					    size_t count, int64_t since_ms, usec_t timeout,
					    struct fault *fault) MUST_CHECK;
struct kafka_reader *kafka_reader_free(struct kafka_reader *reader);

/* 1 and a record of the caller's; 0 after `timeout` without one; -EPIPE with `fault` when reading cannot go on. */
int kafka_reader_next(struct kafka_reader *reader, usec_t timeout, struct record **ret, struct fault *fault) MUST_CHECK;
/* Has every partition been read to the end it had when the reader was made? */
bool kafka_reader_caught_up(const struct kafka_reader *reader);

/* The partitions by index from 0 on; false beyond the last. */
bool kafka_reader_part(const struct kafka_reader *reader, size_t index, struct kafka_reader_part *ret);
/* The first offset that the partition holds now: retention may have moved it. 0 or -EPIPE with `fault`. */
int kafka_reader_low(struct kafka_reader *reader, size_t index, usec_t timeout, int64_t *ret,
		     struct fault *fault) MUST_CHECK;
/* One record by its place, or NULL when it is not to be had within `timeout`. Ends the reading of its partition: for
 * when all has been read. The record is the caller's. */
struct record *kafka_reader_get(struct kafka_reader *reader, const char *topic, int32_t partition, int64_t offset,
				usec_t timeout) MUST_CHECK;

#endif
