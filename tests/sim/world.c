#include "sim/world.h"

#define WALL_BEGIN_MS INT64_C(1795500000000)

struct world world;

void world_begin(uint64_t seed)
{
	world = (struct world){ .seed = seed };
}

int64_t world_unix_ms(void)
{
	return WALL_BEGIN_MS + world.wall_step_ms + (agenda_now() - AGENDA_BEGIN) / USEC_PER_MSEC;
}
