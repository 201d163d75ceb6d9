#include "base/text.h"

#include <errno.h>

#define MS_PER_MINUTE ((int64_t)60000)
#define MS_PER_DAY    ((int64_t)86400000)
/* 0000-01-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z: what four digits of year can say. */
#define FIRST_MS (-(int64_t)62167219200000)
#define LAST_MS  ((int64_t)253402300799999)

/* Calendar arithmetic counts years from March, so that a leap day is the last day of its year, and from the year
 * -400, so that nothing is negative. A cycle is the 400 years after which the Gregorian calendar repeats. */
#define DAYS_PER_CYCLE   146097
#define EPOCH_DAY        865565                /* days from -400-03-01 to 1970-01-01 */
#define DAY_OF_MONTH(m)  ((153 * (m) + 2) / 5) /* first day, in a year that begins in March, of its month m (0..11) */
#define DAYS_OF_YEARS(y) (365 * (y) + (y) / 4 - (y) / 100)

struct date {
	int64_t year;
	int64_t month; /* 1..12 */
	int64_t day;   /* 1..31 */
};

static int64_t days_since_epoch(struct date d)
{
	const int64_t year = d.year + 400 - (d.month <= 2 ? 1 : 0);
	const int64_t month = d.month > 2 ? d.month - 3 : d.month + 9;
	return year / 400 * DAYS_PER_CYCLE + DAYS_OF_YEARS(year % 400) + DAY_OF_MONTH(month) + d.day - 1 - EPOCH_DAY;
}

static struct date date_of(int64_t epoch_days)
{
	const int64_t days = epoch_days + EPOCH_DAY;
	const int64_t in_cycle = days % DAYS_PER_CYCLE;
	/* Leap days taken out: every 4 years (1460 days), but not the 100th (36,524), but the 400th (146,096). */
	const int64_t year = (in_cycle - in_cycle / 1460 + in_cycle / 36524 - in_cycle / 146096) / 365;
	const int64_t in_year = in_cycle - DAYS_OF_YEARS(year);
	const int64_t month = (5 * in_year + 2) / 153;
	return (struct date){ .year = days / DAYS_PER_CYCLE * 400 + year - 400 + (month >= 10 ? 1 : 0),
			      .month = month < 10 ? month + 3 : month - 9,
			      .day = in_year - DAY_OF_MONTH(month) + 1 };
}

static bool is_date(struct date d)
{
	if (d.year < 0 || d.month < 1 || d.month > 12 || d.day < 1)
		return false;
	const struct date next =
		d.month == 12 ? (struct date){ d.year + 1, 1, 1 } : (struct date){ d.year, d.month + 1, 1 };
	return days_since_epoch(d) < days_since_epoch(next);
}

/* Exactly `digits` digits, or -1. */
static int64_t take_number(struct span *s, size_t digits)
{
	int64_t value = 0;
	if (s->n < digits)
		return -1;
	for (size_t i = 0; i < digits; i++) {
		if (s->p[i] < '0' || s->p[i] > '9')
			return -1;
		value = 10 * value + (s->p[i] - '0');
	}
	*s = (struct span){ s->p + digits, s->n - digits };
	return value;
}

static bool take_char(struct span *s, char c)
{
	if (s->n == 0 || s->p[0] != c)
		return false;
	*s = (struct span){ s->p + 1, s->n - 1 };
	return true;
}

static bool take_date(struct span *s, struct date *ret)
{
	ret->year = take_number(s, 4);
	const bool dash = take_char(s, '-');
	ret->month = take_number(s, 2);
	const bool dashes = dash && take_char(s, '-');
	ret->day = take_number(s, 2);
	return dashes && is_date(*ret);
}

/* HH:MM in minutes, or -1. */
static int64_t take_minutes(struct span *s)
{
	const int64_t hours = take_number(s, 2);
	const bool colon = take_char(s, ':');
	const int64_t minutes = take_number(s, 2);
	return colon && hours >= 0 && hours <= 23 && minutes >= 0 && minutes <= 59 ? 60 * hours + minutes : -1;
}

/* Seconds with their fraction in milliseconds (second 60 included), or -1. */
static int64_t take_seconds(struct span *s)
{
	int64_t ms = take_number(s, 2);
	if (ms < 0 || ms > 60)
		return -1;
	ms *= 1000;
	if (!take_char(s, '.'))
		return ms;
	int64_t digit = take_number(s, 1);
	if (digit < 0)
		return -1;
	for (int64_t unit = 100; digit >= 0; unit /= 10, digit = take_number(s, 1))
		ms += digit * unit;
	return ms;
}

/* What the local time is ahead of UTC, in minutes: `Z` or +HH:MM or -HH:MM at the very end. */
static bool take_offset(struct span *s, int64_t *ret)
{
	*ret = 0;
	if (take_char(s, 'Z') || take_char(s, 'z'))
		return s->n == 0;
	const bool behind = take_char(s, '-');
	if (!behind && !take_char(s, '+'))
		return false;
	const int64_t minutes = take_minutes(s);
	*ret = behind ? -minutes : minutes;
	return minutes >= 0 && s->n == 0;
}

int text_parse_rfc3339(struct span s, int64_t *ret_unix_ms)
{
	struct date date;
	int64_t offset;
	if (!take_date(&s, &date) || !(take_char(&s, 'T') || take_char(&s, 't')))
		return -EINVAL;
	const int64_t minutes = take_minutes(&s);
	if (minutes < 0 || !take_char(&s, ':'))
		return -EINVAL;
	const int64_t ms = take_seconds(&s);
	if (ms < 0 || !take_offset(&s, &offset))
		return -EINVAL;
	const int64_t minute = days_since_epoch(date) * 1440 + minutes - offset;
	/* A leap second is the last one of a UTC day, wherever the clock hangs; Unix time counts it as the next day's.
	 */
	if (ms >= MS_PER_MINUTE && (minute + 1) % 1440 != 0)
		return -EINVAL;
	*ret_unix_ms = minute * MS_PER_MINUTE + ms;
	return 0;
}

/* Not printf(): a handoff writes four times, and that took as long as reading its session. */
static void put_number(char *to, size_t digits, unsigned value)
{
	for (; digits > 0; value /= 10)
		to[--digits] = (char)('0' + value % 10);
}

void text_rfc3339(char ret[25], int64_t unix_ms)
{
	const int64_t ms = unix_ms < FIRST_MS ? FIRST_MS : unix_ms > LAST_MS ? LAST_MS : unix_ms;
	/* Counted from an instant before them all, for `%` must not see a negative number. */
	const int64_t days = (ms - FIRST_MS) / MS_PER_DAY + FIRST_MS / MS_PER_DAY;
	const unsigned in_day = (unsigned)((ms - FIRST_MS) % MS_PER_DAY);
	const struct date date = date_of(days);
	memcpy(ret, "0000-00-00T00:00:00.000Z", 25);
	put_number(ret, 4, (unsigned)date.year);
	put_number(ret + 5, 2, (unsigned)date.month);
	put_number(ret + 8, 2, (unsigned)date.day);
	put_number(ret + 11, 2, in_day / 3600000);
	put_number(ret + 14, 2, in_day / 60000 % 60);
	put_number(ret + 17, 2, in_day / 1000 % 60);
	put_number(ret + 20, 3, in_day % 1000);
}

void text_add_rfc3339(struct buf *out, int64_t unix_ms)
{
	char text[25];
	text_rfc3339(text, unix_ms);
	buf_add(out, text, sizeof(text) - 1);
}
