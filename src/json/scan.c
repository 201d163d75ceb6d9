#include "json/scan.h"

#include <errno.h>

#include "base/text.h"
#include "json/escape.h"

/* One pass from left to right, without recursion. `p` never moves back; where it stands when something is wrong is
 * the place of the error. */
struct checker {
	const char *p;
	const char *end;
	const char *what;
	unsigned depth;
	uint32_t objects; /* bit d: the container at depth d is an object */
};

enum step {
	STEP_VALUE, /* a value must come */
	STEP_ENDED, /* a value has just ended */
	STEP_WRONG
};

_Static_assert(SCAN_MAX_DEPTH <= 32, "checker.objects has a bit per container");

static bool wrong(struct checker *c, const char *what)
{
	c->what = what;
	return false;
}

static void skip_space(struct checker *c)
{
	while (c->p < c->end && (*c->p == ' ' || *c->p == '\n' || *c->p == '\r' || *c->p == '\t'))
		c->p++;
}

static bool at(const struct checker *c, char expected)
{
	return c->p < c->end && *c->p == expected;
}

static bool at_digit(const struct checker *c)
{
	return c->p < c->end && *c->p >= '0' && *c->p <= '9';
}

/* `p` is on the opening quote. */
static bool check_string(struct checker *c)
{
	struct escape escape;
	for (c->p++;;) {
		c->p += escape_free_run((struct span){ c->p, (size_t)(c->end - c->p) });
		const struct span rest = { c->p, (size_t)(c->end - c->p) };
		if (rest.n == 0)
			return wrong(c, "a string does not end");
		if (*c->p == '"') {
			c->p++;
			return true;
		}
		if (*c->p == '\\') {
			if (escape_read(rest, &escape) < 0)
				return wrong(c, "an escape is malformed or half of a surrogate pair");
			c->p += escape.length;
			continue;
		}
		if ((unsigned char)*c->p < 0x20)
			return wrong(c, "a control character is in a string");
		const size_t n = text_utf8_next(rest);
		if (n == 0)
			return wrong(c, "a string is not UTF-8");
		c->p += n;
	}
}

static bool check_digits(struct checker *c)
{
	if (!at_digit(c))
		return wrong(c, "a digit is missing");
	while (at_digit(c))
		c->p++;
	return true;
}

static bool check_number(struct checker *c)
{
	if (at(c, '-'))
		c->p++;
	if (at(c, '0')) {
		c->p++;
		if (at_digit(c))
			return wrong(c, "a number begins with 0");
	} else if (!check_digits(c)) {
		return false;
	}
	if (at(c, '.')) {
		c->p++;
		if (!check_digits(c))
			return false;
	}
	if (!at(c, 'e') && !at(c, 'E'))
		return true;
	c->p++;
	if (at(c, '+') || at(c, '-'))
		c->p++;
	return check_digits(c);
}

static bool check_word(struct checker *c, struct span word)
{
	if ((size_t)(c->end - c->p) < word.n || memcmp(c->p, word.p, word.n) != 0)
		return wrong(c, "a value is no JSON value");
	c->p += word.n;
	return true;
}

static enum step check_key(struct checker *c)
{
	skip_space(c);
	if (!at(c, '"')) {
		wrong(c, "a key is missing");
		return STEP_WRONG;
	}
	if (!check_string(c))
		return STEP_WRONG;
	skip_space(c);
	if (!at(c, ':')) {
		wrong(c, "a colon is missing");
		return STEP_WRONG;
	}
	c->p++;
	return STEP_VALUE;
}

static bool in_object(const struct checker *c)
{
	return (c->objects >> (c->depth - 1) & 1) != 0;
}

static bool take_closing(struct checker *c)
{
	if (!at(c, in_object(c) ? '}' : ']'))
		return false;
	c->p++;
	c->depth--;
	return true;
}

static enum step check_opening(struct checker *c)
{
	if (c->depth == SCAN_MAX_DEPTH) {
		wrong(c, "it is nested too deeply");
		return STEP_WRONG;
	}
	const uint32_t bit = (uint32_t)1 << c->depth;
	c->objects = *c->p == '{' ? c->objects | bit : c->objects & ~bit;
	c->depth++;
	c->p++;
	skip_space(c);
	if (take_closing(c))
		return STEP_ENDED;
	return in_object(c) ? check_key(c) : STEP_VALUE;
}

static enum step check_value(struct checker *c)
{
	bool ok = false;
	skip_space(c);
	if (c->p == c->end) {
		wrong(c, "a value is missing");
		return STEP_WRONG;
	}
	switch (*c->p) {
	case '{':
	case '[':
		return check_opening(c);
	case '"':
		ok = check_string(c);
		break;
	case 't':
		ok = check_word(c, SPAN("true"));
		break;
	case 'f':
		ok = check_word(c, SPAN("false"));
		break;
	case 'n':
		ok = check_word(c, SPAN("null"));
		break;
	default:
		ok = *c->p == '-' || at_digit(c) ? check_number(c) : wrong(c, "a value is missing");
	}
	return ok ? STEP_ENDED : STEP_WRONG;
}

/* After a value within a container. */
static enum step check_next(struct checker *c)
{
	skip_space(c);
	if (take_closing(c))
		return STEP_ENDED;
	if (!at(c, ',')) {
		wrong(c, c->p == c->end ? "it ends too early" : "a comma is missing");
		return STEP_WRONG;
	}
	c->p++;
	return in_object(c) ? check_key(c) : STEP_VALUE;
}

int scan_check(struct span text, struct scan_value *ret, struct scan_error *error)
{
	struct checker c = { .p = text.p ? text.p : "" };
	const char *start = c.p;
	c.end = start + text.n;
	skip_space(&c);
	const char *value = c.p;
	enum step step = STEP_VALUE;
	while (step == STEP_VALUE || (step == STEP_ENDED && c.depth > 0))
		step = step == STEP_VALUE ? check_value(&c) : check_next(&c);
	if (step == STEP_ENDED) {
		*ret = (struct scan_value){ scan_type_of(*value), { value, (size_t)(c.p - value) } };
		skip_space(&c);
		if (c.p == c.end)
			return 0;
		wrong(&c, "something follows the value");
	}
	if (error)
		*error = (struct scan_error){ .at = (size_t)(c.p - start), .what = c.what };
	return -EINVAL;
}
