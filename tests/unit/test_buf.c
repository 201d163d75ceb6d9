#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "unit/torture.h"

static void is_empty_text_before_anything(void **state)
{
	struct buf b;
	(void)state;
	buf_init(&b, 10);
	assert_string_equal(buf_text(&b), "");
	assert_int_equal(buf_span(&b).n, 0);
	assert_non_null(buf_span(&b).p);
	assert_true(buf_ok(&b));
	assert_null(buf_take(&b, NULL));
	buf_cut(&b, 0);
	buf_reset(&b);
	buf_fini(&b);
}

static void appends(void **state)
{
	struct buf b;
	(void)state;
	buf_init(&b, 1000);
	buf_add(&b, "ab", 2);
	buf_add_span(&b, SPAN("cd"));
	buf_add_text(&b, "ef");
	buf_add_char(&b, 'g');
	buf_add_format(&b, "%d-%s", 42, "h");
	buf_add_span(&b, SPAN_NONE);
	assert_true(buf_ok(&b));
	assert_string_equal(buf_text(&b), "abcdefg42-h");
	assert_int_equal(b.len, 11);
	buf_fini(&b);
}

static void appends_numbers(void **state)
{
	static const int64_t numbers[] = { 0, 7, -7, 10, 1234567890123, INT64_MAX, INT64_MIN };
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		char wanted[32];
		struct buf b;
		snprintf(wanted, sizeof(wanted), "%" PRId64, numbers[i]);
		buf_init(&b, strlen(wanted));
		buf_add_int(&b, numbers[i]);
		assert_true(buf_ok(&b));
		assert_string_equal(buf_text(&b), wanted);
		buf_fini(&b);
	}
}

/* Wherever what is there ends: exactly at the memory's end, before it, or behind it. */
static void formats_across_the_end_of_its_memory(void **state)
{
	(void)state;
	for (size_t before = 0; before < 300; before++) {
		struct buf b;
		buf_init(&b, before + 10);
		for (size_t i = 0; i < before; i++)
			buf_add_char(&b, '.');
		buf_add_format(&b, "%s%d", "abcde", 12345);
		assert_true(buf_ok(&b));
		assert_int_equal(b.len, before + 10);
		assert_string_equal(buf_text(&b) + before, "abcde12345");
		buf_add_format(&b, "%s", "x");
		assert_false(buf_ok(&b));
		assert_string_equal(buf_text(&b) + before, "abcde12345");
		buf_fini(&b);
	}
}

static void keeps_nul_bytes(void **state)
{
	struct buf b;
	(void)state;
	buf_init(&b, 1000);
	buf_add(&b, "a\0b", 3);
	assert_true(span_eq(buf_span(&b), SPAN("a\0b")));
	assert_int_equal(b.data[3], '\0');
	buf_fini(&b);
}

static void grows_to_its_limit_and_no_further(void **state)
{
	(void)state;
	for (size_t limit = 0; limit < 300; limit++) {
		struct buf b;
		buf_init(&b, limit);
		for (size_t i = 0; i < limit; i++)
			buf_add_char(&b, (char)('a' + i % 26));
		assert_true(buf_ok(&b));
		assert_int_equal(b.len, limit);
		buf_add_char(&b, '!');
		assert_false(buf_ok(&b));
		assert_int_equal(b.len, limit);
		buf_fini(&b);
	}
}

static void fails_for_good(void **state)
{
	struct buf b;
	(void)state;
	buf_init(&b, 4);
	buf_add_text(&b, "abc");
	buf_add_text(&b, "de");
	assert_false(buf_ok(&b));
	buf_add_char(&b, 'd'); /* would fit */
	buf_add_format(&b, "%s", "");
	assert_false(buf_ok(&b));
	assert_string_equal(buf_text(&b), "abc");
	assert_null(buf_take(&b, NULL));
	buf_reset(&b);
	assert_true(buf_ok(&b));
	assert_string_equal(buf_text(&b), "");
	buf_add_format(&b, "%d", 1234);
	assert_true(buf_ok(&b));
	buf_add_format(&b, "%d", 5);
	assert_false(buf_ok(&b));
	buf_fini(&b);
	assert_true(buf_ok(&b));
}

/* An append that no memory could hold must not wrap around. */
static void refuses_absurd_lengths(void **state)
{
	struct buf b;
	(void)state;
	buf_init(&b, 100);
	buf_add_text(&b, "abc");
	buf_add(&b, "", SIZE_MAX);
	assert_false(buf_ok(&b));
	assert_string_equal(buf_text(&b), "abc");
	buf_fini(&b);
}

static void cuts(void **state)
{
	struct buf b;
	(void)state;
	buf_init(&b, 100);
	buf_add_text(&b, "abcdef");
	buf_cut(&b, 7);
	assert_string_equal(buf_text(&b), "abcdef");
	buf_cut(&b, 2);
	assert_string_equal(buf_text(&b), "ab");
	buf_add_char(&b, 'x');
	assert_string_equal(buf_text(&b), "abx");
	buf_fini(&b);
}

static void hands_over(void **state)
{
	struct buf b;
	size_t len;
	(void)state;
	buf_init(&b, 4);
	buf_add_text(&b, "abcd");
	char *data = buf_take(&b, &len);
	assert_string_equal(data, "abcd");
	assert_int_equal(len, 4);
	free(data);
	assert_string_equal(buf_text(&b), "");
	buf_add_text(&b, "efgh"); /* the limit is as before */
	assert_true(buf_ok(&b));
	data = buf_take(&b, NULL);
	assert_string_equal(data, "efgh");
	free(data);
	buf_fini(&b);
}

static void uses_what_it_is_given(void **state)
{
	char storage[5];
	struct buf b;
	(void)state;
	buf_init_on(&b, storage, sizeof(storage));
	assert_string_equal(buf_text(&b), "");
	torture_after(0);
	buf_add_text(&b, "abcd");
	torture_end();
	assert_int_equal(buf_result(&b), 0);
	assert_ptr_equal(buf_text(&b), storage);
	assert_string_equal(storage, "abcd");
	buf_add_char(&b, 'e');
	assert_int_equal(buf_result(&b), -EMSGSIZE);
	assert_null(buf_take(&b, NULL));
	buf_fini(&b);
}

static void tells_its_limit_from_want_of_memory(void **state)
{
	struct buf b;
	(void)state;
	buf_init(&b, 1000);
	torture_after(0);
	buf_add_text(&b, "a");
	if (torture_end())
		assert_int_equal(buf_result(&b), -ENOMEM);
	buf_reset(&b);
	assert_int_equal(buf_result(&b), 0);
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_empty_text_before_anything),
		cmocka_unit_test(appends),
		cmocka_unit_test(appends_numbers),
		cmocka_unit_test(formats_across_the_end_of_its_memory),
		cmocka_unit_test(keeps_nul_bytes),
		cmocka_unit_test(grows_to_its_limit_and_no_further),
		cmocka_unit_test(fails_for_good),
		cmocka_unit_test(refuses_absurd_lengths),
		cmocka_unit_test(cuts),
		cmocka_unit_test(hands_over),
		cmocka_unit_test(uses_what_it_is_given),
		cmocka_unit_test(tells_its_limit_from_want_of_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
