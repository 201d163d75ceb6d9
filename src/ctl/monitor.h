/*
 * monitor - what verify --watch found last, for Prometheus: /metrics and /healthz on a thread of its own
 *
 * The watching thread may read topics for minutes; who scrapes is answered all the same, with what was found last.
 * monitor_tell() and the server share one page under a mutex. /healthz is 200 while the last look succeeded.
 */
#ifndef HANDOFF_MONITOR_H
#define HANDOFF_MONITOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/fault.h"
#include "ctl/findings.h"
#include "handoff/macros.h"

struct monitor;

/* `listen_at` is HOST:PORT, port 0 takes a free one. NULL with the reason in `fault`. */
struct monitor *monitor_new(const char *listen_at, const char *group, struct fault *fault) MUST_CHECK;
struct monitor *monitor_free(struct monitor *monitor);
uint16_t monitor_port(const struct monitor *monitor);

/* A look has ended. `findings` NULL: it could not be finished; what was found before stays. */
void monitor_tell(struct monitor *monitor, const struct findings *findings, usec_t took, int64_t now_ms);

#endif
