/*
 * fuzz_scan - is the scanner's verdict right, and are its readings?
 *
 * Verdicts: scan_check() against RFC 8259's grammar written down as plainly as possible (below), both ways. Against
 * json-c one way: what the scanner accepts json-c accepts too. The other way json-c is no judge, for even strict it
 * takes single quotes, raw control characters, overlong UTF-8, halves of surrogate pairs, `1.`, NaN and Infinity.
 * Readings: members, elements, decoded strings and numbers against json-c's, except where json-c is known to be wrong:
 * it cuts keys at a NUL, saturates big integers, and takes the escapes of U+nD800 to U+nDFFF for halves of a pair.
 */
#include <string.h>

#include <json-c/json.h>

#include "fuzz_check.h"
#include "json/scan.h"

/* The grammar: each function returns what is left behind the thing it is named for, or NULL. */

static const char *space(const char *p, const char *end)
{
	while (p < end && memchr(" \t\r\n", *p, 4))
		p++;
	return p;
}

static const char *digits(const char *p, const char *end)
{
	const char *start = p;
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p > start ? p : NULL;
}

static const char *number(const char *p, const char *end)
{
	if (p < end && *p == '-')
		p++;
	p = p < end && *p == '0' ? p + 1 : digits(p, end);
	if (p && p < end && *p == '.')
		p = digits(p + 1, end);
	if (p && p < end && (*p == 'e' || *p == 'E')) {
		p++;
		if (p < end && (*p == '+' || *p == '-'))
			p++;
		p = digits(p, end);
	}
	return p;
}

/* A code point by the bits, then the three things that RFC 3629 forbids. */
static const char *character(const char *p, const char *end)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char first = (unsigned char)*p;
	const int n = first < 0x80 ? 1 : first >> 5 == 6 ? 2 : first >> 4 == 14 ? 3 : first >> 3 == 30 ? 4 : 0;
	if (n == 0 || end - p < n)
		return NULL;
	uint32_t code = n == 1 ? first : first & (0xffu >> (n + 1));
	for (int i = 1; i < n; i++) {
		if (((unsigned char)p[i] >> 6) != 2)
			return NULL;
		code = code << 6 | ((unsigned char)p[i] & 0x3f);
	}
	const bool bad = (n > 1 && code < smallest[n]) || (code >= 0xd800 && code < 0xe000) || code > 0x10ffff;
	return bad || code < 0x20 ? NULL : p + n;
}

static long unit(const char *p, const char *end)
{
	if (end - p < 6 || p[0] != '\\' || p[1] != 'u' ||
	    strspn((char[]){ p[2], p[3], p[4], p[5], 0 }, "0123456789abcdefABCDEF") != 4)
		return -1;
	return strtol((char[]){ p[2], p[3], p[4], p[5], 0 }, NULL, 16);
}

static const char *escape(const char *p, const char *end)
{
	if (end - p < 2)
		return NULL;
	if (p[1] != 'u')
		return memchr("\"\\/bfnrt", p[1], 8) ? p + 2 : NULL;
	const long high = unit(p, end);
	if (high < 0 || (high >= 0xdc00 && high < 0xe000))
		return NULL;
	if (high < 0xd800 || high >= 0xe000)
		return p + 6;
	const long low = unit(p + 6, end);
	return low >= 0xdc00 && low < 0xe000 ? p + 12 : NULL;
}

static const char *string(const char *p, const char *end)
{
	if (p == end || *p != '"')
		return NULL;
	for (p++; p && p < end && *p != '"';)
		p = *p == '\\' ? escape(p, end) : character(p, end);
	return p && p < end ? p + 1 : NULL;
}

static const char *value(const char *p, const char *end, int depth);

static const char *item(const char *p, const char *end, bool keyed, int depth)
{
	if (keyed) {
		p = string(space(p, end), end);
		p = p ? space(p, end) : NULL;
		if (!p || p == end || *p++ != ':')
			return NULL;
	}
	return value(p, end, depth);
}

static const char *container(const char *p, const char *end, int depth)
{
	const bool keyed = *p == '{';
	const char closing = keyed ? '}' : ']';
	if (depth == SCAN_MAX_DEPTH)
		return NULL;
	if (space(p + 1, end) < end && *space(p + 1, end) == closing)
		return space(p + 1, end) + 1;
	do
		p = item(p + 1, end, keyed, depth + 1);
	while (p && p < end && *p == ',');
	return p && p < end && *p == closing ? p + 1 : NULL;
}

/* With the white space around it. */
static const char *value(const char *p, const char *end, int depth)
{
	static const char *const words[] = { "true", "false", "null" };
	p = space(p, end);
	if (p == end)
		return NULL;
	const char *after = *p == '{' || *p == '[' ? container(p, end, depth)
			    : *p == '"'            ? string(p, end)
						   : number(p, end);
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if ((size_t)(end - p) >= strlen(words[i]) && memcmp(p, words[i], strlen(words[i])) == 0)
			after = p + strlen(words[i]);
	return after ? space(after, end) : NULL;
}

/* The readings. */

static void compare(struct scan_value mine, json_object *theirs);

/* Does a character of four bytes have a surrogate's bits in its lower half? Escaped, it becomes U+FFFD in json-c. */
static bool json_c_misreads(struct span text)
{
	for (size_t i = 0; i + 3 < text.n; i++) {
		const unsigned char *c = (const unsigned char *)text.p + i;
		if (c[0] >= 0xf0 && (c[1] & 0x0f) == 0x0d && (c[2] & 0x20) != 0)
			return true;
	}
	return false;
}

static void compare_object(struct scan_value mine, json_object *theirs)
{
	struct scan_walk walk = scan_members(mine);
	struct scan_member member;
	struct buf key;
	buf_init(&key, mine.text.n);
	while (scan_next(&walk, &member)) {
		struct scan_value last;
		json_object *other;
		buf_reset(&key);
		scan_decode_key(&key, member.key);
		CHECK(buf_ok(&key));
		CHECK(scan_key_is(&member, buf_span(&key)));
		CHECK(member.key_escaped || span_eq(member.key, buf_span(&key)));
		if (json_c_misreads(buf_span(&key)))
			continue;
		CHECK(json_object_object_get_ex(theirs, buf_text(&key), &other));
		if (memchr(buf_text(&key), '\0', key.len))
			continue;
		CHECK(scan_count(mine, buf_text(&key)) >= 1);
		CHECK(scan_find(mine, buf_text(&key), &last));
		/* A key that is cut at a NUL may have taken this one's place in theirs. */
		if (last.text.p == member.value.text.p && !memmem(mine.text.p, mine.text.n, "\\u0000", 6))
			compare(member.value, other);
	}
	buf_fini(&key);
}

static void compare_array(struct scan_value mine, json_object *theirs)
{
	struct scan_walk walk = scan_members(mine);
	struct scan_value element;
	size_t count = 0;
	while (scan_next_element(&walk, &element)) {
		CHECK(count < json_object_array_length(theirs));
		compare(element, json_object_array_get_idx(theirs, count++));
	}
	CHECK(count == json_object_array_length(theirs));
}

static void compare_string(struct scan_value mine, json_object *theirs)
{
	struct buf text;
	buf_init(&text, mine.text.n);
	scan_decode_string(&text, mine.text);
	const struct span other = { json_object_get_string(theirs), (size_t)json_object_get_string_len(theirs) };
	CHECK(buf_ok(&text));
	CHECK(span_eq(buf_span(&text), other) || json_c_misreads(buf_span(&text)));
	buf_fini(&text);
}

static void compare_number(struct scan_value mine, json_object *theirs)
{
	int64_t whole;
	double number = 0;
	if (scan_int64(mine, &whole) == 0)
		CHECK(json_object_get_type(theirs) == json_type_int && json_object_get_int64(theirs) == whole);
	const double other = strtod(json_object_get_string(theirs), NULL);
	if (json_object_get_type(theirs) == json_type_double) {
		const bool finite = scan_double(mine, &number) == 0;
		CHECK(finite ? number == other : other - other != 0);
	}
}

static void compare(struct scan_value mine, json_object *theirs)
{
	static const enum json_type types[] = {
		[SCAN_OBJECT] = json_type_object, [SCAN_ARRAY] = json_type_array,  [SCAN_STRING] = json_type_string,
		[SCAN_NUMBER] = json_type_double, [SCAN_BOOL] = json_type_boolean, [SCAN_NULL] = json_type_null,
	};
	const enum json_type type = json_object_get_type(theirs);
	CHECK(type == types[mine.type] || (type == json_type_int && mine.type == SCAN_NUMBER));
	if (mine.type == SCAN_OBJECT)
		compare_object(mine, theirs);
	else if (mine.type == SCAN_ARRAY)
		compare_array(mine, theirs);
	else if (mine.type == SCAN_STRING)
		compare_string(mine, theirs);
	else if (mine.type == SCAN_NUMBER)
		compare_number(mine, theirs);
	else if (mine.type == SCAN_BOOL)
		CHECK(json_object_get_boolean(theirs) == span_is(mine.text, "true"));
}

static void compare_with_json_c(struct span text, struct scan_value mine)
{
	struct json_tokener *tokener = json_tokener_new_ex(2 * SCAN_MAX_DEPTH);
	char *copy = malloc(text.n + 1); /* a number at the top ends, for json-c, with a NUL */
	CHECK(tokener && copy);
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	json_object *theirs = json_tokener_parse_ex(tokener, copy, (int)text.n + 1);
	CHECK(json_tokener_get_error(tokener) == json_tokener_success);
	CHECK(json_tokener_get_parse_end(tokener) >= text.n);
	compare(mine, theirs);
	json_object_put(theirs);
	json_tokener_free(tokener);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct span text = { (const char *)data, size };
	struct scan_value mine;
	struct scan_error error = { .at = SIZE_MAX };
	const bool accepted = scan_check(text, &mine, &error) == 0;
	const char *end = size > 0 ? value(text.p, text.p + size, 0) : NULL;
	CHECK(accepted == (end && end == text.p + size));
	CHECK(accepted || (error.at <= size && error.what));
	if (accepted)
		compare_with_json_c(text, mine);
	return 0;
}
