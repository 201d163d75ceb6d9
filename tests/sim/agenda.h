/*
 * agenda - virtual time, what will happen in it, and memory that lasts as long as a history
 *
 * Time stands still while code runs and jumps to the next event when nothing is left to do now. Events of one instant
 * happen in the order in which they were put down. What a history allocates is freed when the next one begins, so
 * nothing in the simulation has to be taken down.
 */
#ifndef SIM_AGENDA_H
#define SIM_AGENDA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"

#define AGENDA_BEGIN (1000 * USEC_PER_SEC) /* when a history begins */

typedef void agenda_fn(void *arg);

void agenda_begin(void);
usec_t agenda_now(void);
void agenda_at(usec_t when, agenda_fn *fn, void *arg);
void agenda_in(usec_t wait, agenda_fn *fn, void *arg);
/* When the next event is due; USEC_NEVER when there is none. */
usec_t agenda_next(void);
/* Makes it `when`, which is not before now. */
void agenda_advance(usec_t when);
/* Takes the first event that is due now and makes it happen. */
void agenda_run_one(void);

/* Zeroed; valid until the next agenda_begin(). Ends the program when there is none. */
void *agenda_memory(size_t size);
char *agenda_text(const char *text, size_t n);

#endif
