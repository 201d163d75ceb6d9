/*
 * options - which words of a command line are options, and where do their values go?
 *
 * A program lists its options once, in a constant table: parsing, refusing, --help, the man page's list and the
 * shells' completion all come from it. Long and short forms, "--name value", "--name=value", "-x value", "-xvalue";
 * "--" ends the options. Values point into argv. Pure, but for options_parse() moving words within argv.
 */
#ifndef HANDOFF_OPTIONS_H
#define HANDOFF_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/fault.h"
#include "handoff/macros.h"

enum option_kind {
	OPTION_FLAG,   /* bool */
	OPTION_TEXT,   /* const char *; never empty */
	OPTION_WHOLE,  /* int64_t, 1 or more */
	OPTION_COUNT,  /* int64_t, 0 or more */
	OPTION_NUMBER, /* double, above 0 */
	OPTION_TEXTS,  /* struct option_texts: may be given again */
	OPTION_FORM    /* const char *; its value is optional and follows a `=`: "" without one */
};

struct option_texts {
	const char **items; /* as many as argv has words; the caller's */
	size_t count;
};

struct option {
	const char *name;     /* without the dashes */
	const char *value;    /* what --help calls the value; NULL for a flag. FILE: completed as one */
	const char *sentence; /* for --help; without a full stop */
	size_t offset;        /* of its target in the struct that options_parse() fills */
	enum option_kind kind;
	char letter;        /* '\0': only the long form */
	const char *detail; /* whole sentences that the man page adds; NULL: none */
};

/* Fills the targets of what is given, in the struct at `into`. `argv[0]` is skipped; what is no option is moved to the
 * front of `argv + 1`, and `ret_count` says how many words that are. 0, or -EINVAL with the sentence in `fault`. */
int options_parse(const struct option *options, size_t count, int argc, char **argv, void *into, int *ret_count,
		  struct fault *fault) MUST_CHECK;

/* The options' part of a --help page. */
void options_write_help(const struct option *options, size_t count, struct buf *out);
/* The same as the body of a man page's section: a .TP each. */
void options_write_man(const struct option *options, size_t count, struct buf *out);
/* As mdoc(7) has it: a whole list. */
void options_write_mdoc(const struct option *options, size_t count, struct buf *out);
/* `text` as roff reads it: backslashes, hyphens, a line's first dot, each sentence on a line of its own. */
void options_write_roff(const char *text, struct buf *out);

#endif
