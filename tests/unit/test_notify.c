#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "doors/notify.h"
#include "handoff/macros.h"

/* The service manager's end; an abstract address leaves nothing on the disk. */
static int manager = -1;

static int set_up(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char name[64];
	(void)state;
	const int n = snprintf(name, sizeof(name), "@handoffd-test-%ld", (long)getpid());
	memcpy(address.sun_path, name, (size_t)n);
	address.sun_path[0] = '\0';
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_true(manager >= 0);
	assert_int_equal(bind(manager, (struct sockaddr *)&address,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n)),
			 0);
	setenv("NOTIFY_SOCKET", name, 1);
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return close(manager);
}

static void expect(const char *message)
{
	char got[512] = "";
	const ssize_t n = recv(manager, got, sizeof(got) - 1, 0);
	if (message)
		assert_string_equal(got, message);
	else
		assert_true(n < 0);
}

static void test_ready_and_stopping_are_said_once(void **state)
{
	struct notify n;
	(void)state;
	notify_init(&n);
	notify_ready(&n);
	notify_ready(&n);
	notify_stopping(&n);
	notify_stopping(&n);
	expect("READY=1");
	expect("STOPPING=1");
	expect(NULL);
}

static void test_only_a_new_line_is_said(void **state)
{
	struct notify n;
	(void)state;
	notify_init(&n);
	notify_say(&n, "Ready, %d partitions", 3);
	notify_say(&n, "Ready, %d partitions", 3);
	notify_say(&n, "Ready, %d partitions", 4);
	expect("STATUS=Ready, 3 partitions");
	expect("STATUS=Ready, 4 partitions");
	expect(NULL);
}

static void test_no_watchdog_no_signs(void **state)
{
	struct notify n;
	(void)state;
	notify_init(&n);
	notify_alive(&n, 1000 * USEC_PER_SEC);
	expect(NULL);
	assert_true(notify_wait(&n, 0) == USEC_NEVER);
}

static void test_three_signs_in_each_time_out(void **state)
{
	struct notify n;
	(void)state;
	setenv("WATCHDOG_USEC", "30000000", 1);
	notify_init(&n);
	int signs = 0;
	for (usec_t now = 5 * USEC_PER_SEC; now < 65 * USEC_PER_SEC; now += 100000) {
		char got[64];
		assert_true(notify_wait(&n, now) <= 10 * USEC_PER_SEC);
		notify_alive(&n, now);
		while (recv(manager, got, sizeof(got), 0) > 0)
			signs++;
	}
	assert_int_equal(signs, 6);
}

/* Of a parent whose environment we inherited. */
static void test_somebody_elses_watchdog(void **state)
{
	struct notify n;
	(void)state;
	setenv("WATCHDOG_USEC", "30000000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	notify_init(&n);
	assert_true(notify_wait(&n, 0) == USEC_NEVER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_ready_and_stopping_are_said_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_only_a_new_line_is_said, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_watchdog_no_signs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_three_signs_in_each_time_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_somebody_elses_watchdog, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
