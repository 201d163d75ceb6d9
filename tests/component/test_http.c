#include "component/http_world.h"

#include <sys/resource.h>

/* What one call may meet with, and what is told of it. */

static void replies_of_every_shape(void **state)
{
	static const struct {
		const char *path;
		enum http_error error;
		int status;
		const char *body;
	} cases[] = {
		{ "/ok", HTTP_OK, 200, "ok" },
		{ "/ok-close", HTTP_OK, 200, "ok" },
		{ "/chunked", HTTP_OK, 200, "ab\r\nxyz" },
		{ "/no-length", HTTP_OK, 200, "to the end" },
		{ "/204", HTTP_OK, 204, "" },
		{ "/empty", HTTP_OK, 200, "" },
		{ "/moved", HTTP_OK, 302, "" },
		{ "/cut-status", HTTP_BROKEN, 0, "" },
		{ "/cut-headers", HTTP_BROKEN, 200, "" },
		{ "/cut-after-status", HTTP_BROKEN, 200, "" },
		{ "/cut-body", HTTP_BROKEN, 200, "only this" },
		{ "/cut-chunk", HTTP_BROKEN, 200, "only this" },
		{ "/cut-chunks", HTTP_BROKEN, 500, "only" },
		{ "/interim-only", HTTP_BROKEN, 0, "" },
		{ "/garbage", HTTP_BROKEN, 0, "" },
		{ "/drop", HTTP_BROKEN, 0, "" },
		{ "/reset", HTTP_BROKEN, 0, "" },
		{ "/long-announced", HTTP_TOO_LARGE, 200, NULL },
		{ "/long-to-the-end", HTTP_TOO_LARGE, 200, NULL },
		{ "/long-chunked", HTTP_TOO_LARGE, 200, NULL },
	};
	struct world *w = *state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct heard heard = ask_path(w, cases[i].path);
		if ((int)heard.reply.error != (int)cases[i].error || heard.reply.status != cases[i].status)
			fail_msg("%s: error %d, status %d, \"%s\"", cases[i].path, (int)heard.reply.error,
				 heard.reply.status, heard.reply.message);
		assert_true(heard.reply.sent);
		if (cases[i].body)
			assert_string_equal(heard.body, cases[i].body);
		assert_true(heard.reply.body.n <= BODY_LIMIT);
		assert_int_equal(heard.reply.message[0] == '\0', heard.reply.error == HTTP_OK);
		if (heard.reply.error == HTTP_TOO_LARGE)
			assert_non_null(strstr(heard.reply.message, "longer than allowed"));
		assert_int_equal(origin_count(w->origin, cases[i].path), 1);
	}
}

static void one_connection_serves_call_after_call(void **state)
{
	struct world *w = *state;
	for (int i = 0; i < 20; i++)
		assert_int_equal(ask_path(w, i % 2 ? "/chunked" : "/ok").reply.status, 200);
	assert_int_equal(origin_connections(w->origin), 1);
}

static void bodies_arrive_byte_for_byte(void **state)
{
	static const char *const methods[] = { "PUT", "POST" };
	static const char *const headers[] = { "content-type: application/json", "X-One: two" };
	static const size_t sizes[] = { 0, 1, 256, 70000, 2 * 1024 * 1024 };
	struct world *w = *state;
	char *body = malloc(sizes[ARRAY_SIZE(sizes) - 1]);
	assert_non_null(body);
	for (size_t i = 0; i < sizes[ARRAY_SIZE(sizes) - 1]; i++)
		body[i] = (char)(i * 7 + i / 251);
	for (size_t i = 0; i < ARRAY_SIZE(sizes) * 2; i++) {
		struct http_request request = get(url_of(w, i % 4 < 2 ? "/ok" : "/empty"));
		const char *path = i % 4 < 2 ? "/ok" : "/empty";
		request.method = methods[i % 2];
		request.headers = headers;
		request.header_count = 2;
		request.body = (struct span){ body, sizes[i / 2] };
		assert_int_equal(ask(w, &request).reply.error, HTTP_OK);
		const struct origin_request seen = origin_last(w->origin, path);
		assert_string_equal(seen.method, methods[i % 2]);
		assert_int_equal(seen.body_len, sizes[i / 2]);
		assert_memory_equal(seen.body, body, sizes[i / 2]);
		assert_non_null(strstr(seen.headers, "\r\ncontent-type: application/json\r\n"));
		assert_non_null(strstr(seen.headers, "\r\nX-One: two\r\n"));
		assert_null(strcasestr(seen.headers, "Expect"));
		assert_null(strstr(seen.headers, "x-www-form"));
	}
	free(body);
	assert_int_equal(origin_connections(w->origin), 1);
}

static void sends_no_header_of_its_own_choice(void **state)
{
	struct world *w = *state;
	struct http_request request = get(url_of(w, "/ok"));
	request.method = "POST";
	assert_int_equal(ask(w, &request).reply.status, 200);
	char expected[256];
	snprintf(expected, sizeof(expected),
		 "POST /ok HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUser-Agent: test/1\r\nAccept: */*\r\n"
		 "Content-Length: 0\r\n\r\n",
		 w->origin->port);
	assert_string_equal(origin_last(w->origin, "/ok").headers, expected);
}

static void get_after_post_carries_no_body(void **state)
{
	struct world *w = *state;
	struct http_request request = get(url_of(w, "/ok"));
	request.method = "PUT";
	request.body = SPAN("four");
	assert_int_equal(ask(w, &request).reply.status, 200);
	assert_int_equal(ask_path(w, "/empty").reply.status, 200);
	const struct origin_request seen = origin_last(w->origin, "/empty");
	assert_string_equal(seen.method, "GET");
	assert_int_equal(seen.body_len, 0);
	assert_null(strstr(seen.headers, "Content-"));
}

/* The request goes out on a connection that has served before and dies without a byte of a reply: here libcurl would
 * silently send it again. */
static void once_is_once_on_a_reused_connection(void **state)
{
	static const char *const paths[] = { "/drop", "/reset" };
	static const char *const methods[] = { "POST", "PUT", "GET" };
	struct world *w = *state;
	for (size_t i = 0; i < 6; i++) {
		const size_t before = origin_count(w->origin, paths[i % 2]);
		assert_int_equal(ask_path(w, "/ok").reply.status, 200);
		struct http_request request = get(url_of(w, paths[i % 2]));
		request.method = methods[i / 2];
		const struct heard heard = ask(w, &request);
		assert_int_equal(heard.reply.error, HTTP_BROKEN);
		assert_true(heard.reply.sent);
		assert_int_equal(heard.reply.status, 0);
		assert_int_equal(origin_last(w->origin, paths[i % 2]).connection,
				 origin_last(w->origin, "/ok").connection);
		assert_int_equal(origin_count(w->origin, paths[i % 2]), before + 1);
	}
}

static void without_once_it_is_sent_again(void **state)
{
	struct world *w = *state;
	assert_int_equal(ask_path(w, "/ok").reply.status, 200);
	struct http_request request = get(url_of(w, "/drop-first"));
	request.once = false;
	const struct heard heard = ask(w, &request);
	assert_int_equal(heard.reply.error, HTTP_OK);
	assert_string_equal(heard.body, "ok");
	assert_int_equal(origin_count(w->origin, "/drop-first"), 2);
}

/* An idle connection that the peer closed is found out before anything is sent on it. */
static void closed_idle_connection_is_replaced(void **state)
{
	struct world *w = *state;
	for (int i = 1; i <= 5; i++) {
		const struct heard heard = ask_path(w, "/ok-then-closes");
		assert_int_equal(heard.reply.error, HTTP_OK);
		assert_int_equal(origin_connections(w->origin), i); /* waits for the origin's turn to end */
		assert_true(loop_once(w->loop, 0) >= 0);            /* the hang-up of the idle connection, */
		assert_int_equal(loop_once(w->loop, 0), 0);         /* which is heard once only */
	}
}

static void refused_is_not_sent(void **state)
{
	struct world *w = *state;
	char url[64];
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", free_port());
	http_free(w->http);
	w->http = open_http(w, 1); /* one slot: what its previous call left behind must not show */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ask_path(w, "/retry").reply.status, 429);
		const struct http_request request = get(url);
		const struct heard heard = ask(w, &request);
		assert_int_equal(heard.reply.error, HTTP_CONNECT);
		assert_false(heard.reply.sent);
		assert_int_equal(heard.reply.status, 0);
		assert_null(heard.reply.retry_after.p);
		assert_null(heard.reply.date.p);
		assert_int_equal(heard.reply.body.n, 0);
		assert_true(heard.reply.message[0] != '\0');
	}
}

static void assert_timed_out(const struct heard *heard, bool sent, usec_t timeout)
{
	assert_int_equal(heard->reply.error, HTTP_TIMEOUT);
	assert_int_equal(heard->reply.sent, sent);
	assert_true(heard->reply.elapsed >= timeout - USEC_PER_MSEC); /* libcurl counts in milliseconds */
	assert_true(heard->reply.elapsed < timeout + 2 * USEC_PER_SEC);
}

static void want_of_descriptors_is_named(void **state)
{
	struct world *w = *state;
	struct rlimit before;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	const int next = dup(STDERR_FILENO);
	close(next);
	const struct rlimit none = { (rlim_t)next, before.rlim_max };
	const struct http_request request = get(url_of(w, "/ok"));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	const struct heard heard = ask(w, &request);
	setrlimit(RLIMIT_NOFILE, &before);
	assert_int_equal(heard.reply.error, HTTP_CONNECT);
	assert_false(heard.reply.sent);
	assert_non_null(strstr(heard.reply.message, "open files"));
	assert_int_equal(ask(w, &request).reply.error, HTTP_OK);
}

static void times_out_after_sending(void **state)
{
	static const struct {
		const char *path;
		int status;
	} cases[] = { { "/hang", 0 }, { "/hang-after-100", 0 }, { "/drip-headers", 200 }, { "/drip-body", 200 } };
	struct world *w = *state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct http_request request = get(url_of(w, cases[i].path));
		request.timeout = 60 * USEC_PER_MSEC;
		const struct heard heard = ask(w, &request);
		assert_timed_out(&heard, true, request.timeout);
		assert_int_equal(heard.reply.status, cases[i].status);
		assert_int_equal(origin_count(w->origin, cases[i].path), 1);
	}
}

/* A listener that accepts nothing and whose queue is full: SYNs go unanswered. */
static void times_out_before_sending(void **state)
{
	struct world *w = *state;
	unsigned port;
	const int listener = origin_listen(0, &port);
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				       .sin_port = htons((uint16_t)port) };
	int fill[8];
	for (size_t i = 0; i < ARRAY_SIZE(fill); i++) {
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		connect(fill[i], (struct sockaddr *)&address, sizeof(address));
	}
	char url[64];
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", port);
	struct http_request request = get(url);
	request.timeout = 60 * USEC_PER_MSEC;
	struct heard heard = ask(w, &request);
	assert_timed_out(&heard, false, request.timeout);

	/* The connection's own, shorter time-out. */
	struct fault fault;
	const struct http_options options = { .max_in_flight = 1,
					      .max_body_bytes = 10,
					      .connect_timeout = 50 * USEC_PER_MSEC };
	http_free(w->http);
	w->http = http_new(w->loop, &options, &fault);
	request.timeout = 10 * USEC_PER_SEC;
	heard = ask(w, &request);
	assert_timed_out(&heard, false, options.connect_timeout);
	for (size_t i = 0; i < ARRAY_SIZE(fill); i++)
		close(fill[i]);
	close(listener);
}

static void tls_that_fails_is_not_sent(void **state)
{
	struct world *w = *state;
	char url[64];
	/* The origin waits for the end of a request line that never comes: a handshake without an answer. */
	snprintf(url, sizeof(url), "https://127.0.0.1:%u/", w->origin->port);
	struct http_request request = get(url);
	request.timeout = 60 * USEC_PER_MSEC;
	const struct heard heard = ask(w, &request);
	assert_timed_out(&heard, false, request.timeout);
	assert_int_equal(origin_connections(w->origin), 1);
}

static void retry_after_and_date_are_kept(void **state)
{
	static const struct {
		const char *path;
		const char *retry_after; /* NULL: absent */
		const char *date;
	} cases[] = {
		{ "/retry", "120", "Tue, 02 Jan 2024 00:00:00 GMT" },
		{ "/ok", NULL, NULL },
		{ "/retry-long", "", NULL },
		{ "/retry-elsewhere", NULL, NULL },
		{ "/interim-only", NULL, "no" },
	};
	struct world *w = *state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct heard heard = ask_path(w, cases[i].path);
		assert_int_equal(heard.reply.retry_after.p != NULL, cases[i].retry_after != NULL);
		assert_string_equal(heard.retry_after, cases[i].retry_after ? cases[i].retry_after : "");
		assert_int_equal(heard.reply.date.p != NULL, cases[i].date != NULL);
		assert_string_equal(heard.date, cases[i].date ? cases[i].date : "");
	}
}

static void refuses_requests_that_cannot_be_made(void **state)
{
	static const char *const lines[] = { "X: a\r\nEvil: b", "X: a\nEvil: b", "X\r: a",
					     "X: a\r",          "no colon",      ": no name" };
	static const char *const methods[] = { "GET /x HTTP/1.1\r\nA: b", "get", "DELETE", "" };
	static const char *const urls[] = { "",
					    "http://",
					    "http://[::1/",
					    "file:///etc/hostname",
					    "ftp://127.0.0.1/",
					    "gopher://127.0.0.1/",
					    "http://127.0.0.1/\r\nA: b",
					    "http://127.0.0.1/a b",
					    "http://user:word@127.0.0.1/" };
	struct world *w = *state;
	for (size_t i = 0; i < ARRAY_SIZE(lines) + ARRAY_SIZE(methods) + ARRAY_SIZE(urls); i++) {
		struct http_request request = get(url_of(w, "/ok"));
		if (i < ARRAY_SIZE(lines)) {
			request.headers = &lines[i];
			request.header_count = 1;
		} else if (i < ARRAY_SIZE(lines) + ARRAY_SIZE(methods)) {
			request.method = methods[i - ARRAY_SIZE(lines)];
		} else {
			request.url = urls[i - ARRAY_SIZE(lines) - ARRAY_SIZE(methods)];
		}
		const struct heard heard = ask(w, &request);
		if (heard.reply.error != HTTP_LOCAL)
			fail_msg("case %zu: error %d, \"%s\"", i, (int)heard.reply.error, heard.reply.message);
		assert_false(heard.reply.sent);
		assert_int_equal(heard.reply.status, 0);
		assert_true(heard.reply.message[0] != '\0');
	}
	assert_int_equal(origin_connections(w->origin), 0);
}

static void refuses_too_many_headers(void **state)
{
	struct world *w = *state;
	const char *lines[HTTP_MAX_HEADERS + 1];
	for (size_t i = 0; i <= HTTP_MAX_HEADERS; i++)
		lines[i] = "X-Line: y";
	struct http_request request = get(url_of(w, "/ok"));
	request.headers = lines;
	request.header_count = HTTP_MAX_HEADERS + 1;
	assert_int_equal(ask(w, &request).reply.error, HTTP_LOCAL);
	request.header_count = HTTP_MAX_HEADERS;
	request.method = "POST";
	assert_int_equal(ask(w, &request).reply.error, HTTP_OK);
	request = get(url_of(w, "/ok"));
	request.body = SPAN("a GET has none");
	assert_int_equal(ask(w, &request).reply.error, HTTP_LOCAL);
}

static void path_stays_as_it_is(void **state)
{
	static const char path[] = "/session/../a/./%2e%2E/b%20c?d=../e";
	struct world *w = *state;
	assert_int_equal(ask_path(w, path).reply.status, 200);
	assert_int_equal(origin_count(w->origin, path), 1);
}

static void environment_proxies_are_ignored(void **state)
{
	static const char *const names[] = { "http_proxy", "all_proxy", "ALL_PROXY" };
	struct world *w = *state;
	char url[64];
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", free_port());
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		setenv(names[i], url, 1);
	assert_int_equal(ask_path(w, "/ok").reply.status, 200);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		unsetenv(names[i]);
}

static void unreadable_files_are_named(void **state)
{
	struct world *w = *state;
	struct fault fault;
	struct http_options options = { .max_in_flight = 1, .connect_timeout = 1, .ca_file = "/no/such/ca.pem" };
	assert_null(http_new(w->loop, &options, &fault));
	assert_non_null(strstr(fault.message, "/no/such/ca.pem"));
	options.ca_file = "";
	options.client_key = "/no/such/key.pem";
	assert_null(http_new(w->loop, &options, &fault));
	assert_non_null(strstr(fault.message, "/no/such/key.pem"));
	options = (struct http_options){ .max_in_flight = 0 };
	assert_null(http_new(w->loop, &options, &fault));
	assert_null(http_free(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HTTP_TEST(replies_of_every_shape),
		HTTP_TEST(one_connection_serves_call_after_call),
		HTTP_TEST(bodies_arrive_byte_for_byte),
		HTTP_TEST(sends_no_header_of_its_own_choice),
		HTTP_TEST(get_after_post_carries_no_body),
		HTTP_TEST(once_is_once_on_a_reused_connection),
		HTTP_TEST(without_once_it_is_sent_again),
		HTTP_TEST(closed_idle_connection_is_replaced),
		HTTP_TEST(refused_is_not_sent),
		HTTP_TEST(want_of_descriptors_is_named),
		HTTP_TEST(times_out_after_sending),
		HTTP_TEST(times_out_before_sending),
		HTTP_TEST(tls_that_fails_is_not_sent),
		HTTP_TEST(retry_after_and_date_are_kept),
		HTTP_TEST(refuses_requests_that_cannot_be_made),
		HTTP_TEST(refuses_too_many_headers),
		HTTP_TEST(path_stays_as_it_is),
		HTTP_TEST(environment_proxies_are_ignored),
		HTTP_TEST(unreadable_files_are_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
