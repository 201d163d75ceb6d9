/* line: the more urgent first, then the more advanced, and nobody for ever */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rules/line.h"

#define S USEC_PER_SEC

enum { LIVE = 1, BULK = 5 };

static void add(struct line *line, struct line_entry *entry, int64_t urgency, enum stage next, usec_t now)
{
	*entry = (struct line_entry){ 0 };
	assert_int_equal(line_add(line, entry, urgency, next, 5000, now), 0);
}

static void test_order(void **state)
{
	static const struct {
		int64_t urgency;
		enum stage next;
	} turns[] = {
		{ LIVE, STAGE_TRIGGER }, { LIVE, STAGE_TRIGGER }, { LIVE, STAGE_UPDATE }, { LIVE, STAGE_FETCH },
		{ BULK, STAGE_TRIGGER }, { BULK, STAGE_UPDATE },  { BULK, STAGE_UPDATE },
	};
	enum { N = sizeof(turns) / sizeof(turns[0]) };
	struct line line;
	struct line_entry e[N];
	(void)state;
	line_init(&line);
	for (size_t k = 0; k < N; k++) {
		const size_t i = (k * 4 + 2) % N; /* equals in order of arrival: 0 comes after 1 */
		add(&line, &e[i], turns[i].urgency, turns[i].next, 0);
	}
	static const size_t order[] = { 0, 1, 2, 3, 4, 5, 6 };
	for (size_t i = 0; i < N; i++) {
		struct line_entry *first = line_first(&line, LINE_NOBODY, S);
		const size_t which = (size_t)(first - e);
		assert_int_equal(turns[which].urgency, turns[order[i]].urgency);
		assert_int_equal(turns[which].next, turns[order[i]].next);
		line_remove(&line, first);
		line_remove(&line, first);
	}
	assert_null(line_first(&line, LINE_NOBODY, S));
	assert_int_equal(line_count(&line), 0);
	line_fini(&line);
}

static void test_beginners(void **state)
{
	struct line line;
	struct line_entry bulk, live;
	(void)state;
	line_init(&line);
	add(&line, &bulk, BULK, STAGE_UPDATE, 0);
	assert_ptr_equal(line_first(&line, BULK, S), &bulk); /* who is under way comes before who would begin, */
	assert_null(line_first(&line, LIVE, S));             /* but for a more urgent one, */
	assert_ptr_equal(line_first(&line, LIVE, LINE_PATIENCE), &bulk); /* and not for ever */
	add(&line, &live, LIVE, STAGE_FETCH, S);
	assert_ptr_equal(line_first(&line, LIVE, S), &live);
	assert_ptr_equal(line_first(&line, LIVE, LINE_PATIENCE), &bulk);
	line_fini(&line);
}

static void test_passing(void **state)
{
	struct line line;
	struct line_entry bulk;
	(void)state;
	line_init(&line);
	assert_true(line_lets_pass(&line, BULK, STAGE_FETCH, 0));
	add(&line, &bulk, BULK, STAGE_UPDATE, 0);
	assert_true(line_lets_pass(&line, LIVE, STAGE_FETCH, S));
	assert_true(line_lets_pass(&line, BULK, STAGE_TRIGGER, S));
	assert_false(line_lets_pass(&line, BULK, STAGE_UPDATE, S));
	assert_false(line_lets_pass(&line, LIVE, STAGE_TRIGGER, LINE_PATIENCE));
	line_fini(&line);
}

static void test_deadlines(void **state)
{
	struct line line;
	struct line_entry one, two = { 0 };
	(void)state;
	line_init(&line);
	assert_int_equal(line_next_deadline(&line), UNIX_MS_NEVER);
	add(&line, &one, BULK, STAGE_UPDATE, 0);
	assert_int_equal(line_add(&line, &two, BULK, STAGE_UPDATE, 4000, 0), 0);
	assert_int_equal(line_next_deadline(&line), 4000);
	assert_null(line_expired(&line, 3999));
	assert_ptr_equal(line_expired(&line, 6000), &two);
	line_remove(&line, &two);
	assert_ptr_equal(line_expired(&line, 6000), &one);
	line_fini(&line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_beginners),
		cmocka_unit_test(test_passing),
		cmocka_unit_test(test_deadlines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
