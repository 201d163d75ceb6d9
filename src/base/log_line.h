/*
 * log_line - what does one line of the log look like?
 *
 * Pure: the time is passed in, nothing is allocated. Whatever the message holds, the line is valid UTF-8, at most
 * LOG_LINE_MAX bytes, ends with its only line feed, and in LOG_JSON is one JSON object: control characters are
 * escaped (in LOG_TEXT too, for they could steer a terminal), bytes that are not UTF-8 become U+FFFD, and what is too
 * long is cut and marked with U+2026.
 */
#ifndef HANDOFF_LOG_LINE_H
#define HANDOFF_LOG_LINE_H

#include "base/log.h"
#include "handoff/span.h"

#define LOG_LINE_MAX 8192

struct log_line {
	size_t len;
	char text[LOG_LINE_MAX]; /* not NUL-terminated */
};

struct log_event {
	int64_t unix_ms;
	enum log_level level;
	const struct log_subject *subject; /* may be NULL */
	struct span message;
};

void log_line_format(struct log_line *ret, enum log_format format, const struct log_event *event);

#endif
