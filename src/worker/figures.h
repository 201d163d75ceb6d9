/*
 * figures - the worker's metrics as Prometheus wants to see them
 *
 * Counters are there before anything has happened: an increase from nothing cannot be seen, and the first failure is
 * the one that matters. Gauges are read off when somebody looks, not kept up to date. The loop's thread.
 */
#ifndef HANDOFF_FIGURES_H
#define HANDOFF_FIGURES_H

#include "worker/worker.h"

/* Every series whose labels are known beforehand, at 0. Needs the tenants. */
void figures_begin(struct worker *w);
/* Sets the gauges, just before metrics_write(). */
void figures_take(struct worker *w);

#endif
