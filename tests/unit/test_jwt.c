/* jwt: whose a token is, and until when it is good; and what is no token. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/text.h"
#include "rules/jwt.h"

/* HEADER.CLAIMS.SIGNATURE of these claims, in `out`. */
static void write_token(struct buf *out, const char *claims)
{
	buf_reset(out);
	buf_add_text(out, "eyJhbGciOiJSUzI1NiJ9.");
	text_base64_encode(out, span_of(claims));
	for (size_t i = 0; i < out->len; i++)
		if (out->data[i] == '+' || out->data[i] == '/')
			out->data[i] = out->data[i] == '+' ? '-' : '_';
	while (out->data[out->len - 1] == '=')
		buf_cut(out, out->len - 1);
	buf_add_text(out, ".c2ln-_");
}

static void test_claims(void **state)
{
	static const struct {
		const char *claims;
		int64_t expires_ms;
		const char *subject;
	} cases[] = {
		{ "{\"sub\":\"pool\",\"exp\":1800000000}", 1800000000000, "pool" },
		{ "{\"exp\":1800000000.5}", 1800000000500, "" },
		{ "{\"exp\":18e8,\"sub\":\"a\\u00e4?>~\\u00ff\"}", 1800000000000, "a\xc3\xa4?>~\xc3\xbf" },
		{ "{\"exp\":253402300799}", 253402300799000, "" },
		{ "{\"exp\":0,\"sub\":7}", 0, "" },
		{ "{\"exp\":1,\"sub\":\"a\\u0000b\"}", 1000, "" },
	};
	struct buf token;
	(void)state;
	buf_init(&token, 4096);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct jwt jwt;
		const char *why = "";
		write_token(&token, cases[i].claims);
		assert_int_equal(jwt_read(buf_span(&token), &jwt, &why), 0);
		assert_null(why);
		assert_int_equal(jwt.expires_ms, cases[i].expires_ms);
		assert_string_equal(jwt.subject, cases[i].subject);
	}
	buf_fini(&token);
}

static void test_long_subject_is_none(void **state)
{
	struct buf claims, token;
	struct jwt jwt;
	const char *why;
	(void)state;
	buf_init(&claims, 4096);
	buf_init(&token, 4096);
	buf_add_text(&claims, "{\"exp\":9,\"sub\":\"");
	for (int i = 0; i < 256; i++)
		buf_add_char(&claims, 'x');
	buf_add_text(&claims, "\"}");
	write_token(&token, buf_text(&claims));
	assert_int_equal(jwt_read(buf_span(&token), &jwt, &why), 0);
	assert_string_equal(jwt.subject, "");
	buf_fini(&claims);
	buf_fini(&token);
}

static void expect_refused(struct span token, const char *sentence)
{
	struct jwt jwt;
	const char *why = NULL;
	assert_int_equal(jwt_read(token, &jwt, &why), -EINVAL);
	assert_non_null(strstr(why, sentence));
}

static void test_claims_that_do_not_do(void **state)
{
	static const struct {
		const char *claims;
		const char *sentence;
	} cases[] = {
		{ "[]", "no JSON object" },
		{ "{\"exp\":1", "no JSON object" },
		{ "{}", "does not say when" },
		{ "{\"EXP\":1}", "does not say when" },
		{ "{\"exp\":\"1\"}", "is no time" },
		{ "{\"exp\":-1}", "is no time" },
		{ "{\"exp\":1800000000000}", "is no time" },
		{ "{\"exp\":1e300}", "is no time" },
		{ "{\"exp\":null}", "is no time" },
	};
	struct buf token;
	(void)state;
	buf_init(&token, 4096);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		write_token(&token, cases[i].claims);
		expect_refused(buf_span(&token), cases[i].sentence);
	}
	buf_fini(&token);
}

static void test_what_is_no_token(void **state)
{
	static const char *const texts[] = { "", "a", "a.b", "a..c", ".b.c", "a.b.", "....", "opaque-token-0815" };
	static const char *const others[] = { "a.b.c.d",   "a.e30=.c", "a.e 0.c",  "\xff.e30.c",
					      "a.e30.c\n", "a.e3.c",   "a+b.e30.c" };
	char *longest = calloc(JWT_MAX + 2, 1);
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		expect_refused(span_of(texts[i]), "three parts");
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		expect_refused(span_of(others[i]), "not base64url");
	memset(longest, 'a', JWT_MAX + 1);
	longest[1] = longest[3] = '.';
	expect_refused(span_of(longest), "three parts");
	free(longest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_claims),
		cmocka_unit_test(test_long_subject_is_none),
		cmocka_unit_test(test_claims_that_do_not_do),
		cmocka_unit_test(test_what_is_no_token),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
