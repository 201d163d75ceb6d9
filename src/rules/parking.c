#include "rules/parking.h"

void parking_init(struct parking *p)
{
	heap_init(&p->soonest);
	heap_init(&p->furthest);
	p->arrivals = 0;
}

void parking_fini(struct parking *p)
{
	heap_fini(&p->soonest);
	heap_fini(&p->furthest);
}

size_t parking_count(const struct parking *p)
{
	return p->soonest.count;
}

static struct parked *owner_of(struct heap_link *soonest)
{
	return soonest ? CONTAINER_OF(soonest, struct parked, soonest) : NULL;
}

int parking_add(struct parking *p, struct parked *item, usec_t due)
{
	const uint64_t arrival = p->arrivals++;
	int r = heap_push(&p->soonest, &item->soonest, due, arrival);
	if (r < 0)
		return r;
	/* The complement turns an order around without the overflow that a minus sign has. */
	r = heap_push(&p->furthest, &item->furthest, ~due, ~arrival);
	if (r < 0)
		heap_remove(&p->soonest, &item->soonest);
	return r;
}

void parking_remove(struct parking *p, struct parked *item)
{
	heap_remove(&p->soonest, &item->soonest);
	heap_remove(&p->furthest, &item->furthest);
}

struct parked *parking_take_due(struct parking *p, usec_t now)
{
	struct parked *item = owner_of(heap_top(&p->soonest));
	if (!item || item->soonest.key > now)
		return NULL;
	parking_remove(p, item);
	return item;
}

usec_t parking_next_due(const struct parking *p)
{
	const struct heap_link *top = heap_top(&p->soonest);
	return top ? top->key : USEC_NEVER;
}

struct parked *parking_furthest(const struct parking *p)
{
	struct heap_link *top = heap_top(&p->furthest);
	return top ? CONTAINER_OF(top, struct parked, furthest) : NULL;
}
