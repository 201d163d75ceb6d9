#include "base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 256 /* most texts fit in it, and growing from less is copying */

void buf_init(struct buf *b, size_t limit)
{
	*b = (struct buf){ .limit = limit };
}

void buf_init_on(struct buf *b, char *storage, size_t size)
{
	storage[0] = '\0';
	*b = (struct buf){ .data = storage, .cap = size, .limit = size - 1, .borrowed = true };
}

void buf_fini(struct buf *b)
{
	if (!b->borrowed)
		free(b->data);
	*b = (struct buf){ .limit = b->limit };
}

void buf_wipe(struct buf *b)
{
	if (b->data)
		explicit_bzero(b->data, b->cap);
	buf_fini(b);
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->failed = b->starved = false;
	if (b->data)
		b->data[0] = '\0';
}

/* Room for `n` more bytes and a NUL; false, and failed, when there is none to be had. */
static bool reserve(struct buf *b, size_t n)
{
	if (b->failed || n > b->limit - b->len) {
		b->failed = true;
		return false;
	}
	const size_t need = b->len + n + 1;
	if (need <= b->cap)
		return true;
	size_t cap = b->cap ? b->cap : FIRST_CAPACITY;
	while (cap < need)
		cap *= 2;
	char *data = realloc(b->data, cap);
	if (!data) {
		b->failed = b->starved = true;
		return false;
	}
	b->data = data;
	b->cap = cap;
	return true;
}

void buf_add(struct buf *b, const void *bytes, size_t n)
{
	if (!reserve(b, n))
		return;
	if (n > 0)
		memcpy(b->data + b->len, bytes, n);
	b->len += n;
	b->data[b->len] = '\0';
}

void buf_add_span(struct buf *b, struct span s)
{
	buf_add(b, s.p, s.n);
}

void buf_add_text(struct buf *b, const char *text)
{
	buf_add(b, text, strlen(text));
}

void buf_add_char(struct buf *b, char c)
{
	if (!reserve(b, 1))
		return;
	b->data[b->len++] = c;
	b->data[b->len] = '\0';
}

void buf_add_int(struct buf *b, int64_t value)
{
	char digits[20], *first = digits + sizeof(digits);
	uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
	do
		*--first = (char)('0' + rest % 10);
	while ((rest /= 10) > 0);
	if (value < 0)
		*--first = '-';
	buf_add(b, first, (size_t)(digits + sizeof(digits) - first));
}

/* Written where there is room at once; only a text that does not fit is written twice. */
void buf_add_format(struct buf *b, const char *format, ...)
{
	va_list args, again;
	va_start(args, format);
	va_copy(again, args);
	const size_t room = !b->failed && b->data ? b->cap - b->len : 0;
	const int n = vsnprintf(room > 0 ? b->data + b->len : NULL, room, format, args);
	if (n < 0)
		b->failed = true;
	else if (reserve(b, (size_t)n)) {
		if ((size_t)n >= room)
			vsnprintf(b->data + b->len, (size_t)n + 1, format, again);
		b->len += (size_t)n;
	}
	if (b->data && b->cap > b->len)
		b->data[b->len] = '\0';
	va_end(again);
	va_end(args);
}

void buf_cut(struct buf *b, size_t len)
{
	if (len >= b->len)
		return;
	b->len = len;
	b->data[len] = '\0';
}

int buf_result(const struct buf *b)
{
	if (!b->failed)
		return 0;
	return b->starved ? -ENOMEM : -EMSGSIZE;
}

char *buf_take(struct buf *b, size_t *ret_len)
{
	if (b->failed || b->borrowed || !b->data)
		return NULL;
	char *data = b->data;
	if (ret_len)
		*ret_len = b->len;
	*b = (struct buf){ .limit = b->limit };
	return data;
}
