/* reply: what stands beside the table of test_reply_table.c - words, codes and waits */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "rules/reply.h"

#define NOW_MS INT64_C(1763978400000) /* Mon, 24 Nov 2025 10:00:00 GMT */

static enum profile_kind profile = PROFILE_SEED_V1;

static struct reply read_facts(struct reply_facts facts)
{
	static const struct history history = { .attempt = 1, .origin = { .topic = "t" } };
	static const struct session_reader reader = {
		.handoff_id = "h-1", .history = &history, .queue_id = "q", .marker_variable = "m"
	};
	struct reply reply;
	facts.step = profile_step(profile, CREDENTIAL_LOGIN, facts.stage);
	if (!facts.trouble)
		facts.trouble = "";
	reply_read(&facts, &reader, NOW_MS, &reply);
	return reply;
}

static struct reply read_status(enum stage stage, int status, const char *body)
{
	return read_facts((struct reply_facts){
		.stage = stage, .complete = true, .sent = true, .status = status, .body = span_of(body) });
}

/* A 2xx that says in words that the transfer failed. */
static void test_refused_in_words(void **state)
{
	static const struct {
		enum stage stage;
		const char *body;
		bool refused;
	} cases[] = {
		{ STAGE_UPDATE, "{\"telephony\":{\"status\":\"failed\"}}", true },
		{ STAGE_UPDATE, "{\"telephony\":{\"status\":\"error\"}}", true },
		{ STAGE_UPDATE, "{\"telephony\":{\"status\":\"rejected\"}}", true },
		{ STAGE_UPDATE, "{\"telephony\":{\"status\":\"transferring\"}}", false },
		{ STAGE_UPDATE, "{\"status\":\"failed\"}", false }, /* that of the session, not of its telephony */
		{ STAGE_TRIGGER, "{\"status\":\"failed\"}", true },
		{ STAGE_TRIGGER, "{\"status\":\"error\"}", true },
		{ STAGE_TRIGGER, "{\"status\":\"rejected\"}", true },
		{ STAGE_TRIGGER, "{\"status\":\"completed\",\"result\":{\"mediaStreamStatus\":\"failed\"}}", true },
		{ STAGE_TRIGGER, "{\"status\":\"completed\",\"result\":{\"mediaStreamStatus\":\"disconnected\"}}",
		  true },
		{ STAGE_TRIGGER, "{\"status\":\"completed\",\"result\":{\"mediaStreamStatus\":\"rejected\"}}", true },
		{ STAGE_TRIGGER, "{\"status\":\"completed\",\"result\":{\"mediaStreamStatus\":\"bridged\"}}", false },
		{ STAGE_TRIGGER, "{\"status\":\"accepted\"}", false },
		{ STAGE_FETCH, "{\"status\":\"failed\"}", false },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct reply reply = read_status(cases[i].stage, 200, cases[i].body);
		if ((reply.kind == FAULT_PERMANENT) != cases[i].refused)
			fail_msg("%s", cases[i].body);
		if (cases[i].refused)
			assert_int_equal(reply.reason, REASON_TRANSFER_REJECTED);
	}
}

static struct reply read_as(enum profile_kind kind, enum stage stage, int status, const char *body)
{
	profile = kind;
	const struct reply reply = read_status(stage, status, body);
	profile = PROFILE_SEED_V1;
	return reply;
}

/* Cognigy.AI's errors come to what the seed's come to: locked, limited, retryable or not, status by status. */
static void test_both_profiles_take_an_error_alike(void **state)
{
	(void)state;
	for (enum stage stage = STAGE_FETCH; stage <= STAGE_TRIGGER; stage++)
		for (int status = 300; status < 600; status++) {
			const struct reply a = read_as(PROFILE_SEED_V1, stage, status, "");
			const struct reply b = read_as(PROFILE_COGNIGY_AI, stage, status, "");
			if (a.kind != b.kind || a.reason != b.reason || a.budget != b.budget)
				fail_msg("%d of a %s", status, stage_name(stage));
		}
}

/* Of Cognigy.AI, whatever stands in a success; so nothing is claimed either. */
static void test_a_success_that_tells_nothing(void **state)
{
	static const char *const bodies[] = {
		"",
		"{}",
		"\"Message was sent to AI for Flow processing\"",
		"<p>",
		"{\"status\":\"failed\",\"telephony\":{\"status\":\"failed\"}}",
		"{\"status\":\"completed\",\"result\":{\"mediaStreamStatus\":\"bridged\"}}"
	};
	(void)state;
	for (enum stage stage = STAGE_UPDATE; stage <= STAGE_TRIGGER; stage++)
		for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
			const struct reply reply = read_as(PROFILE_COGNIGY_AI, stage, 200, bodies[i]);
			if (reply.kind != FAULT_NONE)
				fail_msg("%s: class %d", bodies[i], (int)reply.kind);
			assert_null(reply.update.telephony_status.p);
			assert_null(reply.flow.status.p);
			assert_null(reply.flow.media_stream_status.p);
		}
}

/* No complete reply. */
static void test_trouble(void **state)
{
	static const struct {
		bool sent, timed_out;
		int status;
		enum stage stage;
		enum fault_class kind;
		const char *code;
	} cases[] = {
		{ false, false, 0, STAGE_TRIGGER, FAULT_DEPENDENCY_DOWN, "NOT_SENT" },
		{ false, true, 0, STAGE_FETCH, FAULT_DEPENDENCY_DOWN, "NOT_SENT" },
		{ true, true, 0, STAGE_FETCH, FAULT_AMBIGUOUS, "NO_REPLY_IN_TIME" },
		{ true, false, 0, STAGE_UPDATE, FAULT_AMBIGUOUS, "CONNECTION_BROKEN" },
		/* The status came, its body did not. */
		{ true, false, 200, STAGE_FETCH, FAULT_BAD_RESPONSE, "CONNECTION_BROKEN" },
		{ true, false, 200, STAGE_TRIGGER, FAULT_AMBIGUOUS, "CONNECTION_BROKEN" },
		{ true, false, 503, STAGE_TRIGGER, FAULT_SERVER, "CONNECTION_BROKEN" },
		{ true, false, 404, STAGE_FETCH, FAULT_PERMANENT, "CONNECTION_BROKEN" },
		{ true, true, 200, STAGE_TRIGGER, FAULT_AMBIGUOUS, "NO_REPLY_IN_TIME" },
		{ true, true, 429, STAGE_TRIGGER, FAULT_RATE_LIMITED, "NO_REPLY_IN_TIME" },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct reply reply = read_facts((struct reply_facts){ .stage = cases[i].stage,
									    .sent = cases[i].sent,
									    .timed_out = cases[i].timed_out,
									    .status = cases[i].status,
									    .trouble = "how it went" });
		if (reply.kind != cases[i].kind || strcmp(reply.code, cases[i].code) != 0)
			fail_msg("case %zu: class %d, code %s", i, (int)reply.kind, reply.code);
		assert_string_equal(reply.message, "how it went");
		if (reply.kind == FAULT_DEPENDENCY_DOWN)
			assert_int_equal(reply.budget, BUDGET_COUNT); /* not the request's fault */
	}
}

/* The outcome counts every call that was sent. */
static void test_sends(void **state)
{
	(void)state;
	assert_int_equal(read_status(STAGE_FETCH, 500, "").sends, 1);
	assert_int_equal(read_facts((struct reply_facts){ .stage = STAGE_FETCH, .sent = true, .resent = true }).sends,
			 2);
	assert_int_equal(read_facts((struct reply_facts){ .stage = STAGE_FETCH, .sent = true }).sends, 1);
	assert_int_equal(read_facts((struct reply_facts){ .stage = STAGE_FETCH }).sends, 0);
}

static void test_retry_after(void **state)
{
	(void)state;
	struct reply_facts facts = { .stage = STAGE_FETCH, .complete = true, .sent = true, .status = 429 };
	assert_int_equal(read_facts(facts).retry_after_ms, -1);
	facts.retry_after = SPAN("7");
	assert_int_equal(read_facts(facts).retry_after_ms, 7000);
	facts.retry_after = SPAN("soon");
	assert_int_equal(read_facts(facts).retry_after_ms, -1);
	facts.retry_after = SPAN("Mon, 24 Nov 2025 11:00:30 GMT");
	facts.date = SPAN("Mon, 24 Nov 2025 11:00:00 GMT"); /* their clock is an hour ahead of ours */
	assert_int_equal(read_facts(facts).retry_after_ms, 30000);
	facts.status = 503; /* not only a 429 may ask for patience */
	assert_int_equal(read_facts(facts).retry_after_ms, 30000);
	facts.complete = false;
	facts.status = 429;
	assert_int_equal(read_facts(facts).kind, FAULT_RATE_LIMITED);
	assert_int_equal(read_facts(facts).retry_after_ms, 30000); /* its body was cut, its headers were not */
}

/* The error's own words, in the shapes that connectors use. */
static void test_error_words(void **state)
{
	static const struct {
		const char *body;
		const char *code;
		const char *message;
	} cases[] = {
		{ "{\"error\":{\"code\":\"E1\",\"message\":\"m\"}}", "E1", "m" },
		{ "{\"code\":\"E2\",\"message\":\"m\"}", "E2", "m" },
		{ "{\"title\":\"t\",\"detail\":\"d\"}", "HTTP_500", "d" },
		{ "{\"title\":\"t\"}", "HTTP_500", "t" },
		{ "{\"error\":\"text\"}", "HTTP_500", "text" },
		{ "{\"error\":{\"code\":7},\"message\":\"a\\nb\\u0007\"}", "HTTP_500", "a b " },
		{ "no json", "HTTP_500", "the fetch call was answered with HTTP status 500" },
		{ "", "HTTP_500", "the fetch call was answered with HTTP status 500" },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct reply reply = read_status(STAGE_FETCH, 500, cases[i].body);
		assert_string_equal(reply.code, cases[i].code);
		assert_string_equal(reply.message, cases[i].message);
		assert_true(span_is(reply.body, cases[i].body)); /* whole, for the outcome */
	}
}

/* What is too long is cut, but never within a number: its half would not be masked later. */
static void test_long_words(void **state)
{
	char words[1000], body[2048];
	(void)state;
	memset(words, 'x', sizeof(words));
	words[sizeof(words) - 1] = '\0';
	snprintf(body, sizeof(body), "{\"code\":\"%s\",\"message\":\"%s\"}", words, words);
	struct reply reply = read_status(STAGE_FETCH, 500, body);
	assert_int_equal(strlen(reply.code), sizeof(reply.code) - 1);
	assert_int_equal(strlen(reply.message), sizeof(reply.message) - 1);
	snprintf(words + sizeof(reply.message) - 8, 32, "+49 151 23456789");
	snprintf(body, sizeof(body), "{\"message\":\"%s\"}", words);
	reply = read_status(STAGE_FETCH, 500, body);
	assert_null(strpbrk(reply.message, "+0123456789"));
	assert_int_equal(strlen(reply.message), sizeof(reply.message) - 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused_in_words),
		cmocka_unit_test(test_both_profiles_take_an_error_alike),
		cmocka_unit_test(test_a_success_that_tells_nothing),
		cmocka_unit_test(test_trouble),
		cmocka_unit_test(test_sends),
		cmocka_unit_test(test_retry_after),
		cmocka_unit_test(test_error_words),
		cmocka_unit_test(test_long_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
