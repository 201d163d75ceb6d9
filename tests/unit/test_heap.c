#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/heap.h"

/* The program's own reallocarray(), so that a test can have it fail: after so many calls, once. */
static int calls_until_failure = -1;

void *reallocarray(void *p, size_t count, size_t size)
{
	if (calls_until_failure >= 0 && calls_until_failure-- == 0)
		return NULL;
	return realloc(p, count * size);
}

struct item {
	int name;
	struct heap_link link;
};

static int name_of(struct heap_link *link)
{
	return CONTAINER_OF(link, struct item, link)->name;
}

/* Every link knows its place, and no child comes before its parent. */
static void check_order(const struct heap *h)
{
	for (size_t i = 1; i <= h->count; i++) {
		const struct heap_link *link = h->items[i - 1];
		const struct heap_link *parent = h->items[i > 1 ? i / 2 - 1 : 0];
		assert_int_equal(link->index, i);
		assert_true(parent->key < link->key ||
			    (parent->key == link->key && (int32_t)(parent->tie - link->tie) <= 0));
	}
}

static void empty_heap_has_no_top(void **state)
{
	struct heap h;
	struct heap_link link = { 0 };
	(void)state;
	heap_init(&h);
	assert_null(heap_top(&h));
	assert_null(heap_pop(&h));
	heap_remove(&h, &link);
	assert_false(heap_has(&link));
	heap_fini(&h);
}

static void orders_by_key_then_tie(void **state)
{
	static const struct {
		int64_t key;
		uint64_t tie;
		int place;
	} pushed[] = {
		{ 5, 1, 5 },          { INT64_MAX, 0, 7 }, { 5, 0, 4 }, { -1, 9, 1 }, { INT64_MIN, UINT64_MAX, 0 },
		{ 5, UINT64_MAX, 3 }, { 0, 0, 2 },         { 6, 0, 6 }, /* a count of ties that has come round */
	};
	struct item items[ARRAY_SIZE(pushed)] = { 0 };
	struct heap h;
	(void)state;
	heap_init(&h);
	for (size_t i = 0; i < ARRAY_SIZE(pushed); i++) {
		items[i].name = pushed[i].place;
		assert_int_equal(heap_push(&h, &items[i].link, pushed[i].key, pushed[i].tie), 0);
		check_order(&h);
	}
	for (int i = 0; i < (int)ARRAY_SIZE(pushed); i++) {
		struct heap_link *top = heap_top(&h);
		assert_ptr_equal(heap_pop(&h), top);
		assert_int_equal(name_of(top), i);
		assert_false(heap_has(top));
	}
	assert_null(heap_pop(&h));
	heap_fini(&h);
}

/* Removing any one item, wherever it stands, leaves the others in order. Keys are laid out so that for some places the
 * last item must rise, for some sink. */
static void removes_from_anywhere(void **state)
{
	enum { MANY = 64 };
	(void)state;
	for (size_t victim = 0; victim < MANY; victim++) {
		struct item items[MANY] = { 0 };
		struct heap h;
		heap_init(&h);
		for (size_t i = 0; i < MANY; i++)
			assert_int_equal(heap_push(&h, &items[i].link, (int64_t)((i * 37) % 31), i), 0);
		heap_remove(&h, &items[victim].link);
		assert_false(heap_has(&items[victim].link));
		assert_int_equal(h.count, MANY - 1);
		check_order(&h);
		heap_remove(&h, &items[victim].link);
		assert_int_equal(h.count, MANY - 1);
		heap_fini(&h);
	}
}

static unsigned next_random(unsigned *seed)
{
	*seed = *seed * 1103515245u + 12345u;
	return *seed >> 16;
}

/* A long random life, against a plain search for the smallest. */
static void lives_like_a_sorted_list(void **state)
{
	enum { MANY = 200, TURNS = 20000 };
	static struct item items[MANY];
	struct heap h;
	unsigned seed = 1;
	(void)state;
	heap_init(&h);
	for (int turn = 0; turn < TURNS; turn++) {
		struct item *item = &items[next_random(&seed) % MANY];
		if (heap_has(&item->link))
			heap_remove(&h, &item->link);
		else
			assert_int_equal(heap_push(&h, &item->link, next_random(&seed) % 50, next_random(&seed) % 4),
					 0);
		const struct heap_link *least = NULL;
		for (size_t i = 0; i < MANY; i++) {
			const struct heap_link *link = &items[i].link;
			if (heap_has(link) &&
			    (!least || link->key < least->key || (link->key == least->key && link->tie < least->tie)))
				least = link;
		}
		const struct heap_link *top = heap_top(&h);
		assert_int_equal(least == NULL, top == NULL);
		if (top)
			assert_true(top->key == least->key && top->tie == least->tie);
		if (turn % 100 == 0)
			check_order(&h);
	}
	heap_fini(&h);
}

static void takes_an_item_again(void **state)
{
	struct item items[3] = { { .name = 0 }, { .name = 1 }, { .name = 2 } };
	struct heap h;
	(void)state;
	heap_init(&h);
	for (int i = 0; i < 3; i++)
		assert_int_equal(heap_push(&h, &items[i].link, i, 0), 0);
	heap_remove(&h, &items[0].link);
	assert_int_equal(heap_push(&h, &items[0].link, 9, 0), 0);
	assert_int_equal(name_of(heap_pop(&h)), 1);
	assert_int_equal(name_of(heap_pop(&h)), 2);
	assert_int_equal(name_of(heap_pop(&h)), 0);
	heap_fini(&h);
}

static void survives_lack_of_memory(void **state)
{
	enum { MANY = 100 };
	struct item items[MANY] = { { 0 } };
	struct heap h;
	size_t failures = 0;
	(void)state;
	heap_init(&h);
	for (size_t i = 0; i < MANY;) {
		calls_until_failure = i % 2 == failures % 2 ? 0 : -1;
		if (heap_push(&h, &items[i].link, (int64_t)(MANY - i), 0) < 0) {
			assert_false(heap_has(&items[i].link));
			assert_int_equal(h.count, i);
			failures++;
		} else {
			i++;
		}
	}
	calls_until_failure = -1;
	assert_true(failures > 0);
	check_order(&h);
	for (size_t i = MANY; i > 0; i--)
		assert_ptr_equal(heap_pop(&h), &items[i - 1].link);
	heap_fini(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_heap_has_no_top), cmocka_unit_test(orders_by_key_then_tie),
		cmocka_unit_test(removes_from_anywhere), cmocka_unit_test(lives_like_a_sorted_list),
		cmocka_unit_test(takes_an_item_again),   cmocka_unit_test(survives_lack_of_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
