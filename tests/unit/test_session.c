/* session: whose work stands in the session, and what do the three replies say? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "rules/profile.h"
#include "rules/session.h"

#define QUEUE  "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
#define ORIGIN "handoff.requests/3/1041"

#define SESSION_VIEW (&profile_step(PROFILE_SEED_V1, CREDENTIAL_LOGIN, STAGE_FETCH)->session)
#define UPDATE_VIEW  (&profile_step(PROFILE_SEED_V1, CREDENTIAL_LOGIN, STAGE_UPDATE)->update)
#define FLOW_VIEW    (&profile_step(PROFILE_SEED_V1, CREDENTIAL_LOGIN, STAGE_TRIGGER)->flow)

/* The handoff `h-1`, in its second attempt. */
static struct history second_attempt(void)
{
	return (struct history){ .attempt = 2,
				 .origin = { .topic = "handoff.requests", .partition = 3, .offset = 1041 } };
}

static struct session_reader reader_of(const struct history *history)
{
	return (struct session_reader){
		.handoff_id = "h-1", .history = history, .queue_id = QUEUE, .marker_variable = "handoffdId"
	};
}

static struct session read_body(const char *body, const struct session_reader *reader)
{
	struct session session;
	const char *what;
	if (session_read(span_of(body), SESSION_VIEW, reader, &session, &what) < 0)
		fail_msg("%s: %s", body, what);
	return session;
}

static void test_status_and_channel(void **state)
{
	static const struct {
		const char *body;
		enum session_status status;
		bool is_voice;
	} cases[] = {
		{ "{\"status\":\"active\",\"channel\":\"voice\"}", SESSION_ACTIVE, true },
		{ "{\"status\":\"idle\",\"channel\":\"chat\"}", SESSION_IDLE, false },
		{ "{\"status\":\"processing\",\"channel\":\"Voice\"}", SESSION_PROCESSING, false },
		{ "{\"status\":\"transferring\"}", SESSION_TRANSFERRING, false },
		{ "{\"status\":\"ended\"}", SESSION_OVER, false },
		{ "{\"status\":\"completed\"}", SESSION_OVER, false },
		{ "{\"status\":\"terminated\"}", SESSION_OVER, false },
		{ "{\"status\":\"closed\"}", SESSION_OVER, false },
		{ "{\"status\":\"\\u0061ctive\",\"channel\":\"v\\u006fice\"}", SESSION_ACTIVE, true },
		{ "{\"status\":\"ACTIVE\"}", SESSION_UNKNOWN, false },
		{ "{\"status\":\"paused\"}", SESSION_UNKNOWN, false },
		{ "{\"status\":7,\"channel\":[\"voice\"]}", SESSION_UNKNOWN, false },
		{ "{}", SESSION_UNKNOWN, false },
	};
	const struct history history = second_attempt();
	const struct session_reader reader = reader_of(&history);
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct session session = read_body(cases[i].body, &reader);
		if (session.status != cases[i].status || session.is_voice != cases[i].is_voice)
			fail_msg("%s: status %d", cases[i].body, (int)session.status);
	}
}

/* The record says that the attempt before sent no update, and yet its marker is there: a worker died in it. */
static void test_marker_of_a_dead_worker(void **state)
{
	struct history history = second_attempt();
	const struct session_reader reader = reader_of(&history);
	(void)state;
	history.progress.unmarked = 1;
	assert_int_equal(read_body("{\"variables\":{\"handoffdId\":\"h-1#" ORIGIN "#1\"}}", &reader).marker,
			 MARKER_THIS);
	history.attempt = 3;
	assert_int_equal(read_body("{\"variables\":{\"handoffdId\":\"h-1#" ORIGIN "#1\"}}", &reader).marker,
			 MARKER_EARLIER);
}

static void test_marker(void **state)
{
	static const struct {
		const char *value; /* of the marker variable; NULL: it is not there */
		enum session_marker marker;
	} cases[] = {
		{ NULL, MARKER_NONE },
		{ "\"h-1#" ORIGIN "#2\"", MARKER_THIS },
		{ "\"h-1#" ORIGIN "#3\"", MARKER_THIS }, /* delivered again after its retry had run */
		{ "\"h-1#" ORIGIN "#1\"", MARKER_EARLIER },
		{ "\"h\\u002d1#handoff.requests\\/3/1041#1\"", MARKER_EARLIER },
		{ "\"h-1#handoff.requests/3/1042#1\"", MARKER_TWIN },
		{ "\"h-1#other/3/1041#2\"", MARKER_TWIN },
		{ "\"h-2#" ORIGIN "#2\"", MARKER_FOREIGN },
		{ "\"h-1\"", MARKER_FOREIGN },
		{ "\"h-1#2\"", MARKER_FOREIGN },
		{ "\"h-1#nowhere#2\"", MARKER_FOREIGN },
		{ "\"h-1#" ORIGIN "#two\"", MARKER_FOREIGN },
		{ "\"\"", MARKER_FOREIGN },
		{ "12", MARKER_FOREIGN },
		{ "{\"h-1\":1}", MARKER_FOREIGN },
		{ "null", MARKER_FOREIGN },
	};
	const struct history history = second_attempt();
	const struct session_reader reader = reader_of(&history);
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char body[256];
		snprintf(body, sizeof(body), "{\"variables\":{\"a\":1%s%s}}", cases[i].value ? ",\"handoffdId\":" : "",
			 cases[i].value ? cases[i].value : "");
		if (read_body(body, &reader).marker != cases[i].marker)
			fail_msg("%s", body);
	}
}

/* After a replay another origin's marker is an earlier attempt, not a twin; an id may hold the separator itself. */
static void test_marker_of_replays_and_odd_ids(void **state)
{
	struct history history = second_attempt();
	struct session_reader reader = reader_of(&history);
	(void)state;
	history.replay = 1;
	assert_int_equal(read_body("{\"variables\":{\"handoffdId\":\"h-1#handoff.requests/0/7#9\"}}", &reader).marker,
			 MARKER_EARLIER);
	history.replay = 0;
	reader.handoff_id = "a#b/1/2#3";
	assert_int_equal(read_body("{\"variables\":{\"handoffdId\":\"a#b/1/2#3#" ORIGIN "#2\"}}", &reader).marker,
			 MARKER_THIS);
	struct buf text;
	buf_init(&text, 256);
	session_marker_write(&text, reader.handoff_id, &history);
	assert_string_equal(buf_text(&text), "a#b/1/2#3#" ORIGIN "#2");
	buf_fini(&text);
}

static void test_without_a_marker_the_state_tells(void **state)
{
	static const struct {
		const char *body;
		int32_t attempt;
		enum session_marker marker;
	} cases[] = {
		{ "{\"status\":\"transferring\",\"variables\":{\"transferTarget\":\"" QUEUE "\"}}", 1, MARKER_THIS },
		{ "{\"status\":\"transferring\",\"variables\":{\"transferTarget\":\"" QUEUE "\"}}", 2, MARKER_EARLIER },
		{ "{\"status\":\"transferring\",\"variables\":{\"transferTarget\":\"another\"}}", 1, MARKER_FOREIGN },
		{ "{\"status\":\"transferring\",\"variables\":{}}", 1, MARKER_FOREIGN },
		{ "{\"status\":\"transferring\"}", 1, MARKER_NONE },
		{ "{\"status\":\"active\",\"variables\":{\"transferTarget\":\"" QUEUE "\"}}", 1, MARKER_NONE },
	};
	struct history history = second_attempt();
	struct session_reader reader = reader_of(&history);
	reader.marker_variable = "";
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		history.attempt = cases[i].attempt;
		if (read_body(cases[i].body, &reader).marker != cases[i].marker)
			fail_msg("%s", cases[i].body);
	}
}

static void test_what_cannot_be_merged_is_refused(void **state)
{
	static const char *const refused[] = {
		"",
		"null",
		"[]",
		"\"session\"",
		"{\"status\":\"active\"",
		"{} {}",
		"{\"variables\":{},\"variables\":{}}",
		"{\"variables\":[]}",
		"{\"variables\":\"x\"}",
	};
	const struct history history = second_attempt();
	const struct session_reader reader = reader_of(&history);
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		struct session session;
		const char *what = NULL;
		if (session_read(span_of(refused[i]), SESSION_VIEW, &reader, &session, &what) != -EINVAL || !what ||
		    !what[0])
			fail_msg("%s", refused[i]);
	}
	assert_null(read_body("{\"variables\":null}", &reader).variables.text.p);
	const struct session session =
		read_body("{\"variables\": { \"a\" : 1.0 },\"telephony\":{\"callId\":\"c-1\"}}", &reader);
	assert_true(span_is(session.variables.text, "{ \"a\" : 1.0 }"));
	assert_true(span_is(session.call_id, "\"c-1\""));
}

static void test_update_and_flow_replies(void **state)
{
	struct update_reply update;
	struct flow_reply flow;
	(void)state;
	assert_int_equal(
		update_reply_read(SPAN("{\"status\":\"s\",\"telephony\":{\"status\":\"ok\",\"transferId\":\"x-1\"}}"),
				  UPDATE_VIEW, &update),
		0);
	assert_true(span_is(update.telephony_status, "\"ok\"") && span_is(update.transfer_id, "\"x-1\""));
	assert_int_equal(
		update_reply_read(SPAN("{\"telephony\":{\"status\":1,\"transferId\":null}}"), UPDATE_VIEW, &update), 0);
	assert_true(!update.telephony_status.p && !update.transfer_id.p);
	assert_int_equal(update_reply_read(SPAN("[]"), UPDATE_VIEW, &update), -EINVAL);
	assert_int_equal(
		flow_reply_read(SPAN("{\"flowExecutionId\":\"e\",\"status\":\"completed\",\"result\":{\"action\":\"a\","
				     "\"mediaStreamStatus\":\"bridged\",\"agentWaitTime\":2.40}}"),
				FLOW_VIEW, &flow),
		0);
	assert_true(span_is(flow.execution_id, "\"e\"") && span_is(flow.status, "\"completed\""));
	assert_true(span_is(flow.action, "\"a\"") && span_is(flow.media_stream_status, "\"bridged\""));
	assert_true(span_is(flow.agent_wait_time, "2.40")); /* as it came */
	assert_int_equal(flow_reply_read(SPAN("{\"result\":{\"agentWaitTime\":\"2\"}}"), FLOW_VIEW, &flow), 0);
	assert_null(flow.agent_wait_time.p);
	assert_int_equal(flow_reply_read(SPAN("{\"status\":"), FLOW_VIEW, &flow), -EINVAL);
}

static void test_says(void **state)
{
	static const char *const words[] = { "failed", "rejected" };
	(void)state;
	assert_true(session_says(SPAN("\"rejected\""), words, 2));
	assert_true(session_says(SPAN("\"f\\u0061iled\""), words, 2));
	assert_false(session_says(SPAN("\"failed\""), words, 0));
	assert_false(session_says(SPAN("\"Failed\""), words, 2));
	assert_false(session_says(SPAN("\"failed\\u0000\""), words, 2));
	assert_false(session_says(SPAN_NONE, words, 2));
	assert_false(session_says(SPAN("\"a word that is far longer than any that anybody asks for, and then some\""),
				  words, 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status_and_channel),
		cmocka_unit_test(test_marker),
		cmocka_unit_test(test_marker_of_a_dead_worker),
		cmocka_unit_test(test_marker_of_replays_and_odd_ids),
		cmocka_unit_test(test_without_a_marker_the_state_tells),
		cmocka_unit_test(test_what_cannot_be_merged_is_refused),
		cmocka_unit_test(test_update_and_flow_replies),
		cmocka_unit_test(test_says),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
