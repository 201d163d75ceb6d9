/* template: holes are filled, everything else stays as it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "base/template.h"

/* "<name>"; a hole called `none` cannot be filled. */
static int fill(const void *arg, struct span name, struct buf *out)
{
	(void)arg;
	if (span_is(name, "none"))
		return -EINVAL;
	buf_add_char(out, '<');
	buf_add_span(out, name);
	buf_add_char(out, '>');
	return 0;
}

static void test_holes_and_braces(void **state)
{
	static const struct {
		const char *text, *filled;
	} cases[] = {
		{ "", "" },
		{ "/session/{sessionId}", "/session/<sessionId>" },
		{ "{a}{b}", "<a><b>" },
		{ "{\"a\":{b},\"c\":{\"d\":{e}}}", "{\"a\":<b>,\"c\":{\"d\":<e>}}" },
		{ "{}{ a}{a }{1}{a", "{}{ a}{a }{1}{a" },
		{ "{{a}}", "{<a>}" },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct buf out;
		buf_init(&out, 256);
		assert_int_equal(template_write(&out, cases[i].text, fill, NULL), 0);
		assert_string_equal(buf_text(&out), cases[i].filled);
		buf_fini(&out);
	}
}

static void test_a_hole_that_cannot_be_filled(void **state)
{
	struct buf out;
	(void)state;
	buf_init(&out, 256);
	assert_int_equal(template_write(&out, "a{none}{b}", fill, NULL), -EINVAL);
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_holes_and_braces),
		cmocka_unit_test(test_a_hole_that_cannot_be_filled),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
