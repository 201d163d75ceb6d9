/* target: a queue, a SIP URI, a number, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "handoff/macros.h"
#include "rules/target.h"

static void test_values(void **state)
{
	static const struct {
		enum target_type type;
		const char *value;
		bool fits;
	} cases[] = {
		{ TARGET_QUEUE, "a1b2c3d4-e5f6-7890-abcd-ef1234567890", true },
		{ TARGET_QUEUE, "sip:a@b", false },
		{ TARGET_SIP, "sip:desk@sbc.example", true },
		{ TARGET_SIP, "sips:desk@sbc.example;transport=tls", true },
		{ TARGET_SIP, "sip:", false },
		{ TARGET_SIP, "sip:a b", false },
		{ TARGET_SIP, "tel:+4930123456", false },
		{ TARGET_TEL, "+4930123", true },
		{ TARGET_TEL, "+493012345678901", true },
		{ TARGET_TEL, "+4930123456789012", false },
		{ TARGET_TEL, "+493012", false },
		{ TARGET_TEL, "+0930123456", false },
		{ TARGET_TEL, "+49 30 123456", false },
		{ TARGET_TEL, "004930123456", false },
		{ TARGET_TEL, "", false },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (target_fits(cases[i].type, span_of(cases[i].value)) != cases[i].fits)
			fail_msg("%s %s", target_type_name(cases[i].type), cases[i].value);
}

static void test_names(void **state)
{
	(void)state;
	for (enum target_type type = 0; type < TARGET_TYPES; type++)
		assert_int_equal(target_type_by_name(span_of(target_type_name(type))), type);
	assert_int_equal(target_type_by_name(SPAN("Queue")), TARGET_TYPES);
	assert_int_equal(target_type_by_name(SPAN_NONE), TARGET_TYPES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
