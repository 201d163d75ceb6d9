#include "sim/group.h"

#include <string.h>

#include "sim/agenda.h"
#include "sim/broker.h"
#include "sim/chance.h"
#include "sim/trace.h"
#include "sim/witness.h"
#include "sim/world.h"

#define HEARTBEAT USEC_PER_SEC

enum { MEMBERS_MAX = 2 * SLOTS_MAX };

static struct member *members[MEMBERS_MAX];
static size_t member_count;
static int32_t generation;
static bool rebalancing;
static int round_number; /* a scheduled end of an older round is void */

void group_begin(void)
{
	member_count = 0;
	generation = 0;
	rebalancing = false;
	round_number = 0;
}

static void remove_member(struct member *member)
{
	size_t kept = 0;
	for (size_t i = 0; i < member_count; i++)
		if (members[i] != member)
			members[kept++] = members[i];
	member_count = kept;
	member->in_group = false;
	member->generation = 0;
}

/* ---- telling ---- */

static void tell_to_give_back(void *arg)
{
	struct member *member = arg;
	if (!member->in_group || !rebalancing || member->rejoined || member->told)
		return;
	member->told = true;
	member->must_give_back(member, false);
}

static void tell_lost(void *arg)
{
	struct member *member = arg;
	if (!member->in_group)
		member->must_give_back(member, true);
}

void group_hear(struct member *member)
{
	if (member->joins == 0)
		return;
	member->in(member->process, chance_between(500, 60000), member->in_group ? tell_to_give_back : tell_lost,
		   member);
}

/* An answer to a join; void once something newer has happened. */
struct assignment {
	struct member *member;
	int32_t generation;
	int join;
};

static void tell_assignment(void *arg)
{
	const struct assignment *a = arg;
	if (a->member->in_group && a->member->generation == a->generation && a->member->joins == a->join)
		a->member->is_assigned(a->member);
}

static void tell_assignment_soon(struct member *member)
{
	struct assignment *a = agenda_memory(sizeof(*a));
	*a = (struct assignment){ .member = member, .generation = member->generation, .join = member->heard_of };
	member->in(member->process, broker_way(), tell_assignment, a);
}

/* ---- rounds ---- */

static void assign_ranges(void)
{
	const int32_t partitions = world.plan.partitions;
	int32_t next = 0;
	for (size_t i = 0; i < member_count; i++) {
		struct member *m = members[i];
		m->first = next;
		m->count = partitions / (int32_t)member_count + ((int32_t)i < partitions % (int32_t)member_count);
		m->generation = generation;
		next += m->count;
		trace("group", "generation %d: %s has partitions %d..%d", (int)generation, m->name, (int)m->first,
		      (int)(m->first + m->count - 1));
	}
}

static bool all_rejoined(void)
{
	for (size_t i = 0; i < member_count; i++)
		if (!members[i]->rejoined)
			return false;
	return member_count > 0;
}

static void end_round(void *arg)
{
	const int *round = arg;
	if (!rebalancing || *round != round_number || !all_rejoined())
		return;
	rebalancing = false;
	generation++;
	assign_ranges();
	for (size_t i = 0; i < member_count; i++)
		tell_assignment_soon(members[i]);
}

static void end_round_soon(void)
{
	if (!rebalancing || !all_rejoined())
		return;
	int *round = agenda_memory(sizeof(*round));
	*round = ++round_number;
	agenda_in(broker_way(), end_round, round);
}

static void begin_round(void)
{
	if (!rebalancing) {
		rebalancing = true;
		for (size_t i = 0; i < member_count; i++) {
			struct member *m = members[i];
			m->rejoined = m->told = false;
			m->in(m->process, chance_between(500, HEARTBEAT), tell_to_give_back, m);
		}
	}
	end_round_soon();
}

void group_shake(const char *why)
{
	trace("group", "rebalance: %s", why);
	if (member_count > 0)
		begin_round();
}

struct join {
	struct member *member;
	int number;
};

static void join(void *arg)
{
	const struct join *j = arg;
	struct member *member = j->member;
	if (j->number < member->joins)
		return; /* the client has sent another one since */
	member->heard_of = j->number;
	if (!member->in_group && member_count < MEMBERS_MAX) {
		trace("group", "%s joins", member->name);
		member->in_group = true;
		members[member_count++] = member;
	}
	member->rejoined = true;
	member->told = false;
	if (!rebalancing) {
		begin_round();
		member->rejoined = true;
	}
	end_round_soon();
}

void group_join(struct member *member)
{
	struct join *j = agenda_memory(sizeof(*j));
	*j = (struct join){ .member = member, .number = ++member->joins };
	member->in(member->process, broker_way(), join, j);
}

static void leave(void *arg)
{
	struct member *member = arg;
	if (!member->in_group)
		return;
	trace("group", "%s leaves", member->name);
	remove_member(member);
	if (member_count > 0)
		begin_round();
}

void group_leave(struct member *member)
{
	agenda_in(broker_way(), leave, member);
}

void group_expel(struct member *member)
{
	if (!member->in_group)
		return;
	trace("group", "%s was not heard of for too long", member->name);
	witness.on_died(member->process);
	remove_member(member);
	if (member_count > 0)
		begin_round();
}

bool group_accepts(const struct membership *membership)
{
	return membership->member->in_group && membership->member->generation == membership->generation;
}
