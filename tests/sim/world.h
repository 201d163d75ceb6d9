/*
 * world - the one history that is being played: its plan, its clock on the wall, who is running
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/agenda.h"
#include "sim/plan.h"

struct process;

struct world {
	uint64_t seed;
	struct plan plan;
	struct process *slots[SLOTS_MAX]; /* the present life of each worker */
	struct process *running;          /* whose code is being run */
	int64_t wall_step_ms;             /* what the wall clock was set forward by, in all */
	int64_t wall_back_ms;             /* how far it was ever set back: what is early by that much is not early */
	bool calm;                        /* all trouble has ended */
};

extern struct world world;

int64_t world_unix_ms(void);
void world_begin(uint64_t seed);

#endif
