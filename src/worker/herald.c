/* herald - what the service manager hears of this worker: that its loop turns, and in a line how it is */
#include "worker/status.h"

#define SAY_EVERY USEC_PER_SEC

static void say(struct worker *w)
{
	const char *obstacles[STATUS_OBSTACLES_MAX];
	if (w->now.mono < w->say_at)
		return;
	w->say_at = w->now.mono + SAY_EVERY;
	if (w->stopping)
		notify_say(&w->notify, "Stopping: %zu handoffs are under way", dispatch_busy(w));
	else if (status_obstacles(w, obstacles) > 0)
		notify_say(&w->notify, "Not ready: %s", obstacles[0]);
	else
		notify_say(&w->notify, "Ready, %zu partitions", w->partition_count);
}

/* Ready as soon as the loop turns: to wait for brokers that are down is this worker's business, and no reason for the
 * machine's start to stand still. */
void herald_run(struct worker *w)
{
	notify_ready(&w->notify);
	if (w->stopping)
		notify_stopping(&w->notify);
	say(w);
	notify_alive(&w->notify, w->now.mono);
}
