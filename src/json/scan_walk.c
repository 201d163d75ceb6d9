#include "json/escape.h"
#include "json/scan.h"

/* The text was accepted by scan_check(), so only its structure is looked at. Everything still stops at `end`: text
 * that was not checked gives nonsense, but no access outside of it. */

static bool is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static const char *skip_space(const char *p, const char *end)
{
	while (p < end && is_space(*p))
		p++;
	return p;
}

/* From the opening quote to behind the closing one, which is the first after an even number of backslashes. */
static const char *skip_string(const char *p, const char *end)
{
	const char *first = p + 1;
	for (const char *quote = first; (quote = memchr(quote, '"', (size_t)(end - quote))) != NULL; quote++) {
		const char *before = quote;
		while (before > first && before[-1] == '\\')
			before--;
		if ((quote - before) % 2 == 0)
			return quote + 1;
	}
	return end;
}

static const char *skip_container(const char *p, const char *end)
{
	size_t depth = 0;
	while (p < end) {
		if (*p == '"') {
			p = skip_string(p, end);
			continue;
		}
		if (*p == '{' || *p == '[')
			depth++;
		else if (*p == '}' || *p == ']')
			depth--;
		p++;
		if (depth == 0)
			break;
	}
	return p;
}

static const char *skip_plain(const char *p, const char *end)
{
	while (p < end && *p != ',' && *p != '}' && *p != ']' && !is_space(*p))
		p++;
	return p;
}

enum scan_type scan_type_of(char first)
{
	switch (first) {
	case '{':
		return SCAN_OBJECT;
	case '[':
		return SCAN_ARRAY;
	case '"':
		return SCAN_STRING;
	case 't':
	case 'f':
		return SCAN_BOOL;
	case 'n':
		return SCAN_NULL;
	default:
		return SCAN_NUMBER;
	}
}

/* The value at the walk's place; moves behind it. */
static struct scan_value take_value(struct scan_walk *walk)
{
	const char *start = walk->p;
	const enum scan_type type = scan_type_of(*start);
	if (type == SCAN_STRING)
		walk->p = skip_string(start, walk->end);
	else if (type == SCAN_OBJECT || type == SCAN_ARRAY)
		walk->p = skip_container(start, walk->end);
	else
		walk->p = skip_plain(start, walk->end);
	return (struct scan_value){ .type = type, .text = { start, (size_t)(walk->p - start) } };
}

/* To the next item's first byte; false at the end. */
static bool find_item(struct scan_walk *walk)
{
	walk->p = skip_space(walk->p, walk->end);
	if (walk->p < walk->end && *walk->p == ',')
		walk->p = skip_space(walk->p + 1, walk->end);
	return walk->p < walk->end;
}

struct scan_walk scan_members(struct scan_value object)
{
	static const char nothing[] = "";
	if (object.text.n < 2)
		return (struct scan_walk){ nothing, nothing };
	return (struct scan_walk){ object.text.p + 1, object.text.p + object.text.n - 1 };
}

bool scan_next(struct scan_walk *walk, struct scan_member *ret)
{
	if (!find_item(walk))
		return false;
	const struct span quoted = take_value(walk).text;
	walk->p = skip_space(walk->p, walk->end);
	walk->p = skip_space(walk->p < walk->end ? walk->p + 1 : walk->p, walk->end); /* over the colon */
	if (quoted.n < 2 || walk->p == walk->end)
		return false;
	ret->key = (struct span){ quoted.p + 1, quoted.n - 2 };
	ret->key_escaped = memchr(ret->key.p, '\\', ret->key.n) != NULL;
	ret->value = take_value(walk);
	return true;
}

bool scan_next_element(struct scan_walk *walk, struct scan_value *ret)
{
	if (!find_item(walk))
		return false;
	*ret = take_value(walk);
	return true;
}

/* Reads one piece of a string's content: a run without a backslash, or one escape. Moves `rest` behind it; `room`
 * holds the escape's text. False at the end. */
static bool next_piece(struct span *rest, struct escape *room, struct span *ret)
{
	if (rest->n == 0)
		return false;
	const char *backslash = memchr(rest->p, '\\', rest->n);
	size_t length = backslash ? (size_t)(backslash - rest->p) : rest->n;
	*ret = (struct span){ rest->p, length };
	if (length == 0) {
		if (escape_read(*rest, room) < 0)
			return false;
		length = room->length;
		*ret = (struct span){ room->utf8, room->n };
	}
	*rest = (struct span){ rest->p + length, rest->n - length };
	return true;
}

void scan_decode_key(struct buf *out, struct span key)
{
	struct escape room;
	struct span piece;
	while (next_piece(&key, &room, &piece))
		buf_add_span(out, piece);
}

void scan_decode_string(struct buf *out, struct span string)
{
	if (string.n >= 2)
		scan_decode_key(out, (struct span){ string.p + 1, string.n - 2 });
}

bool scan_key_is(const struct scan_member *member, struct span key)
{
	struct span rest = member->key;
	struct escape room;
	struct span piece;
	if (!member->key_escaped)
		return span_eq(rest, key);
	while (next_piece(&rest, &room, &piece)) {
		if (piece.n > key.n || memcmp(piece.p, key.p, piece.n) != 0)
			return false;
		key = (struct span){ key.p + piece.n, key.n - piece.n };
	}
	return key.n == 0;
}

static bool find(struct scan_value object, struct span wanted, struct scan_value *ret)
{
	struct scan_walk walk = scan_members(object);
	struct scan_member member;
	bool found = false;
	while (scan_next(&walk, &member))
		if (scan_key_is(&member, wanted)) {
			*ret = member.value;
			found = true;
		}
	return found;
}

bool scan_find(struct scan_value object, const char *key, struct scan_value *ret)
{
	return find(object, span_of(key), ret);
}

bool scan_point(struct scan_value top, const char *pointer, struct scan_value *ret)
{
	while (*pointer == '/') {
		const char *key = pointer + 1;
		pointer = strchrnul(key, '/');
		if (top.type != SCAN_OBJECT || !find(top, (struct span){ key, (size_t)(pointer - key) }, &top))
			return false;
	}
	*ret = top;
	return true;
}

void scan_index_fill(struct scan_index *ret, struct scan_value object)
{
	struct scan_walk walk = scan_members(object);
	struct scan_member beyond;
	ret->object = object;
	ret->count = 0;
	while (ret->count < SCAN_INDEX_MEMBERS && scan_next(&walk, &ret->members[ret->count]))
		ret->count++;
	if (ret->count == SCAN_INDEX_MEMBERS && scan_next(&walk, &beyond))
		ret->count++;
}

static bool index_find(const struct scan_index *index, struct span wanted, struct scan_value *ret)
{
	if (index->count > SCAN_INDEX_MEMBERS)
		return find(index->object, wanted, ret);
	for (size_t i = index->count; i > 0; i--)
		if (scan_key_is(&index->members[i - 1], wanted)) {
			*ret = index->members[i - 1].value;
			return true;
		}
	return false;
}

bool scan_index_find(const struct scan_index *index, const char *key, struct scan_value *ret)
{
	return index_find(index, span_of(key), ret);
}

bool scan_index_point(const struct scan_index *index, const char *pointer, struct scan_value *ret)
{
	if (*pointer != '/')
		return scan_point(index->object, pointer, ret);
	const char *key = pointer + 1;
	pointer = strchrnul(key, '/');
	struct scan_value value;
	return index_find(index, (struct span){ key, (size_t)(pointer - key) }, &value) &&
	       scan_point(value, pointer, ret);
}

size_t scan_index_count(const struct scan_index *index, const char *key)
{
	const struct span wanted = span_of(key);
	if (index->count > SCAN_INDEX_MEMBERS)
		return scan_count(index->object, key);
	size_t count = 0;
	for (size_t i = 0; i < index->count; i++)
		count += scan_key_is(&index->members[i], wanted) ? 1 : 0;
	return count;
}

size_t scan_count(struct scan_value object, const char *key)
{
	const struct span wanted = span_of(key);
	struct scan_walk walk = scan_members(object);
	struct scan_member member;
	size_t count = 0;
	while (scan_next(&walk, &member))
		count += scan_key_is(&member, wanted) ? 1 : 0;
	return count;
}
