/*
 * yardstick - what do the three calls of a handoff cost, and nothing else?
 *
 *   yardstick BASE_URL IN_FLIGHT COUNT [TOKEN [CA_FILE]]
 *
 * A bare libcurl client: no Kafka, no JSON, no rules. It is driven as well as libcurl 7.88 can be: one epoll, multis of
 * at most 64 transfers, descriptors that stay registered between transfers, one kept handle for each place in flight
 * (three, one a call, save 1 % of the instructions and cost more than that in cache at 1,000 in flight), constant
 * header lists, URLs taken apart once. The worker's own cost is judged by the ratio to this one in the same run.
 * The first 2 x IN_FLIGHT handoffs open the connections and are not counted.
 */
#include <curl/curl.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/calls.h"

enum { SHARD_SLOTS = 64, MAX_FDS = 65536, EVENTS = 256 };

struct shard {
	CURLM *multi;
	double deadline; /* < 0: none */
};

/* One handoff in flight; the place goes from handoff to handoff. */
struct place {
	struct shard *shard;
	CURL *easy;
	CURLU *url; /* taken apart once; a call changes its path */
	struct call_text text;
	struct curl_slist key_line;
	int call;
	unsigned id;
	bool issued;
};

static struct {
	const char *base_url;
	const char *ca_file;
	char token[8192]; /* as a header line */
	int run;
	unsigned warm_up, total, started, finished, errors;
	double began, cpu;
	int epoll_fd;
	struct shard *shards;
	size_t shard_count;
	struct place *places;
	struct curl_slist headers[2];
	CURLSH *share;
	struct socket_state {
		struct shard *shard;
		unsigned wanted, registered; /* EPOLLIN, EPOLLOUT */
		bool ours;
	} sockets[MAX_FDS];
} y;

static void fail(const char *what)
{
	fprintf(stderr, "yardstick: %s\n", what);
	exit(1);
}

static void set_registered(int fd, unsigned events)
{
	struct socket_state *s = &y.sockets[fd];
	if (s->registered == events)
		return;
	struct epoll_event event = { .events = events, .data.fd = fd };
	const int op = events == 0 ? EPOLL_CTL_DEL : s->registered == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
	epoll_ctl(y.epoll_fd, op, fd, &event);
	s->registered = events;
}

static int on_watch(CURL *easy, curl_socket_t fd, int what, void *shard, void *unused)
{
	(void)easy;
	(void)unused;
	struct socket_state *s = &y.sockets[fd];
	s->shard = shard;
	if (what == CURL_POLL_REMOVE) {
		s->wanted = 0;
		set_registered(fd, s->ours ? s->registered & EPOLLIN : 0);
		return 0;
	}
	s->wanted = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
	set_registered(fd, s->wanted);
	return 0;
}

static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	(void)arg;
	(void)purpose;
	const int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	if (fd >= MAX_FDS)
		fail("too many descriptors");
	if (fd >= 0)
		y.sockets[fd] = (struct socket_state){ .ours = true };
	return fd;
}

static int on_close(void *arg, curl_socket_t fd)
{
	(void)arg;
	set_registered(fd, 0);
	y.sockets[fd] = (struct socket_state){ .ours = false };
	return close(fd);
}

static int on_timer(CURLM *multi, long ms, void *shard)
{
	(void)multi;
	((struct shard *)shard)->deadline = ms < 0 ? -1 : ms == 0 ? 0 : wall_seconds() + (double)ms / 1e3;
	return 0;
}

static int on_issue(void *place, char *peer_ip, char *local_ip, int peer_port, int local_port)
{
	(void)peer_ip;
	(void)local_ip;
	(void)peer_port;
	(void)local_port;
	struct place *p = place;
	if (p->issued && p->call == CALL_TRIGGER)
		return CURL_PREREQFUNC_ABORT;
	p->issued = true;
	return CURL_PREREQFUNC_OK;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
	(void)bytes;
	(void)arg;
	return size * count;
}

static CURL *make_easy(struct place *p)
{
	CURL *easy = curl_easy_init();
	if (!easy)
		fail("out of memory");
	curl_easy_setopt(easy, CURLOPT_PRIVATE, p);
	curl_easy_setopt(easy, CURLOPT_SHARE, y.share);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 1024L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, 3000L);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 15000L);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_USERAGENT, CALL_USER_AGENT);
	curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	if (y.ca_file)
		curl_easy_setopt(easy, CURLOPT_CAINFO, y.ca_file);
	curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_issue);
	curl_easy_setopt(easy, CURLOPT_PREREQDATA, p);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
	return easy;
}

static void make_place(struct place *p, struct shard *shard)
{
	p->shard = shard;
	p->easy = make_easy(p);
	p->url = curl_url();
	if (!p->url || curl_url_set(p->url, CURLUPART_URL, y.base_url, 0) != CURLUE_OK)
		fail("BASE_URL is no URL");
	curl_easy_setopt(p->easy, CURLOPT_CURLU, p->url);
	p->key_line = (struct curl_slist){ p->text.key, y.headers };
}

static void make_shard(struct shard *shard)
{
	shard->multi = curl_multi_init();
	if (!shard->multi)
		fail("out of memory");
	shard->deadline = -1;
	curl_multi_setopt(shard->multi, CURLMOPT_SOCKETFUNCTION, on_watch);
	curl_multi_setopt(shard->multi, CURLMOPT_SOCKETDATA, shard);
	curl_multi_setopt(shard->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(shard->multi, CURLMOPT_TIMERDATA, shard);
	curl_multi_setopt(shard->multi, CURLMOPT_MAXCONNECTS, (long)SHARD_SLOTS);
}

static void collect(struct shard *shard);

/* Goes on until nothing is due, so that a call that a finished one gives way to is under way at once. */
static void act(struct shard *shard, curl_socket_t fd, int events)
{
	int running;
	do {
		if (fd == CURL_SOCKET_TIMEOUT)
			shard->deadline = -1;
		curl_multi_socket_action(shard->multi, fd, events, &running);
		collect(shard);
		fd = CURL_SOCKET_TIMEOUT;
		events = 0;
	} while (shard->deadline == 0);
}

/* libcurl sets the shard's deadline to 0: act() begins the call. */
static void start_call(struct place *p)
{
	CURL *easy = p->easy;
	call_write(&p->text, y.base_url, p->call, y.run, p->id);
	p->issued = false;
	curl_url_set(p->url, CURLUPART_PATH, strchr(p->text.url + strlen("https://"), '/'), 0);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, p->call == CALL_TRIGGER ? &p->key_line : y.headers);
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, p->call == CALL_UPDATE ? "PUT" : NULL);
	if (p->call == CALL_FETCH) {
		curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
	} else {
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)p->text.body_len);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, p->text.body);
	}
	if (curl_multi_add_handle(p->shard->multi, easy) != CURLM_OK)
		fail("cannot add a transfer");
}

static void start_handoff(struct place *p)
{
	if (y.started == y.total)
		return;
	p->id = y.started++;
	p->call = CALL_FETCH;
	start_call(p);
}

static void finish_handoff(struct place *p)
{
	if (++y.finished == y.warm_up) {
		y.began = wall_seconds();
		y.cpu = cpu_usec();
		y.errors = 0;
	}
	start_handoff(p);
}

static void collect(struct shard *shard)
{
	int left;
	for (CURLMsg *msg; (msg = curl_multi_info_read(shard->multi, &left));) {
		struct place *p = NULL;
		long status = 0;
		const CURLcode result = msg->data.result;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &p);
		curl_easy_getinfo(msg->easy_handle, CURLINFO_RESPONSE_CODE, &status);
		curl_multi_remove_handle(shard->multi, p->easy);
		const bool good = result == CURLE_OK && status / 100 == 2;
		y.errors += !good;
		if (good && ++p->call < CALLS)
			start_call(p);
		else
			finish_handoff(p);
	}
}

static void serve(const struct epoll_event *event)
{
	const int fd = event->data.fd;
	struct socket_state *s = &y.sockets[fd];
	if (!s->wanted) {
		set_registered(fd, 0);
		return;
	}
	int bits = 0;
	if (event->events & (EPOLLIN | EPOLLERR | EPOLLHUP))
		bits |= CURL_CSELECT_IN;
	if (event->events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
		bits |= CURL_CSELECT_OUT;
	act(s->shard, fd, bits);
}

/* Serves the shards that are due; returns how long to sleep, in milliseconds. */
static int serve_timers(void)
{
	double first = 1e300;
	const double now = wall_seconds();
	for (size_t i = 0; i < y.shard_count; i++) {
		struct shard *shard = &y.shards[i];
		if (shard->deadline >= 0 && shard->deadline <= now)
			act(shard, CURL_SOCKET_TIMEOUT, 0);
		if (shard->deadline >= 0 && shard->deadline < first)
			first = shard->deadline;
	}
	const double wait = (first - now) * 1e3;
	return wait < 1000 ? (int)wait + 1 : 1000;
}

static void run(void)
{
	struct epoll_event events[EVENTS];
	while (y.finished < y.total) {
		const int n = epoll_wait(y.epoll_fd, events, EVENTS, serve_timers());
		for (int i = 0; i < n; i++)
			serve(&events[i]);
	}
}

static void open_all(unsigned in_flight)
{
	static char content_type[] = CALL_CONTENT_TYPE;
	y.headers[0] = (struct curl_slist){ y.token, &y.headers[1] };
	y.headers[1] = (struct curl_slist){ content_type, NULL };
	y.share = curl_share_init();
	curl_share_setopt(y.share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
	curl_share_setopt(y.share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
	y.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	y.shard_count = (in_flight - 1) / SHARD_SLOTS + 1;
	y.shards = calloc(y.shard_count, sizeof(*y.shards));
	y.places = calloc(in_flight, sizeof(*y.places));
	if (!y.share || y.epoll_fd < 0 || !y.shards || !y.places)
		fail("out of memory");
	for (size_t i = 0; i < y.shard_count; i++)
		make_shard(&y.shards[i]);
	for (unsigned i = 0; i < in_flight; i++)
		make_place(&y.places[i], &y.shards[i / SHARD_SLOTS]);
}

static void close_all(unsigned in_flight)
{
	for (unsigned i = 0; i < in_flight; i++) {
		curl_easy_cleanup(y.places[i].easy);
		curl_url_cleanup(y.places[i].url);
	}
	for (size_t i = 0; i < y.shard_count; i++)
		curl_multi_cleanup(y.shards[i].multi);
	curl_share_cleanup(y.share);
	close(y.epoll_fd);
	free(y.places);
	free(y.shards);
}

int main(int argc, char **argv)
{
	const unsigned in_flight = argc > 3 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
	const unsigned count = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
	if (in_flight == 0 || count == 0) {
		fprintf(stderr, "usage: yardstick BASE_URL IN_FLIGHT COUNT [TOKEN [CA_FILE]]\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	y.base_url = argv[1];
	y.run = getpid();
	snprintf(y.token, sizeof(y.token), "Authorization: Bearer %s", argc > 4 ? argv[4] : CALL_TOKEN);
	y.ca_file = argc > 5 ? argv[5] : NULL;
	y.warm_up = 2 * in_flight;
	y.total = y.warm_up + count;
	open_all(in_flight);
	for (unsigned i = 0; i < in_flight; i++)
		start_handoff(&y.places[i]);
	run();
	print_result(count, wall_seconds() - y.began, cpu_usec() - y.cpu, y.errors);
	close_all(in_flight);
	curl_global_cleanup();
	return y.errors ? 1 : 0;
}
