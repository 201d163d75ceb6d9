/*
 * play - one history, from its beginning to its end
 */
#ifndef SIM_PLAY_H
#define SIM_PLAY_H

#include <stdbool.h>
#include <stdint.h>

/* True when every promise was kept; else verdict_text() says which was not. */
bool play(uint64_t seed);

#endif
