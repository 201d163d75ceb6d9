/* dice - random numbers for model checks: the same seed, the same numbers, on every machine */
#ifndef HANDOFF_TEST_DICE_H
#define HANDOFF_TEST_DICE_H

#include <stdbool.h>
#include <stdint.h>

struct dice {
	uint64_t state;
};

/* splitmix64 */
static inline uint64_t dice_roll(struct dice *d)
{
	uint64_t z = d->state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* 0..n-1 */
static inline int64_t dice_below(struct dice *d, int64_t n)
{
	return (int64_t)(dice_roll(d) % (uint64_t)n);
}

static inline bool dice_chance(struct dice *d, int percent)
{
	return dice_below(d, 100) < percent;
}

#endif
