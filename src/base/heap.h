/*
 * heap - which comes first?
 *
 * An intrusive binary heap: the link lives in the item (CONTAINER_OF finds it), the smallest (key, tie) is on top.
 * Times are the usual key; `tie` keeps first come, first served among equals. Every operation is O(log n).
 * The heap owns its array of pointers, never the items. An item is in at most one place of one heap per link.
 */
#ifndef HANDOFF_HEAP_H
#define HANDOFF_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "handoff/macros.h"

/* Small, for what waits has nine of them: of a tie the lower half is kept, and counts round. */
struct heap_link {
	int64_t key;
	uint32_t tie;
	uint32_t index; /* 1-based place in the heap; 0 when in none */
};

struct heap {
	struct heap_link **items;
	size_t count;
	size_t cap;
};

void heap_init(struct heap *h);
/* Frees the array; items still linked stay with their owners. */
void heap_fini(struct heap *h);

/* 0, or -ENOMEM with nothing changed. The link must not be in a heap. */
int heap_push(struct heap *h, struct heap_link *link, int64_t key, uint64_t tie) MUST_CHECK;
/* 0, and from then on no push fails that leaves at most `count` items in the heap; or -ENOMEM with nothing changed. The
 * array never shrinks, so a push after a pop or a remove cannot fail either. */
int heap_reserve(struct heap *h, size_t count) MUST_CHECK;
/* The first item, or NULL. Stays in. */
struct heap_link *heap_top(const struct heap *h);
struct heap_link *heap_pop(struct heap *h);
/* Takes it out from wherever it stands; nothing happens if it is in no heap. */
void heap_remove(struct heap *h, struct heap_link *link);

static inline bool heap_has(const struct heap_link *link)
{
	return link->index != 0;
}

#endif
