#include "rules/limits.h"

/* A turn of the loop that comes late may make up for this much of the pace, so that coarse timers cost no rate. */
#define SLACK (50 * USEC_PER_MSEC)

#define GROWTH_TIME_MIN (1 * USEC_PER_SEC)
#define GROWTH_TIME_MAX (60 * USEC_PER_SEC)

void gate_init(struct gate *g)
{
	*g = (struct gate){ 0 };
}

static usec_t later(usec_t a, usec_t b)
{
	return a > b ? a : b;
}

static usec_t closed_for(const struct gate *g)
{
	return later(g->opens_at - g->closed_at, GROWTH_TIME_MIN);
}

/* The pace after this closing, from all that is known of it so far. */
static void set_first_rate(struct gate *g)
{
	double rate = (double)g->in_flight * (double)USEC_PER_SEC / (double)closed_for(g);
	if (g->pace_before > 0 && rate > g->pace_before / 2)
		rate = g->pace_before / 2;
	if (rate < GATE_RATE_MIN)
		rate = GATE_RATE_MIN;
	g->first_rate = rate;
	g->rate = rate;
}

void gate_close(struct gate *g, usec_t until, usec_t now, int32_t in_flight)
{
	if (!gate_is_closed(g, now)) {
		g->closed_at = now;
		g->opens_at = now;
		g->pace_before = g->rate;
		g->in_flight = 1;
		if (g->failures < INT32_MAX)
			g->failures++;
	}
	g->opens_at = later(g->opens_at, until);
	if (g->in_flight < in_flight)
		g->in_flight = in_flight;
	set_first_rate(g);
	g->next_start = g->opens_at;
}

bool gate_is_closed(const struct gate *g, usec_t now)
{
	return now < g->opens_at;
}

usec_t gate_ready_at(const struct gate *g)
{
	return g->rate > 0 ? later(g->opens_at, g->next_start) : g->opens_at;
}

void gate_started(struct gate *g, usec_t now)
{
	if (g->rate <= 0)
		return;
	const usec_t distance = (usec_t)((double)USEC_PER_SEC / g->rate) + 1;
	const usec_t from = later(g->next_start, now - SLACK);
	g->next_start = from > USEC_NEVER - distance ? USEC_NEVER : from + distance;
}

void gate_succeeded(struct gate *g, usec_t now)
{
	if (gate_is_closed(g, now))
		return;
	g->failures = 0;
	if (g->rate <= 0)
		return;
	const usec_t closed = closed_for(g);
	const usec_t growth_time = closed < GROWTH_TIME_MAX ? closed : GROWTH_TIME_MAX;
	const double factor = 1 + (double)(now - g->opens_at) / (double)growth_time;
	g->rate = factor < GATE_GROWTH_MAX ? g->first_rate * factor : 0;
}
