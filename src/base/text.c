#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool text_begins(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* 0..15, or -1. */
static int hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool is_unreserved(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || is_digit(c) || c == '.' || c == '_' || c == '~' ||
	       c == '-';
}

void text_percent_encode(struct buf *out, struct span raw)
{
	static const char digits[] = "0123456789ABCDEF";
	for (size_t i = 0; i < raw.n; i++) {
		const unsigned char byte = (unsigned char)raw.p[i];
		if (is_unreserved(raw.p[i]))
			buf_add_char(out, raw.p[i]);
		else
			buf_add(out, (const char[]){ '%', digits[byte >> 4], digits[byte & 15] }, 3);
	}
}

int text_percent_decode(struct buf *out, struct span encoded)
{
	for (size_t i = 0; i < encoded.n; i++) {
		if (encoded.p[i] != '%') {
			buf_add_char(out, encoded.p[i]);
			continue;
		}
		const int high = encoded.n - i > 2 ? hex_value(encoded.p[i + 1]) : -1;
		const int low = encoded.n - i > 2 ? hex_value(encoded.p[i + 2]) : -1;
		if (high < 0 || low < 0)
			return -EINVAL;
		buf_add_char(out, (char)(high << 4 | low));
		i += 2;
	}
	return 0;
}

void text_base64_encode(struct buf *out, struct span raw)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *p = (const unsigned char *)raw.p;
	for (size_t n = raw.n; n > 0;) {
		const size_t taken = n < 3 ? n : 3;
		const unsigned group =
			(unsigned)p[0] << 16 | (taken > 1 ? (unsigned)p[1] << 8 : 0) | (taken > 2 ? (unsigned)p[2] : 0);
		const char four[4] = { alphabet[group >> 18], alphabet[group >> 12 & 63],
				       taken > 1 ? alphabet[group >> 6 & 63] : '=',
				       taken > 2 ? alphabet[group & 63] : '=' };
		buf_add(out, four, sizeof(four));
		p += taken;
		n -= taken;
	}
}

/* 0..63, or -1. */
static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (is_digit(c))
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

/* The bytes in one group of four characters (0 when they are none); only the last group may be padded. */
static size_t base64_group(const char *four, bool last, char ret[3])
{
	const size_t chars = last && four[3] == '=' ? (four[2] == '=' ? 2 : 3) : 4;
	unsigned group = 0;
	for (size_t i = 0; i < 4; i++) {
		const int value = i < chars ? base64_value(four[i]) : 0;
		if (value < 0)
			return 0;
		group = group << 6 | (unsigned)value;
	}
	/* Bits that the padding cuts off must be zero, else two texts would mean the same bytes. */
	if ((chars == 2 && (group & 0xffff) != 0) || (chars == 3 && (group & 0xff) != 0))
		return 0;
	ret[0] = (char)(group >> 16);
	ret[1] = (char)(group >> 8);
	ret[2] = (char)group;
	return chars - 1;
}

int text_base64_decode(struct buf *out, struct span encoded)
{
	const size_t len = out->len;
	for (size_t i = 0; i < encoded.n; i += 4) {
		char bytes[3];
		const size_t n = encoded.n % 4 == 0 ? base64_group(encoded.p + i, i + 4 == encoded.n, bytes) : 0;
		if (n == 0) {
			buf_cut(out, len);
			return -EINVAL;
		}
		buf_add(out, bytes, n);
	}
	return 0;
}

bool text_is_uuid(struct span s)
{
	if (s.n != 36)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		if (dash ? s.p[i] != '-' : hex_value(s.p[i]) < 0)
			return false;
	}
	return true;
}

size_t text_utf8_next(struct span s)
{
	if (s.n == 0)
		return 0;
	const unsigned char *p = (const unsigned char *)s.p;
	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	const size_t n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (s.n < n)
		return 0;
	/* The second byte's range is what keeps out overlong forms, surrogates and what lies beyond U+10FFFF. */
	const unsigned char low = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
	const unsigned char high = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

bool text_is_utf8(struct span s)
{
	while (s.n > 0) {
		const size_t n = text_utf8_next(s);
		if (n == 0)
			return false;
		s.p += n;
		s.n -= n;
	}
	return true;
}

bool text_is_printable_ascii(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 0x20 || s.p[i] > 0x7e)
			return false;
	return true;
}

bool text_has_control(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return true;
	return false;
}

int text_parse_int64(struct span s, int64_t *ret)
{
	const bool negative = s.n > 0 && s.p[0] == '-';
	const struct span digits = negative ? (struct span){ s.p + 1, s.n - 1 } : s;
	if (digits.n == 0 || (digits.p[0] == '0' && (negative || digits.n > 1)))
		return -EINVAL;
	for (size_t i = 0; i < digits.n; i++)
		if (!is_digit(digits.p[i]))
			return -EINVAL;
	int64_t value = 0;
	for (size_t i = 0; i < digits.n; i++) {
		const int digit = digits.p[i] - '0';
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, negative ? -digit : digit, &value))
			return -ERANGE;
	}
	*ret = value;
	return 0;
}

void text_uuid4(char ret[37])
{
	unsigned char b[16];
	arc4random_buf(b, sizeof(b));
	b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
	b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
	snprintf(ret, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2],
		 b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}
