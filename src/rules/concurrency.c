#include "rules/concurrency.h"

#define KEPT 0.75 /* of the limit, at an overload */

void concurrency_init(struct concurrency *c, int64_t most, bool fixed)
{
	*c = (struct concurrency){ .most = most, .fixed = fixed };
	c->limit = (double)(fixed || most < CONCURRENCY_FIRST ? most : CONCURRENCY_FIRST);
}

int64_t concurrency_limit(const struct concurrency *c)
{
	return c->limit < 1 ? 1 : (int64_t)c->limit;
}

void concurrency_started(struct concurrency *c, int64_t open)
{
	if (open >= concurrency_limit(c))
		c->counted = open;
}

void concurrency_ended(struct concurrency *c)
{
	if (c->draining > 0)
		c->draining--;
}

void concurrency_succeeded(struct concurrency *c)
{
	concurrency_ended(c);
	if (c->fixed || c->counted == 0)
		return;
	c->counted--;
	c->limit += c->overloaded ? 1 / c->limit : 0.5;
	if (c->limit > (double)c->most)
		c->limit = (double)c->most;
}

void concurrency_overloaded(struct concurrency *c, int64_t open)
{
	const bool is_same = c->draining > 0;
	concurrency_ended(c);
	if (c->fixed || is_same)
		return;
	c->overloaded = true;
	c->draining = open;
	c->counted = 0;
	c->limit *= KEPT;
	if (c->limit < 1)
		c->limit = 1;
}
