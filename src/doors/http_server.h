/*
 * http_server - answer HTTP requests on the caller's loop
 *
 * libmicrohttpd without a thread of its own: its epoll descriptor is nested in ours. Serves the worker's admin pages
 * and the sandbox's simulator. One thread. A request is handed over when its body is complete (bounded by
 * `max_body_bytes`, 413 beyond it); it is answered now or later, exactly once, unless the client goes away first.
 */
#ifndef HANDOFF_HTTP_SERVER_H
#define HANDOFF_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/fault.h"
#include "doors/loop.h"
#include "handoff/macros.h"
#include "handoff/span.h"

struct http_server;
struct http_exchange; /* one request being answered; valid until it is answered or `on_gone` was called */

struct http_server_handlers {
	/* A complete request. Answer with one of the functions below, at once or later. */
	void (*on_request)(void *arg, struct http_exchange *exchange);
	/* The client vanished before an answer was given: `exchange` must not be used any more. May be NULL. */
	void (*on_gone)(void *arg, struct http_exchange *exchange);
	void *arg;
};

/* `listen_at` is "HOST:PORT"; port 0 takes a free one. NULL with the reason (address in use, not an address) in
 * `fault`.
 */
struct http_server *http_server_new(struct loop *loop, const char *listen_at, size_t max_body_bytes,
				    const struct http_server_handlers *handlers, struct fault *fault) MUST_CHECK;
/* Calls `on_gone` for what is still unanswered and closes every connection. Not from inside a handler. */
struct http_server *http_server_free(struct http_server *server);
uint16_t http_server_port(const struct http_server *server);
/* Serves what is due; call once a loop turn. */
void http_server_run(struct http_server *server);
usec_t http_server_wait(const struct http_server *server);

const char *http_exchange_method(const struct http_exchange *exchange);
/* The path exactly as sent (percent-encoding kept), without the query. */
const char *http_exchange_path(const struct http_exchange *exchange);
/* The query parameter's decoded value, or NULL. */
const char *http_exchange_query(const struct http_exchange *exchange, const char *name);
/* The header's value, or NULL; names compare without case. */
const char *http_exchange_header(const struct http_exchange *exchange, const char *name);
struct span http_exchange_body(const struct http_exchange *exchange);
/* Asks the kernel whether the client has hung up: true a little before `on_gone` says so. */
bool http_exchange_gone(const struct http_exchange *exchange);
/* A place for the handler's own pointer. */
void http_exchange_set_data(struct http_exchange *exchange, void *data);
void *http_exchange_data(const struct http_exchange *exchange);

/* A `Date` header is added unless `headers` brings one. Out of memory: the connection is closed without a reply. */
struct http_answer {
	int status;
	const char *content_type;   /* NULL: application/json */
	const char *const *headers; /* "Name: value" lines */
	size_t header_count;
	struct span body; /* copied */
};

void http_answer(struct http_exchange *exchange, const struct http_answer *answer);
/* Closes the connection without a reply. */
void http_answer_drop(struct http_exchange *exchange);
/* Sends the head and the first half of the body, then closes. */
void http_answer_cut(struct http_exchange *exchange, const struct http_answer *answer);
/* Sends these bytes instead of HTTP, then closes. */
void http_answer_raw(struct http_exchange *exchange, struct span bytes);

#endif
