/* http_server against plain sockets, client and server in one thread on one loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "doors/http_server.h"

enum { BODY_LIMIT = 100000, GIVE_UP = 10 /* seconds */ };

/* How on_request() answers, and what it saw. */
enum behaviour { ANSWER, LATER, DROP, CUT, RAW };

struct world {
	struct loop *loop;
	struct http_server *server;
	enum behaviour behaviour;
	struct http_answer answer;
	struct http_exchange *pending[64];
	size_t pending_count;
	size_t requests;
	size_t gone;
	struct buf seen; /* METHOD path|query|header|body */
};

static void reply(struct world *w, struct http_exchange *x)
{
	switch (w->behaviour) {
	case ANSWER:
		http_answer(x, &w->answer);
		break;
	case LATER:
		w->pending[w->pending_count++] = x;
		break;
	case DROP:
		http_answer_drop(x);
		break;
	case CUT:
		http_answer_cut(x, &w->answer);
		break;
	case RAW:
		http_answer_raw(x, SPAN("\x16\x03garbage\r\n"));
		break;
	}
}

static void on_request(void *arg, struct http_exchange *x)
{
	struct world *w = arg;
	const char *query = http_exchange_query(x, "q");
	const char *header = http_exchange_header(x, "x-thing");
	const struct span body = http_exchange_body(x);
	buf_reset(&w->seen);
	buf_add_format(&w->seen, "%s %s|%s|%s|%.*s", http_exchange_method(x), http_exchange_path(x),
		       query ? query : "-", header ? header : "-", SPAN_FMT(body));
	assert_null(http_exchange_data(x));
	http_exchange_set_data(x, w);
	w->requests++;
	reply(w, x);
}

static void on_gone(void *arg, struct http_exchange *x)
{
	struct world *w = arg;
	assert_ptr_equal(http_exchange_data(x), w);
	w->gone++;
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct fault fault;
	assert_non_null(w);
	buf_init(&w->seen, 1 << 20);
	w->answer = (struct http_answer){ .status = 200, .body = SPAN("{\"ok\":true}") };
	w->loop = loop_new();
	assert_non_null(w->loop);
	const struct http_server_handlers handlers = { .on_request = on_request, .on_gone = on_gone, .arg = w };
	w->server = http_server_new(w->loop, "127.0.0.1:0", BODY_LIMIT, &handlers, &fault);
	assert_non_null(w->server);
	assert_int_not_equal(http_server_port(w->server), 0);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;
	http_server_free(w->server);
	loop_free(w->loop);
	buf_fini(&w->seen);
	free(w);
	return 0;
}

static void turn(struct world *w)
{
	const usec_t wait = http_server_wait(w->server);
	assert_true(loop_once(w->loop, wait < USEC_PER_MSEC ? wait : USEC_PER_MSEC) >= 0);
	http_server_run(w->server);
}

#define UNTIL(w, condition)                                                                                            \
	do {                                                                                                           \
		const usec_t end = clock_read().mono + GIVE_UP * USEC_PER_SEC;                                         \
		while (!(condition)) {                                                                                 \
			assert_true(clock_read().mono < end);                                                          \
			turn(w);                                                                                       \
		}                                                                                                      \
	} while (0)

/* --- a client --- */

static int dial(const struct world *w)
{
	const struct sockaddr_in to = { .sin_family = AF_INET,
					.sin_port = htons(http_server_port(w->server)),
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
	const int on = 1;
	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Is `text` one whole reply by its Content-Length? */
static bool complete(const char *text)
{
	const char *end = strstr(text, "\r\n\r\n");
	const char *length = strstr(text, "Content-Length: ");
	return end && length && strlen(end + 4) >= strtoul(length + strlen("Content-Length: "), NULL, 10);
}

/* What the server sent, so far. */
struct reply {
	char text[1 << 20];
	size_t len;
	bool closed;
};

/* Takes in what has come; true when that makes a whole reply or ends the connection. */
static bool receive(struct reply *r, int fd)
{
	const ssize_t n = recv(fd, r->text + r->len, sizeof(r->text) - r->len - 1, MSG_DONTWAIT);
	r->closed = n == 0 || (n < 0 && errno != EAGAIN);
	r->len += n > 0 ? (size_t)n : 0;
	r->text[r->len] = '\0';
	return r->closed || complete(r->text);
}

/* Turns the loop until a whole reply, or the end of the connection (`*ret_closed`), is there. */
static const char *hear(struct world *w, int fd, bool *ret_closed)
{
	static struct reply r;
	r.len = 0;
	UNTIL(w, receive(&r, fd));
	if (ret_closed)
		*ret_closed = r.closed;
	return r.text;
}

static const char *ask(struct world *w, int fd, const char *request)
{
	say(fd, request);
	return hear(w, fd, NULL);
}

/* --- tests --- */

static void test_request_is_handed_over_as_sent(void **state)
{
	static const struct {
		const char *request, *seen;
	} cases[] = {
		{ "GET /a/b HTTP/1.1\r\nHost: x\r\n\r\n", "GET /a/b|-|-|" },
		{ "GET /s%2Fid%20/x?q=a%26b+c&z=1 HTTP/1.1\r\nHost: x\r\n\r\n", "GET /s%2Fid%20/x|a&b c|-|" },
		{ "PUT /p HTTP/1.1\r\nHost: x\r\nX-THING: Seen\r\nContent-Length: 4\r\n\r\nbody",
		  "PUT /p|-|Seen|body" },
		{ "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
		  "POST /c|-|-|abcde" },
		{ "DELETE /d? HTTP/1.1\r\nHost: x\r\nx-thing:\r\n\r\n", "DELETE /d|-||" },
	};
	struct world *w = *state;
	const int fd = dial(w);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *text = ask(w, fd, cases[i].request);
		assert_string_equal(buf_text(&w->seen), cases[i].seen);
		assert_memory_equal(text, "HTTP/1.1 200 OK\r\n", 17);
		assert_non_null(strstr(text, "\r\nDate: "));
		assert_non_null(strstr(text, "\r\nContent-Type: application/json\r\n"));
		assert_non_null(strstr(text, "\r\n\r\n{\"ok\":true}"));
	}
	close(fd);
}

static void test_answer_carries_status_type_and_headers(void **state)
{
	struct world *w = *state;
	const char *const headers[] = { "Retry-After: 3", "Date: Thu, 01 Jan 1970 00:00:00 GMT" };
	w->answer = (struct http_answer){ .status = 429,
					  .content_type = "text/plain",
					  .headers = headers,
					  .header_count = 2,
					  .body = SPAN("slow down") };
	const int fd = dial(w);
	const char *text = ask(w, fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_memory_equal(text, "HTTP/1.1 429 ", 13);
	assert_non_null(strstr(text, "\r\nRetry-After: 3\r\n"));
	assert_non_null(strstr(text, "\r\nContent-Type: text/plain\r\n"));
	const char *date = strstr(text, "\r\nDate: ");
	assert_memory_equal(date, "\r\nDate: Thu, 01 Jan 1970", 24);
	assert_null(strstr(date + 2, "\r\nDate: "));
	close(fd);
}

static void test_empty_body_is_answered(void **state)
{
	struct world *w = *state;
	w->answer = (struct http_answer){ .status = 200 };
	const int fd = dial(w);
	assert_non_null(strstr(ask(w, fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "Content-Length: 0\r\n"));
	close(fd);
}

static void test_answer_later_in_any_order(void **state)
{
	struct world *w = *state;
	int fds[8];
	w->behaviour = LATER;
	for (int round = 0; round < 3; round++) {
		w->pending_count = 0;
		for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
			if (round == 0)
				fds[i] = dial(w);
			say(fds[i], "PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab");
			UNTIL(w, w->pending_count == i + 1);
			assert_int_equal(http_exchange_body(w->pending[i]).n, 2);
		}
		for (size_t i = ARRAY_SIZE(fds); i-- > 0;) {
			char body[32];
			snprintf(body, sizeof(body), "\"%zu\"", i);
			http_answer(w->pending[i], &(struct http_answer){ .status = 200, .body = span_of(body) });
			assert_non_null(strstr(hear(w, fds[i], NULL), body));
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	assert_int_equal(w->gone, 0);
}

static void test_client_that_hangs_up_is_noticed(void **state)
{
	struct world *w = *state;
	w->behaviour = LATER;
	for (int reset = 0; reset < 2; reset++) {
		const int fd = dial(w);
		say(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
		UNTIL(w, w->pending_count == 1);
		assert_false(http_exchange_gone(w->pending[0]));
		const struct linger linger = { .l_onoff = reset };
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
		close(fd);
		assert_true(http_exchange_gone(w->pending[0]));
		UNTIL(w, w->gone == 1);
		w->pending_count = w->gone = 0;
	}
}

static void test_client_that_was_gone_before_the_hand_over_is_noticed(void **state)
{
	struct world *w = *state;
	w->behaviour = LATER;
	const int fd = dial(w);
	say(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	UNTIL(w, w->pending_count == 1);
	http_answer(w->pending[0], &w->answer);
	hear(w, fd, NULL);
	say(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	close(fd); /* request and end arrive together, on a connection that is watched already */
	UNTIL(w, w->gone == 1);
	assert_int_equal(w->requests, 2);
}

static void test_faults_are_seen_by_the_client(void **state)
{
	static const struct {
		enum behaviour behaviour;
		const char *begin;
		const char *end;
	} cases[] = {
		{ DROP, "", "" },
		{ RAW, "\x16\x03garbage\r\n", "garbage\r\n" },
		{ CUT, "HTTP/1.1 200 OK\r\n", "\r\n\r\n{\"ok\"" },
	};
	struct world *w = *state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(cases); i++) {
		const bool later = i >= ARRAY_SIZE(cases);
		const size_t c = i % ARRAY_SIZE(cases);
		bool closed = false;
		w->behaviour = later ? LATER : cases[c].behaviour;
		w->pending_count = 0;
		const int fd = dial(w);
		say(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
		if (later) {
			UNTIL(w, w->pending_count == 1);
			w->behaviour = cases[c].behaviour;
			reply(w, w->pending[0]);
		}
		const char *text = hear(w, fd, &closed);
		assert_true(closed);
		assert_memory_equal(text, cases[c].begin, strlen(cases[c].begin));
		assert_true(strlen(text) >= strlen(cases[c].end));
		assert_string_equal(text + strlen(text) - strlen(cases[c].end), cases[c].end);
		close(fd);
	}
	assert_int_equal(w->gone, 0);
}

static void test_body_limit(void **state)
{
	struct world *w = *state;
	char *request = malloc(BODY_LIMIT + 200);
	assert_non_null(request);
	for (int extra = 0; extra < 2; extra++) {
		const int fd = dial(w);
		const size_t length = (size_t)BODY_LIMIT + (size_t)extra;
		const int head = sprintf(request, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", length);
		memset(request + head, 'x', length);
		request[(size_t)head + length] = '\0';
		assert_memory_equal(ask(w, fd, request), extra ? "HTTP/1.1 413 " : "HTTP/1.1 200 ", 13);
		assert_int_equal(w->requests, 1);
		close(fd);
	}
	free(request);
}

static void test_far_too_large_body_is_cut_off(void **state)
{
	struct world *w = *state;
	char bytes[4096];
	memset(bytes, 'x', sizeof(bytes));
	const int fd = dial(w);
	say(fd, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000000\r\n\r\n");
	UNTIL(w, send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN);
	assert_int_equal(w->requests, 0);
	close(fd);
}

static void test_pipelined_requests_are_answered_in_turn(void **state)
{
	struct world *w = *state;
	w->behaviour = LATER;
	const int fd = dial(w);
	say(fd, "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n");
	UNTIL(w, w->pending_count == 1);
	assert_string_equal(http_exchange_path(w->pending[0]), "/1");
	http_answer(w->pending[0], &w->answer);
	hear(w, fd, NULL);
	UNTIL(w, w->pending_count == 2);
	assert_string_equal(http_exchange_path(w->pending[1]), "/2");
	http_answer(w->pending[1], &w->answer);
	hear(w, fd, NULL);
	close(fd);
}

static void test_end_with_requests_unanswered(void **state)
{
	struct world *w = *state;
	w->behaviour = LATER;
	const int fd = dial(w), idle = dial(w), half = dial(w);
	say(half, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\nab");
	say(fd, "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n");
	UNTIL(w, w->pending_count == 1);
	w->server = http_server_free(w->server);
	assert_int_equal(w->gone, 1);
	char byte;
	assert_true(recv(fd, &byte, 1, 0) <= 0);
	close(fd);
	close(idle);
	close(half);
}

static void test_address_is_refused_with_a_reason(void **state)
{
	static const char *const bad[] = {
		"",          "127.0.0.1",    "127.0.0.1:",   "127.0.0.1:x", "127.0.0.1:65536", ":",
		"no.such:1", "127.0.0.1:-1", "1.2.3.4.5:80", "[::1:80",     "127.0.0.1:000080"
	};
	struct world *w = *state;
	const struct http_server_handlers handlers = { .on_request = on_request, .arg = w };
	struct fault fault;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_null(http_server_new(w->loop, bad[i], 1, &handlers, &fault));
		assert_non_null(strstr(fault.message, "is not an address and a port"));
	}
	char taken[32];
	snprintf(taken, sizeof(taken), "localhost:%d", http_server_port(w->server));
	assert_null(http_server_new(w->loop, taken, 1, &handlers, &fault));
	assert_non_null(strstr(fault.message, "Address already in use"));
	assert_non_null(strstr(fault.message, taken));
}

static int compare(const void *a, const void *b)
{
	const usec_t x = *(const usec_t *)a, y = *(const usec_t *)b;
	return (x > y) - (x < y);
}

/* A small write waiting for a delayed ACK would cost 40 ms; a round trip costs some ten microseconds. */
static void test_round_trips_do_not_stall(void **state)
{
	struct world *w = *state;
	static usec_t took[2000];
	for (int later = 0; later < 2; later++) {
		const int fd = dial(w);
		w->behaviour = later ? LATER : ANSWER;
		for (size_t i = 0; i < ARRAY_SIZE(took); i++) {
			const usec_t begin = clock_read().mono;
			say(fd, "PUT /api/v1/session/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n");
			say(fd, "{\"a\":\"b\"}");
			if (later) {
				UNTIL(w, w->pending_count == 1);
				http_answer(w->pending[--w->pending_count], &w->answer);
			}
			hear(w, fd, NULL);
			took[i] = clock_read().mono - begin;
		}
		qsort(took, ARRAY_SIZE(took), sizeof(took[0]), compare);
		print_message("round trip, answered %s: median %d us, p99 %d us\n", later ? "later" : "at once",
			      (int)took[ARRAY_SIZE(took) / 2], (int)took[ARRAY_SIZE(took) * 99 / 100]);
		assert_true(took[ARRAY_SIZE(took) / 2] < 2000);
		assert_true(took[ARRAY_SIZE(took) * 9 / 10] < 20000);
		close(fd);
	}
}

/* A connection that cannot be accepted calls again and again: the loop looks after it now and then, and takes it once
 * there is a descriptor. */
static void test_want_of_descriptors_does_not_spin(void **state)
{
	struct world *w = *state;
	struct rlimit before;
	unsigned turns = 0;
	const int fd = dial(w);
	say(fd, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ .rlim_cur = 1, .rlim_max = before.rlim_max }), 0);
	for (const usec_t end = clock_read().mono + USEC_PER_SEC / 2; clock_read().mono < end; turns++) {
		const usec_t wait = http_server_wait(w->server);
		assert_true(loop_once(w->loop, wait < USEC_PER_SEC / 10 ? wait : USEC_PER_SEC / 10) >= 0);
		http_server_run(w->server);
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_true(turns < 50);
	assert_int_equal(w->requests, 0);
	UNTIL(w, w->requests == 1);
	close(fd);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_request_is_handed_over_as_sent),
		TEST(test_answer_carries_status_type_and_headers),
		TEST(test_empty_body_is_answered),
		TEST(test_answer_later_in_any_order),
		TEST(test_client_that_hangs_up_is_noticed),
		TEST(test_client_that_was_gone_before_the_hand_over_is_noticed),
		TEST(test_faults_are_seen_by_the_client),
		TEST(test_body_limit),
		TEST(test_far_too_large_body_is_cut_off),
		TEST(test_pipelined_requests_are_answered_in_turn),
		TEST(test_end_with_requests_unanswered),
		TEST(test_address_is_refused_with_a_reason),
		TEST(test_want_of_descriptors_does_not_spin),
		TEST(test_round_trips_do_not_stall),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
