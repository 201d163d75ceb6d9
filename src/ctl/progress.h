/*
 * progress - how far is it?
 *
 * A bar that is redrawn on a terminal, a line now and then elsewhere; on stderr, so that stdout holds results only.
 */
#ifndef HANDOFF_PROGRESS_H
#define HANDOFF_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"

struct progress_bar {
	const char *what; /* "sent": what has been done to the first count */
	bool quiet;
	bool terminal;
	bool drawn;   /* a bar stands in the present line */
	usec_t began; /* 0: nothing was shown yet */
	usec_t next;
	size_t sent; /* as shown last */
	size_t seen;
};

void progress_bar_init(struct progress_bar *bar, bool quiet, const char *what);
/* Shows it, if it is time to. `awaited` 0: outcomes are not waited for. */
void progress_bar_show(struct progress_bar *bar, usec_t now, size_t total, size_t sent, size_t awaited, size_t seen);
/* Shows the last state, whatever the time, and ends the bar's line. */
void progress_bar_end(struct progress_bar *bar, size_t total, size_t sent, size_t awaited, size_t seen);

#endif
