/*
 * commands - what is each of handoffctl's commands, and how does it end?
 *
 * A command is a row here: its words, its options, its texts, and the function that runs it. command_run() does what
 * all have in common, from the command line to the exit code: parsing, --help, the connection's settings, clean-up.
 */
#ifndef HANDOFF_COMMANDS_H
#define HANDOFF_COMMANDS_H

#include <stddef.h>

#include "base/buf.h"
#include "base/fault.h"
#include "base/options.h"
#include "ctl/connection.h"
#include "handoff/macros.h"

/* Exit codes of every command. */
enum {
	EXIT_CLEAN = 0,
	EXIT_FAILED = 1, /* while running */
	EXIT_WRONG = 2,  /* usage, configuration or input */
	EXIT_UNCLEAN = 3 /* everything ran, and the result is not clean */
};

struct command {
	const char *name;
	const char *words;   /* what follows the options in its usage line, " [FILE | -]"; "" */
	const char *summary; /* its line in the list of commands */
	const char *text;    /* what --help says of it: whole lines */
	const struct option *options;
	size_t option_count;
	size_t size;         /* of its struct, which begins with a struct connection */
	const void *initial; /* what the struct holds before the options are read */
	int words_min;       /* how many words there must be, and may be, besides the options */
	int words_max;
	const char *word; /* what such a word is: "file" */
	/* The settings are read, nothing is connected. Prints its results and errors, returns an exit code. */
	int (*run)(void *self, int count, char **words);
	void (*close)(void *self); /* whatever run() has left; NULL: nothing */
};

extern const struct command submit_command;
extern const struct command follow_command;
extern const struct command verify_command;
extern const struct command explain_command;
extern const struct command replay_command;
extern const struct command cancel_command;

/* argv[0] is the command's name. Returns an exit code. */
int command_run(const struct command *command, int argc, char **argv);

/* "handoffctl: SENTENCE" on stderr; returns `code`. */
int command_fail(int code, const char *format, ...) PRINTF_LIKE(2, 3);
/* The same with what the brokers, or the way to them, did, and where to look; returns EXIT_FAILED. */
int command_fail_kafka(const char *before, const struct fault *fault);
/* Writes the page to stdout; -1 and a sentence when that fails. */
int command_print(const struct buf *page);

/* Colours are for terminals, and for those who did not refuse them. */
bool command_has_colours(void);

#endif
