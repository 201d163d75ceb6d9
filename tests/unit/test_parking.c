/* parking: due ones leave in order, nobody early, the furthest is known */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "dice.h"
#include "rules/parking.h"
#include "torture.h"

struct car {
	struct parked place;
	usec_t due;
	uint64_t arrival;
	bool in;
};

static struct car *car_of(struct parked *item)
{
	return item ? CONTAINER_OF(item, struct car, place) : NULL;
}

static void test_in_order_of_due_time_and_arrival(void **state)
{
	(void)state;
	static const usec_t due[] = { 30, 10, 20, 10, 30, -5, INT64_MAX, INT64_MIN, 10 };
	static const size_t order[] = { 7, 5, 1, 3, 8, 2, 0, 4, 6 };
	struct car cars[9] = { 0 };
	struct parking p;
	parking_init(&p);
	for (size_t i = 0; i < 9; i++)
		assert_int_equal(parking_add(&p, &cars[i].place, due[i]), 0);
	assert_ptr_equal(car_of(parking_furthest(&p)), &cars[6]);
	for (size_t i = 0; i < 9; i++) {
		const size_t next = order[i];
		assert_int_equal(parking_next_due(&p), due[next]);
		if (due[next] > INT64_MIN)
			assert_null(parking_take_due(&p, due[next] - 1));
		assert_int_equal(parking_count(&p), 9 - i);
		assert_ptr_equal(car_of(parking_take_due(&p, due[next])), &cars[next]);
	}
	assert_null(parking_take_due(&p, INT64_MAX));
	assert_null(parking_furthest(&p));
	assert_int_equal(parking_next_due(&p), USEC_NEVER);
	parking_fini(&p);
}

static void test_the_furthest_of_equals_came_last(void **state)
{
	(void)state;
	struct car cars[3] = { 0 };
	struct parking p;
	parking_init(&p);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(parking_add(&p, &cars[i].place, 7), 0);
	for (size_t i = 3; i-- > 0;) {
		assert_ptr_equal(car_of(parking_furthest(&p)), &cars[i]);
		parking_remove(&p, &cars[i].place);
		parking_remove(&p, &cars[i].place);
		assert_int_equal(parking_count(&p), i);
	}
	parking_fini(&p);
}

/* ---- the model: a lot with every car looked at ---- */

#define CARS 300

static struct car cars[CARS];

static struct car *model_best(bool furthest)
{
	struct car *best = NULL;
	for (size_t i = 0; i < CARS; i++) {
		struct car *c = &cars[i];
		if (!c->in)
			continue;
		const bool later = best && (c->due != best->due ? c->due > best->due : c->arrival > best->arrival);
		if (!best || later == furthest)
			best = c;
	}
	return best;
}

static void test_model(void **state)
{
	(void)state;
	struct dice dice = { 31 };
	struct parking p;
	parking_init(&p);
	usec_t now = 0;
	size_t count = 0;
	for (uint64_t n = 0; n < 20000; n++) {
		struct car *c = &cars[dice_below(&dice, CARS)];
		const struct car *first = model_best(false);
		if (dice_chance(&dice, 40)) {
			now += dice_below(&dice, 5);
			struct car *due = first && first->due <= now ? model_best(false) : NULL;
			assert_ptr_equal(car_of(parking_take_due(&p, now)), due);
			if (due)
				due->in = false;
			count -= due != NULL;
		} else if (!c->in) {
			*c = (struct car){ .due = now + dice_below(&dice, 500), .arrival = n, .in = true };
			assert_int_equal(parking_add(&p, &c->place, c->due), 0);
			count++;
		} else if (dice_chance(&dice, 30)) {
			parking_remove(&p, &c->place);
			c->in = false;
			count--;
		}
		first = model_best(false);
		assert_int_equal(parking_count(&p), count);
		assert_int_equal(parking_next_due(&p), first ? first->due : USEC_NEVER);
		assert_ptr_equal(car_of(parking_furthest(&p)), model_best(true));
	}
	parking_fini(&p);
}

static void test_out_of_memory_changes_nothing(void **state)
{
	(void)state;
	if (!torture_works())
		skip();
	for (long n = 0;; n++) {
		struct car car = { 0 };
		struct parking p;
		parking_init(&p);
		torture_after(n);
		const int r = parking_add(&p, &car.place, 3);
		const bool struck = torture_end();
		assert_int_equal(r, struck ? -ENOMEM : 0);
		assert_int_equal(parking_count(&p), struck ? 0 : 1);
		assert_int_equal(heap_has(&car.place.soonest), !struck);
		assert_int_equal(heap_has(&car.place.furthest), !struck);
		parking_fini(&p);
		if (!struck)
			break;
		assert_true(n < 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_order_of_due_time_and_arrival),
		cmocka_unit_test(test_the_furthest_of_equals_came_last),
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_out_of_memory_changes_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
