/* The table of sessions: finding, making room, and what one session remembers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "sandbox/session.h"

static int set_up(void **state)
{
	static struct sessions sessions;
	sessions = (struct sessions){ .limit = 0 };
	*state = &sessions;
	return 0;
}

static int tear_down(void **state)
{
	sessions_clear(*state);
	return 0;
}

static struct session *need(struct sessions *s, unsigned n)
{
	char id[16];
	snprintf(id, sizeof(id), "s-%u", n);
	struct session *session = sessions_need(s, span_of(id));
	assert_non_null(session);
	return session;
}

static bool has(const struct sessions *s, unsigned n)
{
	char id[16];
	snprintf(id, sizeof(id), "s-%u", n);
	return sessions_find(s, span_of(id));
}

static void test_many_are_found_again(void **state)
{
	enum { MANY = 20000 };
	struct sessions *s = *state;
	assert_null(sessions_find(s, SPAN("s-0")));
	for (unsigned n = 0; n < MANY; n++)
		assert_int_equal(need(s, n)->number, n + 1);
	for (unsigned n = 0; n < MANY; n++)
		assert_int_equal(need(s, n)->number, n + 1);
	assert_int_equal(s->count, MANY);
	assert_null(sessions_find(s, SPAN("s-")));
	assert_null(sessions_find(s, SPAN("s-00")));
}

static void test_the_oldest_that_nobody_calls_makes_room(void **state)
{
	struct sessions *s = *state;
	s->limit = 3;
	struct session *busy = need(s, 0);
	busy->open = 1;
	session_create(s, busy);
	session_create(s, need(s, 1));
	need(s, 2);
	need(s, 3); /* 0 is being called and goes to the end of the queue */
	assert_true(has(s, 0) && has(s, 1) && has(s, 2) && has(s, 3));
	need(s, 4); /* 1 makes room */
	assert_true(has(s, 0) && !has(s, 1) && has(s, 4));
	assert_int_equal(s->forgot, 1);
	assert_int_equal(s->existing, 1);
	busy->open = 0;
	for (unsigned n = 10; n < 20; n++)
		need(s, n);
	assert_false(has(s, 0));
	assert_int_equal(s->existing, 0);
	assert_true(has(s, 19));
}

static void test_a_session_remembers_its_newest_executions(void **state)
{
	struct session *session = need(*state, 0);
	for (unsigned n = 0; n < SESSION_EXECUTIONS + 3; n++) {
		char key[16];
		snprintf(key, sizeof(key), "k-%u", n);
		assert_int_equal(session_set_text(&session->target, key), 0);
		assert_non_null(session_add_execution(session, key, n));
	}
	assert_null(session_execution(session, "k-2"));
	assert_int_equal(session_execution(session, "k-3")->number, 3);
	assert_string_equal(session_execution(session, "k-10")->target, "k-10");
	assert_null(session_execution(session, "k"));
}

static void test_a_lock_begins_with_its_first_call(void **state)
{
	struct session *session = need(*state, 0);
	assert_false(session_locked(session, 100));
	session->lock_pending = 50;
	assert_true(session_locked(session, 1000));
	assert_true(session_locked(session, 1049));
	assert_false(session_locked(session, 1050));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_many_are_found_again),
		TEST(test_the_oldest_that_nobody_calls_makes_room),
		TEST(test_a_session_remembers_its_newest_executions),
		TEST(test_a_lock_begins_with_its_first_call),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
