/*
 * record - one Kafka record, copied out of the client library
 *
 * One allocation holds key, value and headers (library messages pin whole fetch buffers, so they are never kept).
 * Immutable after record_new(). Key and value may be absent (p == NULL) as Kafka allows; headers keep their order and
 * may repeat; of repeated ones the last counts, as in Kafka's lastHeader().
 */
#ifndef HANDOFF_RECORD_H
#define HANDOFF_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "handoff/macros.h"
#include "handoff/span.h"

struct header {
	const char *name; /* NUL-terminated */
	struct span value;
};

struct record {
	const char *topic; /* lives as long as the door that read it */
	int32_t partition;
	int64_t offset;
	int64_t timestamp_ms; /* -1 when the record has none */
	struct span key;
	struct span value;
	struct header *headers;
	size_t header_count;
	size_t memory; /* bytes this record occupies in all */
};

/* Copies everything. NULL when out of memory. record_free() takes NULL and returns NULL. */
struct record *record_new(const struct record *from) MUST_CHECK;
struct record *record_free(struct record *record);

/* The last header of that name, or SPAN_NONE. Names compare case-sensitively, as Kafka's do. */
struct span record_header(const struct record *record, const char *name);

#endif
