/*
 * pair_map - which number was given to this pair of texts?
 *
 * Open addressing, power-of-two capacity, never more than half full. The texts are borrowed and must outlive the map.
 */
#ifndef HANDOFF_PAIR_MAP_H
#define HANDOFF_PAIR_MAP_H

#include <stdbool.h>
#include <stddef.h>

#include "handoff/macros.h"
#include "handoff/span.h"

struct pair_slot {
	struct span a; /* p == NULL: free */
	struct span b;
	size_t number;
};

struct pair_map {
	struct pair_slot *slots;
	size_t capacity;
	size_t count;
};

void pair_map_fini(struct pair_map *map);
/* The pair's slot, NULL when it is not in. */
struct pair_slot *pair_map_find(const struct pair_map *map, struct span a, struct span b);
/* The pair's slot, a new one with `number` when it was not in; `ret_new` says which. NULL when out of memory. */
struct pair_slot *pair_map_put(struct pair_map *map, struct span a, struct span b, size_t number,
			       bool *ret_new) MUST_CHECK;

#endif
