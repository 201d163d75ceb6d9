/*
 * listener - a TCP socket that listens on "HOST:PORT"
 *
 * Addresses and the name "localhost" only, so that opening one never waits for a name server; an empty HOST is every
 * address, "[...]" holds an IPv6 one, port 0 takes a free one.
 */
#ifndef HANDOFF_LISTENER_H
#define HANDOFF_LISTENER_H

#include <stdint.h>

#include "base/fault.h"
#include "handoff/macros.h"

/* A non-blocking descriptor, the caller's to close; or -errno with the reason in `fault`. */
int listener_open(const char *listen_at, struct fault *fault) MUST_CHECK;
/* The port it really listens on; 0 when `fd` is no such socket. */
uint16_t listener_port(int fd);

#endif
