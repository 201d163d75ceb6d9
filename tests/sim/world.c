#include "sim/world.h"

#include <stdio.h>

#include "sim/broker.h"
#include "sim/chance.h"
#include "sim/group.h"
#include "sim/judge.h"
#include "sim/process.h"
#include "sim/story.h"
#include "sim/trace.h"
#include "sim/upstream.h"

#define WALL_BEGIN_MS INT64_C(1795500000000)
/* Beyond the longest freeze, session time-out, deadline and transaction time-out, one after the other. */
#define PATIENCE    (300 * USEC_PER_SEC)
#define NEWS_TRAVEL (12 * USEC_PER_SEC) /* every worker has heard that the brokers are back */
#define STOPS_AFTER (25 * USEC_PER_SEC)

struct world world;

int64_t world_unix_ms(void)
{
	return WALL_BEGIN_MS + world.wall_step_ms + (agenda_now() - WORLD_BEGIN) / USEC_PER_MSEC;
}

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

void world_run_until(usec_t end)
{
	while (!judge_has_failed()) {
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
	world = (struct world){ .seed = seed };
	agenda_begin(WORLD_BEGIN);
	chance_seed(seed);
	plan_draw(&world.plan);
	judge_begin();
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
	world_run_until(agenda_now() + STOPS_AFTER);
	for (int slot = 0; slot < world.plan.slots && !judge_has_failed(); slot++)
		if (world.slots[slot]->alive)
			judge_fail("%s does not stop", world.slots[slot]->name);
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

bool world_play(uint64_t seed)
{
	begin(seed);
	world_run_until(WORLD_BEGIN + world.plan.horizon);
	if (!judge_has_failed())
		story_calm_down();
	world_run_until(agenda_now() + NEWS_TRAVEL);
	const usec_t give_up = agenda_now() + PATIENCE;
	while (!judge_has_failed() && agenda_now() < give_up &&
	       (somebody_is_frozen() || !judge_all_done(false))) {
		if (!somebody_runs())
			process_start(0);
		world_run_until(agenda_now() + USEC_PER_SEC);
	}
	if (!judge_has_failed())
		judge_all_done(true);
	if (!judge_has_failed())
		stop_all();
	end();
	return !judge_has_failed();
}
