/*
 * http_origin - an HTTP origin that does what the path says, in a thread of the test
 *
 * Plain sockets and poll(), no library, so that it can misbehave byte by byte. It writes down what it received; a
 * test reads that with the functions below, which take the origin's lock. Everything in it is bounded.
 */
#ifndef HTTP_ORIGIN_H
#define HTTP_ORIGIN_H

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ORIGIN_PEERS = 512, ORIGIN_LOG = 1024, ORIGIN_INPUT = 3 * 1024 * 1024 };

struct origin_request {
	int connection; /* 1-based, in the order of their acceptance */
	char method[8];
	char path[128];
	char headers[1024];
	char *body;
	size_t body_len;
};

struct origin_peer {
	int fd; /* -1: free */
	int connection;
	char *input;
	size_t len;
	size_t cap;
	const char *drip; /* sent again and again until the peer goes away: a piece each turn, */
	bool flood;       /* or as many as fit */
};

struct origin {
	pthread_t thread;
	pthread_mutex_t lock;
	int listen_fd;
	int stop_fd;
	unsigned port;
	int connections; /* accepted so far */
	int gone;        /* ended by the client so far */
	struct origin_peer peers[ORIGIN_PEERS];
	struct origin_request log[ORIGIN_LOG];
	size_t requests;
};

static void origin_say(struct origin_peer *peer, const char *text, size_t n)
{
	while (n > 0) {
		const ssize_t sent = send(peer->fd, text, n, MSG_NOSIGNAL);
		if (sent < 0 && errno == EAGAIN) {
			struct pollfd p = { .fd = peer->fd, .events = POLLOUT };
			if (poll(&p, 1, 5000) == 1)
				continue;
		}
		if (sent < 0)
			return;
		text += sent;
		n -= (size_t)sent;
	}
}

static void origin_close(struct origin_peer *peer)
{
	if (peer->fd >= 0)
		close(peer->fd);
	peer->fd = -1;
	peer->len = 0;
	peer->drip = NULL;
}

static void origin_reset(struct origin_peer *peer)
{
	const struct linger now = { .l_onoff = 1, .l_linger = 0 };
	setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	origin_close(peer);
}

/* What a path leads to. */
struct origin_script {
	const char *path;
	const char *reply; /* as it goes over the wire */
	enum { ORIGIN_KEEP, ORIGIN_CLOSE, ORIGIN_RESET, ORIGIN_DRIP, ORIGIN_FLOOD } then;
	const char *drip;
};

#define ORIGIN_OK "HTTP/1.1 200 OK\r\n"

static const struct origin_script origin_scripts[] = {
	{ "/ok", ORIGIN_OK "Content-Length: 2\r\n\r\nok", ORIGIN_KEEP, NULL },
	{ "/ok-close", ORIGIN_OK "Connection: close\r\nContent-Length: 2\r\n\r\nok", ORIGIN_CLOSE, NULL },
	{ "/ok-then-closes", ORIGIN_OK "Content-Length: 2\r\n\r\nok", ORIGIN_CLOSE, NULL },
	{ "/chunked", ORIGIN_OK "Transfer-Encoding: chunked\r\n\r\n4\r\nab\r\n\r\n3\r\nxyz\r\n0\r\n\r\n", ORIGIN_KEEP,
	  NULL },
	{ "/no-length", ORIGIN_OK "\r\nto the end", ORIGIN_CLOSE, NULL },
	{ "/204", "HTTP/1.1 204 No Content\r\n\r\n", ORIGIN_KEEP, NULL },
	{ "/empty", ORIGIN_OK "Content-Length: 0\r\n\r\n", ORIGIN_KEEP, NULL },
	{ "/moved", "HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n", ORIGIN_KEEP, NULL },
	{ "/cut-status", "HTTP/1.1 2", ORIGIN_CLOSE, NULL },
	{ "/cut-headers", ORIGIN_OK "Content-Le", ORIGIN_CLOSE, NULL },
	{ "/cut-after-status", ORIGIN_OK, ORIGIN_CLOSE, NULL },
	{ "/cut-body", ORIGIN_OK "Content-Length: 100\r\n\r\nonly this", ORIGIN_CLOSE, NULL },
	{ "/cut-chunk", ORIGIN_OK "Transfer-Encoding: chunked\r\n\r\n64\r\nonly this", ORIGIN_CLOSE, NULL },
	{ "/cut-chunks", "HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nonly\r\n", ORIGIN_RESET, NULL },
	{ "/interim-only", "HTTP/1.1 103 Early Hints\r\nDate: no\r\n\r\n", ORIGIN_CLOSE, NULL },
	{ "/garbage", "220 mail.example ESMTP\r\n", ORIGIN_CLOSE, NULL },
	{ "/drop", "", ORIGIN_CLOSE, NULL },
	{ "/reset", "", ORIGIN_RESET, NULL },
	{ "/hang", "", ORIGIN_KEEP, NULL },
	{ "/hang-after-100", "HTTP/1.1 100 Continue\r\n\r\n", ORIGIN_KEEP, NULL },
	{ "/drip-headers", ORIGIN_OK, ORIGIN_DRIP, "x" },
	{ "/drip-body", ORIGIN_OK "Content-Length: 100000\r\n\r\n", ORIGIN_DRIP, "x" },
	{ "/long-announced", ORIGIN_OK "Content-Length: 1000001\r\n\r\n", ORIGIN_KEEP, NULL },
	{ "/long-to-the-end", ORIGIN_OK "\r\n", ORIGIN_FLOOD, "0123456789abcdef0123456789abcdef" },
	{ "/long-chunked", ORIGIN_OK "Transfer-Encoding: chunked\r\n\r\n", ORIGIN_FLOOD,
	  "20\r\n0123456789abcdef0123456789abcdef\r\n" },
	{ "/retry",
	  "HTTP/1.1 429 Slow\r\nRetry-After: 1\r\nDATE: Mon, 01 Jan 2024 00:00:00 GMT\r\nretry-after:  120 \r\n"
	  "Date: Tue, 02 Jan 2024 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n",
	  ORIGIN_KEEP, NULL },
	{ "/retry-long",
	  "HTTP/1.1 429 Slow\r\nRetry-After: "
	  "00000000000000000000000000000000000000000000000000000000000000000000001\r\n"
	  "Content-Length: 0\r\n\r\n",
	  ORIGIN_KEEP, NULL },
	{ "/retry-elsewhere",
	  "HTTP/1.1 103 Early Hints\r\nRetry-After: 7\r\n\r\n" ORIGIN_OK
	  "X-Retry-After: 8\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nRetry-After: 9\r\n\r\n",
	  ORIGIN_KEEP, NULL },
};

static const struct origin_script *origin_find(const char *path)
{
	for (size_t i = 0; i < sizeof(origin_scripts) / sizeof(origin_scripts[0]); i++)
		if (strcmp(origin_scripts[i].path, path) == 0)
			return &origin_scripts[i];
	return NULL;
}

static size_t origin_count_locked(const struct origin *o, const char *path)
{
	size_t n = 0;
	for (size_t i = 0; i < o->requests; i++)
		n += strcmp(o->log[i].path, path) == 0;
	return n;
}

static void origin_echo(struct origin_peer *peer, const struct origin_request *request)
{
	char head[128];
	const int n = snprintf(head, sizeof(head), ORIGIN_OK "Content-Length: %zu\r\n\r\n", request->body_len);
	origin_say(peer, head, (size_t)n);
	origin_say(peer, request->body, request->body_len);
}

static void origin_answer(struct origin *o, struct origin_peer *peer, const struct origin_request *request)
{
	const char *path = request->path;
	if (strcmp(path, "/drop-first") == 0) /* the connection dies under the first request, the next is answered */
		path = origin_count_locked(o, path) == 1 ? "/drop" : "/ok";
	const struct origin_script *script = origin_find(path);
	if (!script) {
		origin_echo(peer, request);
		return;
	}
	origin_say(peer, script->reply, strlen(script->reply));
	if (script->then == ORIGIN_CLOSE)
		origin_close(peer);
	else if (script->then == ORIGIN_RESET)
		origin_reset(peer);
	peer->drip = peer->fd >= 0 ? script->drip : NULL;
	peer->flood = script->then == ORIGIN_FLOOD;
}

static size_t origin_body_len(const char *headers)
{
	const char *at = strcasestr(headers, "\r\nContent-Length:");
	return at ? strtoul(at + 17, NULL, 10) : 0;
}

/* Answers the first complete request in the input; false when there is none. */
static bool origin_take(struct origin *o, struct origin_peer *peer)
{
	char *end = peer->len > 0 ? strstr(peer->input, "\r\n\r\n") : NULL;
	if (!end || o->requests == ORIGIN_LOG)
		return false;
	const size_t head = (size_t)(end - peer->input) + 4;
	*end = '\0';
	const size_t body = origin_body_len(peer->input);
	*end = '\r';
	if (peer->len < head + body)
		return false;
	struct origin_request *request = &o->log[o->requests++];
	request->connection = peer->connection;
	sscanf(peer->input, "%7s %127s", request->method, request->path);
	snprintf(request->headers, sizeof(request->headers), "%.*s", (int)head, peer->input);
	request->body = malloc(body + 1);
	memcpy(request->body, peer->input + head, body);
	request->body_len = body;
	peer->len -= head + body;
	memmove(peer->input, peer->input + head + body, peer->len + 1);
	origin_answer(o, peer, request);
	return peer->fd >= 0;
}

static void origin_read(struct origin *o, struct origin_peer *peer)
{
	if (peer->cap - peer->len < 65537) {
		peer->cap = peer->cap * 2 + 65537;
		peer->input = peer->cap < ORIGIN_INPUT * 2 ? realloc(peer->input, peer->cap) : NULL;
		if (!peer->input)
			abort();
	}
	const ssize_t n = recv(peer->fd, peer->input + peer->len, 65536, 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		o->gone++;
		origin_close(peer);
		return;
	}
	peer->len += (size_t)n;
	peer->input[peer->len] = '\0';
	while (origin_take(o, peer))
		;
}

static void origin_accept(struct origin *o)
{
	const int fd = accept4(o->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	const int on = 1;
	if (fd < 0)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	for (size_t i = 0; i < ORIGIN_PEERS; i++) {
		if (o->peers[i].fd >= 0)
			continue;
		o->peers[i].fd = fd;
		o->peers[i].connection = ++o->connections;
		return;
	}
	close(fd);
}

static void origin_drip(const struct origin_peer *peer)
{
	const size_t n = strlen(peer->drip);
	for (int i = 0; i < (peer->flood ? 1000 : 1); i++)
		if (send(peer->fd, peer->drip, n, MSG_NOSIGNAL) != (ssize_t)n)
			return;
}

static void origin_turn(struct origin *o, const struct pollfd *polls, const int *owners, size_t n)
{
	pthread_mutex_lock(&o->lock);
	for (size_t i = 2; i < n; i++)
		if (polls[i].revents)
			origin_read(o, &o->peers[owners[i]]);
	if (polls[1].revents)
		origin_accept(o);
	for (size_t i = 0; i < ORIGIN_PEERS; i++)
		if (o->peers[i].fd >= 0 && o->peers[i].drip)
			origin_drip(&o->peers[i]);
	pthread_mutex_unlock(&o->lock);
}

static void *origin_main(void *arg)
{
	struct origin *o = arg;
	for (;;) {
		struct pollfd polls[ORIGIN_PEERS + 2] = { { .fd = o->stop_fd, .events = POLLIN },
							  { .fd = o->listen_fd, .events = POLLIN } };
		int owners[ORIGIN_PEERS + 2];
		size_t n = 2;
		bool dripping = false;
		for (int i = 0; i < ORIGIN_PEERS; i++) {
			if (o->peers[i].fd < 0)
				continue;
			dripping = dripping || o->peers[i].drip;
			owners[n] = i;
			polls[n++] = (struct pollfd){ .fd = o->peers[i].fd, .events = POLLIN };
		}
		poll(polls, n, dripping ? 1 : -1);
		if (polls[0].revents)
			return NULL;
		origin_turn(o, polls, owners, n);
	}
}

/* A listening socket on a free port of the loopback address. */
static int origin_listen(int backlog, unsigned *ret_port)
{
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, backlog) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &size) < 0)
		abort();
	*ret_port = ntohs(address.sin_port);
	return fd;
}

static inline struct origin *origin_start(void)
{
	struct origin *o = calloc(1, sizeof(*o));
	if (!o)
		abort();
	for (size_t i = 0; i < ORIGIN_PEERS; i++)
		o->peers[i].fd = -1;
	pthread_mutex_init(&o->lock, NULL);
	o->listen_fd = origin_listen(512, &o->port);
	fcntl(o->listen_fd, F_SETFL, O_NONBLOCK);
	o->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (o->stop_fd < 0 || pthread_create(&o->thread, NULL, origin_main, o) != 0)
		abort();
	return o;
}

static inline void origin_stop(struct origin *o)
{
	const uint64_t one = 1;
	if (write(o->stop_fd, &one, sizeof(one)) != sizeof(one))
		abort();
	pthread_join(o->thread, NULL);
	for (size_t i = 0; i < ORIGIN_PEERS; i++) {
		origin_close(&o->peers[i]);
		free(o->peers[i].input);
	}
	for (size_t i = 0; i < o->requests; i++)
		free(o->log[i].body);
	close(o->listen_fd);
	close(o->stop_fd);
	pthread_mutex_destroy(&o->lock);
	free(o);
}

static inline size_t origin_count(struct origin *o, const char *path)
{
	pthread_mutex_lock(&o->lock);
	const size_t n = origin_count_locked(o, path);
	pthread_mutex_unlock(&o->lock);
	return n;
}

static inline int origin_connections(struct origin *o)
{
	pthread_mutex_lock(&o->lock);
	const int n = o->connections;
	pthread_mutex_unlock(&o->lock);
	return n;
}

static inline int origin_gone(struct origin *o)
{
	pthread_mutex_lock(&o->lock);
	const int n = o->gone;
	pthread_mutex_unlock(&o->lock);
	return n;
}

/* The last request for the path; its strings stay as they are until the origin stops. */
static inline struct origin_request origin_last(struct origin *o, const char *path)
{
	struct origin_request found = { .connection = 0 };
	pthread_mutex_lock(&o->lock);
	for (size_t i = 0; i < o->requests; i++)
		if (strcmp(o->log[i].path, path) == 0)
			found = o->log[i];
	pthread_mutex_unlock(&o->lock);
	return found;
}

#endif
