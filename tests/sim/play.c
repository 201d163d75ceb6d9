#include "sim/play.h"

#include "sim/broker.h"
#include "sim/chance.h"
#include "sim/group.h"
#include "sim/judge.h"
#include "sim/kafka_doors.h"
#include "sim/process.h"
#include "sim/story.h"
#include "sim/upstream.h"
#include "sim/verdict.h"
#include "sim/world.h"

/* Beyond the longest freeze, session time-out, deadline and transaction time-out, one after the other. */
#define PATIENCE    (300 * USEC_PER_SEC)
#define NEWS_TRAVEL (12 * USEC_PER_SEC) /* every worker has heard that the brokers are back */
#define STOPS_AFTER (25 * USEC_PER_SEC)

static struct process *next_process(void)
{
	struct process *next = NULL;
	for (int slot = 0; slot < world.plan.slots; slot++) {
		struct process *p = world.slots[slot];
		if (p && p->alive && !p->frozen && (!next || p->wake_at < next->wake_at))
			next = p;
	}
	return next;
}

static void run_until(usec_t end)
{
	while (!verdict_is_given()) {
		struct process *p = next_process();
		const usec_t turn_at = p ? p->wake_at : USEC_NEVER;
		const usec_t event_at = agenda_next();
		const usec_t at = turn_at < event_at ? turn_at : event_at;
		if (at > end)
			break;
		agenda_advance(at);
		if (event_at <= turn_at)
			agenda_run_one();
		else
			process_turn(p);
	}
	agenda_advance(end);
}

static void begin(uint64_t seed)
{
	world_begin(seed);
	agenda_begin();
	chance_seed(seed);
	plan_draw(&world.plan);
	verdict_begin();
	judge_begin();
	consumers_begin();
	broker_begin();
	group_begin();
	upstream_begin();
	story_begin();
}

static void stop_all(void)
{
	for (int slot = 0; slot < world.plan.slots; slot++)
		if (world.slots[slot]->signals.stop == 0)
			process_stop(world.slots[slot]);
	run_until(agenda_now() + STOPS_AFTER);
	for (int slot = 0; slot < world.plan.slots && !verdict_is_given(); slot++)
		if (world.slots[slot]->alive)
			verdict_give("%s does not stop", world.slots[slot]->name);
}

static void end(void)
{
	for (int slot = 0; slot < world.plan.slots; slot++)
		process_end(world.slots[slot]);
	broker_end();
}

/* A process that was told to stop before the calm ends in it, and is not begun anew. */
static bool somebody_runs(void)
{
	for (int slot = 0; slot < world.plan.slots; slot++)
		if (world.slots[slot]->alive)
			return true;
	return false;
}

static bool somebody_is_frozen(void)
{
	for (int slot = 0; slot < world.plan.slots; slot++)
		if (world.slots[slot]->alive && world.slots[slot]->frozen)
			return true;
	return false;
}

bool play(uint64_t seed)
{
	begin(seed);
	run_until(AGENDA_BEGIN + world.plan.horizon);
	if (!verdict_is_given())
		story_calm_down();
	run_until(agenda_now() + NEWS_TRAVEL);
	const usec_t give_up = agenda_now() + PATIENCE;
	while (!verdict_is_given() && agenda_now() < give_up && (somebody_is_frozen() || !judge_all_done(false))) {
		if (!somebody_runs())
			process_start(0);
		run_until(agenda_now() + USEC_PER_SEC);
	}
	if (!verdict_is_given())
		judge_all_done(true);
	if (!verdict_is_given())
		stop_all();
	end();
	return !verdict_is_given();
}
