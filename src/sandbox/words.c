#include "sandbox/words.h"

#include <errno.h>
#include <stdlib.h>

#include "base/text.h"

/* Where the cutter stands: it reads `in` and writes the unquoted text to `out`, which never overtakes it. */
struct cutter {
	char *in;
	char *out;
	struct fault *fault;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static int cut_quoted(struct cutter *c)
{
	const char quote = *c->in++;
	while (*c->in && *c->in != quote) {
		if (quote == '"' && *c->in == '\\') {
			c->in++;
			if (*c->in != '"' && *c->in != '\\')
				return fault_set(c->fault, -EINVAL, FAULT_PERMANENT,
						 "inside \"...\" a \\ stands before \" or \\ only");
		}
		*c->out++ = *c->in++;
	}
	if (*c->in != quote)
		return fault_set(c->fault, -EINVAL, FAULT_PERMANENT, "a closing %c is missing", quote);
	c->in++;
	return 0;
}

/* { … } or [ … ] with JSON's own strings inside. */
static int cut_bracketed(struct cutter *c)
{
	unsigned depth = 0;
	bool quoted = false;
	do {
		const char byte = *c->in;
		if (byte == '\0')
			return fault_set(c->fault, -EINVAL, FAULT_PERMANENT, "a closing bracket is missing");
		if (quoted && byte == '\\' && c->in[1])
			*c->out++ = *c->in++;
		else if (byte == '"')
			quoted = !quoted;
		else if (!quoted && (byte == '{' || byte == '['))
			depth++;
		else if (!quoted && (byte == '}' || byte == ']'))
			depth--;
		*c->out++ = *c->in++;
	} while (depth > 0);
	return 0;
}

static int cut_value(struct cutter *c)
{
	int r = 0;
	if (*c->in == '"' || *c->in == '\'')
		r = cut_quoted(c);
	else if (*c->in == '{' || *c->in == '[')
		r = cut_bracketed(c);
	else
		while (*c->in && !is_blank(*c->in))
			*c->out++ = *c->in++;
	if (r < 0)
		return r;
	if (*c->in && !is_blank(*c->in))
		return fault_set(c->fault, -EINVAL, FAULT_PERMANENT, "a blank is missing before \"%.20s\"", c->in);
	if (*c->in)
		c->in++;
	*c->out++ = '\0';
	return 0;
}

/* Takes "name=" off the input, if there is one; returns where the name stands in the output, or NULL. */
static char *cut_name(struct cutter *c)
{
	const size_t n = strspn(c->in, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_");
	if (n == 0 || c->in[n] != '=')
		return NULL;
	char *name = c->out;
	memmove(name, c->in, n);
	name[n] = '\0';
	c->out += n + 1;
	c->in += n + 1;
	return name;
}

int words_cut(struct words *words, struct span line, struct fault *fault)
{
	*words = (struct words){ .text = malloc(line.n + 2) };
	if (!words->text)
		return fault_set(fault, -ENOMEM, FAULT_OURS, "out of memory");
	for (size_t i = 0; i < line.n; i++)
		if ((unsigned char)line.p[i] < ' ' && line.p[i] != '\t' && line.p[i] != '\r')
			return fault_set(fault, -EINVAL, FAULT_PERMANENT,
					 "a control character is in the line: take it out");
	memcpy(words->text, line.p, line.n);
	words->text[line.n] = '\0';
	struct cutter c = { .in = words->text, .out = words->text, .fault = fault };
	for (;;) {
		while (is_blank(*c.in))
			c.in++;
		if (*c.in == '\0' || *c.in == '#')
			return 0;
		if (words->count == WORDS_MAX)
			return fault_set(fault, -EINVAL, FAULT_PERMANENT,
					 "more than %d words are in the line: split it", WORDS_MAX);
		struct word *word = &words->items[words->count];
		word->name = cut_name(&c);
		word->value = c.out;
		const int r = cut_value(&c);
		if (r < 0)
			return r;
		words->count++;
	}
}

void words_fini(struct words *words)
{
	free(words->text);
	*words = (struct words){ .text = NULL };
}

static struct word *peek(struct words *words)
{
	for (size_t i = 0; i < words->count; i++)
		if (!words->items[i].taken && !words->items[i].name)
			return &words->items[i];
	return NULL;
}

const char *words_next(struct words *words)
{
	struct word *word = peek(words);
	if (!word)
		return NULL;
	word->taken = true;
	return word->value;
}

bool words_accept(struct words *words, const char *text)
{
	struct word *word = peek(words);
	if (!word || strcmp(word->value, text) != 0)
		return false;
	word->taken = true;
	return true;
}

const char *words_option(struct words *words, const char *name)
{
	for (size_t i = 0; i < words->count; i++) {
		struct word *word = &words->items[i];
		if (!word->taken && word->name && strcmp(word->name, name) == 0) {
			word->taken = true;
			return word->value;
		}
	}
	return NULL;
}

int words_end(const struct words *words, struct fault *fault)
{
	for (size_t i = 0; i < words->count; i++) {
		const struct word *word = &words->items[i];
		if (word->taken)
			continue;
		if (word->name)
			return fault_set(
				fault, -EINVAL, FAULT_PERMANENT,
				"%s= is not known here, or stands twice; handoff-sandbox(1) says what the line takes",
				word->name);
		return fault_set(fault, -EINVAL, FAULT_PERMANENT,
				 "\"%s\" is one word too many; handoff-sandbox(1) says what the line takes",
				 word->value);
	}
	return 0;
}

int duration_parse(const char *text, usec_t *ret)
{
	static const struct {
		const char *unit;
		usec_t usec;
	} units[] = { { "ms", USEC_PER_MSEC },
		      { "s", USEC_PER_SEC },
		      { "", USEC_PER_SEC },
		      { "m", 60 * USEC_PER_SEC },
		      { "h", 3600 * USEC_PER_SEC } };
	const usec_t longest = USEC_PER_SEC * 3600 * 24 * 366;
	const size_t digits = strspn(text, "0123456789");
	int64_t number;
	if (text_parse_int64((struct span){ text, digits }, &number) < 0)
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (strcmp(text + digits, units[i].unit) == 0 && number <= longest / units[i].usec) {
			*ret = number * units[i].usec;
			return 0;
		}
	return -EINVAL;
}

int words_duration(struct words *words, const char *name, usec_t *ret, struct fault *fault)
{
	const char *value = words_option(words, name);
	if (!value || duration_parse(value, ret) == 0)
		return 0;
	return fault_set(fault, -EINVAL, FAULT_PERMANENT, "%s=%s is not a duration (200ms, 3s, 2m, 1h)", name, value);
}

int words_number(struct words *words, const char *name, int64_t min, int64_t max, int64_t *ret, struct fault *fault)
{
	const char *value = words_option(words, name);
	int64_t number;
	if (!value)
		return 0;
	if (text_parse_int64(span_of(value), &number) < 0 || number < min || number > max)
		return fault_set(fault, -EINVAL, FAULT_PERMANENT, "%s=%s is not a number from %lld to %lld", name,
				 value, (long long)min, (long long)max);
	*ret = number;
	return 0;
}

int words_choice(struct words *words, const char *name, const char *const names[], size_t count, size_t *ret,
		 struct fault *fault)
{
	const char *value = words_option(words, name);
	char list[128] = "";
	if (!value)
		return 0;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(names[i], value) == 0) {
			*ret = i;
			return 0;
		}
		strncat(list, i ? ", " : "", sizeof(list) - strlen(list) - 1);
		strncat(list, names[i], sizeof(list) - strlen(list) - 1);
	}
	return fault_set(fault, -EINVAL, FAULT_PERMANENT, "%s=%s is none of: %s", name, value, list);
}
