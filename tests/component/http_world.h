/*
 * http_world - a loop, the HTTP door and an origin that misbehaves on demand, for the tests of the door
 */
#ifndef HTTP_WORLD_H
#define HTTP_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "component/http_origin.h"
#include "doors/http.h"

#define PATIENCE (20 * USEC_PER_SEC) /* for what should take milliseconds */

enum { BODY_LIMIT = 1000000 };

struct world {
	struct origin *origin;
	struct loop *loop;
	struct http *http;
	int ended;
};

/* The end of one call, as it was heard. */
struct heard {
	struct world *world;
	int times;
	struct http_reply reply;
	char body[32];
	char retry_after[80];
	char date[80];
};

static inline void copy_span(char *to, size_t room, struct span s)
{
	snprintf(to, room, "%.*s", SPAN_FMT(s));
}

static inline void on_done(void *arg, const struct http_reply *reply)
{
	struct heard *heard = arg;
	heard->times++;
	heard->world->ended++;
	heard->reply = *reply;
	copy_span(heard->body, sizeof(heard->body), reply->body);
	copy_span(heard->retry_after, sizeof(heard->retry_after), reply->retry_after);
	copy_span(heard->date, sizeof(heard->date), reply->date);
}

static inline struct http *open_http(struct world *w, size_t max_in_flight)
{
	struct fault fault;
	const struct http_options options = { .max_in_flight = max_in_flight,
					      .max_body_bytes = BODY_LIMIT,
					      .connect_timeout = 5 * USEC_PER_SEC,
					      .user_agent = "test/1" };
	struct http *http = http_new(w->loop, &options, &fault);
	assert_non_null(http);
	return http;
}

static inline int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	assert_non_null(w);
	w->origin = origin_start();
	w->loop = loop_new();
	assert_non_null(w->loop);
	w->http = open_http(w, 4);
	*state = w;
	return 0;
}

static inline int tear_down(void **state)
{
	struct world *w = *state;
	assert_null(http_free(w->http));
	origin_stop(w->origin);
	loop_free(w->loop);
	free(w);
	return 0;
}

static inline void turn(struct world *w, usec_t at_most)
{
	const usec_t wait = http_wait(w->http, clock_read().mono);
	assert_true(loop_once(w->loop, wait < at_most ? wait : at_most) >= 0);
	http_run(w->http, clock_read().mono);
}

/* Turns the loop until `ended` calls have ended. */
static inline void until_ended(struct world *w, int ended)
{
	const usec_t end = clock_read().mono + PATIENCE;
	while (w->ended < ended) {
		assert_true(clock_read().mono < end);
		turn(w, USEC_PER_SEC);
	}
	assert_int_equal(w->ended, ended);
}

/* Good for the next few calls. */
static inline const char *url_of(const struct world *w, const char *path)
{
	static char urls[8][256];
	static unsigned next;
	char *url = urls[next++ % 8];
	snprintf(url, sizeof(urls[0]), "http://127.0.0.1:%u%s", w->origin->port, path);
	return url;
}

static inline struct http_request get(const char *url)
{
	return (struct http_request){ .method = "GET", .url = url, .timeout = PATIENCE, .once = true };
}

static inline struct http_call *start(struct world *w, const struct http_request *request, struct heard *heard)
{
	*heard = (struct heard){ .world = w };
	struct http_call *call = http_start(w->http, request, on_done, heard);
	assert_non_null(call);
	assert_int_equal(heard->times, 0);
	return call;
}

static inline struct heard ask(struct world *w, const struct http_request *request)
{
	struct heard heard;
	start(w, request, &heard);
	until_ended(w, w->ended + 1);
	assert_int_equal(heard.times, 1);
	assert_int_equal(http_in_flight(w->http), 0);
	return heard;
}

static inline struct heard ask_path(struct world *w, const char *path)
{
	const struct http_request request = get(url_of(w, path));
	return ask(w, &request);
}

/* Nobody listens there: the port was ours a moment ago. */
static inline unsigned free_port(void)
{
	unsigned port;
	close(origin_listen(1, &port));
	return port;
}

#define HTTP_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
