#include "json/write.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "json/escape.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* Bytes that stand for themselves in a string, at the start of `s`. */
static size_t plain_run(struct span s)
{
	for (size_t n = 0;;) {
		n += escape_free_run((struct span){ s.p + n, s.n - n });
		if (n == s.n || (unsigned char)s.p[n] < 0x80)
			return n;
		const size_t step = text_utf8_next((struct span){ s.p + n, s.n - n });
		if (step == 0)
			return n;
		n += step;
	}
}

/* A byte that does not stand for itself. */
static void write_escaped(struct buf *out, char c)
{
	static const char raw[] = "\"\\\b\f\n\r\t";
	static const char named[] = "\"\\bfnrt";
	const char *found = memchr(raw, c, sizeof(raw) - 1);
	if (found)
		buf_add(out, (const char[]){ '\\', named[found - raw] }, 2);
	else if ((unsigned char)c < 0x20)
		buf_add_format(out, "\\u%04x", (unsigned)c);
	else
		buf_add_text(out, REPLACEMENT);
}

void write_quoted(struct buf *out, struct span text)
{
	buf_add_char(out, '"');
	while (text.n > 0) {
		size_t n = plain_run(text);
		if (n > 0) {
			buf_add(out, text.p, n);
		} else {
			write_escaped(out, text.p[0]);
			n = 1;
		}
		text = (struct span){ text.p + n, text.n - n };
	}
	buf_add_char(out, '"');
}

/* The comma and the key that come before a value. What was written last tells whether a comma is due. */
static void begin_value(struct buf *out, const char *key)
{
	const char last = out->len > 0 ? out->data[out->len - 1] : '\n';
	if (last != '\n' && last != '{' && last != '[' && last != ':' && last != ',')
		buf_add_char(out, ',');
	if (!key)
		return;
	buf_add_char(out, '"');
	buf_add_text(out, key);
	buf_add(out, "\":", 2);
}

void write_object_begin(struct buf *out, const char *key)
{
	begin_value(out, key);
	buf_add_char(out, '{');
}

void write_object_end(struct buf *out)
{
	buf_add_char(out, '}');
}

void write_array_begin(struct buf *out, const char *key)
{
	begin_value(out, key);
	buf_add_char(out, '[');
}

void write_array_end(struct buf *out)
{
	buf_add_char(out, ']');
}

void write_string(struct buf *out, const char *key, struct span value)
{
	begin_value(out, key);
	if (value.p)
		write_quoted(out, value);
	else
		buf_add_text(out, "null");
}

void write_text(struct buf *out, const char *key, const char *value)
{
	write_string(out, key, span_of(value));
}

void write_int(struct buf *out, const char *key, int64_t value)
{
	begin_value(out, key);
	buf_add_int(out, value);
}

/* printf() writes the decimal point of the locale, JSON has one of its own. */
static void make_point(char *digits)
{
	char *point = digits + strspn(digits, "0123456789-");
	const size_t n = strcspn(point, "0123456789e");
	if (n == 0)
		return;
	*point = '.';
	memmove(point + 1, point + n, strlen(point + n) + 1);
}

void write_double(struct buf *out, const char *key, double value)
{
	char digits[64];
	if (!isfinite(value)) {
		write_null(out, key);
		return;
	}
	/* What 15 digits can say at all they say in the shortest way; only subnormal numbers carry fewer. */
	int precision = fabs(value) < DBL_MIN ? 1 : DBL_DIG;
	do {
		snprintf(digits, sizeof(digits), "%.*g", precision, value);
	} while (precision++ < DBL_DECIMAL_DIG &&
		 memcmp(&(double){ strtod(digits, NULL) }, &value, sizeof(value)) != 0);
	make_point(digits);
	begin_value(out, key);
	buf_add_text(out, digits);
}

void write_bool(struct buf *out, const char *key, bool value)
{
	begin_value(out, key);
	buf_add_text(out, value ? "true" : "false");
}

void write_null(struct buf *out, const char *key)
{
	begin_value(out, key);
	buf_add_text(out, "null");
}

void write_raw(struct buf *out, const char *key, struct span json)
{
	/* White space at the end would hide from the next value that this one was there. */
	while (json.n > 0 && memchr(" \t\r\n", json.p[json.n - 1], 4))
		json.n--;
	if (!json.p)
		json = SPAN("null");
	begin_value(out, key);
	buf_add_span(out, json);
}
