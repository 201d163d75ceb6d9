/*
 * origin - the cheapest thing that answers a handoff's calls, for measuring clients
 *
 *   origin [-d DELAY_MS] [-p PORT] [-t TOKEN_BYTES] [-n NOTES] [-c CERTIFICATE -k KEY]
 *
 * Prints "base_url=..." when it listens and runs until SIGTERM or SIGINT, or until its parent is gone. Every session
 * exists, every call succeeds after DELAY_MS; every login gets a token of TOKEN_BYTES. With a certificate and its key
 * (PEM) it speaks TLS. Of what was called it remembers only counts and times, told at GET /_book; and for each fetch a
 * line "SESSION UNIX_US" in the file NOTES, complete when the book has been asked for. One thread, epoll, no allocation
 * a request.
 */
#include <inttypes.h>
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
#include "bench/wire.h"

enum { INPUT = 16384, PEERS = 16384, EVENTS = 256, TOKEN = 4096 };

struct peer {
	struct wire wire;
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
	bool login, book;
	char session[64];
};

static struct peer *peers[PEERS]; /* by fd */
static struct due dues[PEERS];
static size_t due_first, due_count;
static double delay;
static char token[TOKEN + 1];
static FILE *notes; /* NULL: none are taken */
static struct {
	uint64_t fetches, triggers;
	int64_t first, last; /* Unix us, of the first fetch since the book was asked for and of the last trigger */
} book;
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
		return "{\"access_token\":\"%s\",\"token_type\":\"Bearer\",\"expires_in\":3600,"
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

static int write_body(const struct due *due, char *body, size_t room)
{
	if (due->book)
		return snprintf(body, room,
				"{\"fetches\":%" PRIu64 ",\"triggers\":%" PRIu64 ",\"first\":%" PRId64
				",\"last\":%" PRId64 "}",
				book.fetches, book.triggers, book.first, book.last);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	return snprintf(body, room, reply_format(due), due->login ? token : due->session);
#pragma GCC diagnostic pop
}

static void reply(const struct due *due)
{
	char body[TOKEN + 512], text[TOKEN + 1024];
	const int n = write_body(due, body, sizeof(body));
	const int all = snprintf(text, sizeof(text),
				 "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
				 "Date: Tue, 24 Nov 2026 10:00:00 GMT\r\n\r\n%s",
				 n, body);
	if (!wire_write(&peers[due->fd]->wire, text, (size_t)all))
		shutdown(due->fd, SHUT_RDWR);
}

static int64_t unix_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void note(const struct due *due)
{
	const int64_t now = unix_us();
	if (due->method == 'F') {
		book.triggers++;
		book.last = now;
	} else if (due->method == 'G') {
		book.first = book.first ? book.first : now;
		book.fetches++;
		if (notes)
			fprintf(notes, "%s %" PRId64 "\n", due->session, now);
	}
}

static void tell_book(const struct due *due)
{
	if (notes)
		fflush(notes);
	reply(due);
	book.first = 0;
}

static void answer(int fd, const char *head)
{
	struct due due = { .fd = fd, .generation = peers[fd]->generation };
	char method[8] = "", path[256] = "";
	sscanf(head, "%7s %255s", method, path);
	due.method = strcmp(method, "POST") == 0 ? 'F' : method[0];
	due.login = strstr(path, "/auth/login") != NULL;
	due.book = strcmp(path, "/_book") == 0;
	const char *session = strrchr(path, '/');
	snprintf(due.session, sizeof(due.session), "%s", session ? session + 1 : "");
	if (due.book) {
		tell_book(&due);
		return;
	}
	if (!due.login)
		note(&due);
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
	wire_close(&peers[fd]->wire);
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
	do {
		const ssize_t n = wire_read(&p->wire, p->input + p->len, INPUT - 1 - p->len);
		if (n < 0)
			drop(fd);
		if (n <= 0)
			return;
		p->len += (size_t)n;
		while (take(fd))
			;
	} while (wire_has_more(&p->wire));
}

static void greet(int listen_fd)
{
	const int on = 1;
	for (int fd; (fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0;) {
		if (fd < PEERS && !peers[fd])
			peers[fd] = calloc(1, sizeof(*peers[fd]));
		if (fd >= PEERS || !peers[fd] || wire_open(&peers[fd]->wire, fd) < 0) {
			close(fd);
			continue;
		}
		peers[fd]->len = 0;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
		epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
	}
}

static int listen_on(unsigned port, bool tls)
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
	printf("base_url=%s://127.0.0.1:%u/api/v1\n", tls ? "https" : "http", ntohs(address.sin_port));
	fflush(stdout);
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -1 : fd;
}

static void run(int listen_fd)
{
	struct epoll_event events[EVENTS];
	while (!stopped) {
		const int n = epoll_wait(epoll_fd, events, EVENTS, serve_dues());
		for (int i = 0; i < n; i++) {
			if (events[i].data.fd == listen_fd)
				greet(listen_fd);
			else
				serve(events[i].data.fd);
		}
	}
}

static struct {
	unsigned port;
	size_t token_bytes;
	const char *notes, *certificate, *key;
} options = { .token_bytes = 32 };

/* False on wrong usage. */
static bool read_options(int argc, char **argv)
{
	for (int option; (option = getopt(argc, argv, "d:p:t:n:c:k:")) != -1;) {
		if (option == 'd')
			delay = strtod(optarg, NULL) / 1e3;
		else if (option == 'p')
			options.port = (unsigned)strtoul(optarg, NULL, 10);
		else if (option == 't')
			options.token_bytes = strtoul(optarg, NULL, 10);
		else if (option == 'n')
			options.notes = optarg;
		else if (option == 'c')
			options.certificate = optarg;
		else if (option == 'k')
			options.key = optarg;
		else
			return false;
	}
	return optind == argc && options.token_bytes <= TOKEN && !options.certificate == !options.key;
}

int main(int argc, char **argv)
{
	if (!read_options(argc, argv)) {
		fprintf(stderr,
			"usage: origin [-d DELAY_MS] [-p PORT] [-t TOKEN_BYTES] [-n NOTES] [-c CERTIFICATE -k KEY]\n");
		return 2;
	}
	memset(token, 'a', options.token_bytes);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	if (options.certificate && wire_use_tls(options.certificate, options.key) < 0)
		return 1;
	notes = options.notes ? fopen(options.notes, "w") : NULL;
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	const int listen_fd = epoll_fd < 0 ? -1 : listen_on(options.port, options.certificate != NULL);
	if (listen_fd < 0 || (options.notes && !notes)) {
		perror("origin");
		return 1;
	}
	run(listen_fd);
	return 0;
}
