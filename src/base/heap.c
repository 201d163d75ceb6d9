#include "base/heap.h"

#include <errno.h>
#include <stdlib.h>

void heap_init(struct heap *h)
{
	*h = (struct heap){ 0 };
}

void heap_fini(struct heap *h)
{
	free(h->items);
	*h = (struct heap){ 0 };
}

static bool before(const struct heap_link *a, const struct heap_link *b)
{
	return a->key != b->key ? a->key < b->key : (int32_t)(a->tie - b->tie) < 0;
}

/* Places are 1-based, as in the link: the parent of i is i / 2, its children are 2i and 2i + 1. */
static struct heap_link *at(const struct heap *h, size_t place)
{
	return h->items[place - 1];
}

static void put(struct heap *h, size_t place, struct heap_link *link)
{
	h->items[place - 1] = link;
	link->index = (uint32_t)place;
}

static void sift_up(struct heap *h, size_t place, struct heap_link *link)
{
	while (place > 1 && before(link, at(h, place / 2))) {
		put(h, place, at(h, place / 2));
		place /= 2;
	}
	put(h, place, link);
}

static void sift_down(struct heap *h, size_t place, struct heap_link *link)
{
	for (;;) {
		size_t child = 2 * place;
		if (child > h->count)
			break;
		if (child < h->count && before(at(h, child + 1), at(h, child)))
			child++;
		if (!before(at(h, child), link))
			break;
		put(h, place, at(h, child));
		place = child;
	}
	put(h, place, link);
}

int heap_reserve(struct heap *h, size_t count)
{
	size_t cap = h->cap ? h->cap : 16;
	while (cap < count)
		cap *= 2;
	if (cap == h->cap)
		return 0;
	struct heap_link **items = reallocarray(h->items, cap, sizeof(struct heap_link *));
	if (!items)
		return -ENOMEM;
	h->items = items;
	h->cap = cap;
	return 0;
}

int heap_push(struct heap *h, struct heap_link *link, int64_t key, uint64_t tie)
{
	const int r = h->count < UINT32_MAX ? heap_reserve(h, h->count + 1) : -ENOMEM;
	if (r < 0)
		return r;
	link->key = key;
	link->tie = (uint32_t)tie;
	h->count++;
	sift_up(h, h->count, link);
	return 0;
}

struct heap_link *heap_top(const struct heap *h)
{
	return h->count > 0 ? h->items[0] : NULL;
}

struct heap_link *heap_pop(struct heap *h)
{
	struct heap_link *link = heap_top(h);
	if (link)
		heap_remove(h, link);
	return link;
}

void heap_remove(struct heap *h, struct heap_link *link)
{
	const size_t place = link->index;
	if (place == 0)
		return;
	link->index = 0;
	struct heap_link *last = at(h, h->count);
	h->count--;
	if (last == link)
		return;
	/* The last item fills the gap. It comes from another branch, so it may belong above as well as below. */
	if (place > 1 && before(last, at(h, place / 2)))
		sift_up(h, place, last);
	else
		sift_down(h, place, last);
}
