/*
 * story - what happens from outside: who asks for handoffs, and what goes wrong
 *
 * Writes the requests, cancels, twins, replays and nonsense of a history into the request topics at their times, and
 * kills, freezes, stops and starts workers, shakes the group, breaks the brokers and the tenants. At the horizon all of
 * that ends, and whatever was asked for has to come to its end.
 */
#ifndef SIM_STORY_H
#define SIM_STORY_H

/* Puts everything down on the agenda. */
void story_begin(void);
/* The end of trouble: all workers run, everything answers. */
void story_calm_down(void);

#endif
