/*
 * http_server - libmicrohttpd behind the caller's loop
 *
 *   loop ──> MHD's epoll fd ──> accept, read, write                       (every connection)
 *        └─> watch (an epoll fd of our own, EPOLLRDHUP only) ──> on_gone  (connections that once had to wait)
 *
 * MHD forgets the socket of a suspended connection, so it cannot tell that its client has hung up; the watch can. A
 * connection enters it once, at its first wait, and stays until it is closed: data alone never wakes it.
 * One exchange belongs to one connection and is used again for its next request (HTTP/1.1 answers in order):
 *
 *   IDLE ── request line ──> READING ── body complete ──> ASKED ── answer, drop, gone ──> SETTLED ── sent or closed ──>
 * IDLE
 */
#include "doors/http_server.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "doors/http_server_internal.h"
#include "doors/listener.h"

enum {
	CONNECTION_LIMIT = 8192,
	IDLE_SECONDS = 300, /* longer than clients keep idle connections, so that they close first */
	PATH_LIMIT = CONNECTION_MEMORY,
	BODY_KEEP = 64 * 1024, /* a larger body's memory is given back when it is answered */
	SURPLUS_FACTOR = 4,    /* a body this many times too large is cut off unanswered */
	WATCH_BATCH = 64,
	REST = USEC_PER_SEC / 10,
	TURN_RUNS = 4 /* an answer to a suspended request needs two runs; then the loop's others are due */
};

struct http_server {
	struct loop *loop;
	struct http_server_handlers handlers;
	size_t max_body_bytes;
	struct MHD_Daemon *daemon;
	int daemon_fd;
	int watch_fd;
	uint16_t port;
	bool ready;                    /* MHD's descriptor called */
	bool connected;                /* a connection began in this run */
	bool resting;                  /* MHD's descriptor is out of the loop until the next turn */
	struct http_exchange *waiting; /* the suspended ones */
};

/* --- connections and their exchange --- */

static void wait_enter(struct http_exchange *x)
{
	x->suspended = true;
	x->prev = NULL;
	x->next = x->server->waiting;
	if (x->next)
		x->next->prev = x;
	x->server->waiting = x;
}

static void wait_leave(struct http_exchange *x)
{
	x->suspended = false;
	if (x->prev)
		x->prev->next = x->next;
	else
		x->server->waiting = x->next;
	if (x->next)
		x->next->prev = x->prev;
}

static struct http_exchange *exchange_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	return info ? info->socket_context : NULL;
}

static struct http_exchange *exchange_new(struct http_server *server, struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct http_exchange *x = info ? calloc(1, sizeof(*x)) : NULL;
	if (!x)
		return NULL;
	x->server = server;
	x->connection = connection;
	x->fd = info->connect_fd;
	buf_init(&x->path, PATH_LIMIT);
	buf_init(&x->body, server->max_body_bytes);
	return x;
}

static void on_connection(void *arg, struct MHD_Connection *connection, void **context,
			  enum MHD_ConnectionNotificationCode code)
{
	struct http_exchange *x = *context;
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		((struct http_server *)arg)->connected = true;
		*context = exchange_new(arg, connection); /* NULL: its requests are refused by closing */
	} else if (x) {
		buf_fini(&x->path);
		buf_fini(&x->body);
		free(x);
		*context = NULL;
	}
}

/* The first word of a request, before libmicrohttpd decodes the path. */
static void *on_uri(void *arg, const char *uri, struct MHD_Connection *connection)
{
	(void)arg;
	struct http_exchange *x = exchange_of(connection);
	if (!x)
		return NULL;
	buf_reset(&x->path);
	buf_reset(&x->body);
	buf_add(&x->path, uri, strcspn(uri, "?"));
	x->surplus = 0;
	x->data = NULL;
	x->phase = IDLE;
	return buf_ok(&x->path) ? x : NULL;
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **context,
			 enum MHD_RequestTerminationCode code)
{
	(void)arg, (void)connection, (void)code;
	struct http_exchange *x = *context;
	if (!x)
		return;
	if (x->response)
		MHD_destroy_response(x->response);
	x->response = NULL;
	x->phase = IDLE;
	if (x->body.cap > BODY_KEEP)
		buf_fini(&x->body);
}

/* --- from request to answer --- */

void http_exchange_settle(struct http_exchange *x)
{
	x->phase = SETTLED;
	if (!x->suspended)
		return;
	wait_leave(x);
	MHD_resume_connection(x->connection);
	x->server->ready = true; /* without a thread of its own the daemon wakes nobody */
}

static void give_up(struct http_exchange *x)
{
	if (x->server->handlers.on_gone)
		x->server->handlers.on_gone(x->server->handlers.arg, x);
	http_exchange_settle(x);
}

static enum MHD_Result finish(struct http_exchange *x)
{
	if (!x->response)
		return MHD_NO;
	const enum MHD_Result result = MHD_queue_response(x->connection, (unsigned)x->status, x->response);
	MHD_destroy_response(x->response);
	x->response = NULL;
	return result;
}

static void watch(struct http_exchange *x)
{
	struct epoll_event event = { .events = EPOLLRDHUP | EPOLLONESHOT, .data.ptr = x };
	if (!x->watched)
		x->watched = epoll_ctl(x->server->watch_fd, EPOLL_CTL_ADD, x->fd, &event) == 0;
}

static enum MHD_Result hand_over(struct http_exchange *x)
{
	if (x->surplus > 0) {
		http_answer(x, &(struct http_answer){ .status = MHD_HTTP_CONTENT_TOO_LARGE,
						      .body = SPAN("{\"error\":\"the body is too large\"}") });
		return finish(x);
	}
	if (!buf_ok(&x->body))
		return MHD_NO; /* out of memory */
	x->phase = ASKED;
	x->server->handlers.on_request(x->server->handlers.arg, x);
	if (x->phase == SETTLED)
		return finish(x);
	if (x->hung_up) {
		give_up(x);
		return MHD_NO;
	}
	MHD_suspend_connection(x->connection);
	wait_enter(x);
	watch(x);
	return MHD_YES;
}

static enum MHD_Result take_body(struct http_exchange *x, const char *bytes, size_t n)
{
	if (x->surplus == 0 && n <= x->server->max_body_bytes - x->body.len) {
		buf_add(&x->body, bytes, n);
		return buf_ok(&x->body) ? MHD_YES : MHD_NO;
	}
	x->surplus += n;
	return x->surplus / SURPLUS_FACTOR > x->server->max_body_bytes ? MHD_NO : MHD_YES;
}

/* libmicrohttpd calls once with the headers, then with each piece of the body, then with nothing, and again after a
 * resume. */
static enum MHD_Result on_access(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
				 const char *version, const char *upload, size_t *upload_size, void **context)
{
	(void)arg, (void)connection, (void)url, (void)version;
	struct http_exchange *x = *context;
	if (!x)
		return MHD_NO;
	switch (x->phase) {
	case IDLE:
		x->method = method;
		x->phase = READING;
		return MHD_YES;
	case READING:
		if (*upload_size == 0)
			return hand_over(x);
		const size_t n = *upload_size;
		*upload_size = 0;
		return take_body(x, upload, n);
	case SETTLED:
		return finish(x);
	case ASKED:
		break; /* suspended: not called */
	}
	return MHD_NO;
}

/* --- the loop --- */

static void on_daemon_ready(void *arg, int fd, unsigned events)
{
	(void)fd, (void)events;
	struct http_server *server = arg;
	server->ready = true;
}

static void on_hang_up(void *arg, int fd, unsigned events)
{
	(void)events;
	(void)arg;
	struct epoll_event gone[WATCH_BATCH];
	const int n = epoll_wait(fd, gone, WATCH_BATCH, 0);
	for (int i = 0; i < n; i++) {
		struct http_exchange *x = gone[i].data.ptr;
		x->hung_up = true;
		if (x->suspended)
			give_up(x);
	}
}

static unsigned connections(const struct http_server *server)
{
	return MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS)->num_connections;
}

/* An event without a connection before or after it is one that cannot be accepted, for want of a descriptor. The
 * library would try that without a pause; its descriptor comes back into the loop with the next turn. */
static void run_once(struct http_server *server)
{
	const bool called = server->ready;
	const bool alone = connections(server) == 0;
	server->ready = server->connected = false;
	MHD_run(server->daemon);
	server->resting = called && alone && !server->connected && connections(server) == 0;
	if (server->resting)
		loop_remove(server->loop, server->daemon_fd);
}

void http_server_run(struct http_server *server)
{
	if (server->resting) /* what is still to be done calls again */
		server->resting = loop_set(server->loop, server->daemon_fd, LOOP_READ, on_daemon_ready, server) < 0;
	for (int i = 0; i < TURN_RUNS && !server->resting; i++) {
		if (!server->ready && http_server_wait(server) > 0)
			return;
		run_once(server);
	}
}

usec_t http_server_wait(const struct http_server *server)
{
	unsigned long long milliseconds;
	if (server->resting)
		return REST;
	if (server->ready)
		return 0;
	if (MHD_get_timeout(server->daemon, &milliseconds) != MHD_YES)
		return USEC_NEVER;
	return (usec_t)milliseconds * USEC_PER_MSEC;
}

/* --- start and end --- */

/* On success the daemon owns `listen_fd`. */
static int start_daemon(struct http_server *server, int listen_fd)
{
	errno = 0;
	server->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_access, server, MHD_OPTION_LISTEN_SOCKET,
		listen_fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTION_LIMIT, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)CONNECTION_MEMORY, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS,
		MHD_OPTION_URI_LOG_CALLBACK, on_uri, server, MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_END);
	if (!server->daemon)
		return errno ? -errno : -ENOMEM; /* the library keeps the reason to itself */
	server->daemon_fd = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	return 0;
}

static int join_loop(struct http_server *server)
{
	server->watch_fd = epoll_create1(EPOLL_CLOEXEC);
	if (server->watch_fd < 0)
		return -errno;
	int r = loop_set(server->loop, server->daemon_fd, LOOP_READ, on_daemon_ready, server);
	if (r == 0)
		r = loop_set(server->loop, server->watch_fd, LOOP_READ, on_hang_up, server);
	return r;
}

struct http_server *http_server_new(struct loop *loop, const char *listen_at, size_t max_body_bytes,
				    const struct http_server_handlers *handlers, struct fault *fault)
{
	const int listen_fd = listener_open(listen_at, fault);
	if (listen_fd < 0)
		return NULL;
	struct http_server *server = calloc(1, sizeof(*server));
	if (!server) {
		close(listen_fd);
		fault_set(fault, -ENOMEM, FAULT_OURS, "out of memory");
		return NULL;
	}
	*server = (struct http_server){ .loop = loop,
					.handlers = *handlers,
					.max_body_bytes = max_body_bytes,
					.daemon_fd = -1,
					.watch_fd = -1,
					.port = listener_port(listen_fd),
					.ready = true };
	int r = start_daemon(server, listen_fd);
	if (r < 0)
		close(listen_fd);
	else
		r = join_loop(server);
	if (r < 0) {
		fault_set(fault, r, FAULT_OURS, "cannot serve on %s: %s", listen_at, strerror(-r));
		return http_server_free(server);
	}
	return server;
}

struct http_server *http_server_free(struct http_server *server)
{
	if (!server)
		return NULL;
	while (server->waiting)
		give_up(server->waiting);
	if (server->daemon_fd >= 0)
		loop_remove(server->loop, server->daemon_fd);
	if (server->watch_fd >= 0) {
		loop_remove(server->loop, server->watch_fd);
		close(server->watch_fd);
	}
	if (server->daemon)
		MHD_stop_daemon(server->daemon);
	free(server);
	return NULL;
}

uint16_t http_server_port(const struct http_server *server)
{
	return server->port;
}

/* --- what was asked --- */

const char *http_exchange_method(const struct http_exchange *x)
{
	return x->method;
}

const char *http_exchange_path(const struct http_exchange *x)
{
	return buf_text(&x->path);
}

const char *http_exchange_query(const struct http_exchange *x, const char *name)
{
	return MHD_lookup_connection_value(x->connection, MHD_GET_ARGUMENT_KIND, name);
}

const char *http_exchange_header(const struct http_exchange *x, const char *name)
{
	return MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, name);
}

struct span http_exchange_body(const struct http_exchange *x)
{
	return buf_span(&x->body);
}

void http_exchange_set_data(struct http_exchange *x, void *data)
{
	x->data = data;
}

void *http_exchange_data(const struct http_exchange *x)
{
	return x->data;
}

bool http_exchange_gone(const struct http_exchange *x)
{
	struct pollfd fd = { .fd = x->fd, .events = POLLRDHUP };
	return poll(&fd, 1, 0) > 0;
}
