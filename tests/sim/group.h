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

struct process;

/* One process life's place in the group. */
struct member {
	struct process *process;
	bool in_group;
	bool rejoined; /* in the present rebalance */
	bool told;     /* that it has to give back */
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
void group_join(struct member *member);
/* Gave everything back and joins again. */
void group_rejoin(struct member *member);
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
