/*
 * origin - the cheapest thing that answers a handoff's calls, for measuring clients
 *
 *   origin [DELAY_MS [PORT]]
 *
 * Prints "base_url=..." when it listens and runs until SIGTERM or SIGINT, or until its parent is gone. Every session
 * exists, every call succeeds after DELAY_MS; nothing is remembered. One thread, epoll, no allocation a request.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/calls.h"

enum { INPUT = 16384, PEERS = 16384, EVENTS = 256 };

struct peer {
	size_t len;
	unsigned generation; /* counts the connections that this descriptor has been */
	char input[INPUT];
};

/* A reply that is due later; all wait equally long, so a ring keeps them in order. */
struct due {
	double at;
	int fd;
	unsigned generation;
	char method;
	bool login;
	char session[64];
};

static struct peer *peers[PEERS]; /* by fd */
static struct due dues[PEERS];
static size_t due_first, due_count;
static double delay;
static int epoll_fd;
static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
	(void)number;
	stopped = 1;
}

static const char *reply_format(const struct due *due)
{
	if (due->login)
		return "{\"access_token\":\"0123456789abcdef0123456789abcdef\",\"token_type\":\"Bearer\",\"expires_"
		       "in\":3600,"
		       "\"scope\":\"session:write flow:execute telephony:transfer\"}";
	if (due->method == 'G')
		return "{\"sessionId\":\"%s\",\"userId\":\"user_4711\",\"channel\":\"voice\",\"status\":\"active\","
		       "\"variables\":{"
		       "\"callerName\":\"Ada "
		       "Lovelace\",\"language\":\"en-GB\",\"intentScore\":0.9731,\"accountTier\":\"gold\","
		       "\"authenticated\":true,\"menuPath\":[\"billing\",\"invoice\"],\"balance\":1234567890123456789},"
		       "\"telephony\":{\"callId\":\"genesys_call_887766\",\"from\":\"+441632960961\",\"codec\":"
		       "\"opus\"}}";
	if (due->method == 'P')
		return "{\"status\":\"ok\",\"telephony\":{\"status\":\"transferring\",\"transferId\":\"genesys_xfer_"
		       "998877\"}}";
	return "{\"flowExecutionId\":\"exec_7f8e9d6c5b4a3210\",\"status\":\"completed\",\"result\":{\"action\":"
	       "\"transfer_to_genesis\",\"targetQueue\":\"a1b2c3d4-e5f6-7890-abcd-ef1234567890\",\"mediaStreamStatus\":"
	       "\"bridged\",\"agentWaitTime\":2.4}}";
}

static void reply(const struct due *due)
{
	char body[1024], text[1536];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	const int n = snprintf(body, sizeof(body), reply_format(due), due->session);
#pragma GCC diagnostic pop
	const int all = snprintf(text, sizeof(text),
				 "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
				 "Date: Tue, 24 Nov 2026 10:00:00 GMT\r\n\r\n%s",
				 n, body);
	if (send(due->fd, text, (size_t)all, MSG_NOSIGNAL) != all)
		shutdown(due->fd, SHUT_RDWR);
}

static void answer(int fd, const char *head)
{
	struct due due = { .fd = fd, .generation = peers[fd]->generation };
	char method[8] = "", path[256] = "";
	sscanf(head, "%7s %255s", method, path);
	due.method = strcmp(method, "POST") == 0 ? 'F' : method[0];
	due.login = strstr(path, "/auth/login") != NULL;
	const char *session = strrchr(path, '/');
	snprintf(due.session, sizeof(due.session), "%s", session ? session + 1 : "");
	if (delay <= 0 || due_count == PEERS) {
		reply(&due);
		return;
	}
	due.at = wall_seconds() + delay;
	dues[(due_first + due_count++) % PEERS] = due;
}

/* Replies that are due; returns how long to sleep, in milliseconds. */
static int serve_dues(void)
{
	const double now = due_count > 0 ? wall_seconds() : 0;
	while (due_count > 0 && dues[due_first].at <= now) {
		const struct due *due = &dues[due_first];
		due_first = (due_first + 1) % PEERS;
		due_count--;
		if (peers[due->fd]->generation == due->generation)
			reply(due);
	}
	return due_count > 0 ? (int)((dues[due_first].at - now) * 1e3) + 1 : 1000;
}

static void drop(int fd)
{
	peers[fd]->generation++;
	close(fd);
}

/* Answers the request at the front of the input; false when it is not complete. */
static bool take(int fd)
{
	struct peer *p = peers[fd];
	p->input[p->len] = '\0';
	char *end = strstr(p->input, "\r\n\r\n");
	if (!end)
		return false;
	*end = '\0';
	const char *length = strcasestr(p->input, "\r\nContent-Length:");
	const size_t whole = (size_t)(end - p->input) + 4 + (length ? strtoul(length + 17, NULL, 10) : 0);
	if (p->len < whole) {
		*end = '\r';
		return false;
	}
	answer(fd, p->input);
	p->len -= whole;
	memmove(p->input, p->input + whole, p->len);
	return p->len > 0;
}

static void serve(int fd)
{
	struct peer *p = peers[fd];
	const ssize_t n = recv(fd, p->input + p->len, INPUT - 1 - p->len, 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		drop(fd);
		return;
	}
	p->len += (size_t)n;
	while (take(fd))
		;
}

static void greet(int listen_fd)
{
	const int on = 1;
	for (int fd; (fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0;) {
		if (fd < PEERS && !peers[fd])
			peers[fd] = calloc(1, sizeof(*peers[fd]));
		if (fd >= PEERS || !peers[fd]) {
			close(fd);
			continue;
		}
		peers[fd]->len = 0;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
		epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
	}
}

static int listen_on(unsigned port)
{
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				       .sin_port = htons((uint16_t)port) };
	socklen_t size = sizeof(address);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, 4096) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &size) < 0)
		return -1;
	printf("base_url=http://127.0.0.1:%u/api/v1\n", ntohs(address.sin_port));
	fflush(stdout);
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -1 : fd;
}

int main(int argc, char **argv)
{
	struct epoll_event events[EVENTS];
	delay = argc > 1 ? strtod(argv[1], NULL) / 1e3 : 0;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	const int listen_fd = epoll_fd < 0 ? -1 : listen_on(argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0);
	if (listen_fd < 0) {
		perror("origin");
		return 1;
	}
	while (!stopped) {
		const int n = epoll_wait(epoll_fd, events, EVENTS, serve_dues());
		for (int i = 0; i < n; i++) {
			if (events[i].data.fd == listen_fd)
				greet(listen_fd);
			else
				serve(events[i].data.fd);
		}
	}
	return 0;
}
