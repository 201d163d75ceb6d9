/*
 * trace - the story of a history, a line for each thing that happens
 *
 * Kept only when somebody will read it: a history is run without, and once more with it when it has failed.
 */
#ifndef SIM_TRACE_H
#define SIM_TRACE_H

#include <stdbool.h>

#include "handoff/macros.h"

enum trace_mode {
	TRACE_OFF,
	TRACE_ALL, /* printed as it happens */
	TRACE_TAIL /* the last lines are kept for trace_print_tail() */
};

void trace_set(enum trace_mode mode);
bool trace_is_on(void);
/* `who`: the worker, the broker, ... */
void trace(const char *who, const char *format, ...) PRINTF_LIKE(2, 3);
void trace_print_tail(void);

#endif
