/*
 * http_server_internal - the rooms behind the server's door; nobody but http_server*.c comes in here
 *
 * http_server.c         connections, requests as they arrive, the loop
 * http_server_answer.c  what is sent back
 */
#ifndef HANDOFF_HTTP_SERVER_INTERNAL_H
#define HANDOFF_HTTP_SERVER_INTERNAL_H

#include <microhttpd.h>

#include "base/buf.h"
#include "doors/http_server.h"

/* Request line and headers must fit, and so does a reply's head; the library clears it for each request. */
enum { CONNECTION_MEMORY = 16 * 1024 };

enum phase { IDLE, READING, ASKED, SETTLED };

struct http_exchange {
	struct http_server *server;
	struct MHD_Connection *connection;
	int fd;
	enum phase phase;
	bool suspended;
	bool watched;
	bool hung_up;
	const char *method;
	struct buf path;
	struct buf body;
	size_t surplus; /* bytes beyond max_body_bytes, thrown away */
	void *data;
	int status;
	struct MHD_Response *response; /* SETTLED: what to send; NULL closes the connection */
	struct http_exchange *prev, *next;
};

/* The answer is known: a suspended connection goes on, any other is inside the library's call and goes on by itself. */
void http_exchange_settle(struct http_exchange *x);

#endif
