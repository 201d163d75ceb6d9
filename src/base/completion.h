/*
 * completion - what a shell needs to complete a program's commands and options
 *
 * Written from the tables that parsing and --help use, for bash, zsh and fish. Values called FILE are completed as
 * files, no other value is. Pure.
 */
#ifndef HANDOFF_COMPLETION_H
#define HANDOFF_COMPLETION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/options.h"
#include "handoff/macros.h"

/* One command; a program without commands is a single one without a name. */
struct completion {
	const char *name;
	const char *summary;
	const struct option *options;
	size_t count;
	bool takes_file; /* besides its options */
};

/* False when there is no such shell. */
bool completion_write(const char *shell, const char *program, const struct completion *commands, size_t count,
		      struct buf *out) MUST_CHECK;

#endif
