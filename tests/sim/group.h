/*
 * group - the coordinator: who is a member, whose are which partitions
 *
 *   join / leave / expulsion / new metadata ──> every member is told to give back ──> all have joined again
 *        ──> the next generation: `range` over all members, eager: everything moves, even what stays
 *
 * Equal partition counts: a member gets the same partition numbers of every topic. A member that is not heard of for
 * the session time-out is expelled; what it commits afterwards is refused, and it learns of it when it asks again.
 */
#ifndef SIM_GROUP_H
#define SIM_GROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/agenda.h"

struct process;

/* One process life's place in the group. */
struct member {
	const char *name;
	struct process *process;
	/* The client's: a library thread does it later, when the process runs. */
	void (*in)(struct process *process, usec_t wait, agenda_fn *fn, void *arg);
	void (*must_give_back)(struct member *member, bool lost);
	void (*is_assigned)(struct member *member);
	bool in_group;
	bool rejoined; /* in the present rebalance */
	bool told;     /* that it has to give back */
	int joins;     /* sent by the client: it ignores the answer to any but the newest */
	int heard_of;  /* the newest that has arrived */
	int32_t generation;
	int32_t first, count; /* partition numbers */
};

/* What a batch is committed as. */
struct membership {
	struct member *member;
	int32_t generation;
	bool ended; /* as the client knows */
};

void group_begin(void);
/* For the first time, or again after everything was given back. */
void group_join(struct member *member);
void group_leave(struct member *member);
/* Not heard of for too long. */
void group_expel(struct member *member);
/* Everybody gives back and gets again, perhaps the same. */
void group_shake(const char *why);
/* Would the coordinator take offsets from it? */
bool group_accepts(const struct membership *membership);
/* Hears of the member again: tells what it has missed. */
void group_hear(struct member *member);

#endif
