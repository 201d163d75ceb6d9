/*
 * http_internal - the rooms behind the http door; nobody but http*.c comes in here
 *
 *   http ──> http_shard (a libcurl multi, <= 64 slots) ──> http_call (a slot: one easy handle, kept for good)
 *     └────> http_sockets (fd -> which shard, what is registered in the loop)
 *
 * A slot's life:  FREE ── http_start ──> OPEN ── libcurl is done ──> ENDED ── http_run calls back ──> FREE
 *
 * http.c         the public calls, the list of what has ended
 * http_shard.c   multis: timers, progress, collecting what is done; finds a free slot
 * http_socket.c  lazy registration of descriptors in the loop
 * http_call.c    one slot: options, the request in, libcurl's callbacks
 * http_url.c     where a call goes, taken apart once
 * http_reply.c   what came back: headers and body as they arrive, the verdict at the end
 */
#ifndef HANDOFF_HTTP_INTERNAL_H
#define HANDOFF_HTTP_INTERNAL_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "doors/http.h"

enum {
	HTTP_SHARD_SLOTS = 64,        /* beyond it libcurl's linear walks show: 18 us a request at 64, 51 at 1024 */
	HTTP_OWN_HEADERS = 2,         /* lines that only take a default of libcurl's away */
	HTTP_FIELD_BYTES = 40,        /* a reply header's value that we keep: a date, or seconds */
	HTTP_KEPT_BODY_BYTES = 16384, /* a slot's body buffer that has grown beyond it is not kept */
};

/* A reply header's value. One that does not fit is present and empty: nobody can make sense of its beginning. */
struct http_field {
	bool present;
	size_t n;
	char text[HTTP_FIELD_BYTES];
};

/* A reply as it arrives. */
struct http_capture {
	struct buf body;
	struct http_field retry_after;
	struct http_field date;
	bool in_headers; /* between a status line and the empty line: trailers are not headers */
	bool too_large;  /* the body passed max_body_bytes */
};

/* The parts of the URL that a slot called last. */
struct http_url {
	CURLU *parts;
	char *server; /* "https://host:port" of them; NULL: they hold nothing of use */
};

enum http_state { HTTP_CALL_FREE, HTTP_CALL_OPEN, HTTP_CALL_ENDED };

struct http_call {
	struct http_shard *shard;
	struct http_call *next; /* in the shard's free list or the door's list of what has ended */
	struct http_call *prev; /* in the latter */
	enum http_state state;
	CURL *easy; /* made at first use */
	http_done *done;
	void *arg;

	bool once;
	unsigned issued;     /* how often libcurl was about to hand the request to the network */
	const char *refused; /* why the request was never given to libcurl; else NULL */
	CURLcode result;

	struct http_url url;
	struct buf lines; /* the header lines, each with its NUL */
	struct curl_slist headers[HTTP_MAX_HEADERS + HTTP_OWN_HEADERS];
	struct http_capture capture;
	char error[CURL_ERROR_SIZE];
};

struct http_shard {
	struct http *http;
	CURLM *multi;    /* NULL: not used yet */
	usec_t deadline; /* when libcurl wants to be called; 0: at once */
	struct http_call *slots;
	size_t slot_count;
	struct http_call *free;
};

/* A descriptor of libcurl's. */
struct http_socket {
	struct http_shard *shard; /* NULL: not libcurl's */
	unsigned wanted;          /* by libcurl */
	unsigned registered;      /* in the loop */
	bool ours;                /* made by our OPENSOCKETFUNCTION, so that we hear of its end */
};

struct http_sockets {
	struct http_socket *by_fd;
	size_t count;
};

struct http {
	struct loop *loop;
	CURLSH *share;
	size_t max_in_flight;
	size_t max_body_bytes;
	usec_t connect_timeout;
	char *ca_file;
	char *client_cert; /* NULL: none */
	char *client_key;
	char *user_agent;

	size_t in_flight;
	struct http_shard *shards;
	size_t shard_count;
	struct http_sockets sockets;
	int socket_error; /* why the last socket could not be had; 0: it could */
	struct http_call *ended_first;
	struct http_call *ended_last;
	size_t ended_count;
	struct buf delivered; /* the body of the call being called back, so that its slot is free meanwhile */
};

/* http.c */
void http_ended(struct http_call *call);

/* http_shard.c */
void http_shard_init(struct http_shard *shard, struct http *http, size_t slot_count);
void http_shard_fini(struct http_shard *shard);
/* A free slot with its easy handle, taken out of the free list; NULL when all are taken or memory is short. */
struct http_call *http_shard_take(struct http_shard *shard);
void http_shard_give(struct http_call *call);
/* Hands the call to libcurl and lets it begin; it may have ended when this returns. 0 or -ENOMEM. */
int http_shard_add(struct http_call *call) MUST_CHECK;
void http_shard_remove(struct http_call *call);
/* Lets libcurl work: on a descriptor that is ready, or (CURL_SOCKET_TIMEOUT, 0) on what is due. */
void http_shard_act(struct http_shard *shard, curl_socket_t fd, int events);

/* http_socket.c: callbacks of libcurl's, their user data is the shard */
curl_socket_t http_socket_open(void *shard, curlsocktype purpose, struct curl_sockaddr *address);
int http_socket_close(void *shard, curl_socket_t fd);
int http_socket_watch(CURL *easy, curl_socket_t fd, int what, void *shard, void *unused);
void http_sockets_fini(struct http *http);

/* http_call.c */
int http_call_make(struct http_call *call) MUST_CHECK;
void http_call_fini(struct http_call *call);
/* 0; -EINVAL with `refused` set; -ENOMEM. The easy handle is ready to be added then. */
int http_call_prepare(struct http_call *call, const struct http_request *request) MUST_CHECK;

/* http_url.c */
int http_url_init(struct http_url *url) MUST_CHECK;
void http_url_fini(struct http_url *url);
/* The handle's next call goes there. 0 or -ENOMEM; whether it is a URL at all is told by the call. */
int http_url_set(struct http_url *url, CURL *easy, const char *text) MUST_CHECK;

/* http_reply.c */
void http_capture_reset(struct http_capture *capture);
size_t http_on_header(char *bytes, size_t size, size_t count, void *call);
size_t http_on_body(char *bytes, size_t size, size_t count, void *call);
/* Everything but `body`. The spans point into the call. */
void http_reply_make(const struct http_call *call, struct http_reply *ret);

#endif
