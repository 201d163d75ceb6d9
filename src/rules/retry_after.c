#include "rules/retry_after.h"

#include <errno.h>
#include <stdbool.h>
#include <strings.h>

#define MS_PER_SEC INT64_C(1000)

static const char *const months[] = {
	"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"
};
static const char *const days[] = { "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday" };

/* What is left of the text; a failed step leaves `ok` false and every later one does nothing. */
struct cursor {
	const char *p;
	const char *end;
	bool ok;
};

struct date {
	int year, month, day, hour, minute, second; /* month and day from 1 */
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static void take_literal(struct cursor *c, const char *text)
{
	const size_t n = strlen(text);
	c->ok = c->ok && (size_t)(c->end - c->p) >= n && memcmp(c->p, text, n) == 0;
	if (c->ok)
		c->p += n;
}

static int take_digits(struct cursor *c, int count)
{
	int value = 0;
	c->ok = c->ok && c->end - c->p >= count;
	for (int i = 0; i < count && c->ok; i++) {
		c->ok = is_digit(*c->p);
		if (c->ok)
			value = value * 10 + (*c->p++ - '0');
	}
	return value;
}

/* The place among `names` of the one that stands here, compared by its first `n` bytes (0: whole), case ignored. */
static int take_name(struct cursor *c, const char *const *names, int count, size_t n)
{
	for (int i = 0; i < count && c->ok; i++) {
		const size_t len = n ? n : strlen(names[i]);
		if ((size_t)(c->end - c->p) >= len && strncasecmp(c->p, names[i], len) == 0) {
			c->p += len;
			return i;
		}
	}
	c->ok = false;
	return 0;
}

static void take_time(struct cursor *c, struct date *ret)
{
	ret->hour = take_digits(c, 2);
	take_literal(c, ":");
	ret->minute = take_digits(c, 2);
	take_literal(c, ":");
	ret->second = take_digits(c, 2);
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
static bool read_imf(struct cursor c, struct date *ret)
{
	take_name(&c, days, 7, 3);
	take_literal(&c, ", ");
	ret->day = take_digits(&c, 2);
	take_literal(&c, " ");
	ret->month = take_name(&c, months, 12, 3) + 1;
	take_literal(&c, " ");
	ret->year = take_digits(&c, 4);
	take_literal(&c, " ");
	take_time(&c, ret);
	take_literal(&c, " GMT");
	return c.ok && c.p == c.end;
}

/* "Sunday, 06-Nov-94 08:49:37 GMT"; the year is 0..99. */
static bool read_rfc850(struct cursor c, struct date *ret)
{
	take_name(&c, days, 7, 0);
	take_literal(&c, ", ");
	ret->day = take_digits(&c, 2);
	take_literal(&c, "-");
	ret->month = take_name(&c, months, 12, 3) + 1;
	take_literal(&c, "-");
	ret->year = take_digits(&c, 2);
	take_literal(&c, " ");
	take_time(&c, ret);
	take_literal(&c, " GMT");
	return c.ok && c.p == c.end;
}

/* "Sun Nov  6 08:49:37 1994" */
static bool read_asctime(struct cursor c, struct date *ret)
{
	take_name(&c, days, 7, 3);
	take_literal(&c, " ");
	ret->month = take_name(&c, months, 12, 3) + 1;
	take_literal(&c, " ");
	const bool one_digit = c.ok && c.p < c.end && *c.p == ' ';
	if (one_digit)
		c.p++;
	ret->day = take_digits(&c, one_digit ? 1 : 2);
	take_literal(&c, " ");
	take_time(&c, ret);
	take_literal(&c, " ");
	ret->year = take_digits(&c, 4);
	return c.ok && c.p == c.end;
}

static bool is_leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static bool is_a_date(const struct date *d)
{
	static const int lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	const int length = lengths[d->month - 1] + (d->month == 2 && is_leap(d->year) ? 1 : 0);
	return d->day >= 1 && d->day <= length && d->hour <= 23 && d->minute <= 59 && d->second <= 60;
}

static int64_t days_before_year(int year)
{
	const int64_t y = year - 1;
	return y * 365 + y / 4 - y / 100 + y / 400;
}

static int64_t to_unix_ms(const struct date *d)
{
	static const int before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
	const int leap_day = d->month > 2 && is_leap(d->year) ? 1 : 0;
	const int64_t day =
		days_before_year(d->year) - days_before_year(1970) + before[d->month - 1] + leap_day + d->day - 1;
	return (((day * 24 + d->hour) * 60 + d->minute) * 60 + d->second) * MS_PER_SEC;
}

/* RFC 9110: a two-digit year that seems more than 50 years ahead is the latest past one with these digits. */
static void put_in_nearest_century(struct date *d, int64_t now_ms)
{
	const int64_t year_ms = INT64_C(31556952) * MS_PER_SEC;
	const int this_year = 1970 + (int)(now_ms / year_ms);
	d->year += this_year / 100 * 100 + 100;
	while (d->year > 1900 && to_unix_ms(d) - now_ms > 50 * year_ms)
		d->year -= 100;
}

int http_date_read(struct span text, int64_t now_ms, int64_t *ret_unix_ms)
{
	if (!text.p)
		return -EINVAL;
	const struct cursor c = { text.p, text.p + text.n, true };
	struct date d;
	const bool two_digits = read_rfc850(c, &d);
	if (!two_digits && !read_imf(c, &d) && !read_asctime(c, &d))
		return -EINVAL;
	if (two_digits)
		put_in_nearest_century(&d, now_ms);
	if (!is_a_date(&d))
		return -EINVAL;
	*ret_unix_ms = to_unix_ms(&d);
	return 0;
}

/* It has whole seconds, so half of one is added: no more than that is wrong then. */
bool http_date_ahead(struct span date, int64_t now_ms, int64_t *ret_ms)
{
	int64_t unix_ms = 0;
	const bool is_date = date.p && http_date_read(span_trim(date), now_ms, &unix_ms) == 0;
	*ret_ms = is_date ? unix_ms + 500 - now_ms : 0;
	return is_date;
}

/* "120", also "1.5", which some servers send: never earlier than asked, so a started millisecond counts whole. */
static bool read_seconds(struct span s, int64_t *ret_ms)
{
	size_t at = 0;
	int64_t ms = 0;
	for (; at < s.n && is_digit(s.p[at]); at++)
		if (ms <= RETRY_AFTER_MAX_MS)
			ms = ms * 10 + (s.p[at] - '0') * MS_PER_SEC;
	if (at == 0)
		return false;
	if (at < s.n && s.p[at] == '.') {
		int64_t unit = 100;
		bool more = false;
		const size_t first = ++at;
		for (; at < s.n && is_digit(s.p[at]); at++, unit /= 10) {
			ms += (s.p[at] - '0') * unit;
			more = more || (unit == 0 && s.p[at] != '0');
		}
		if (at == first)
			return false;
		ms += more ? 1 : 0;
	}
	*ret_ms = ms;
	return at == s.n;
}

int64_t retry_after_ms(struct span retry_after, struct span date, int64_t now_ms)
{
	int64_t wait, until, from;
	if (!retry_after.p)
		return -1;
	retry_after = span_trim(retry_after);
	if (!read_seconds(retry_after, &wait)) {
		if (http_date_read(retry_after, now_ms, &until) < 0)
			return -1;
		if (!date.p || http_date_read(span_trim(date), now_ms, &from) < 0)
			from = now_ms;
		wait = until - from;
	}
	if (wait < 0)
		return -1;
	return wait > RETRY_AFTER_MAX_MS ? RETRY_AFTER_MAX_MS : wait;
}

int64_t back_off_ms(int64_t base_ms, int64_t max_ms, int32_t failures, uint64_t random)
{
	int64_t delay = base_ms < 1 ? 1 : base_ms;
	for (int32_t i = 1; i < failures && delay < max_ms; i++)
		delay = delay > max_ms / 2 ? max_ms : delay * 2;
	if (delay > max_ms)
		delay = max_ms < 1 ? 1 : max_ms;
	return delay + (int64_t)(random % ((uint64_t)delay / 4 + 1));
}
