#include "ctl/pair_map.h"

#include <stdint.h>
#include <stdlib.h>

static uint64_t mix(uint64_t hash, struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		hash = (hash ^ (unsigned char)s.p[i]) * UINT64_C(1099511628211);
	return (hash ^ 0xff) * UINT64_C(1099511628211);
}

/* The slot of the pair, or the free one where it would go. */
static struct pair_slot *probe(const struct pair_map *map, struct span a, struct span b)
{
	size_t at = (size_t)mix(mix(UINT64_C(14695981039346656037), a), b) & (map->capacity - 1);
	while (map->slots[at].a.p && !(span_eq(map->slots[at].a, a) && span_eq(map->slots[at].b, b)))
		at = (at + 1) & (map->capacity - 1);
	return &map->slots[at];
}

static bool grow(struct pair_map *map)
{
	struct pair_map larger = { .capacity = map->capacity ? map->capacity * 2 : 64, .count = map->count };
	larger.slots = calloc(larger.capacity, sizeof(*larger.slots));
	if (!larger.slots)
		return false;
	for (size_t i = 0; i < map->capacity; i++)
		if (map->slots[i].a.p)
			*probe(&larger, map->slots[i].a, map->slots[i].b) = map->slots[i];
	free(map->slots);
	*map = larger;
	return true;
}

void pair_map_fini(struct pair_map *map)
{
	free(map->slots);
	*map = (struct pair_map){ 0 };
}

struct pair_slot *pair_map_find(const struct pair_map *map, struct span a, struct span b)
{
	struct pair_slot *slot = map->capacity ? probe(map, a, b) : NULL;
	return slot && slot->a.p ? slot : NULL;
}

struct pair_slot *pair_map_put(struct pair_map *map, struct span a, struct span b, size_t number, bool *ret_new)
{
	if (map->count * 2 >= map->capacity && !grow(map))
		return NULL;
	struct pair_slot *slot = probe(map, a, b);
	*ret_new = !slot->a.p;
	if (*ret_new) {
		*slot = (struct pair_slot){ .a = a, .b = b, .number = number };
		map->count++;
	}
	return slot;
}
