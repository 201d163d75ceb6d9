#include "base/options.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static const struct option *find_long(const struct option *options, size_t count, const char *name, size_t n)
{
	for (size_t i = 0; i < count; i++)
		if (strlen(options[i].name) == n && !memcmp(options[i].name, name, n))
			return &options[i];
	return NULL;
}

static const struct option *find_short(const struct option *options, size_t count, char letter)
{
	for (size_t i = 0; i < count; i++)
		if (options[i].letter == letter)
			return &options[i];
	return NULL;
}

static int store_whole(const struct option *option, int64_t min, const char *value, void *target, struct fault *fault)
{
	int64_t whole;
	if (text_parse_int64(span_of(value), &whole) < 0 || whole < min)
		return fault_set(fault, -EINVAL, FAULT_PERMANENT,
				 "--%s takes a whole number from %" PRId64 " on, not \"%.64s\"", option->name, min,
				 value);
	*(int64_t *)target = whole;
	return 0;
}

static int store_number(const struct option *option, const char *value, void *target, struct fault *fault)
{
	char *end = NULL;
	/* Decimal only: strtod() would also take "inf", "nan" and hexadecimal. */
	const bool decimal = *value && !value[strspn(value, "0123456789.eE+-")];
	const double number = decimal ? strtod(value, &end) : 0;
	if (!decimal || *end || !isfinite(number) || number <= 0)
		return fault_set(fault, -EINVAL, FAULT_PERMANENT, "--%s takes a number above 0, not \"%.64s\"",
				 option->name, value);
	*(double *)target = number;
	return 0;
}

static int store_text(const struct option *option, const char *value, void *target, struct fault *fault)
{
	if (!*value)
		return fault_set(fault, -EINVAL, FAULT_PERMANENT, "--%s must not be empty", option->name);
	*(const char **)target = value;
	return 0;
}

static int store(const struct option *option, const char *value, void *into, struct fault *fault)
{
	void *target = (char *)into + option->offset;
	struct option_texts *texts = target;
	switch (option->kind) {
	case OPTION_FLAG:
		*(bool *)target = true;
		return 0;
	case OPTION_WHOLE:
		return store_whole(option, 1, value, target, fault);
	case OPTION_COUNT:
		return store_whole(option, 0, value, target, fault);
	case OPTION_NUMBER:
		return store_number(option, value, target, fault);
	case OPTION_TEXT:
		return store_text(option, value, target, fault);
	case OPTION_TEXTS:
		texts->items[texts->count++] = value;
		return 0;
	case OPTION_FORM:
		*(const char **)target = value ? value : "";
		return 0;
	}
	return -EINVAL;
}

/* One "-x..." or "--name..." at argv[*at]; moves `at` on when the next word is its value. */
static int take(const struct option *options, size_t count, int argc, char **argv, int *at, void *into,
		struct fault *fault)
{
	const char *word = argv[*at];
	const bool is_long = word[1] == '-';
	const size_t n = is_long ? strcspn(word + 2, "=") : 1;
	const struct option *option =
		is_long ? find_long(options, count, word + 2, n) : find_short(options, count, word[1]);
	const char *value = is_long ? (word[2 + n] ? word + 3 + n : NULL) : (word[2] ? word + 2 : NULL);
	if (!option)
		return fault_set(fault, -EINVAL, FAULT_PERMANENT, "there is no option %.*s",
				 is_long ? (int)(n < 64 ? n + 2 : 66) : 2, word);
	if (option->kind == OPTION_FLAG && value)
		return fault_set(fault, -EINVAL, FAULT_PERMANENT, "--%s takes no value", option->name);
	if (option->kind != OPTION_FLAG && option->kind != OPTION_FORM && !value) {
		if (*at + 1 >= argc)
			return fault_set(fault, -EINVAL, FAULT_PERMANENT, "--%s needs a value, %s", option->name,
					 option->value);
		value = argv[++*at];
	}
	return store(option, value, into, fault);
}

int options_parse(const struct option *options, size_t count, int argc, char **argv, void *into, int *ret_count,
		  struct fault *fault)
{
	int kept = 0;
	bool over = false;
	for (int at = 1; at < argc; at++) {
		char *word = argv[at];
		if (!over && !strcmp(word, "--")) {
			over = true;
		} else if (over || word[0] != '-' || !word[1]) {
			argv[1 + kept++] = word;
		} else {
			const int r = take(options, count, argc, argv, &at, into, fault);
			if (r < 0)
				return r;
		}
	}
	*ret_count = kept;
	return 0;
}

void options_write_help(const struct option *options, size_t count, struct buf *out)
{
	for (size_t i = 0; i < count; i++) {
		const struct option *o = &options[i];
		char left[64];
		snprintf(left, sizeof(left), "%s%c%s--%s%s%s", o->letter ? "-" : " ", o->letter ? o->letter : ' ',
			 o->letter ? ", " : "  ", o->name, o->value ? " " : "", o->value ? o->value : "");
		buf_add_format(out, "  %-28s%s\n", left, o->sentence);
	}
}
