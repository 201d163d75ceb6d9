/*
 * help - what does a program without commands print for --help and --help=FORM?
 *
 *   --help          head, the table of options, tail
 *   --help=FORM     a form of the program's own (a section of its man page), or a shell's completion
 *
 * Everything comes from the table that parsing uses. Writes to stdout, complaints to stderr.
 */
#ifndef HANDOFF_HELP_H
#define HANDOFF_HELP_H

#include <stddef.h>

#include "base/buf.h"
#include "base/options.h"
#include "handoff/macros.h"

struct help_form {
	const char *name;
	void (*write)(struct buf *out);
};

struct help {
	const char *program;
	const char *head;
	const char *tail;
	const struct option *options;
	size_t count;
	const struct help_form *forms;
	size_t form_count;
};

/* `form` is "" for the page that people read. The exit code: 0; 1 when stdout does not take it; 2 when there is no such
 * form. */
int help_print(const struct help *help, const char *form) MUST_CHECK;

/* All of `page` to stdout. The exit code: 0, or 1 when it could not be built or written. */
int help_print_page(const struct buf *page) MUST_CHECK;

#endif
