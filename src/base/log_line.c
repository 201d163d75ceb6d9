#include "base/log_line.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"

#define MARK_CUT     "\xe2\x80\xa6" /* U+2026 */
#define MARK_INVALID "\xef\xbf\xbd" /* U+FFFD */
#define FIELD_MAX    1024 /* bytes of tenant, handoff id or topic as written; leaves half a line to the message */
#define LONGEST_STEP 6    /* bytes that one character may become */
#define TAIL_MAX     (sizeof(MARK_CUT "\"}\n"))

static void add(struct log_line *line, const char *bytes, size_t n)
{
	memcpy(line->text + line->len, bytes, n);
	line->len += n;
}

static void add_text(struct log_line *line, const char *text)
{
	add(line, text, strlen(text));
}

static void add_number(struct log_line *line, const char *before, int64_t number)
{
	char digits[24];
	add_text(line, before);
	add(line, digits, (size_t)snprintf(digits, sizeof(digits), "%" PRId64, number));
}

/* The character that `c`, of `n` bytes, is written as when it cannot stand for itself; NULL when it can. */
static const char *escape(enum log_format format, const char *c, size_t n, char room[LONGEST_STEP + 1])
{
	const unsigned char byte = (unsigned char)c[0];
	const bool c1 = n == 2 && byte == 0xc2 && (unsigned char)c[1] < 0xa0;
	if (n == 0)
		return MARK_INVALID;
	if (byte == '\n')
		return "\\n";
	if (byte == '\t')
		return "\\t";
	if (format == LOG_JSON && byte == '"')
		return "\\\"";
	if (format == LOG_JSON && byte == '\\')
		return "\\\\";
	if (byte >= 0x20 && byte != 0x7f && !c1)
		return NULL;
	snprintf(room, LONGEST_STEP + 1, "\\u%04x", c1 ? (unsigned char)c[1] : byte);
	return room;
}

/* At most `room` bytes, and the mark when that was not enough. */
static void add_escaped(struct log_line *line, enum log_format format, struct span text, size_t room)
{
	const size_t end = line->len + room;
	while (text.n > 0) {
		char six[LONGEST_STEP + 1];
		const size_t n = text_utf8_next(text);
		const char *instead = escape(format, text.p, n, six);
		if (line->len + LONGEST_STEP > end) {
			add_text(line, MARK_CUT);
			return;
		}
		if (instead)
			add_text(line, instead);
		else
			add(line, text.p, n);
		text.p += n > 0 ? n : 1;
		text.n -= n > 0 ? n : 1;
	}
}

static void add_field(struct log_line *line, enum log_format format, const char *before, const char *value,
		      const char *after)
{
	if (!value)
		return;
	add_text(line, before);
	add_escaped(line, format, span_of(value), FIELD_MAX);
	add_text(line, after);
}

static void add_json_subject(struct log_line *line, const struct log_subject *subject)
{
	add_field(line, LOG_JSON, ",\"tenant\":\"", subject->tenant, "\"");
	add_field(line, LOG_JSON, ",\"handoffId\":\"", subject->handoff_id, "\"");
	add_field(line, LOG_JSON, ",\"topic\":\"", subject->topic, "\"");
	if (subject->topic && subject->partition >= 0)
		add_number(line, ",\"partition\":", subject->partition);
	if (subject->topic && subject->offset >= 0)
		add_number(line, ",\"offset\":", subject->offset);
}

static void add_text_subject(struct log_line *line, const struct log_subject *subject)
{
	add_field(line, LOG_TEXT, "tenant=", subject->tenant, " ");
	add_field(line, LOG_TEXT, "handoff=", subject->handoff_id, " ");
	if (!subject->topic)
		return;
	add_field(line, LOG_TEXT, "record=", subject->topic, "");
	if (subject->partition >= 0)
		add_number(line, "/", subject->partition);
	if (subject->offset >= 0)
		add_number(line, "/", subject->offset);
	add_text(line, " ");
}

static void add_message(struct log_line *line, enum log_format format, struct span message)
{
	add_escaped(line, format, message, LOG_LINE_MAX - TAIL_MAX - line->len);
}

void log_line_format(struct log_line *ret, enum log_format format, const struct log_event *event)
{
	static const struct log_subject nobody = { .partition = -1, .offset = -1 };
	const struct log_subject *subject = event->subject ? event->subject : &nobody;
	char time[25];
	text_rfc3339(time, event->unix_ms);
	ret->len = 0;
	if (format == LOG_JSON) {
		add_field(ret, LOG_JSON, "{\"time\":\"", time, "\"");
		add_field(ret, LOG_JSON, ",\"level\":\"", log_level_name(event->level), "\"");
		add_json_subject(ret, subject);
		add_text(ret, ",\"message\":\"");
		add_message(ret, LOG_JSON, event->message);
		add_text(ret, "\"}\n");
	} else {
		char level[8];
		snprintf(level, sizeof(level), " %-5s ", log_level_name(event->level));
		add_text(ret, time);
		add_text(ret, level);
		add_text_subject(ret, subject);
		add_message(ret, LOG_TEXT, event->message);
		add_text(ret, "\n");
	}
}
