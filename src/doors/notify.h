/*
 * notify - tell the service manager how we are: ready, stopping, alive, and one line for people
 *
 * systemd's sd_notify. Without a service manager that wants to know ($NOTIFY_SOCKET) every function does nothing. Never
 * blocks, never fails: what cannot be said is not said. One thread.
 */
#ifndef HANDOFF_NOTIFY_H
#define HANDOFF_NOTIFY_H

#include <stdbool.h>

#include "base/clock.h"
#include "handoff/macros.h"

struct notify {
	usec_t interval; /* between signs of life; USEC_NEVER: no watchdog waits for them */
	usec_t alive_at; /* when the next is due */
	bool is_ready;
	bool is_stopping;
	char said[256]; /* the last line */
};

void notify_init(struct notify *n);
/* Said once each. After notify_stopping() the watchdog goes on. */
void notify_ready(struct notify *n);
void notify_stopping(struct notify *n);
/* A line for `systemctl status`; only a new one is sent. */
void notify_say(struct notify *n, const char *format, ...) PRINTF_LIKE(2, 3);
/* A sign of life if one is due: call once a loop turn, from the loop itself, so that it says the loop turns. */
void notify_alive(struct notify *n, usec_t now);
usec_t notify_wait(const struct notify *n, usec_t now);

#endif
