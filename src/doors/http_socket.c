/*
 * Lazy registration: libcurl says REMOVE when a call ends and IN when the next one starts on the same connection; to
 * obey costs two epoll_ctl a request (25 us a request instead of 18). So a descriptor stays registered for reading
 * after a REMOVE. What makes that safe:
 *  - an event on a descriptor that nobody wants takes it out of the loop (the peer closed an idle connection);
 *  - only descriptors whose end we hear of are kept: made by http_socket_open(), ended by http_socket_close(). The
 *    resolver's socket pair is closed behind our back, so it is removed when libcurl says so.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "doors/http_internal.h"

/* The descriptor's place in the table, which grows for it; NULL when it cannot. */
static struct http_socket *socket_of(struct http_sockets *sockets, int fd)
{
	const size_t index = (size_t)fd;
	if (index >= sockets->count) {
		size_t count = sockets->count ? sockets->count : 64;
		while (count <= index)
			count *= 2;
		struct http_socket *by_fd = realloc(sockets->by_fd, count * sizeof(*by_fd));
		if (!by_fd)
			return NULL;
		for (size_t i = sockets->count; i < count; i++)
			by_fd[i] = (struct http_socket){ .shard = NULL };
		sockets->by_fd = by_fd;
		sockets->count = count;
	}
	return &sockets->by_fd[index];
}

static void on_ready(void *arg, int fd, unsigned events)
{
	struct http *http = arg;
	struct http_socket *socket = &http->sockets.by_fd[fd];
	if (!socket->wanted) {
		loop_remove(http->loop, fd);
		socket->registered = 0;
		return;
	}
	int bits = 0;
	if (events & LOOP_READ)
		bits |= CURL_CSELECT_IN;
	if (events & LOOP_WRITE)
		bits |= CURL_CSELECT_OUT;
	http_shard_act(socket->shard, fd, bits);
}

/* Where it fails, the calls that wait for this descriptor end by their time-outs. It can only fail for the resolver's:
 * our own were registered when they were made. */
static void set_registered(struct http *http, struct http_socket *socket, int fd, unsigned events)
{
	if (socket->registered != events && loop_set(http->loop, fd, events, on_ready, http) == 0)
		socket->registered = events;
}

static void forget(struct http *http, struct http_socket *socket, int fd)
{
	loop_remove(http->loop, fd);
	*socket = (struct http_socket){ .shard = NULL };
}

curl_socket_t http_socket_open(void *shard, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct http *http = ((struct http_shard *)shard)->http;
	(void)purpose;
	const int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	http->socket_error = fd < 0 ? errno : 0; /* libcurl would say that the peer did not answer */
	if (fd < 0)
		return CURL_SOCKET_BAD;
	struct http_socket *socket = socket_of(&http->sockets, fd);
	/* Registered for nothing yet: whether the kernel has room for it is told here, where the call can still end
	 * with "not sent". */
	if (!socket || loop_set(http->loop, fd, 0, on_ready, http) < 0) {
		close(fd);
		return CURL_SOCKET_BAD;
	}
	*socket = (struct http_socket){ .shard = shard, .ours = true };
	return fd;
}

int http_socket_close(void *shard, curl_socket_t fd)
{
	struct http *http = ((struct http_shard *)shard)->http;
	forget(http, &http->sockets.by_fd[fd], fd);
	return close(fd);
}

static void unwatch(struct http *http, int fd)
{
	if ((size_t)fd >= http->sockets.count)
		return;
	struct http_socket *socket = &http->sockets.by_fd[fd];
	if (!socket->ours) {
		forget(http, socket, fd);
		return;
	}
	socket->wanted = 0;
	if (socket->registered & LOOP_WRITE) /* an idle connection is always writable */
		set_registered(http, socket, fd, LOOP_READ);
}

int http_socket_watch(CURL *easy, curl_socket_t fd, int what, void *shard, void *unused)
{
	struct http *http = ((struct http_shard *)shard)->http;
	(void)easy;
	(void)unused;
	if (what == CURL_POLL_REMOVE) {
		unwatch(http, fd);
		return 0;
	}
	struct http_socket *socket = socket_of(&http->sockets, fd);
	if (!socket)
		return 0; /* as in set_registered(); an error here would end every call of the shard */
	socket->shard = shard;
	socket->wanted = (what & CURL_POLL_IN ? LOOP_READ : 0u) | (what & CURL_POLL_OUT ? LOOP_WRITE : 0u);
	set_registered(http, socket, fd, socket->wanted);
	return 0;
}

void http_sockets_fini(struct http *http)
{
	for (size_t fd = 0; fd < http->sockets.count; fd++)
		if (http->sockets.by_fd[fd].shard)
			loop_remove(http->loop, (int)fd);
	free(http->sockets.by_fd);
	http->sockets = (struct http_sockets){ .by_fd = NULL };
}
