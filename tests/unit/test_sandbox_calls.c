/* The life of a call, with a fake server and a clock that the test moves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "sandbox/call.h"
#include "sandbox/script.h"

/* --- the server's side, replaced --- */

enum fate { UNANSWERED, ANSWERED, DROPPED, CUT, RAW };

struct http_exchange {
	const char *method;
	const char *path;
	const char *body;
	char authorization[256];
	const char *key;
	bool hung_up; /* the kernel knows, the server has not said so yet */
	void *data;
	enum fate fate;
	int status;
	char reply[1024];
};

const char *http_exchange_method(const struct http_exchange *x)
{
	return x->method;
}

const char *http_exchange_path(const struct http_exchange *x)
{
	return x->path;
}

const char *http_exchange_query(const struct http_exchange *x, const char *name)
{
	(void)x, (void)name;
	return NULL;
}

const char *http_exchange_header(const struct http_exchange *x, const char *name)
{
	if (strcmp(name, "authorization") == 0)
		return x->authorization[0] ? x->authorization : NULL;
	if (strcmp(name, "idempotency-key") == 0)
		return x->key;
	return strcmp(name, "content-type") == 0 ? "application/json" : NULL;
}

struct span http_exchange_body(const struct http_exchange *x)
{
	return span_of(x->body ? x->body : "");
}

bool http_exchange_gone(const struct http_exchange *x)
{
	return x->hung_up;
}

void http_exchange_set_data(struct http_exchange *x, void *data)
{
	x->data = data;
}

void *http_exchange_data(const struct http_exchange *x)
{
	return x->data;
}

static void end(struct http_exchange *x, enum fate fate)
{
	assert_int_equal(x->fate, UNANSWERED);
	assert_false(x->hung_up);
	x->fate = fate;
}

void http_answer(struct http_exchange *x, const struct http_answer *answer)
{
	end(x, ANSWERED);
	x->status = answer->status;
	snprintf(x->reply, sizeof(x->reply), "%.*s", SPAN_FMT(answer->body));
}

void http_answer_drop(struct http_exchange *x)
{
	end(x, DROPPED);
}

void http_answer_cut(struct http_exchange *x, const struct http_answer *answer)
{
	(void)answer;
	end(x, CUT);
}

void http_answer_raw(struct http_exchange *x, struct span bytes)
{
	(void)bytes;
	end(x, RAW);
}

/* --- the stage --- */

struct stage_play {
	struct world world;
	struct calls calls;
	struct instant now;
	char token[128];
};

static const char login_body[] =
	"{\"client_id\":\"sandbox\",\"client_secret\":\"sandbox-secret\",\"grant_type\":\"client_credentials\"}";
static const char update_body[] = "{\"variables\":{\"transferTarget\":\"q\"},\"telephony\":{\"action\":\"transfer\"}}";
static const char trigger_body[] = "{\"sessionId\":\"s\",\"intent\":\"i\",\"text\":\"t\",\"channel\":\"voice\"}";

static struct http_exchange exchange(const struct stage_play *p, enum stage stage)
{
	struct http_exchange x = { .method = "POST", .path = "/auth/login", .body = login_body };
	snprintf(x.authorization, sizeof(x.authorization), "Bearer %s", p->token);
	if (stage == STAGE_FETCH)
		x = (struct http_exchange){ .method = "GET", .path = "/session/s" };
	if (stage == STAGE_UPDATE)
		x = (struct http_exchange){ .method = "PUT", .path = "/session/s", .body = update_body };
	if (stage == STAGE_TRIGGER)
		x = (struct http_exchange){ .method = "POST", .path = "/flow", .body = trigger_body };
	snprintf(x.authorization, sizeof(x.authorization), "Bearer %s", p->token);
	return x;
}

static void arrive(struct stage_play *p, struct http_exchange *x)
{
	calls_arrive(&p->calls, x, PERSONALITY_SEED, x->path, &p->now);
}

static void pass(struct stage_play *p, usec_t time)
{
	p->now.mono += time;
	p->now.unix_ms += time / USEC_PER_MSEC;
	calls_run(&p->calls, &p->now);
}

static void script(struct stage_play *p, const char *lines)
{
	struct fault fault;
	assert_int_equal(script_apply(&p->world, "script", span_of(lines), &fault), 0);
}

static struct session *session(const struct stage_play *p)
{
	return sessions_find(&p->world.sessions, SPAN("s"));
}

static int set_up(void **state)
{
	struct stage_play *p = calloc(1, sizeof(*p));
	assert_non_null(p);
	assert_int_equal(world_init(&p->world), 0);
	calls_init(&p->calls, &p->world);
	p->now = (struct instant){ .mono = 1000 * USEC_PER_SEC, .unix_ms = 1800000000000 };
	struct http_exchange login = exchange(p, STAGE_LOGIN);
	arrive(p, &login);
	assert_int_equal(login.status, 200);
	assert_int_equal(sscanf(login.reply, "{\"access_token\":\"%127[^\"]", p->token), 1);
	script(p, "session s");
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct stage_play *p = *state;
	calls_drop(&p->calls);
	calls_fini(&p->calls);
	world_fini(&p->world);
	free(p);
	return 0;
}

/* --- tests --- */

static void test_latency_comes_before_the_execution(void **state)
{
	struct stage_play *p = *state;
	struct http_exchange x = exchange(p, STAGE_TRIGGER);
	script(p, "latency 20ms");
	arrive(p, &x);
	assert_int_equal(calls_wait(&p->calls, p->now.mono), 20 * USEC_PER_MSEC);
	pass(p, 19999);
	assert_int_equal(x.fate, UNANSWERED);
	assert_int_equal(session(p)->executed[STAGE_TRIGGER], 0);
	pass(p, 1);
	assert_int_equal(x.status, 200);
	assert_int_equal(session(p)->executed[STAGE_TRIGGER], 1);
	assert_int_equal(calls_wait(&p->calls, p->now.mono), USEC_NEVER);
}

static void test_a_hang_up_is_noticed_before_the_next_call_is_counted(void **state)
{
	struct stage_play *p = *state;
	struct http_exchange first = exchange(p, STAGE_UPDATE), second = exchange(p, STAGE_FETCH);
	script(p, "latency 20ms update");
	arrive(p, &first);
	first.hung_up = true; /* the server will say so later; answering it would fail in end() */
	arrive(p, &second);
	assert_int_equal(second.status, 200);
	assert_int_equal(session(p)->most_open, 1);
	assert_int_equal(session(p)->most_with_ghosts, 2);
	calls_vanish(&p->calls, &first); /* the server says so: not counted again */
	assert_int_equal(p->world.book.vanished, 1);
	pass(p, 20 * USEC_PER_MSEC);
	assert_int_equal(session(p)->executed[STAGE_UPDATE], 1);
	assert_string_equal(session(p)->target, "q");
	assert_int_equal(session(p)->ghosts, 0);
	assert_int_equal(p->world.book.open, 0);
}

/* Two workers in one session, and the second dies behind its call: the call is executed like any other. */
static void test_a_client_that_is_gone_when_its_call_arrives(void **state)
{
	struct stage_play *p = *state;
	struct http_exchange first = exchange(p, STAGE_FETCH), second = exchange(p, STAGE_UPDATE);
	script(p, "latency 20ms");
	arrive(p, &first);
	second.hung_up = true;
	arrive(p, &second);
	assert_int_equal(session(p)->most_open, 2);
	calls_vanish(&p->calls, &second);
	assert_int_equal(session(p)->open, 1);
	pass(p, 20 * USEC_PER_MSEC);
	assert_int_equal(first.status, 200);
	assert_int_equal(session(p)->executed[STAGE_UPDATE], 1);
	assert_int_equal(session(p)->ghosts, 0);
	assert_int_equal(p->world.book.open, 0);
}

static void test_two_living_calls_are_counted_together(void **state)
{
	struct stage_play *p = *state;
	struct http_exchange first = exchange(p, STAGE_UPDATE), second = exchange(p, STAGE_FETCH);
	script(p, "latency 20ms update");
	arrive(p, &first);
	arrive(p, &second);
	assert_int_equal(session(p)->most_open, 2);
	assert_int_equal(p->world.book.most_open, 2);
	pass(p, 20 * USEC_PER_MSEC); /* the exchanges end before this function does */
	assert_int_equal(first.status, 200);
}

static void test_a_hanging_call_ends_with_its_client(void **state)
{
	struct stage_play *p = *state;
	struct http_exchange x = exchange(p, STAGE_TRIGGER);
	script(p, "on trigger hang after");
	arrive(p, &x);
	pass(p, 3600 * USEC_PER_SEC);
	assert_int_equal(x.fate, UNANSWERED);
	assert_int_equal(session(p)->executed[STAGE_TRIGGER], 1);
	assert_int_equal(session(p)->open, 1);
	calls_vanish(&p->calls, &x);
	assert_int_equal(session(p)->open + session(p)->ghosts, 0);
	assert_int_equal(p->world.book.open, 0);
}

static void test_early_calls_are_told_from_patient_ones(void **state)
{
	static const struct {
		const char *limit;
		usec_t promised;
	} cases[] = {
		{ "limit calls=1 per=9500ms retry-after=seconds", 10 * USEC_PER_SEC },
		{ "limit calls=1 per=9500ms retry-after=date",
		  10500 * USEC_PER_MSEC }, /* at x.500 s: 10 s, and a begun one */
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(tear_down(state) | set_up(state), 0);
		struct stage_play *p = *state;
		p->now.unix_ms += 500;
		struct http_exchange x[4];
		for (size_t n = 0; n < ARRAY_SIZE(x); n++)
			x[n] = exchange(p, STAGE_FETCH);
		script(p, cases[i].limit);
		arrive(p, &x[0]);
		arrive(p, &x[1]);
		assert_int_equal(x[1].status, 429);
		pass(p, cases[i].promised - 1000);
		arrive(p, &x[2]);
		assert_int_equal(p->world.book.early_same, 1);
		pass(p, 1000);
		arrive(p, &x[3]);
		assert_int_equal(p->world.book.early_same, 1);
		assert_int_equal(p->world.book.early, 1);
	}
}

static void test_end_drops_what_is_open(void **state)
{
	struct stage_play *p = *state;
	struct http_exchange waiting = exchange(p, STAGE_FETCH), hanging = exchange(p, STAGE_TRIGGER);
	struct http_exchange ghost = exchange(p, STAGE_UPDATE);
	script(p, "latency 1s fetch\nlatency 1s update\non trigger hang");
	arrive(p, &waiting);
	arrive(p, &hanging);
	arrive(p, &ghost);
	calls_vanish(&p->calls, &ghost);
	calls_drop(&p->calls);
	assert_int_equal(waiting.fate, DROPPED);
	assert_int_equal(hanging.fate, DROPPED);
	assert_int_equal(ghost.fate, UNANSWERED);
	assert_int_equal(session(p)->open + session(p)->ghosts, 0);
	assert_int_equal(calls_wait(&p->calls, p->now.mono), USEC_NEVER);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_latency_comes_before_the_execution),
		TEST(test_a_hang_up_is_noticed_before_the_next_call_is_counted),
		TEST(test_a_client_that_is_gone_when_its_call_arrives),
		TEST(test_two_living_calls_are_counted_together),
		TEST(test_a_hanging_call_ends_with_its_client),
		TEST(test_early_calls_are_told_from_patient_ones),
		TEST(test_end_drops_what_is_open),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
