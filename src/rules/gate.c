#include "rules/limits.h"

/* A turn of the loop that comes late may make up for this much of the pace, so that coarse timers cost no rate. */
#define SLACK (20 * USEC_PER_MSEC)

#define PLATEAU_MIN   (60 * USEC_PER_SEC)
#define PLATEAU_MAX   (600 * USEC_PER_SEC)
#define PLATEAU_CALLS 300.0                  /* so that a 429 a plateau are few of a hundred, however slow the tenant */
#define LONG_CLOSING  (2500 * USEC_PER_MSEC) /* Retry-After says seconds, rounded up: less says nothing of a period */
#define SHORT_OPENING (2 * USEC_PER_SEC)
#define LEAST_KEPT    0.6 /* of the pace of the 429 */
#define MOST_KEPT     0.9
#define DOUBLING      (2 * USEC_PER_SEC) /* of a search */
#define ENOUGH        8                  /* answers that an estimate can be made of */
#define RATE_MAX      1e5                /* a search that came this far ends: nothing is paced any more */

void gate_init(struct gate *g)
{
	*g = (struct gate){ 0 };
}

static usec_t later(usec_t a, usec_t b)
{
	return a > b ? a : b;
}

static usec_t sooner(usec_t a, usec_t b)
{
	return a < b ? a : b;
}

static double clamp(double value, double low, double high)
{
	return value < low ? low : value > high ? high : value;
}

/* ---- what was answered ---- */

static void count_answer(struct gate *g, usec_t now)
{
	if (g->answered++ == 0) {
		g->open_since = now;
		g->slot_since = now;
		g->in_slot[0] = g->in_slot[1] = 0;
	}
	if (now - g->slot_since >= USEC_PER_SEC) {
		const bool is_next = now - g->slot_since < 2 * USEC_PER_SEC;
		g->in_slot[1] = is_next ? g->in_slot[0] : 0;
		g->in_slot[0] = 0;
		g->slot_since = is_next ? g->slot_since + USEC_PER_SEC : now;
	}
	g->in_slot[0]++;
}

static double per_second(int64_t count, usec_t time)
{
	return (double)count * (double)USEC_PER_SEC / (double)later(time, USEC_PER_SEC / 4);
}

/* Answers a second in the last second or two before the gate closed. */
static double answered_lately(const struct gate *g)
{
	usec_t time = g->closed_at - g->slot_since;
	if (g->slot_since > g->open_since)
		time += USEC_PER_SEC;
	return per_second(g->in_slot[0] + g->in_slot[1], time);
}

/* ---- the pace ---- */

static usec_t plateau_of(usec_t time)
{
	return sooner(later(time, PLATEAU_MIN), PLATEAU_MAX);
}

/* The server counts by periods: what it answered in the last one is what it will answer in the next. */
static void expect_as_much(struct gate *g)
{
	const usec_t period = g->opens_at - g->open_since;
	const double estimate = per_second(g->answered, period);
	g->first_rate = 0.95 * estimate;
	if (g->pace_then > 0 && g->first_rate > g->pace_then)
		g->first_rate = g->pace_then;
	g->ceiling = 1.05 * estimate;
	g->plateau = plateau_of(period);
}

/* What came before anything was paced is a burst, no rate. */
static void search(struct gate *g)
{
	const double least = g->answered < ENOUGH ? GATE_RATE_UNKNOWN : GATE_RATE_MIN;
	const double estimate = g->answered > 0 ? MOST_KEPT * answered_lately(g) : 0;
	g->first_rate = estimate > least ? estimate : least;
	g->ceiling = 0;
	g->plateau = PLATEAU_MIN;
}

/* A pace was refused; if at once, it was much too fast. */
static void step_back(struct gate *g)
{
	const double pace = g->pace_then;
	const bool at_once = g->closed_at - g->open_since < SHORT_OPENING;
	const double estimate = at_once ? 0 : 0.95 * answered_lately(g);
	g->first_rate = clamp(estimate, LEAST_KEPT * pace, MOST_KEPT * pace);
	g->ceiling = at_once ? (g->first_rate + pace) / 2 : pace;
	g->plateau = plateau_of((usec_t)(PLATEAU_CALLS * (double)USEC_PER_SEC / (pace + GATE_RATE_MIN)));
}

/* The pace after this closing, from all that is known of it so far. */
static void set_first_rate(struct gate *g)
{
	if (g->opens_at - g->closed_at > LONG_CLOSING && g->answered >= ENOUGH)
		expect_as_much(g);
	else if (g->pace_then > 0)
		step_back(g);
	else
		search(g);
	if (g->first_rate < GATE_RATE_MIN)
		g->first_rate = GATE_RATE_MIN;
	if (g->ceiling > 0 && g->ceiling < g->first_rate * 1.1)
		g->ceiling = g->first_rate * 1.1;
	g->rate = g->first_rate;
	g->grown_for = 0;
	g->heard_at = g->opens_at;
}

void gate_close(struct gate *g, usec_t until, usec_t now)
{
	if (!gate_is_closed(g, now)) {
		g->closed_at = now;
		g->opens_at = now;
		g->pace_then = g->rate;
		if (g->failures < INT32_MAX)
			g->failures++;
	}
	g->opens_at = later(g->opens_at, until);
	set_first_rate(g);
	g->next_call = g->opens_at;
}

bool gate_is_closed(const struct gate *g, usec_t now)
{
	return now < g->opens_at;
}

usec_t gate_ready_at(const struct gate *g)
{
	return g->rate > 0 ? later(g->opens_at, g->next_call) : g->opens_at;
}

void gate_called(struct gate *g, usec_t now)
{
	if (g->rate <= 0)
		return;
	const usec_t distance = (usec_t)((double)USEC_PER_SEC / g->rate) + 1;
	const usec_t from = later(g->next_call, now - SLACK);
	g->next_call = from > USEC_NEVER - distance ? USEC_NEVER : from + distance;
}

/* Where the curve stands; 2T after the opening the search goes on. */
static double rate_on_curve(const struct gate *g)
{
	const double x = (double)g->grown_for / (double)g->plateau - 1;
	return g->ceiling + (g->ceiling - g->first_rate) * x * x * x;
}

static void grow(struct gate *g, usec_t now)
{
	/* Time in which nothing was asked of the tenant proves nothing. */
	const usec_t spacing = (usec_t)(2 * (double)USEC_PER_SEC / g->rate);
	const usec_t time = sooner(later(now - g->heard_at, 0), spacing);
	g->heard_at = now;
	g->grown_for += time;
	if (g->ceiling > 0 && g->grown_for >= 2 * g->plateau)
		g->ceiling = 0;
	if (g->ceiling > 0)
		g->rate = rate_on_curve(g);
	else
		g->rate *= 1 + (double)time / (double)DOUBLING;
	if (g->rate > RATE_MAX)
		g->rate = 0;
}

void gate_succeeded(struct gate *g, usec_t now)
{
	if (gate_is_closed(g, now)) {
		g->answered += g->answered > 0;
		set_first_rate(g);
		return;
	}
	if (g->opens_at > 0 && g->open_since <= g->closed_at) /* the first one after a closing */
		g->answered = 0;
	count_answer(g, now);
	g->failures = 0;
	if (g->rate > 0)
		grow(g, now);
}
