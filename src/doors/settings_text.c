#include "doors/settings_text.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "doors/file.h"

#define FILE_MAX_BYTES ((size_t)1 << 20)

/* Where the walk over the text stands. */
struct walk {
	const char *p;
	const char *end;
	const char *file;
	int line;
	struct buf *out;
	struct buf *error;
};

static int refuse(struct walk *w, const char *what)
{
	buf_reset(w->error);
	buf_add_format(w->error, "%s:%d: %s", w->file, w->line, what);
	return -EINVAL;
}

static void copy(struct walk *w, size_t n)
{
	for (size_t i = 0; i < n; i++)
		w->line += w->p[i] == '\n';
	buf_add(w->out, w->p, n);
	w->p += n;
}

/* The bytes of the string at `p`, quotes included; 0 when it is not closed. */
static size_t string_length(const struct walk *w)
{
	const char *p = w->p + 1;
	while (p < w->end && *p != '"')
		p += *p == '\\' && p + 1 < w->end ? 2 : 1;
	return p < w->end ? (size_t)(p + 1 - w->p) : 0;
}

/* The bytes of the comment at `p`; 0 when there is none. */
static size_t comment_length(const struct walk *w)
{
	const size_t left = (size_t)(w->end - w->p);
	const bool slash = left > 1 && *w->p == '/';
	if (*w->p == '#' || (slash && w->p[1] == '/')) {
		const char *newline = memchr(w->p, '\n', left);
		return newline ? (size_t)(newline - w->p) : left;
	}
	if (slash && w->p[1] == '*') {
		const char *close = left > 3 ? memmem(w->p + 2, left - 2, "*/", 2) : NULL;
		return close ? (size_t)(close + 2 - w->p) : left;
	}
	return 0;
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '*' || c == '.';
}

/* A name, a number or true and false. Of whole numbers only the value can hurt; the rest is libconfig's to judge. */
static void copy_word(struct walk *w)
{
	size_t n = 1;
	while (w->p + n < w->end && is_word(w->p[n]))
		n++;
	char *end = (char *)w->p;
	const bool hexadecimal = n > 1 && w->p[0] == '0' && (w->p[1] == 'x' || w->p[1] == 'X');
	/* Saturates, so that what is out of all range is out of every setting's bounds and refused there, by name. */
	const long long value = strchr("0123456789-+", *w->p) ? strtoll(w->p, &end, hexadecimal ? 16 : 10) : 0;
	const bool whole = end > w->p && end + strspn(end, "L") == w->p + n;
	if (whole && (value > INT32_MAX || value < INT32_MIN)) {
		buf_add_format(w->out, "%lldL", value);
		w->p += n;
	} else {
		copy(w, n);
	}
}

static int copy_token(struct walk *w)
{
	const size_t comment = comment_length(w);
	const size_t string = *w->p == '"' ? string_length(w) : 0;
	if (comment > 0)
		copy(w, comment);
	else if (string > 0)
		copy(w, string);
	else if (*w->p == '"')
		return refuse(w, "a text begins here and is not closed by a quote: put one at its end");
	else if (*w->p == '@')
		return refuse(w, "@include is not supported: put all settings into one file");
	else if (is_word(*w->p) || *w->p == '+')
		copy_word(w);
	else
		copy(w, 1);
	return 0;
}

int settings_text_prepare(const char *file, const struct buf *from, struct buf *ret, struct buf *error)
{
	const struct span text = buf_span(from);
	struct walk w = { .p = text.p, .end = text.p + text.n, .file = file, .line = 1, .out = ret, .error = error };
	const char *nul = memchr(text.p, '\0', text.n);
	while (w.p < w.end) {
		if (nul && w.p > nul)
			break;
		const int r = copy_token(&w);
		if (r < 0)
			return r;
	}
	return nul ? refuse(&w, "the file holds a NUL byte: save it as UTF-8 text") : 0;
}

int settings_text_read(const char *file, struct buf *ret, struct buf *error)
{
	struct buf text;
	buf_init(&text, FILE_MAX_BYTES);
	int r = file_read(file, true, &text);
	if (r == 0) {
		r = settings_text_prepare(file, &text, ret, error);
	} else {
		buf_reset(error);
		buf_add_format(error, "%s: cannot be read: %s", file, file_fault(r));
	}
	buf_wipe(&text);
	return r;
}
