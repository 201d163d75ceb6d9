#include "sandbox/reply.h"

#include <stdio.h>
#include <time.h>

#include "sandbox/raw.h"

enum { BODY_LIMIT = 4 * 1024 * 1024 };

void reply_init(struct reply *reply)
{
	*reply = (struct reply){ .status = 0 };
	buf_init(&reply->body, BODY_LIMIT);
}

void reply_fini(struct reply *reply)
{
	buf_fini(&reply->body);
}

void reply_reset(struct reply *reply)
{
	buf_reset(&reply->body);
	reply->status = 0;
	reply->content_type = NULL;
	reply->header_count = 0;
	reply->closed_until = 0;
	reply->trace = 0;
}

void reply_problem(struct reply *reply, int status, const char *code, const char *detail)
{
	reply->status = status;
	buf_reset(&reply->body);
	buf_add_format(&reply->body, "{\"status\":%d,\"code\":\"%s\",\"detail\":", status, code);
	raw_add_string(&reply->body, span_of(detail ? detail : code));
	if (reply->trace > 0)
		buf_add_format(&reply->body, ",\"title\":\"%s\",\"traceId\":\"sbx-trace-%llu\"", code,
			       (unsigned long long)reply->trace);
	buf_add_char(&reply->body, '}');
}

/* "Name: Tue, 24 Nov 2026 10:00:00 GMT" (RFC 9110); the C locale is never changed here. */
static void add_date_header(struct reply *reply, char *line, size_t size, const char *name, time_t when)
{
	struct tm utc;
	char text[40];
	gmtime_r(&when, &utc);
	strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &utc);
	snprintf(line, size, "%s: %s", name, text);
	reply->headers[reply->header_count++] = line;
}

static time_t wall_seconds(const struct instant *now, usec_t skew)
{
	return (time_t)((now->unix_ms + skew / USEC_PER_MSEC) / 1000);
}

void reply_date(struct reply *reply, const struct instant *now, usec_t skew)
{
	add_date_header(reply, reply->date, sizeof(reply->date), "Date", wall_seconds(now, skew));
}

void reply_retry_after(struct reply *reply, enum retry_form form, usec_t wait, const struct instant *now, usec_t skew)
{
	if (form == RETRY_NONE)
		return;
	const int64_t seconds = (wait + USEC_PER_SEC - 1) / USEC_PER_SEC;
	if (form == RETRY_SECONDS) {
		snprintf(reply->retry_after, sizeof(reply->retry_after), "Retry-After: %lld", (long long)seconds);
		reply->headers[reply->header_count++] = reply->retry_after;
		reply->closed_until = now->mono + seconds * USEC_PER_SEC;
		return;
	}
	/* A date has whole seconds and the present one has begun: one more, or it would come too early. What is
	 * promised is the date itself, which is up to a second nearer than its distance from the Date header. */
	const time_t date = wall_seconds(now, skew) + (time_t)seconds + 1;
	add_date_header(reply, reply->retry_after, sizeof(reply->retry_after), "Retry-After", date);
	reply->closed_until = now->mono + ((int64_t)date * 1000 - now->unix_ms - skew / USEC_PER_MSEC) * USEC_PER_MSEC;
}
