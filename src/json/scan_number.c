#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "json/scan.h"

/* No double lies nearer to a decimal of more digits than this than to that decimal cut here with a 1 behind it:
 * a tie between two doubles has at most 767 significant digits. */
#define DIGITS_MAX   800
#define EXPONENT_MAX 1000000000

/* A decimal as an integer times a power of ten, so that strtod() meets no decimal point, which locales spell their
 * own way. */
struct decimal {
	char digits[1 + DIGITS_MAX + 1 + 24]; /* sign, digits, the 1 for those cut off, exponent */
	size_t count;                         /* significant digits so far */
	bool cut;                             /* a digit that was left out was not 0 */
	int64_t exponent;
};

static void add_digit(struct decimal *d, char digit, bool fraction)
{
	if (d->count == 0 && digit == '0') {
		d->exponent -= fraction ? 1 : 0;
	} else if (d->count < DIGITS_MAX) {
		d->digits[1 + d->count++] = digit;
		d->exponent -= fraction ? 1 : 0;
	} else {
		d->cut = d->cut || digit != '0';
		d->exponent += fraction ? 0 : 1;
	}
}

static int64_t read_exponent(struct span s)
{
	const bool negative = s.n > 0 && s.p[0] == '-';
	int64_t value = 0;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] >= '0' && s.p[i] <= '9' && value < EXPONENT_MAX)
			value = 10 * value + (s.p[i] - '0');
	return negative ? -value : value;
}

int scan_int64(struct scan_value value, int64_t *ret)
{
	if (value.type != SCAN_NUMBER)
		return -EINVAL;
	if (span_is(value.text, "-0")) { /* JSON's other zero */
		*ret = 0;
		return 0;
	}
	return text_parse_int64(value.text, ret) < 0 ? -EINVAL : 0;
}

int scan_double(struct scan_value value, double *ret)
{
	struct decimal d = { .digits = { value.text.n > 0 && value.text.p[0] == '-' ? '-' : '+' } };
	bool fraction = false;
	if (value.type != SCAN_NUMBER)
		return -EINVAL;
	for (size_t i = 0; i < value.text.n; i++) {
		const char c = value.text.p[i];
		if (c >= '0' && c <= '9')
			add_digit(&d, c, fraction);
		else if (c == '.')
			fraction = true;
		else if (c == 'e' || c == 'E') {
			d.exponent += read_exponent((struct span){ value.text.p + i + 1, value.text.n - i - 1 });
			break;
		}
	}
	if (d.count == 0)
		d.digits[1 + d.count++] = '0';
	if (d.cut) {
		d.digits[1 + d.count++] = '1';
		d.exponent--;
	}
	snprintf(d.digits + 1 + d.count, sizeof(d.digits) - 1 - d.count, "e%" PRId64, d.exponent);
	const double number = strtod(d.digits, NULL);
	if (!isfinite(number))
		return -EINVAL;
	*ret = number;
	return 0;
}
