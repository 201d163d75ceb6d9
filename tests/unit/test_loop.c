#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "doors/loop.h"

enum { MANY = 600 };

/* Two signalled eventfds, so that whichever callback runs first can do something to the other one. */
struct pair {
	struct loop *loop;
	int fd[2];
	unsigned calls[2];
	unsigned events; /* the last seen */
	void (*act)(struct pair *p, int which);
};

static int which_of(const struct pair *p, int fd)
{
	return fd == p->fd[0] ? 0 : 1;
}

static void on_ready(void *arg, int fd, unsigned events)
{
	struct pair *p = arg;
	const int which = which_of(p, fd);
	p->calls[which]++;
	p->events = events;
	if (p->act)
		p->act(p, which);
}

static int set_up(void **state)
{
	static struct pair p;
	p = (struct pair){ .loop = loop_new() };
	assert_non_null(p.loop);
	for (int i = 0; i < 2; i++) {
		p.fd[i] = loop_wakeup_new();
		assert_true(p.fd[i] >= 0);
		assert_int_equal(loop_set(p.loop, p.fd[i], LOOP_READ, on_ready, &p), 0);
	}
	*state = &p;
	return 0;
}

static int tear_down(void **state)
{
	struct pair *p = *state;
	close(p->fd[0]);
	close(p->fd[1]);
	assert_null(loop_free(p->loop));
	return 0;
}

static void signal_both(struct pair *p)
{
	loop_wakeup_signal(p->fd[0]);
	loop_wakeup_signal(p->fd[1]);
}

static void calls_back_until_read(void **state)
{
	struct pair *p = *state;
	assert_int_equal(loop_once(p->loop, 0), 0);
	loop_wakeup_signal(p->fd[0]);
	assert_int_equal(loop_once(p->loop, USEC_NEVER), 1);
	assert_int_equal(loop_once(p->loop, USEC_NEVER), 1);
	assert_int_equal(p->events, LOOP_READ);
	loop_wakeup_clear(p->fd[0]);
	assert_int_equal(loop_once(p->loop, 0), 0);
	assert_int_equal(p->calls[0], 2);
	assert_int_equal(p->calls[1], 0);
}

static void never_wakes_early(void **state)
{
	struct pair *p = *state;
	const usec_t waits[] = { 1, 999, 1000, 1001, 2500 };
	for (size_t i = 0; i < ARRAY_SIZE(waits); i++) {
		const usec_t before = clock_read().mono;
		assert_int_equal(loop_once(p->loop, waits[i]), 0);
		assert_true(clock_read().mono - before >= waits[i]);
	}
	assert_int_equal(loop_once(p->loop, -5), 0);
}

static void remove_the_other(struct pair *p, int which)
{
	loop_remove(p->loop, p->fd[!which]);
}

static void removed_in_the_turn_is_not_called(void **state)
{
	struct pair *p = *state;
	p->act = remove_the_other;
	signal_both(p);
	assert_int_equal(loop_once(p->loop, 0), 1);
	assert_int_equal(loop_once(p->loop, 0), 1);
	assert_int_equal(p->calls[0] + p->calls[1], 2);
	assert_true(p->calls[0] == 0 || p->calls[1] == 0);
}

static void remove_itself(struct pair *p, int which)
{
	loop_remove(p->loop, p->fd[which]);
}

static void may_remove_itself(void **state)
{
	struct pair *p = *state;
	p->act = remove_itself;
	signal_both(p);
	assert_int_equal(loop_once(p->loop, 0), 2);
	assert_int_equal(loop_once(p->loop, 0), 0);
}

/* The other fd is closed and its number comes back as a descriptor on which nothing has happened. */
static void replace_the_other(struct pair *p, int which)
{
	const int other = p->fd[!which];
	loop_remove(p->loop, other);
	const int fresh = loop_wakeup_new();
	assert_int_equal(dup2(fresh, other), other);
	close(fresh);
	assert_int_equal(loop_set(p->loop, other, LOOP_READ, on_ready, p), 0);
	p->act = NULL;
}

static void reused_number_does_not_get_the_old_event(void **state)
{
	struct pair *p = *state;
	p->act = replace_the_other;
	signal_both(p);
	assert_int_equal(loop_once(p->loop, 0), 1);
	const int first = p->calls[0] == 1 ? 0 : 1;
	assert_int_equal(p->calls[!first], 0);

	loop_wakeup_clear(p->fd[first]);
	loop_wakeup_signal(p->fd[!first]);
	assert_int_equal(loop_once(p->loop, 0), 1);
	assert_int_equal(p->calls[!first], 1);
}

static void stop_wanting_the_other(struct pair *p, int which)
{
	assert_int_equal(loop_set(p->loop, p->fd[!which], LOOP_WRITE, on_ready, p), 0);
	p->act = NULL;
}

static void event_no_longer_wanted_is_not_called(void **state)
{
	struct pair *p = *state;
	p->act = stop_wanting_the_other;
	signal_both(p);
	assert_int_equal(loop_once(p->loop, 0), 1);
	assert_int_equal(p->events, LOOP_READ);
}

static void count_call(void *arg, int fd, unsigned events)
{
	unsigned *calls = arg;
	(void)events;
	++*calls;
	loop_wakeup_clear(fd);
}

/* Makes the fd table move under the loop's feet. */
static void register_a_high_number(struct pair *p, int which)
{
	static unsigned calls;
	const int high = fcntl(p->fd[which], F_DUPFD_CLOEXEC, 1000);
	assert_true(high >= 1000);
	assert_int_equal(loop_set(p->loop, high, LOOP_READ, count_call, &calls), 0);
	loop_remove(p->loop, high);
	close(high);
}

static void table_may_grow_in_a_callback(void **state)
{
	struct pair *p = *state;
	p->act = register_a_high_number;
	signal_both(p);
	assert_int_equal(loop_once(p->loop, 0), 2);
}

static void serves_more_than_a_turn_holds(void **state)
{
	struct pair *p = *state;
	static int fds[MANY];
	unsigned calls = 0;
	for (size_t i = 0; i < MANY; i++) {
		fds[i] = loop_wakeup_new();
		assert_true(fds[i] >= 0);
		assert_int_equal(loop_set(p->loop, fds[i], LOOP_READ, count_call, &calls), 0);
		loop_wakeup_signal(fds[i]);
	}
	for (int turn = 0; turn < 10 && calls < MANY; turn++)
		assert_true(loop_once(p->loop, 0) > 0);
	assert_int_equal(calls, MANY);
	assert_int_equal(loop_once(p->loop, 0), 0);
	for (size_t i = 0; i < MANY; i++) {
		loop_remove(p->loop, fds[i]);
		close(fds[i]);
	}
}

static void hang_up_shows_as_both(void **state)
{
	struct pair *p = *state;
	int ends[2];
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(loop_set(p->loop, ends[0], LOOP_READ, on_ready, p), 0);
	close(ends[1]);
	assert_int_equal(loop_once(p->loop, 0), 1);
	assert_int_equal(p->events, LOOP_READ | LOOP_WRITE);
	loop_remove(p->loop, ends[0]);
	close(ends[0]);
}

static void write_interest_comes_and_goes(void **state)
{
	struct pair *p = *state;
	assert_int_equal(loop_set(p->loop, p->fd[0], LOOP_READ | LOOP_WRITE, on_ready, p), 0);
	assert_int_equal(loop_once(p->loop, 0), 1);
	assert_int_equal(p->events, LOOP_WRITE);
	assert_int_equal(loop_set(p->loop, p->fd[0], LOOP_READ, on_ready, p), 0);
	assert_int_equal(loop_once(p->loop, 0), 0);
}

static void refuses_what_it_cannot_watch(void **state)
{
	struct pair *p = *state;
	const int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	assert_int_equal(loop_set(p->loop, -1, LOOP_READ, on_ready, p), -EINVAL);
	assert_int_equal(loop_set(p->loop, p->fd[0], LOOP_READ, NULL, p), -EINVAL);
	assert_int_equal(loop_set(p->loop, file, LOOP_READ, on_ready, p), -EPERM);
	assert_int_equal(loop_set(p->loop, 100000, LOOP_READ, on_ready, p), -EBADF);
	loop_remove(p->loop, -1);
	loop_remove(p->loop, file);
	loop_remove(p->loop, 1000000);
	close(file);
	loop_wakeup_signal(p->fd[0]);
	assert_int_equal(loop_once(p->loop, 0), 1);
}

static void forgives_a_close_without_remove(void **state)
{
	struct pair *p = *state;
	const int fresh = loop_wakeup_new();
	assert_int_equal(dup2(fresh, p->fd[0]), p->fd[0]); /* closes the old one; the kernel forgets it */
	close(fresh);
	assert_int_equal(loop_set(p->loop, p->fd[0], LOOP_READ, on_ready, p), 0);
	loop_wakeup_signal(p->fd[0]);
	assert_int_equal(loop_once(p->loop, 0), 1);
}

static void *signal_it(void *arg)
{
	loop_wakeup_signal(*(int *)arg);
	return NULL;
}

static void another_thread_wakes_it(void **state)
{
	struct pair *p = *state;
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, signal_it, &p->fd[1]), 0);
	assert_int_equal(loop_once(p->loop, 10 * USEC_PER_SEC), 1);
	pthread_join(thread, NULL);
	assert_int_equal(p->calls[1], 1);
	loop_wakeup_signal(p->fd[1]);
	loop_wakeup_clear(p->fd[1]);
	assert_int_equal(loop_once(p->loop, 0), 0);
}

#define LOOP_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOOP_TEST(calls_back_until_read),
		LOOP_TEST(never_wakes_early),
		LOOP_TEST(removed_in_the_turn_is_not_called),
		LOOP_TEST(may_remove_itself),
		LOOP_TEST(reused_number_does_not_get_the_old_event),
		LOOP_TEST(event_no_longer_wanted_is_not_called),
		LOOP_TEST(table_may_grow_in_a_callback),
		LOOP_TEST(serves_more_than_a_turn_holds),
		LOOP_TEST(hang_up_shows_as_both),
		LOOP_TEST(write_interest_comes_and_goes),
		LOOP_TEST(refuses_what_it_cannot_watch),
		LOOP_TEST(forgives_a_close_without_remove),
		LOOP_TEST(another_thread_wakes_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
