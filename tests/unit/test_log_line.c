#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/log_line.h"
#include "base/text.h"
#include "json/scan.h"

#define TIME "2026-11-24T10:00:00.123Z"

static const int64_t unix_ms = 1795514400123;

static struct span format_line(struct log_line *line, enum log_format format, enum log_level level,
			       const struct log_subject *subject, struct span message)
{
	const struct log_event event = { unix_ms, level, subject, message };
	log_line_format(line, format, &event);
	assert_true(line->len <= LOG_LINE_MAX);
	const struct span all = { line->text, line->len };
	assert_true(text_is_utf8(all));
	assert_ptr_equal(memchr(line->text, '\n', line->len), line->text + line->len - 1);
	if (format == LOG_JSON) {
		struct scan_value value;
		assert_int_equal(scan_check(all, &value, NULL), 0);
		assert_int_equal(value.type, SCAN_OBJECT);
	}
	return (struct span){ line->text, line->len - 1 };
}

static void names_the_subject(void **state)
{
	static const struct {
		struct log_subject subject;
		const char *json, *text;
	} cases[] = {
		{ { NULL, NULL, NULL, -1, -1 }, "", "" },
		{ { NULL, NULL, NULL, 0, 0 }, "", "" },
		{ { "acme", NULL, NULL, 0, 0 }, ",\"tenant\":\"acme\"", "tenant=acme " },
		{ { "acme", "h-1", NULL, -1, -1 },
		  ",\"tenant\":\"acme\",\"handoffId\":\"h-1\"",
		  "tenant=acme handoff=h-1 " },
		{ { NULL, NULL, "handoff.requests", 3, 1041 },
		  ",\"topic\":\"handoff.requests\",\"partition\":3,\"offset\":1041",
		  "record=handoff.requests/3/1041 " },
		{ { NULL, NULL, "t", 0, 0 }, ",\"topic\":\"t\",\"partition\":0,\"offset\":0", "record=t/0/0 " },
		{ { NULL, NULL, "t", 0, -1 }, ",\"topic\":\"t\",\"partition\":0", "record=t/0 " },
		{ { NULL, NULL, "t", -1, -1 }, ",\"topic\":\"t\"", "record=t " },
		{ { NULL, NULL, "t", INT32_MAX, INT64_MAX },
		  ",\"topic\":\"t\",\"partition\":2147483647,\"offset\":9223372036854775807",
		  "record=t/2147483647/9223372036854775807 " },
		{ { "a\"\\\n", NULL, NULL, -1, -1 }, ",\"tenant\":\"a\\\"\\\\\\n\"", "tenant=a\"\\\\n " },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct log_line line;
		char wanted[512];
		snprintf(wanted, sizeof(wanted), "{\"time\":\"" TIME "\",\"level\":\"warn\"%s,\"message\":\"m\"}",
			 cases[i].json);
		assert_true(span_is(format_line(&line, LOG_JSON, LOG_WARN, &cases[i].subject, SPAN("m")), wanted));
		snprintf(wanted, sizeof(wanted), TIME " warn  %sm", cases[i].text);
		assert_true(span_is(format_line(&line, LOG_TEXT, LOG_WARN, &cases[i].subject, SPAN("m")), wanted));
	}
}

static void takes_no_subject(void **state)
{
	struct log_line line;
	(void)state;
	assert_true(span_is(format_line(&line, LOG_JSON, LOG_ERROR, LOG_NOBODY, SPAN("")),
			    "{\"time\":\"" TIME "\",\"level\":\"error\",\"message\":\"\"}"));
	assert_true(span_is(format_line(&line, LOG_TEXT, LOG_DEBUG, LOG_NOBODY, SPAN("x")), TIME " debug x"));
}

static void escapes_the_message(void **state)
{
	const struct {
		struct span message;
		const char *json, *text;
	} cases[] = {
		{ SPAN("say \"hi\" \\ /"), "say \\\"hi\\\" \\\\ /", "say \"hi\" \\ /" },
		{ SPAN("a\nb\tc\rd"), "a\\nb\\tc\\u000dd", "a\\nb\\tc\\u000dd" },
		{ SPAN("\x1b[31m\x7f"), "\\u001b[31m\\u007f", "\\u001b[31m\\u007f" },
		{ SPAN("nul\0nul"), "nul\\u0000nul", "nul\\u0000nul" },
		{ SPAN("\xc2\x9b\xc2\xa0"), "\\u009b\xc2\xa0", "\\u009b\xc2\xa0" },
		{ SPAN("\xc3\xa9\xf0\x9f\x98\x80"), "\xc3\xa9\xf0\x9f\x98\x80", "\xc3\xa9\xf0\x9f\x98\x80" },
		{ SPAN("\xff\xc3"), "\xef\xbf\xbd\xef\xbf\xbd", "\xef\xbf\xbd\xef\xbf\xbd" },
		{ SPAN("\xed\xa0\x80|"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd|",
		  "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd|" },
		{ SPAN("\xc3\"\xc3\\"), "\xef\xbf\xbd\\\"\xef\xbf\xbd\\\\", "\xef\xbf\xbd\"\xef\xbf\xbd\\" },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct log_line line;
		char wanted[512];
		snprintf(wanted, sizeof(wanted), "{\"time\":\"" TIME "\",\"level\":\"info\",\"message\":\"%s\"}",
			 cases[i].json);
		assert_true(span_is(format_line(&line, LOG_JSON, LOG_INFO, LOG_NOBODY, cases[i].message), wanted));
		snprintf(wanted, sizeof(wanted), TIME " info  %s", cases[i].text);
		assert_true(span_is(format_line(&line, LOG_TEXT, LOG_INFO, LOG_NOBODY, cases[i].message), wanted));
	}
}

static void any_two_bytes_make_a_line(void **state)
{
	(void)state;
	for (unsigned first = 0; first < 256; first++)
		for (unsigned second = 0; second < 256; second++) {
			const char message[] = { (char)first, (char)second };
			struct log_line line;
			format_line(&line, LOG_JSON, LOG_INFO, LOG_NOBODY, (struct span){ message, 2 });
			format_line(&line, LOG_TEXT, LOG_INFO, LOG_NOBODY, (struct span){ message, 2 });
		}
}

/* Whatever is too long, and wherever the cut falls, the line fits and says that it was cut. */
static void cuts_what_is_too_long(void **state)
{
	static const char *const fillers[] = { "x", "\"", "\x01", "\xff", "\xc3\xa9", "\xf0\x9f\x98\x80" };
	enum { LONG = 3 * LOG_LINE_MAX };
	static char text[LONG + 1];
	(void)state;
	for (size_t f = 0; f < ARRAY_SIZE(fillers); f++)
		for (size_t shift = 0; shift < 8; shift++) {
			const size_t step = strlen(fillers[f]);
			struct log_line line;
			memset(text, 'a', shift);
			for (size_t i = shift; i < LONG; i++)
				text[i] = fillers[f][(i - shift) % step];
			const struct log_subject subject = { text, text, text, INT32_MAX, INT64_MAX };
			for (int format = LOG_JSON; format <= LOG_TEXT; format++) {
				const struct span made = format_line(&line, (enum log_format)format, LOG_INFO, &subject,
								     (struct span){ text, LONG });
				assert_true(made.n > LOG_LINE_MAX - 16);
				assert_non_null(memmem(made.p + made.n - 8, 8, "\xe2\x80\xa6", 3));
			}
		}
}

static void cuts_nothing_that_fits(void **state)
{
	static char text[LOG_LINE_MAX];
	struct log_line line;
	(void)state;
	memset(text, 'x', sizeof(text));
	const struct span made = format_line(&line, LOG_JSON, LOG_INFO, LOG_NOBODY, (struct span){ text, 8000 });
	assert_null(memmem(made.p, made.n, "\xe2\x80\xa6", 3));
	assert_true(made.n > 8000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_the_subject),     cmocka_unit_test(takes_no_subject),
		cmocka_unit_test(escapes_the_message),   cmocka_unit_test(any_two_bytes_make_a_line),
		cmocka_unit_test(cuts_what_is_too_long), cmocka_unit_test(cuts_nothing_that_fits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
