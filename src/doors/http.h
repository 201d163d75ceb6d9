/*
 * http - one HTTP call out: start it, hear of its end exactly once, or cancel it
 *
 * libcurl behind three functions, HTTP/1.1 keep-alive, on the caller's loop: never blocks, not on DNS either.
 * What it guarantees beyond libcurl's own behaviour (facts: libcurl 7.88, measured):
 *  - a request with `once` is handed to the network at most once: libcurl's silent resend on a dead reused connection
 *    is vetoed and reported as ambiguous (`sent`, no status); without it there is one such resend, and it is told;
 *  - `sent == false` means that not one byte of the request was handed to the kernel;
 *  - no redirects, no proxies, no cookies, no netrc, no decompression, http and https only;
 *  - reply bodies end at `max_body_bytes`, also without Content-Length and against slow drips (the time-out).
 * Concurrency is the caller's: it never starts more than `max_in_flight` calls.
 * One thread, the loop's.
 */
#ifndef HANDOFF_HTTP_H
#define HANDOFF_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"
#include "base/fault.h"
#include "doors/loop.h"
#include "handoff/macros.h"
#include "handoff/span.h"

enum { HTTP_MAX_HEADERS = 8 };

struct http;
struct http_call;

struct http_options {
	size_t max_in_flight;
	size_t max_body_bytes;
	usec_t connect_timeout;
	const char *ca_file;     /* "" or NULL: the system's */
	const char *client_cert; /* "" or NULL: none; else PEM files */
	const char *client_key;
	const char *user_agent;
};

struct http_request {
	const char *method; /* "GET", "PUT", "POST" */
	const char *url;
	const char *const *headers; /* "Name: value" lines, `header_count` of them; no CR or LF in any */
	size_t header_count;        /* at most HTTP_MAX_HEADERS */
	struct span body; /* p == NULL: none. Must stay valid until the end is heard; everything else is copied */
	usec_t timeout;   /* for the whole call, > 0 */
	bool once;        /* veto the silent resend; false only where a repetition harms nothing */
};

enum http_error {
	HTTP_OK,        /* a complete reply; `status` and `body` hold */
	HTTP_CONNECT,   /* no connection: refused, DNS, TLS; `sent` is false */
	HTTP_TIMEOUT,   /* of the connection (not sent) or of the reply (sent): see `sent` */
	HTTP_BROKEN,    /* the connection died under the call, or the reply is not HTTP or not complete */
	HTTP_TOO_LARGE, /* the body passed max_body_bytes; `status` holds */
	HTTP_LOCAL      /* our own failure: out of memory, a bad URL; `sent` is false */
};

struct http_reply {
	enum http_error error;
	bool sent;               /* bytes of the request were, or may have been, handed to the kernel */
	bool resent;             /* it went out twice: the first connection died without a byte of a reply */
	int status;              /* 0 when none arrived; may be set beside an error (body cut short) */
	struct span body;        /* valid during the callback only */
	struct span retry_after; /* the header's text; p == NULL: absent; empty: over 64 bytes; the last counts */
	struct span date;        /* likewise */
	usec_t elapsed;
	char message[160]; /* for people, on error; no secret in it */
};

typedef void http_done(void *arg, const struct http_reply *reply);

/* NULL with the reason in `fault` (an unreadable CA file names itself).
 * SIGPIPE is set to be ignored if it had its default action: a TLS connection that dies would end the process. */
struct http *http_new(struct loop *loop, const struct http_options *options, struct fault *fault) MUST_CHECK;
/* Cancels what is open, without calling back. */
struct http *http_free(struct http *http);

/* Starts a call; `done` is called once, from http_run(), never from inside http_start().
 * NULL when it cannot be started (max_in_flight reached or out of memory): nothing was sent, nothing will be called.
 * A request that no attempt could make (a line break in a header, a method or URL that is none) ends as HTTP_LOCAL.
 * A callback may start and cancel calls; its own has ended already and no longer counts as in flight. */
struct http_call *http_start(struct http *http, const struct http_request *request, http_done *done,
			     void *arg) MUST_CHECK;
/* Gives the call up: its callback will not be called and the body is free at once. */
void http_cancel(struct http *http, struct http_call *call);

/* Serves what is due and calls back for what has ended. Call once a loop turn. */
void http_run(struct http *http, usec_t now);
/* How long the loop may sleep for http's sake. */
usec_t http_wait(const struct http *http, usec_t now);
size_t http_in_flight(const struct http *http);

#endif
