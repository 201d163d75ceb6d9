/* reading - what the tests of request and its neighbours share: one record is read, all that it yields is in one place
 */
#ifndef HANDOFF_TEST_READING_H
#define HANDOFF_TEST_READING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "rules/request.h"

#define NOW        INT64_C(1700000000000)
#define STAMP      INT64_C(1699999999000)
#define QUEUE      "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
#define MINIMAL    "{\"sessionId\":\"s1\",\"queueId\":\"" QUEUE "\"}"
#define WITH(more) "{\"sessionId\":\"s1\",\"queueId\":\"" QUEUE "\"," more "}"
#define TRACE      "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
#define BYTES_64   "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define BYTES_128  BYTES_64 BYTES_64
#define BYTES_256  BYTES_128 BYTES_128
#define STRUCTURED                                                                                                     \
	{                                                                                                              \
		"content-type", SPAN("application/cloudevents+json")                                                   \
	}

static const struct request_limits limits = { .max_record_bytes = 524288,
					      .max_age_ms = 900000,
					      .retry_topic = "handoff.retry" };

/* One reading with all that it yields. */
struct reading {
	struct record record;
	struct request request;
	struct history history;
	struct fault fault;
	int r;
};

static inline struct reading read_span(struct span value, struct header *headers, size_t count)
{
	struct reading in = { .record = { .topic = "handoff.requests",
					  .partition = 3,
					  .offset = 1041,
					  .timestamp_ms = STAMP,
					  .key = SPAN("s1"),
					  .value = value,
					  .headers = headers,
					  .header_count = count } };
	in.r = request_read(&in.record, &limits, NOW, &in.request, &in.history, &in.fault);
	return in;
}

static inline struct reading read_text(const char *value, struct header *headers, size_t count)
{
	return read_span(span_of(value), headers, count);
}

static inline struct reading read_bare(const char *value)
{
	return read_text(value, NULL, 0);
}

static inline void assert_span(struct span s, const char *text)
{
	if (text ? !span_is(s, text) : s.p != NULL)
		fail_msg("is \"%.*s\", not \"%s\"", SPAN_FMT(s), text ? text : "(absent)");
}

static inline void assert_text(const char *s, const char *wanted)
{
	assert_span(span_of(s), wanted);
}

static inline void assert_accepted(struct reading *in)
{
	if (in->r != 0)
		fail_msg("refused: %s", in->fault.message);
}

#endif
