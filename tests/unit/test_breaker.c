/* breaker: opens, probes and closes, with the time stepped by hand */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rules/limits.h"

enum verb { FAILED, LATE_FAILED, SUCCEEDED, STARTED, UNDECIDED, LATE_UNDECIDED, LOOK };

struct step {
	enum verb verb;
	usec_t now;
	enum breaker_state state;
	bool allows;
	usec_t ready_at;
};

static void perform(struct breaker *b, const struct step *step)
{
	switch (step->verb) {
	case FAILED:
		breaker_failed(b, step->now, step->now);
		break;
	case LATE_FAILED:
		breaker_failed(b, 0, step->now);
		break;
	case SUCCEEDED:
		breaker_succeeded(b);
		break;
	case STARTED:
		breaker_started(b, step->now);
		break;
	case UNDECIDED:
		breaker_undecided(b, step->now, step->now);
		break;
	case LATE_UNDECIDED:
		breaker_undecided(b, 0, step->now);
		break;
	case LOOK:
		break;
	}
}

static void run_breaker(int32_t limit, const struct step *steps, size_t count)
{
	struct breaker b;
	breaker_init(&b, limit, 100);
	for (size_t i = 0; i < count; i++) {
		perform(&b, &steps[i]);
		if (b.state != steps[i].state || breaker_allows(&b, steps[i].now) != steps[i].allows ||
		    breaker_ready_at(&b) != steps[i].ready_at)
			fail_msg("step %zu: state %d, allows %d, ready at %lld", i, (int)b.state,
				 breaker_allows(&b, steps[i].now), (long long)breaker_ready_at(&b));
	}
}

static void test_breaker_opens_after_failures_in_a_row(void **state)
{
	(void)state;
	static const struct step steps[] = {
		{ LOOK, 0, BREAKER_CLOSED, true, INT64_MIN },
		{ FAILED, 1, BREAKER_CLOSED, true, INT64_MIN },
		{ FAILED, 2, BREAKER_CLOSED, true, INT64_MIN },
		{ SUCCEEDED, 3, BREAKER_CLOSED, true, INT64_MIN },
		{ FAILED, 4, BREAKER_CLOSED, true, INT64_MIN },
		{ FAILED, 5, BREAKER_CLOSED, true, INT64_MIN },
		{ STARTED, 5, BREAKER_CLOSED, true, INT64_MIN },
		{ UNDECIDED, 5, BREAKER_CLOSED, true, INT64_MIN },
		{ FAILED, 6, BREAKER_OPEN, false, 106 },
		{ FAILED, 50, BREAKER_OPEN, false, 106 },
		{ STARTED, 105, BREAKER_OPEN, false, 106 },
		{ LOOK, 106, BREAKER_OPEN, true, 106 },
		{ STARTED, 107, BREAKER_HALF_OPEN, false, USEC_NEVER },
		{ LOOK, 9999, BREAKER_HALF_OPEN, false, USEC_NEVER },
		{ SUCCEEDED, 9999, BREAKER_CLOSED, true, INT64_MIN },
		{ FAILED, 9999, BREAKER_CLOSED, true, INT64_MIN },
	};
	run_breaker(3, steps, sizeof(steps) / sizeof(steps[0]));
}

static void test_breaker_probes_one_at_a_time(void **state)
{
	(void)state;
	static const struct step steps[] = {
		{ FAILED, 0, BREAKER_OPEN, false, 100 },
		{ STARTED, 100, BREAKER_HALF_OPEN, false, USEC_NEVER },
		{ STARTED, 101, BREAKER_HALF_OPEN, false, USEC_NEVER },
		{ LATE_FAILED, 110, BREAKER_HALF_OPEN, false, USEC_NEVER }, /* calls from before decide nothing */
		{ LATE_UNDECIDED, 120, BREAKER_HALF_OPEN, false, USEC_NEVER },
		{ FAILED, 150, BREAKER_OPEN, false, 250 },
		{ LOOK, 250, BREAKER_OPEN, true, 250 },
		{ STARTED, 260, BREAKER_HALF_OPEN, false, USEC_NEVER },
		{ UNDECIDED, 270, BREAKER_OPEN, true, 270 },
		{ STARTED, 271, BREAKER_HALF_OPEN, false, USEC_NEVER },
		{ SUCCEEDED, 280, BREAKER_CLOSED, true, INT64_MIN },
		{ FAILED, 290, BREAKER_OPEN, false, 390 },
		{ SUCCEEDED, 300, BREAKER_CLOSED, true, INT64_MIN }, /* a call from before: it answers again */
	};
	run_breaker(1, steps, sizeof(steps) / sizeof(steps[0]));
}

static void test_breaker_turned_off(void **state)
{
	(void)state;
	struct breaker b;
	breaker_init(&b, 0, 100);
	for (int i = 0; i < 1000; i++)
		breaker_failed(&b, i, i);
	assert_int_equal(b.state, BREAKER_CLOSED);
	b.failures = INT32_MAX;
	breaker_failed(&b, 1000, 1000);
	assert_int_equal(b.failures, INT32_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_breaker_opens_after_failures_in_a_row),
		cmocka_unit_test(test_breaker_probes_one_at_a_time),
		cmocka_unit_test(test_breaker_turned_off),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
