#include "component/http_world.h"

#include <netdb.h>
#include <stdatomic.h>

/* Many calls on one loop: their slots, descriptors and callbacks. */

#define SLOW_LOOKUP  ((useconds_t)600000)
#define QUICK_LOOKUP ((useconds_t)3000) /* enough for libcurl to wait on its descriptors */

enum { MANY = 300 };

static void hundreds_at_once_over_several_shards(void **state)
{
	static struct heard heard[MANY];
	struct world *w = *state;
	http_free(w->http);
	w->http = open_http(w, MANY);
	for (int round = 1; round <= 3; round++) {
		const struct http_request request = get(url_of(w, "/chunked"));
		for (size_t i = 0; i < MANY; i++)
			start(w, &request, &heard[i]);
		assert_int_equal(http_in_flight(w->http), MANY);
		struct heard more = { .world = w };
		assert_null(http_start(w->http, &request, on_done, &more));
		until_ended(w, MANY * round);
		for (size_t i = 0; i < MANY; i++) {
			assert_int_equal(heard[i].times, 1);
			assert_int_equal(heard[i].reply.error, HTTP_OK);
			assert_string_equal(heard[i].body, "ab\r\nxyz");
		}
		assert_int_equal(http_in_flight(w->http), 0);
		assert_true(origin_connections(w->origin) <= MANY);
	}
	assert_int_equal(origin_count(w->origin, "/chunked"), 3 * MANY);
}

/* Without `once` libcurl would go on as long as there is an idle connection left. */
static void resent_once_and_told(void **state)
{
	struct world *w = *state;
	struct heard heard[4];
	const struct http_request ok = get(url_of(w, "/ok"));
	for (size_t i = 0; i < 4; i++)
		start(w, &ok, &heard[i]);
	until_ended(w, 4);
	struct http_request request = get(url_of(w, "/drop"));
	request.once = false;
	const struct heard twice = ask(w, &request);
	assert_int_equal(twice.reply.error, HTTP_BROKEN);
	assert_true(twice.reply.sent && twice.reply.resent);
	assert_int_equal(origin_count(w->origin, "/drop"), 2);
	request.once = true;
	assert_int_equal(ask_path(w, "/ok").reply.status, 200);
	const struct heard once = ask(w, &request);
	assert_true(once.reply.sent && !once.reply.resent);
	assert_int_equal(origin_count(w->origin, "/drop"), 3);
}

/* One slot, one call after the other: what is kept of the last URL must never show in the next. */
static void goes_where_the_url_says(void **state)
{
	static const char *const paths[] = { "/ok", "/a/b", "/a?b=/c", "/a", "/%2F", "/a#b", "/", "", "/a b", "/OK" };
	static const char *const asked[] = { "/ok", "/a/b", "/a?b=/c", "/a", "/%2F", "/a", "/", "/", NULL, "/OK" };
	struct world *w = *state;
	struct origin *other = origin_start();
	for (size_t i = 0; i < ARRAY_SIZE(paths) * ARRAY_SIZE(paths); i++) {
		const size_t pair[] = { i % ARRAY_SIZE(paths), i / ARRAY_SIZE(paths) };
		for (size_t k = 0; k < 2; k++) {
			struct origin *origin = k == 0 ? w->origin : other;
			const char *wanted = asked[pair[k]];
			char url[256];
			snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", origin->port, paths[pair[k]]);
			const size_t before = wanted ? origin_count(origin, wanted) : 0;
			const struct http_request request = get(url);
			assert_int_equal(ask(w, &request).reply.error == HTTP_LOCAL, wanted == NULL);
			if (wanted)
				assert_int_equal(origin_count(origin, wanted), before + 1);
		}
	}
	origin_stop(other);
}

static void until_asked(struct world *w, const char *path)
{
	for (const usec_t end = clock_read().mono + PATIENCE; origin_count(w->origin, path) == 0;) {
		assert_true(clock_read().mono < end);
		turn(w, USEC_PER_MSEC);
	}
}

static void cancelled_calls_are_never_heard_of(void **state)
{
	struct world *w = *state;
	struct heard heard[4];
	struct http_call *calls[4];
	const char *const paths[] = { "/hang", "/drip-body", "/drip-headers", "/ok" };
	for (size_t i = 0; i < 4; i++) {
		const struct http_request request = get(url_of(w, paths[i]));
		calls[i] = start(w, &request, &heard[i]);
	}
	until_asked(w, "/hang");
	until_asked(w, "/drip-body");
	until_asked(w, "/drip-headers");
	for (size_t i = 0; i < 3; i++)
		http_cancel(w->http, calls[i]);
	until_ended(w, 1);
	assert_int_equal(heard[3].times, 1);
	for (const usec_t end = clock_read().mono + PATIENCE; origin_gone(w->origin) < 3;) {
		assert_true(clock_read().mono < end);
		turn(w, USEC_PER_MSEC);
	}
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(heard[i].times, 0);
	assert_int_equal(http_in_flight(w->http), 0);
	assert_int_equal(ask_path(w, "/ok").reply.status, 200);
}

static void cancel_before_the_first_turn(void **state)
{
	struct world *w = *state;
	struct heard heard;
	char url[64];
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", free_port());
	const struct http_request refused = get(url), bad = get("");
	for (int i = 0; i < 10; i++) {
		http_cancel(w->http, start(w, &refused, &heard));
		http_cancel(w->http, start(w, &bad, &heard));
	}
	turn(w, 0);
	assert_int_equal(w->ended, 0);
	assert_int_equal(http_in_flight(w->http), 0);
}

/* Two calls, each of whose callbacks cancels the other. */
struct rivals {
	struct world *world;
	struct http_call *calls[2];
	int times[2];
};

static void on_rival(struct rivals *r, int which)
{
	r->times[which]++;
	r->world->ended++;
	http_cancel(r->world->http, r->calls[!which]);
}

static void on_first(void *arg, const struct http_reply *reply)
{
	(void)reply;
	on_rival(arg, 0);
}

static void on_second(void *arg, const struct http_reply *reply)
{
	(void)reply;
	on_rival(arg, 1);
}

static void callbacks_may_cancel_others(void **state)
{
	struct world *w = *state;
	/* Both have ended before http_run() calls back; then both are on their way. */
	const struct http_request ended = get(""), open = get(url_of(w, "/ok"));
	for (int i = 0; i < 20; i++) {
		const struct http_request *request = i % 2 ? &open : &ended;
		struct rivals r = { .world = w };
		r.calls[0] = http_start(w->http, request, on_first, &r);
		r.calls[1] = http_start(w->http, request, on_second, &r);
		until_ended(w, i + 1);
		turn(w, 0);
		assert_int_equal(r.times[0] + r.times[1], 1);
		assert_int_equal(http_in_flight(w->http), 0);
	}
}

/* Each end starts the next call, in the one slot there is. */
struct chain {
	struct world *world;
	int left;
	const struct http_request *request;
	bool whole; /* the reply was still there after the next call had begun */
};

static void on_link(void *arg, const struct http_reply *reply)
{
	struct chain *chain = arg;
	if (chain->left-- > 0)
		assert_non_null(http_start(chain->world->http, chain->request, on_link, chain));
	else
		chain->world->ended++;
	chain->whole = chain->whole && span_is(reply->body, "echo") == (reply->error == HTTP_OK);
}

static void callbacks_may_start_calls(void **state)
{
	struct world *w = *state;
	http_free(w->http);
	w->http = open_http(w, 1);
	struct http_request echo = get(url_of(w, "/echo")), bad = get("");
	echo.method = "POST";
	echo.body = SPAN("echo");
	struct chain chain = { .world = w, .left = 200, .request = &echo, .whole = true };
	assert_non_null(http_start(w->http, &echo, on_link, &chain));
	until_ended(w, 1);
	assert_true(chain.whole);
	assert_int_equal(origin_count(w->origin, "/echo"), 201);

	/* Calls that end at once do not keep http_run() from returning. */
	chain = (struct chain){ .world = w, .left = 5, .request = &bad, .whole = true };
	assert_non_null(http_start(w->http, &bad, on_link, &chain));
	http_run(w->http, clock_read().mono);
	assert_int_equal(chain.left, 4);
	assert_int_equal(http_wait(w->http, clock_read().mono), 0);
	until_ended(w, 2);
}

static void count_event(void *arg, int fd, unsigned events)
{
	(void)events;
	++*(int *)arg;
	loop_wakeup_clear(fd);
}

/* Connections come and go, and the numbers of their descriptors pass through other hands of the same loop. */
static void descriptor_numbers_may_be_reused(void **state)
{
	static const char *const paths[] = { "/ok-close", "/ok-then-closes", "/drop", "/reset", "/cut-body" };
	struct world *w = *state;
	for (int i = 0; i < 100; i++) {
		struct heard heard = ask_path(w, paths[i % 5]);
		assert_true(heard.reply.sent);
		const int fd = loop_wakeup_new();
		int events = 0;
		assert_int_equal(loop_set(w->loop, fd, LOOP_READ, count_event, &events), 0);
		struct http_request request = get(url_of(w, "/ok-close"));
		request.once = false; /* the last connection may be closing, unseen as yet, and the one before it */
		start(w, &request, &heard);
		loop_wakeup_signal(fd);
		until_ended(w, w->ended + 1);
		assert_true(heard.reply.error == HTTP_OK || heard.reply.error == HTTP_BROKEN);
		if (events == 0)
			turn(w, 0);
		assert_int_equal(events, 1);
		loop_remove(w->loop, fd);
		close(fd);
	}
}

/* Takes libc's place under libcurl's resolver thread: "slow" takes its time, neither it nor "none" exists, every other
 * name is the loopback address. */
static atomic_int lookups;

int getaddrinfo(const char *restrict name, const char *restrict service, const struct addrinfo *restrict hints,
		struct addrinfo **restrict ret)
{
	(void)hints;
	atomic_fetch_add(&lookups, 1);
	usleep(strcmp(name, "slow") == 0 ? SLOW_LOOKUP : QUICK_LOOKUP);
	if (strcmp(name, "slow") == 0 || strcmp(name, "none") == 0)
		return EAI_NONAME;
	struct lookup {
		struct addrinfo info;
		struct sockaddr_in address;
	} *found = calloc(1, sizeof(*found));
	if (!found)
		return EAI_MEMORY;
	found->address = (struct sockaddr_in){ .sin_family = AF_INET,
					       .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
					       .sin_port = htons((uint16_t)strtoul(service, NULL, 10)) };
	found->info = (struct addrinfo){ .ai_family = AF_INET,
					 .ai_socktype = SOCK_STREAM,
					 .ai_addrlen = sizeof(found->address),
					 .ai_addr = (struct sockaddr *)&found->address };
	*ret = &found->info;
	return 0;
}

void freeaddrinfo(struct addrinfo *info)
{
	free(info);
}

/* The resolver closes its descriptors behind our back, and their numbers come back as connections. */
/* Others may end meanwhile. */
static void until_heard(struct world *w, const struct heard *heard)
{
	const usec_t end = clock_read().mono + PATIENCE;
	while (heard->times == 0) {
		assert_true(clock_read().mono < end);
		turn(w, USEC_PER_SEC);
	}
}

static void slow_lookup_holds_nobody_up(void **state)
{
	struct world *w = *state;
	struct http_request slow = get("http://slow/");
	for (int i = 0; i < 4; i++) {
		struct heard heard;
		slow.timeout = i % 2 ? PATIENCE : 50 * USEC_PER_MSEC;
		const usec_t before = clock_read().mono;
		start(w, &slow, &heard);
		for (int j = 0; j < 3; j++) {
			struct heard other;
			const struct http_request request = get(url_of(w, "/ok-close"));
			start(w, &request, &other);
			until_heard(w, &other);
			assert_int_equal(other.times, 1);
			assert_int_equal(other.reply.status, 200);
		}
		assert_true(clock_read().mono - before < SLOW_LOOKUP / 2);
		until_heard(w, &heard);
		assert_int_equal(heard.reply.error, i % 2 ? HTTP_CONNECT : HTTP_TIMEOUT);
		assert_false(heard.reply.sent);
		assert_true((clock_read().mono - before < SLOW_LOOKUP / 2) == (i % 2 == 0));
	}
}

static void lookup_after_lookup_is_heard_of(void **state)
{
	struct world *w = *state;
	const struct http_request none = get("http://none/");
	for (int i = 0; i < 5; i++) {
		const struct heard heard = ask(w, &none);
		assert_int_equal(heard.reply.error, HTTP_CONNECT);
		assert_true(heard.reply.elapsed < PATIENCE / 2);
	}
}

static void shards_share_what_was_looked_up(void **state)
{
	struct world *w = *state;
	static struct heard heard[MANY];
	char url[64];
	snprintf(url, sizeof(url), "http://origin.test:%u/ok", w->origin->port);
	const struct http_request request = get(url);
	http_free(w->http);
	w->http = open_http(w, MANY);
	atomic_store(&lookups, 0);
	assert_int_equal(ask(w, &request).reply.status, 200);
	for (size_t i = 0; i < MANY; i++)
		start(w, &request, &heard[i]);
	until_ended(w, MANY + 1);
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(heard[i].reply.status, 200);
	assert_int_equal(atomic_load(&lookups), 1);
}

static void free_with_calls_open(void **state)
{
	struct world *w = *state;
	struct heard heard[4];
	const struct http_request hang = get(url_of(w, "/hang")), bad = get(""), lookup = get("http://slow/");
	assert_int_equal(ask_path(w, "/ok").reply.status, 200);
	start(w, &hang, &heard[0]);
	start(w, &hang, &heard[1]);
	start(w, &bad, &heard[2]);
	start(w, &lookup, &heard[3]);
	for (const usec_t end = clock_read().mono + PATIENCE; origin_count(w->origin, "/hang") < 2;) {
		assert_true(clock_read().mono < end);
		assert_true(loop_once(w->loop, USEC_PER_MSEC) >= 0);
	}
	w->http = http_free(w->http);
	assert_int_equal(loop_once(w->loop, 0), 0);
	assert_int_equal(w->ended, 1);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(heard[i].times, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HTTP_TEST(hundreds_at_once_over_several_shards),
		HTTP_TEST(resent_once_and_told),
		HTTP_TEST(goes_where_the_url_says),
		HTTP_TEST(cancelled_calls_are_never_heard_of),
		HTTP_TEST(cancel_before_the_first_turn),
		HTTP_TEST(callbacks_may_cancel_others),
		HTTP_TEST(callbacks_may_start_calls),
		HTTP_TEST(descriptor_numbers_may_be_reused),
		HTTP_TEST(slow_lookup_holds_nobody_up),
		HTTP_TEST(lookup_after_lookup_is_heard_of),
		HTTP_TEST(shards_share_what_was_looked_up),
		HTTP_TEST(free_with_calls_open),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
