/*
 * wire - the bytes of one connection of the origin, plain or over TLS
 *
 * Never blocks. One thread. GnuTLS, because libmicrohttpd's development package brings it: TLS 1.3 with session
 * tickets, as a gateway would have it.
 */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct wire {
	int fd;
	gnutls_session_t tls; /* NULL: plain */
	bool shaken;          /* the handshake is over */
};

/* Connections are TLS from now on, with that PEM certificate and key. 0, or -1 with a line on stderr. */
int wire_use_tls(const char *certificate, const char *key);
/* 0, or -1: out of memory. The descriptor stays the caller's. */
int wire_open(struct wire *wire, int fd);
void wire_close(struct wire *wire);
/* Bytes read; 0: none now; -1: the connection is over. */
ssize_t wire_read(struct wire *wire, void *bytes, size_t room);
/* Has bytes in store that the descriptor does not tell of. */
bool wire_has_more(const struct wire *wire);
/* All or nothing: false when the peer does not take them at once. */
bool wire_write(struct wire *wire, const void *bytes, size_t n);

#endif
