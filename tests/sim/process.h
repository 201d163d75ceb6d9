/*
 * process - one life of a worker: the real worker between fake doors
 *
 *   start ──> turns ──> exit (SIGTERM, its own failure)
 *               │ ├──> frozen (SIGSTOP) ──> goes on, late
 *               │ └──> killed: between any two effects
 *
 * Killed means: from this instant on nothing that it does reaches anybody. The code of its turn is let run to the end,
 * and its memory is given back, but every door is dead. A process that is frozen does not turn, nor do the library
 * threads of its doors; what it had sent goes on its way.
 */
#ifndef SIM_PROCESS_H
#define SIM_PROCESS_H

#include <stdbool.h>

#include "sim/agenda.h"
#include "sim/group.h"
#include "worker/worker.h"

struct deferred;

struct process {
	char name[24];
	int slot;
	int life;
	struct settings settings;
	struct settings_tenant tenants[2];
	struct worker worker;
	struct worker_signals signals;
	bool alive;     /* not killed, not exited */
	bool is_buried; /* what it held is freed: after the turn in which it died, or with its slot */
	bool frozen;
	bool unread_gap; /* was frozen, and has not looked at the clock since */
	usec_t wake_at;
	int effects_left; /* killed before the next but so many effects; negative: never */
	int turns_now;    /* at this very instant */
	int freeze_number;
	bool stop_is_fair; /* nothing has kept it from a clean stop since it was told to */
	bool is_fenced;    /* its producer was told so */
	struct deferred *deferred;
	struct member member;
	struct kafka_consumer *consumer;
	struct kafka_producer *producer;
	struct kafka_topology *topology;
	struct http *http[2];
	int http_count;
};

struct process *process_start(int slot);
void process_kill(struct process *p);
/* Kills it just before one of its next effects. */
void process_kill_soon(struct process *p);
void process_freeze(struct process *p, usec_t duration);
/* SIGTERM. */
void process_stop(struct process *p);
/* The end of the history: gives back its memory, without a trace. */
void process_end(struct process *p);

/* It has something to look at. */
void process_wake(struct process *p);
/* For what its library threads do: after the wait, and not before it has thawed; never when it is dead. */
void process_in(struct process *p, usec_t wait, agenda_fn *fn, void *arg);
/* Something is about to leave the process. False: it was killed before. */
bool process_effect(struct process *p, const char *what);
/* One turn of its loop. */
void process_turn(struct process *p);

#endif
