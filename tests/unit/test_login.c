/* login: what the token endpoint's reply holds, and how long that is good for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>

#include "rules/login.h"

static void test_life(void **state)
{
	static const struct {
		double expires_in_s;
		usec_t life_ms;
	} cases[] = {
		{ 3600, 3300000 }, { 600.5, 300500 }, { 600, 300000 },
		{ 2, 1000 },       { 1.5, 750 },      { 0.5, 250 },
		{ 0.001, 250 }, /* whatever it says, no more than four logins a second */
		{ 0, 3300000 },    { -1, 3300000 },   { 1e300, INT64_C(31535700000) },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(login_token_life(cases[i].expires_in_s), cases[i].life_ms * USEC_PER_MSEC);
}

static void test_expires_in_is_a_number_or_not_said(void **state)
{
	static const struct {
		const char *body;
		usec_t life_s;
	} cases[] = {
		{ "{\"access_token\":\"t\",\"expires_in\":3600.0}", 3300 },
		{ "{\"access_token\":\"t\",\"expires_in\":12e2}", 900 },
		{ "{\"access_token\":\"t\",\"expires_in\":\"60\"}", 3300 },
		{ "{\"access_token\":\"t\",\"expires_in\":0}", 3300 },
		{ "{\"access_token\":\"t\",\"expires_in\":-60}", 3300 },
		{ "{\"access_token\":\"t\",\"expires_in\":null}", 3300 },
		{ "{\"access_token\":\"t\",\"expires_in\":[60]}", 3300 },
		{ "{\"access_token\":\"t\"}", 3300 },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct login_reply login;
		assert_int_equal(login_reply_read(span_of(cases[i].body), &login), 0);
		assert_int_equal(login.life, cases[i].life_s * USEC_PER_SEC);
		assert_true(span_is(login.access_token, "\"t\""));
	}
}

static void test_bodies_without_a_usable_token(void **state)
{
	static const char *const bodies[] = {
		"",
		"{",
		"[]",
		"{}",
		"{\"access_token\":null}",
		"{\"access_token\":7}",
		"{\"access_token\":\"\"}",
		"{\"access_token\":\"a b\"}",
		"{\"access_token\":\"a\\r\\nX-Evil: 1\"}",
		"{\"access_token\":\"\\u0000\"}",
		"{\"access_token\":\"\\u00e9\"}",
		"{\"access_token\":\"t\"} trailing",
	};
	static char longer[LOGIN_TOKEN_MAX + 64];
	struct login_reply login;
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++)
		assert_int_equal(login_reply_read(span_of(bodies[i]), &login), -EINVAL);
	snprintf(longer, sizeof(longer), "{\"access_token\":\"%0*d\"}", LOGIN_TOKEN_MAX, 0);
	assert_int_equal(login_reply_read(span_of(longer), &login), 0);
	snprintf(longer, sizeof(longer), "{\"access_token\":\"%0*d\"}", LOGIN_TOKEN_MAX + 1, 0);
	assert_int_equal(login_reply_read(span_of(longer), &login), -EINVAL);
}

static void test_missing_scopes(void **state)
{
	static const struct {
		const char *scope; /* NULL: not said */
		const char *missing;
	} cases[] = {
		{ NULL, "" },
		{ "\"session:write flow:execute telephony:transfer\"", "" },
		{ "\"telephony:transfer  session:write flow:execute other\"", "" },
		{ "\"flow:execute\"", "session:write telephony:transfer" },
		{ "\"session:writer xflow:execute telephony:transfer\"", "session:write flow:execute" },
		{ "\"\"", "session:write flow:execute telephony:transfer" },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct buf missing;
		buf_init(&missing, 256);
		login_missing_scopes(&missing, span_of(cases[i].scope));
		assert_string_equal(buf_text(&missing), cases[i].missing);
		buf_fini(&missing);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_expires_in_is_a_number_or_not_said),
		cmocka_unit_test(test_bodies_without_a_usable_token),
		cmocka_unit_test(test_missing_scopes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
