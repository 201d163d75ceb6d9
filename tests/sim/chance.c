#include "sim/chance.h"

static uint64_t state;

void chance_seed(uint64_t seed)
{
	state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	chance_next();
}

uint64_t chance_next(void)
{
	uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

int64_t chance_between(int64_t low, int64_t high)
{
	return low + (int64_t)(chance_next() % (uint64_t)(high - low + 1));
}

bool chance_hits(int permille)
{
	return permille > 0 && chance_between(0, 999) < permille;
}
