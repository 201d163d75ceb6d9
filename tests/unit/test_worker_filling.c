/* filling: what the holes of a profile's templates become, in a path, a header, a body and a form */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "worker/filling.h"

static struct request request = { .session_id = (char[]){ "s/1?#" },
				  .user_id = (char[]){ "u \"1\"" },
				  .url_token = (char[]){ "../{userId}%" },
				  .handoff_id = (char[]){ "h-1" },
				  .queue_id = (char[]){ "q" } };
static struct history history = { .attempt = 2, .origin = { .topic = "t", .partition = 3, .offset = 41 } };
static const struct settings_tenant settings = {
	.intent = "i&=", .text = "t", .scope = "a b", .client_id = "id", .marker_variable = "m"
};
static const struct filling filling = {
	.settings = &settings, .request = &request, .history = &history, .secret = { "s&+", 3 }
};

typedef int fill_fn(struct buf *out, const char *template, const struct filling *filling);

static void check(fill_fn *fill, const char *template, const char *wanted)
{
	struct buf out;
	buf_init(&out, 65536);
	assert_int_equal(fill(&out, template, &filling), 0);
	assert_string_equal(buf_text(&out), wanted);
	buf_fini(&out);
}

static void refuses(fill_fn *fill, const char *template)
{
	struct buf out;
	buf_init(&out, 65536);
	assert_int_equal(fill(&out, template, &filling), -EINVAL);
	buf_fini(&out);
}

/* Whatever an id holds, it stays within its segment, and what looks like a hole in it is none. */
static void test_values_of_a_path_are_percent_encoded(void **state)
{
	(void)state;
	check(filling_encoded, "/a/{sessionId}/b", "/a/s%2F1%3F%23/b");
	check(filling_encoded, "/inject/{urlToken}?u={userId}", "/inject/..%2F%7BuserId%7D%25?u=u%20%221%22");
	check(filling_encoded, "client_id={clientId}&client_secret={clientSecret}&scope={scope}",
	      "client_id=id&client_secret=s%26%2B&scope=a%20b");
	check(filling_encoded, "/plain", "/plain");
}

static void test_values_of_a_body_are_json(void **state)
{
	(void)state;
	check(filling_body, "{\"u\":{userId},\"i\":{intent}}", "{\"u\":\"u \\\"1\\\"\",\"i\":\"i&=\"}");
	check(filling_body, "{\"p\":{preserveMediaStream}}", "{\"p\":false}");
	check(filling_body, "{data}",
	      "{\"transferTarget\":\"q\",\"transferType\":\"queue\",\"handoffTrigger\":true,"
	      "\"telephonyAction\":\"transfer\",\"m\":\"h-1#t/3/41#2\"}");
}

static void test_a_key(void **state)
{
	(void)state;
	check(filling_header, "Idempotency-Key: {idempotencyKey}", "Idempotency-Key: h-1");
	history.replay = 2;
	check(filling_header, "Idempotency-Key: {idempotencyKey}", "Idempotency-Key: h-1.r2");
	history.replay = 0;
}

/* Nothing is sent with a hole in it, and a JSON value fits into no path. */
static void test_what_fills_no_hole(void **state)
{
	(void)state;
	refuses(filling_encoded, "/{nobody}");
	refuses(filling_encoded, "/{variables}");
	refuses(filling_body, "{\"a\":{nobody}}");
	refuses(filling_header, "X: {sessionId}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values_of_a_path_are_percent_encoded),
		cmocka_unit_test(test_values_of_a_body_are_json),
		cmocka_unit_test(test_a_key),
		cmocka_unit_test(test_what_fills_no_hole),
	};
	return cmocka_run_group_tests_name("filling", tests, NULL, NULL);
}
