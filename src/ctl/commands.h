/* commands - what each of handoffctl's commands is run by; main.c has the table */
#ifndef HANDOFF_COMMANDS_H
#define HANDOFF_COMMANDS_H

#include "base/fault.h"
#include "handoff/macros.h"

/* Exit codes of every command. */
enum {
	EXIT_CLEAN = 0,
	EXIT_FAILED = 1, /* while running */
	EXIT_WRONG = 2,  /* usage, configuration or input */
	EXIT_UNCLEAN = 3 /* everything ran, and the result is not clean */
};

/* argv[0] is the command's name. Each prints its own results and errors and returns an exit code. */
int submit_run(int argc, char **argv);
int follow_run(int argc, char **argv);
int verify_run(int argc, char **argv);

/* "handoffctl: SENTENCE" on stderr; returns `code`. */
int command_fail(int code, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
