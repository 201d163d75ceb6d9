#include "sandbox/raw.h"

#include <errno.h>

#include "base/text.h"

enum { DEPTH_MAX = 64, KEYS_MAX = 64 };

/* Every skip_ function takes the place where its thing begins and returns the place behind it, or NULL when it is not
 * there. `end` points at a NUL-free end: nothing is read at or beyond it. */

static const char *skip_blanks(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
		p++;
	return p;
}

static const char *skip_digits(const char *p, const char *end)
{
	const char *begin = p;
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p > begin ? p : NULL;
}

static const char *skip_number(const char *p, const char *end)
{
	if (p < end && *p == '-')
		p++;
	const char *begin = p;
	p = skip_digits(p, end);
	if (!p || (*begin == '0' && p > begin + 1))
		return NULL;
	if (p < end && *p == '.') {
		p = skip_digits(p + 1, end);
		if (!p)
			return NULL;
	}
	if (p < end && (*p == 'e' || *p == 'E')) {
		p++;
		if (p < end && (*p == '+' || *p == '-'))
			p++;
		p = skip_digits(p, end);
	}
	return p;
}

static const char *skip_escape(const char *p, const char *end)
{
	if (p >= end)
		return NULL;
	if (*p != 'u')
		return strchr("\"\\/bfnrt", *p) && *p ? p + 1 : NULL;
	if (end - p < 5)
		return NULL;
	for (int i = 1; i <= 4; i++)
		if (p[i] == '\0' || !strchr("0123456789abcdefABCDEF", p[i]))
			return NULL;
	return p + 5;
}

static const char *skip_string(const char *p, const char *end)
{
	if (p >= end || *p != '"')
		return NULL;
	for (p++; p && p < end && *p != '"';) {
		if ((unsigned char)*p < ' ')
			return NULL;
		p = *p == '\\' ? skip_escape(p + 1, end) : p + 1;
	}
	return p && p < end ? p + 1 : NULL;
}

static const char *skip_literal(const char *p, const char *end, const char *literal)
{
	const size_t n = strlen(literal);
	return (size_t)(end - p) >= n && memcmp(p, literal, n) == 0 ? p + n : NULL;
}

/* What is looked for on the top level. */
struct search {
	struct raw_member *members;
	size_t count;
	struct span *keys; /* NULL, or room for KEYS_MAX */
	size_t key_count;
	bool duplicates;
};

static void note_member(struct search *search, struct span key, struct span value)
{
	for (size_t i = 0; i < search->count; i++)
		if (span_is(key, search->members[i].name))
			search->members[i].value = value;
	if (!search->keys || search->key_count == KEYS_MAX)
		return;
	for (size_t i = 0; i < search->key_count; i++)
		if (span_eq(search->keys[i], key))
			search->duplicates = true;
	search->keys[search->key_count++] = key;
}

static const char *skip_value(const char *p, const char *end, int depth);

/* `"key": value`, noted in `search` unless that is NULL. */
static const char *skip_member(const char *p, const char *end, int depth, struct search *search)
{
	const char *key = p;
	p = skip_string(p, end);
	if (!p)
		return NULL;
	const struct span name = { key + 1, (size_t)(p - key) - 2 };
	p = skip_blanks(p, end);
	if (p >= end || *p != ':')
		return NULL;
	const char *value = skip_blanks(p + 1, end);
	p = skip_value(value, end, depth);
	if (p && search)
		note_member(search, name, (struct span){ value, (size_t)(p - value) });
	return p;
}

/* An object or an array: both are items between commas between brackets. */
static const char *skip_container(const char *p, const char *end, int depth, struct search *search)
{
	const bool object = *p == '{';
	const char close = object ? '}' : ']';
	p = skip_blanks(p + 1, end);
	if (p < end && *p == close)
		return p + 1;
	while (p && p < end) {
		p = object ? skip_member(p, end, depth, search) : skip_value(p, end, depth);
		if (!p)
			return NULL;
		p = skip_blanks(p, end);
		if (p < end && *p == close)
			return p + 1;
		if (p >= end || *p != ',')
			return NULL;
		p = skip_blanks(p + 1, end);
	}
	return NULL;
}

static const char *skip_value(const char *p, const char *end, int depth)
{
	if (p >= end || depth == 0)
		return NULL;
	switch (*p) {
	case '{':
	case '[':
		return skip_container(p, end, depth - 1, NULL);
	case '"':
		return skip_string(p, end);
	case 't':
		return skip_literal(p, end, "true");
	case 'f':
		return skip_literal(p, end, "false");
	case 'n':
		return skip_literal(p, end, "null");
	default:
		return skip_number(p, end);
	}
}

int raw_object(struct span text, struct raw_member *members, size_t count, bool *ret_duplicates)
{
	struct span keys[KEYS_MAX];
	struct search search = { .members = members, .count = count, .keys = ret_duplicates ? keys : NULL };
	const char *end = text.p + text.n;
	const char *p = skip_blanks(text.p, end);
	if (p >= end || *p != '{' || !text_is_utf8(text))
		return -EINVAL;
	p = skip_container(p, end, DEPTH_MAX, &search);
	if (!p || skip_blanks(p, end) != end)
		return -EINVAL;
	if (ret_duplicates)
		*ret_duplicates = search.duplicates;
	return 0;
}

/* How many bytes at the beginning stand in a JSON string as they are, ASCII only. */
static size_t plain_run(struct span text)
{
	size_t n = 0;
	while (n < text.n && text.p[n] >= ' ' && text.p[n] < 0x7f && text.p[n] != '"' && text.p[n] != '\\')
		n++;
	return n;
}

void raw_add_string(struct buf *out, struct span text)
{
	buf_add_char(out, '"');
	for (size_t i = 0, n; i < text.n; i += n) {
		n = plain_run((struct span){ text.p + i, text.n - i });
		buf_add(out, text.p + i, n);
		if (n > 0)
			continue;
		const unsigned char c = (unsigned char)text.p[i];
		n = text_utf8_next((struct span){ text.p + i, text.n - i });
		if (n == 0) {
			buf_add_text(out, "\\ufffd");
			n = 1;
		} else if (c == '"' || c == '\\') {
			buf_add_char(out, '\\');
			buf_add_char(out, (char)c);
		} else if (c < ' ') {
			buf_add_format(out, "\\u%04x", c);
		} else {
			buf_add(out, text.p + i, n);
		}
	}
	buf_add_char(out, '"');
}
