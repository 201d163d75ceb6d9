/*
 * child - a process of our own: start it, hear that it is ready, end it
 *
 * The child tells one line over a pipe - that it is ready, or why it cannot be - and stops when it is sent SIGTERM.
 * It is sent SIGTERM too when its parent dies. Only a process with a single thread may start children.
 */
#ifndef SANDBOX_CHILD_H
#define SANDBOX_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#include "handoff/macros.h"

/* The parent's side. */
struct child {
	const char *name; /* for sentences; NULL: not started */
	pid_t pid;
	int report_fd;
	char line[512]; /* what it reported so far, without the newline once complete */
	size_t len;
};

/* The child's side. */
struct child_side {
	int report_fd;
	int stop_fd;
};

/* Runs `run(arg, side)` in a new process, which exits with what that returns. SIGTERM, SIGINT and SIGCHLD must be
 * blocked. 0 or -errno. */
int child_start(struct child *child, const char *name, int (*run)(void *arg, struct child_side *side),
		void *arg) MUST_CHECK;

enum child_report { CHILD_SILENT, CHILD_READY, CHILD_FAILED };
/* Reads what is there to read. CHILD_READY and CHILD_FAILED: `line` says what. CHILD_FAILED also when it closed its
 * side without a word; `line` is empty then. */
enum child_report child_read(struct child *child);
/* Sends SIGTERM, after `patience_ms` SIGKILL, and waits for the end. Takes one that was never started. */
void child_stop(struct child *child, int patience_ms);

/* Becomes readable when the child shall stop. */
int child_side_fd(const struct child_side *side);
void child_side_ready(struct child_side *side, const char *format, ...) PRINTF_LIKE(2, 3);
void child_side_failed(struct child_side *side, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
