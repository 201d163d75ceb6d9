/*
 * options - which words of a command line are options, and where do their values go?
 *
 * A command lists its options once, in a table: parsing, refusing and its --help all come from it. Long and short
 * forms, "--name value", "--name=value", "-x value", "-xvalue"; "--" ends the options. Values point into argv.
 */
#ifndef HANDOFF_OPTIONS_H
#define HANDOFF_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fault.h"
#include "handoff/macros.h"

enum option_kind {
	OPTION_FLAG,   /* bool */
	OPTION_TEXT,   /* const char *; never empty */
	OPTION_WHOLE,  /* int64_t, 1 or more */
	OPTION_NUMBER, /* double, above 0 */
	OPTION_TEXTS   /* struct option_texts: may be given again */
};

struct option_texts {
	const char **items; /* as many as argv has words; the caller's */
	size_t count;
};

struct option {
	const char *name;     /* without the dashes */
	const char *value;    /* what --help calls the value; NULL for a flag */
	const char *sentence; /* for --help */
	void *target;
	enum option_kind kind;
	char letter; /* '\0': only the long form */
};

/* Fills the targets of what is given. `argv[0]` is skipped; what is no option is moved to the front of `argv + 1`, and
 * `ret_count` says how many words that are. 0, or -EINVAL with the sentence in `fault`. */
int options_parse(const struct option *options, size_t count, int argc, char **argv, int *ret_count,
		  struct fault *fault) MUST_CHECK;

/* The options' part of a --help page, on stdout. */
void options_print(const struct option *options, size_t count);

#endif
