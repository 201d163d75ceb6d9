/* options_manual - a table of options as the man pages have it */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/options.h"

/* A blank behind a sentence: roff wants each on a line of its own, and puts the right space there. */
static bool ends_sentence(const char *text, const char *p)
{
	return *p == ' ' && p > text && p[-1] == '.' && isupper((unsigned char)p[1]);
}

void options_write_roff(const char *text, struct buf *out)
{
	bool at_start = true;
	for (const char *p = text; *p; p++) {
		const bool is_end = ends_sentence(text, p);
		if (at_start && (*p == '.' || *p == '\''))
			buf_add_text(out, "\\&");
		if (*p == '\\')
			buf_add_text(out, "\\e");
		else if (*p == '-')
			buf_add_text(out, "\\-");
		else if (is_end)
			buf_add_char(out, '\n');
		else
			buf_add_char(out, *p);
		at_start = *p == '\n' || is_end;
	}
}

/* A sentence of the table begins in lower case, as a column of --help does, and has no full stop. */
static void write_sentence(const char *sentence, struct buf *out)
{
	char *text = strdup(sentence);
	if (!text) {
		out->failed = true;
		return;
	}
	text[0] = (char)toupper((unsigned char)text[0]);
	options_write_roff(text, out);
	buf_add_text(out, ".\n");
	free(text);
}

/* What stands under an option's head. */
static void write_text(const struct option *option, struct buf *out)
{
	write_sentence(option->sentence, out);
	if (!option->detail)
		return;
	options_write_roff(option->detail, out);
	buf_add_char(out, '\n');
}

void options_write_man(const struct option *options, size_t count, struct buf *out)
{
	for (size_t i = 0; i < count; i++) {
		const struct option *o = &options[i];
		buf_add_text(out, ".TP\n");
		if (o->letter)
			buf_add_format(out, "\\fB\\-%c\\fR, ", o->letter);
		buf_add_text(out, "\\fB\\-\\-");
		options_write_roff(o->name, out);
		buf_add_text(out, "\\fR");
		if (o->value) {
			buf_add_text(out, " \\fI");
			options_write_roff(o->value, out);
			buf_add_text(out, "\\fR");
		}
		buf_add_char(out, '\n');
		write_text(o, out);
	}
}

void options_write_mdoc(const struct option *options, size_t count, struct buf *out)
{
	buf_add_text(out, ".Bl -tag -width Ds\n");
	for (size_t i = 0; i < count; i++) {
		const struct option *o = &options[i];
		buf_add_text(out, ".It ");
		if (o->letter)
			buf_add_format(out, "Fl %c , ", o->letter);
		buf_add_format(out, "Fl -%s", o->name);
		if (o->value)
			buf_add_format(out, " Ar %s", o->value);
		buf_add_char(out, '\n');
		write_text(o, out);
	}
	buf_add_text(out, ".El\n");
}
