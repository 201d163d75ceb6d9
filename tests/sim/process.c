#include "sim/process.h"

#include <stdio.h>

#include "sim/chance.h"
#include "sim/trace.h"
#include "sim/verdict.h"
#include "sim/witness.h"
#include "sim/world.h"

#define SESSION_TIMEOUT (15 * USEC_PER_SEC)
#define TURN_COST       20 /* a loop that does not sleep still needs time */
#define SPIN_MAX        20000

struct deferred {
	struct deferred *next;
	struct process *process;
	agenda_fn *fn;
	void *arg;
};

/* What is learnt at the end of a life decides whether the slot begins another one. */
static void bury(struct process *p)
{
	struct process *before = world.running;
	if (p->is_buried)
		return;
	p->is_buried = true;
	p->alive = false;
	world.running = p;
	worker_fini(&p->worker);
	world.running = before;
}

static void take_settings(struct process *p)
{
	p->settings = world.plan.settings;
	p->settings.kafka.instance = agenda_text(p->name, 2);
	p->settings.tenants = p->tenants;
	for (int i = 0; i < world.plan.tenants; i++)
		p->tenants[i] = world.plan.tenant_settings[i];
}

struct process *process_start(int slot)
{
	struct process *last = world.slots[slot];
	struct process *p = agenda_memory(sizeof(*p));
	struct fault fault = { 0 };
	process_end(last);
	p->slot = slot;
	p->life = last ? last->life + 1 : 1;
	snprintf(p->name, sizeof(p->name), "w%d.%d", slot, p->life);
	p->alive = true;
	p->effects_left = -1;
	p->member.name = p->name;
	p->member.process = p;
	p->member.in = process_in;
	take_settings(p);
	world.slots[slot] = p;
	world.running = p;
	trace(p->name, "starts");
	const int r = worker_init(&p->worker, &p->settings, &p->signals, &fault);
	p->worker.random = chance_next() | 1;
	world.running = NULL;
	p->wake_at = agenda_now();
	if (r != 0)
		verdict_give("%s cannot start: %s", p->name, fault.message);
	return p;
}

/* ---- trouble ---- */

struct expulsion {
	struct process *process;
	int freeze_number;
};

static void on_silence(void *arg)
{
	const struct expulsion *e = arg;
	if (!e->process->alive || (e->process->frozen && e->process->freeze_number == e->freeze_number))
		group_expel(&e->process->member);
}

/* The coordinator's patience, counted from the last heartbeat. */
static void fall_silent(struct process *p)
{
	struct expulsion *e = agenda_memory(sizeof(*e));
	*e = (struct expulsion){ .process = p, .freeze_number = p->freeze_number };
	agenda_in(SESSION_TIMEOUT - chance_between(0, USEC_PER_SEC), on_silence, e);
}

static void die(struct process *p, const char *how)
{
	trace(p->name, "is killed %s", how);
	p->alive = false;
	witness.on_died(p);
	fall_silent(p);
}

void process_kill(struct process *p)
{
	if (!p->alive)
		return;
	die(p, "");
	bury(p);
}

void process_kill_soon(struct process *p)
{
	if (p->alive)
		p->effects_left = (int)chance_between(0, 6);
}

static void thaw(void *arg)
{
	struct process *p = arg;
	if (!p->alive)
		return;
	trace(p->name, "goes on");
	p->frozen = false;
	group_hear(&p->member);
	struct deferred *at = p->deferred;
	p->deferred = NULL;
	for (; at; at = at->next)
		process_in(p, chance_between(0, 30000), at->fn, at->arg);
	process_wake(p);
}

void process_freeze(struct process *p, usec_t duration)
{
	if (!p->alive || p->frozen)
		return;
	trace(p->name, "stands still for %.3f s", (double)duration / (double)USEC_PER_SEC);
	p->frozen = p->unread_gap = true;
	p->freeze_number++;
	p->stop_is_fair = false;
	fall_silent(p);
	agenda_in(duration, thaw, p);
}

void process_stop(struct process *p)
{
	if (!p->alive)
		return;
	trace(p->name, "is told to stop");
	p->signals.stop++;
	/* That brokers answer again is not known at once to a process that has never heard one. */
	const bool heard_none = p->worker.brokers_down && !p->worker.subscribed;
	p->stop_is_fair = world.calm && p->signals.stop == 1 && !p->frozen && !heard_none;
	process_wake(p);
}

void process_end(struct process *p)
{
	if (p)
		bury(p);
}

/* ---- turns ---- */

void process_wake(struct process *p)
{
	if (p->wake_at > agenda_now())
		p->wake_at = agenda_now();
}

static void run_deferred(void *arg)
{
	struct deferred *d = arg;
	struct process *p = d->process;
	if (!p->alive)
		return;
	if (p->frozen) {
		d->next = p->deferred;
		p->deferred = d;
		return;
	}
	d->fn(d->arg);
}

void process_in(struct process *p, usec_t wait, agenda_fn *fn, void *arg)
{
	struct deferred *d = agenda_memory(sizeof(*d));
	*d = (struct deferred){ .process = p, .fn = fn, .arg = arg };
	agenda_in(wait, run_deferred, d);
}

bool process_effect(struct process *p, const char *what)
{
	char how[64];
	if (p->alive && p->effects_left == 0) {
		snprintf(how, sizeof(how), "before it can %s", what);
		die(p, how);
	}
	if (p->alive && p->effects_left > 0)
		p->effects_left--;
	return p->alive;
}

static void settle_exit(struct process *p)
{
	trace(p->name, "ends with %d", p->worker.exit_code);
	witness.on_exited(p);
	bury(p);
	/* The library says good-bye when it can; a worker that failed does not. */
	if (p->worker.exit_code != 0)
		fall_silent(p);
	else
		group_leave(&p->member);
}

void process_turn(struct process *p)
{
	const usec_t now = agenda_now();
	world.running = p;
	worker_serve(&p->worker);
	world.running = NULL;
	if (!p->alive) {
		bury(p);
		return;
	}
	witness.on_turned(p);
	if (p->worker.finished) {
		settle_exit(p);
		return;
	}
	const usec_t wait = worker_wait(&p->worker);
	p->turns_now = wait > USEC_PER_MSEC ? 0 : p->turns_now + 1;
	if (p->turns_now > SPIN_MAX)
		verdict_give("%s turns without ever sleeping", p->name);
	p->wake_at = now + (wait > TURN_COST ? wait : TURN_COST);
}
