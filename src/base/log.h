/*
 * log - who is told what happened?
 *
 *   any thread ── formats a line ──> ring (bounded) ──> writer thread ──> stderr
 *                                       └─ full: the line is dropped and counted, never waited for
 *
 * One line is one JSON object (or one line of text for people): time, level, subject, message. The subject says which
 * tenant, record or handoff it is about; it is never a body and never a secret. Floors below worker/ never log: they
 * return a fault, and whoever knows whether it will be tried again says it once.
 * The one mutable global of the house besides main's signal flag lives here: the ring and the level.
 */
#ifndef HANDOFF_LOG_H
#define HANDOFF_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "handoff/macros.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

enum log_format { LOG_JSON, LOG_TEXT };

/* What a line is about. Every field may be NULL (or, for partition and offset, negative): then it is left out.
 * Partition and offset are left out without a topic, too. */
struct log_subject {
	const char *tenant;
	const char *handoff_id;
	const char *topic;
	int32_t partition;
	int64_t offset;
};

#define LOG_NOBODY ((const struct log_subject *)NULL)

/* Starts the writer thread on `fd`, which stays the caller's. 0 or -errno (-EALREADY: it is open, or the last writer
 * has not ended); lines before it go to stderr directly. */
int log_open(int fd, enum log_level level, enum log_format format) MUST_CHECK;
/* Writes out what is in the ring, waiting at most a second for a slow reader, and ends the thread. (One that hangs
 * within a write() costs a second more and is left behind.) */
void log_close(void);
void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);
/* Lines lost so far: the ring was full, the reader was gone, or it was too slow at the end. */
uint64_t log_dropped(void);

void log_write(enum log_level level, const struct log_subject *subject, const char *format, ...) PRINTF_LIKE(3, 4);

/* "error", "warn", "info", "debug" and back; -EINVAL when it is none of them. */
const char *log_level_name(enum log_level level);
int log_level_by_name(const char *name, enum log_level *ret) MUST_CHECK;

#endif
