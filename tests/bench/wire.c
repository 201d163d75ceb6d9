#include "bench/wire.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

static gnutls_certificate_credentials_t credentials; /* NULL: no TLS */
static gnutls_datum_t ticket_key;

int wire_use_tls(const char *certificate, const char *key)
{
	int r = gnutls_certificate_allocate_credentials(&credentials);
	if (r == 0)
		r = gnutls_certificate_set_x509_key_file(credentials, certificate, key, GNUTLS_X509_FMT_PEM);
	if (r == 0)
		r = gnutls_session_ticket_key_generate(&ticket_key);
	if (r < 0)
		fprintf(stderr, "origin: TLS: %s\n", gnutls_strerror(r));
	return r < 0 ? -1 : 0;
}

int wire_open(struct wire *wire, int fd)
{
	*wire = (struct wire){ .fd = fd };
	if (!credentials)
		return 0;
	if (gnutls_init(&wire->tls, GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) < 0)
		return -1;
	gnutls_transport_set_int(wire->tls, fd);
	if (gnutls_set_default_priority(wire->tls) == 0 &&
	    gnutls_credentials_set(wire->tls, GNUTLS_CRD_CERTIFICATE, credentials) == 0 &&
	    gnutls_session_ticket_enable_server(wire->tls, &ticket_key) == 0)
		return 0;
	wire_close(wire);
	return -1;
}

void wire_close(struct wire *wire)
{
	if (wire->tls)
		gnutls_deinit(wire->tls);
	wire->tls = NULL;
}

/* 0: go on; else what the reader is told. */
static ssize_t tls_result(ssize_t r)
{
	return r == GNUTLS_E_AGAIN || r == GNUTLS_E_INTERRUPTED ? 0 : -1;
}

static ssize_t tls_read(struct wire *wire, void *bytes, size_t room)
{
	if (!wire->shaken) {
		const int r = gnutls_handshake(wire->tls);
		if (r < 0)
			return gnutls_error_is_fatal(r) ? -1 : 0;
		wire->shaken = true;
	}
	const ssize_t n = gnutls_record_recv(wire->tls, bytes, room);
	return n > 0 ? n : n == 0 ? -1 : tls_result(n);
}

ssize_t wire_read(struct wire *wire, void *bytes, size_t room)
{
	if (wire->tls)
		return tls_read(wire, bytes, room);
	const ssize_t n = recv(wire->fd, bytes, room, 0);
	return n > 0 ? n : n < 0 && errno == EAGAIN ? 0 : -1;
}

bool wire_has_more(const struct wire *wire)
{
	return wire->tls && gnutls_record_check_pending(wire->tls) > 0;
}

bool wire_write(struct wire *wire, const void *bytes, size_t n)
{
	const ssize_t sent =
		wire->tls ? gnutls_record_send(wire->tls, bytes, n) : send(wire->fd, bytes, n, MSG_NOSIGNAL);
	return sent == (ssize_t)n;
}
