/* conversation: the newest item tells of the transfer, any item of our trigger. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "rules/conversation.h"
#include "rules/profile.h"

#define VIEW (&profile_step(PROFILE_COGNIGY_AI, CREDENTIAL_API_KEY, STAGE_FETCH)->session)
#define ITEM(time, flags, data)                                                                                        \
	"{\"timestamp\":\"2026-11-28T10:00:0" time "Z\",\"inHandoverRequest\":false" flags ",\"inputData\":" data "}"
#define HANDOVER    ",\"inHandoverConversation\":true"
#define OURS        "{\"handoffdId\":\"h-1#t/3/41#2\"}"
#define EARLIER     "{\"handoffdId\":\"h-1#t/3/41#1\"}"
#define TWIN        "{\"handoffdId\":\"h-1#t/3/40#1\"}"
#define FOREIGN     "{\"handoffdId\":\"h-2#t/3/39#1\"}"
#define OURS_TEXT   "\"{\\\"handoffdId\\\":\\\"h-1#t/3/41#2\\\"}\""
#define BROKEN_TEXT "\"{\\\"handoffdId\\\":\""

static const struct {
	const char *body;
	enum resume resume;
	int32_t replay;
	enum session_status status;
	enum session_marker marker;
} cases[] = {
	/* nothing is known */
	{ "{}", RESUME_FETCH, 0, SESSION_UNKNOWN, MARKER_NONE },
	{ "[]", RESUME_FETCH, 0, SESSION_UNKNOWN, MARKER_NONE },
	{ "{\"items\":[],\"total\":0}", RESUME_FETCH, 0, SESSION_UNKNOWN, MARKER_NONE },
	{ "{\"items\":{}}", RESUME_FETCH, 0, SESSION_UNKNOWN, MARKER_NONE },
	{ "{\"items\":[1,null]}", RESUME_FETCH, 0, SESSION_UNKNOWN, MARKER_NONE },
	/* the newest counts, wherever it stands; a bare list will do */
	{ "{\"items\":[" ITEM("1", HANDOVER, "{}") "," ITEM("2", "", "{}") "]}", RESUME_FETCH, 0, SESSION_ACTIVE,
	  MARKER_NONE },
	{ "[" ITEM("2", HANDOVER, "{}") "," ITEM("1", "", "{}") "]", RESUME_FETCH, 0, SESSION_TRANSFERRING,
	  MARKER_NONE },
	/* by its time, however that is written; who does not tell his time was before all others */
	{ "[{\"timestamp\":\"2026-11-28T10:00:01.500Z\",\"inHandoverRequest\":true},{\"timestamp\":"
	  "\"2026-11-28T10:00:01\\u005a\"}]",
	  RESUME_FETCH, 0, SESSION_TRANSFERRING, MARKER_NONE },
	{ "[{\"timestamp\":\"2026-11-28T09:59:59-01:00\",\"inHandoverRequest\":true},{\"timestamp\":"
	  "\"2026-11-28T10:00:00Z\"},{\"timestamp\":\"yesterday\"}]",
	  RESUME_FETCH, 0, SESSION_TRANSFERRING, MARKER_NONE },
	{ "[{\"inHandoverRequest\":true}]", RESUME_FETCH, 0, SESSION_TRANSFERRING, MARKER_NONE },
	{ "[{\"inHandoverRequest\":\"true\"}]", RESUME_FETCH, 0, SESSION_ACTIVE, MARKER_NONE },
	/* somebody asked for an agent, and it may have been us */
	{ "[" ITEM("1", HANDOVER, "null") "]", RESUME_VERIFY, 0, SESSION_TRANSFERRING, MARKER_THIS },
	{ "[" ITEM("1", "", "null") "]", RESUME_VERIFY, 0, SESSION_ACTIVE, MARKER_NONE },
	/* whose message is it? */
	{ "[" ITEM("1", "", OURS) "," ITEM("2", "", FOREIGN) "]", RESUME_FETCH, 0, SESSION_ACTIVE, MARKER_THIS },
	{ "[" ITEM("1", "", OURS_TEXT) "]", RESUME_FETCH, 0, SESSION_ACTIVE, MARKER_THIS },
	{ "[" ITEM("1", "", BROKEN_TEXT) "]", RESUME_FETCH, 0, SESSION_ACTIVE, MARKER_NONE },
	{ "[" ITEM("1", "", FOREIGN) "]", RESUME_FETCH, 0, SESSION_ACTIVE, MARKER_FOREIGN },
	{ "[" ITEM("1", "", TWIN) "]", RESUME_FETCH, 0, SESSION_ACTIVE, MARKER_TWIN },
	{ "[" ITEM("1", "", "{\"handoffdId\":7}") "]", RESUME_FETCH, 0, SESSION_ACTIVE, MARKER_FOREIGN },
	/* an earlier attempt's trigger was executed as well as this one's; but a replay is to be another transfer */
	{ "[" ITEM("1", "", EARLIER) "]", RESUME_UPDATE, 0, SESSION_ACTIVE, MARKER_THIS },
	{ "[" ITEM("1", "", TWIN) "]", RESUME_FETCH, 1, SESSION_ACTIVE, MARKER_EARLIER },
};

static void test_what_it_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct history history = { .attempt = 2,
						 .resume = cases[i].resume,
						 .replay = cases[i].replay,
						 .origin = { .topic = "t", .partition = 3, .offset = 41 } };
		const struct session_reader reader = { .handoff_id = "h-1",
						       .history = &history,
						       .marker_variable = "handoffdId" };
		struct session session;
		const char *what = NULL;
		assert_int_equal(conversation_read(span_of(cases[i].body), VIEW, &reader, &session, &what), 0);
		if (session.status != cases[i].status || session.marker != cases[i].marker || !session.is_voice)
			fail_msg("%s: status %d, marker %d", cases[i].body, session.status, session.marker);
		assert_null(session.variables.text.p);
	}
}

static void test_without_a_marker(void **state)
{
	const struct history history = { .attempt = 1 };
	const struct session_reader reader = { .handoff_id = "h-1", .history = &history, .marker_variable = "" };
	struct session session;
	const char *what;
	(void)state;
	assert_int_equal(conversation_read(SPAN("[" ITEM("1", "", OURS) "]"), VIEW, &reader, &session, &what), 0);
	assert_int_equal(session.marker, MARKER_NONE);
}

static void test_what_cannot_be_read(void **state)
{
	static const char *const bodies[] = { "", "{", "\"text\"", "7", "[1,]" };
	const struct history history = { .attempt = 1 };
	const struct session_reader reader = { .handoff_id = "h-1", .history = &history, .marker_variable = "m" };
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		struct session session;
		const char *what = NULL;
		assert_int_equal(conversation_read(span_of(bodies[i]), VIEW, &reader, &session, &what), -EINVAL);
		assert_non_null(what);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_it_says),
		cmocka_unit_test(test_without_a_marker),
		cmocka_unit_test(test_what_cannot_be_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
