#include "json/escape.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#define NO_UNIT ((uint32_t)-1)

/* The code unit of the \uXXXX that `s` begins with, or NO_UNIT. */
static uint32_t read_unit(struct span s)
{
	uint32_t unit = 0;
	if (s.n < 6 || s.p[0] != '\\' || s.p[1] != 'u')
		return NO_UNIT;
	for (size_t i = 2; i < 6; i++) {
		const char c = s.p[i];
		if (c >= '0' && c <= '9')
			unit = unit << 4 | (uint32_t)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			unit = unit << 4 | (uint32_t)((c | 0x20) - 'a' + 10);
		else
			return NO_UNIT;
	}
	return unit;
}

static size_t put_utf8(char ret[4], uint32_t code)
{
	if (code < 0x80) {
		ret[0] = (char)code;
		return 1;
	}
	const size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	for (size_t i = n - 1; i > 0; i--, code >>= 6)
		ret[i] = (char)(0x80 | (code & 0x3f));
	ret[0] = (char)((0xf00 >> n & 0xf0) | code);
	return n;
}

static int read_unicode(struct span s, struct escape *ret)
{
	uint32_t code = read_unit(s);
	ret->length = 6;
	if (code == NO_UNIT || (code >= 0xdc00 && code <= 0xdfff))
		return -EINVAL;
	if (code >= 0xd800 && code <= 0xdbff) {
		const uint32_t low = read_unit((struct span){ s.p + 6, s.n - 6 });
		if (low < 0xdc00 || low > 0xdfff)
			return -EINVAL;
		code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
		ret->length = 12;
	}
	ret->n = put_utf8(ret->utf8, code);
	return 0;
}

/* A set top bit in every byte that is a quote, a backslash, a control character or no ASCII, eight bytes at a time.
 * A subtraction's borrow may accuse the neighbour above such a byte; the lowest one named is always right. */
static uint64_t special_bytes(uint64_t bytes)
{
	const uint64_t ones = 0x0101010101010101u;
	const uint64_t quote = bytes ^ (ones * '"');
	const uint64_t backslash = bytes ^ (ones * '\\');
	return ((quote - ones) | (backslash - ones) | (bytes - ones * 0x20) | bytes) & (ones << 7);
}

size_t escape_free_run(struct span s)
{
	size_t n = 0;
	uint64_t bytes;
	for (; s.n - n >= sizeof(bytes); n += sizeof(bytes)) {
		memcpy(&bytes, s.p + n, sizeof(bytes));
		const uint64_t special = special_bytes(le64toh(bytes));
		if (special != 0)
			return n + (size_t)__builtin_ctzll(special) / 8;
	}
	for (; n < s.n; n++) {
		const unsigned char byte = (unsigned char)s.p[n];
		if (byte < 0x20 || byte >= 0x80 || byte == '"' || byte == '\\')
			break;
	}
	return n;
}

int escape_read(struct span s, struct escape *ret)
{
	static const char named[] = "\"\\/bfnrt";
	static const char meant[] = "\"\\/\b\f\n\r\t";
	if (s.n < 2)
		return -EINVAL;
	if (s.p[1] == 'u')
		return read_unicode(s, ret);
	const char *found = memchr(named, s.p[1], sizeof(named) - 1);
	if (!found)
		return -EINVAL;
	*ret = (struct escape){ .length = 2, .n = 1, .utf8 = { meant[found - named] } };
	return 0;
}
