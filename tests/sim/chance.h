/*
 * chance - the one source of luck of a history
 *
 * Everything that is left to chance is drawn here, in the order in which it happens: the same seed is the same history.
 */
#ifndef SIM_CHANCE_H
#define SIM_CHANCE_H

#include <stdbool.h>
#include <stdint.h>

void chance_seed(uint64_t seed);
uint64_t chance_next(void);
/* low..high, both included */
int64_t chance_between(int64_t low, int64_t high);
/* True in `permille` of 1,000 cases. */
bool chance_hits(int permille);

#endif
