/* story: records in any order become chapters, each with its events and where it stands */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "ctl/story.h"

#define NOW   INT64_C(1700000000000)
#define QUEUE "a1b2c3d4-e5f6-7890-abcd-ef1234567890"

static struct story begin(void)
{
	return (struct story){
		.id = "h",
		.limits = { .max_record_bytes = 524288, .max_age_ms = 900000, .retry_topic = "retry" },
		.now_ms = NOW,
	};
}

static void take(struct story *story, enum story_topic topic, struct record record)
{
	assert_int_equal(story_take(story, topic, &record), 0);
}

static void request(struct story *story, int64_t offset, int64_t at_ms, const char *value)
{
	take(story, STORY_OF_REQUESTS,
	     (struct record){ .topic = "requests", .offset = offset, .timestamp_ms = at_ms, .value = span_of(value) });
}

static void retry(struct story *story, int64_t offset, const char *attempt, const char *not_before, const char *calls)
{
	struct header headers[] = { { HDR_ID, SPAN("h") },
				    { HDR_ATTEMPT, span_of(attempt) },
				    { HDR_NOT_BEFORE, span_of(not_before) },
				    { HDR_ORIGIN, SPAN("requests/0/7") },
				    { HDR_REASON, SPAN("session.locked") },
				    { HDR_PROGRESS, span_of(calls) } };
	take(story, STORY_OF_RETRIES,
	     (struct record){ .topic = "retry",
			      .offset = offset,
			      .timestamp_ms = NOW - 1000 + offset,
			      .value = SPAN("{\"sessionId\":\"s\",\"queueId\":\"" QUEUE "\"}"),
			      .headers = headers,
			      .header_count = ARRAY_SIZE(headers) });
}

static void outcome(struct story *story, const char *origin)
{
	struct header headers[] = { { HDR_ID, SPAN("h") }, { HDR_ORIGIN, span_of(origin) } };
	take(story, STORY_OF_OUTCOMES,
	     (struct record){ .topic = "outcomes",
			      .timestamp_ms = NOW,
			      .value = SPAN("{}"),
			      .headers = headers,
			      .header_count = ARRAY_SIZE(headers) });
}

#define REQUEST(more) "{\"sessionId\":\"s\",\"queueId\":\"" QUEUE "\"" more "}"

static bool all_done(void *arg, const char *topic, int32_t partition, int64_t offset)
{
	(void)arg, (void)topic, (void)partition, (void)offset;
	return true;
}

static bool none_done(void *arg, const char *topic, int32_t partition, int64_t offset)
{
	(void)arg, (void)topic, (void)partition, (void)offset;
	return false;
}

static void assert_kinds(const struct story *story, const enum story_kind *kinds, size_t count)
{
	assert_int_equal(story->count, count);
	for (size_t i = 0; i < count; i++)
		if (story->events[i].kind != kinds[i])
			fail_msg("event %zu is %s, not %s", i, story_kind_name(story->events[i].kind),
				 story_kind_name(kinds[i]));
}

static void test_only_what_bears_the_id_is_kept(void **state)
{
	(void)state;
	struct story story = begin();
	request(&story, 1, NOW - 9, REQUEST(",\"handoffId\":\"other\""));
	request(&story, 2, NOW - 9, "{\"type\":\"cancel\",\"sessionId\":\"s\"}");
	request(&story, 3, NOW - 9, "no json");
	assert_int_equal(story_settle(&story, none_done, NULL), 0);
	assert_int_equal(story.chapter_count, 0);
	assert_int_equal(story.count, 0);
	story_fini(&story);
}

static void test_events_come_in_order_and_tell_their_steps(void **state)
{
	(void)state;
	struct story story = begin();
	retry(&story, 12, "3", "1700000005000", "fetch=2,update=1,trigger=1");
	outcome(&story, "requests/0/9");
	retry(&story, 11, "2", "1600000000000", "fetch=1,update=0,trigger=0");
	retry(&story, 13, "3", "1700000005000", "fetch=2,update=1,trigger=1");
	request(&story, 7, NOW - 5000, REQUEST(",\"handoffId\":\"h\",\"ttlMs\":60000"));
	request(&story, 9, NOW - 4000, REQUEST(",\"handoffId\":\"h\""));
	assert_int_equal(story_settle(&story, none_done, NULL), 0);
	const enum story_kind kinds[] = { STORY_REQUEST, STORY_PARKED,  STORY_PARKED,
					  STORY_MOVED,   STORY_REQUEST, STORY_ENDED };
	assert_kinds(&story, kinds, ARRAY_SIZE(kinds));
	assert_int_equal(story.events[1].step, STAGE_FETCH);
	assert_int_equal(story.events[2].step, STAGE_TRIGGER);
	assert_int_equal(story.chapter_count, 2);
	assert_int_equal(story.chapters[0].state, STORY_WAITING);
	assert_int_equal(story.chapters[0].due_ms, 1700000005000);
	assert_int_equal(story.chapters[0].newest, 3);
	assert_int_equal(story.chapters[1].state, STORY_OVER);
	story_fini(&story);
}

static void test_where_it_stands(void **state)
{
	(void)state;
	struct story story = begin();
	request(&story, 7, NOW - 5000, REQUEST(",\"handoffId\":\"h\""));
	assert_int_equal(story_settle(&story, none_done, NULL), 0);
	assert_int_equal(story.chapters[0].state, STORY_UNREAD);
	assert_int_equal(story.chapters[0].deadline_ms, NOW - 5000 + 900000);
	story_fini(&story);

	story = begin();
	request(&story, 7, NOW - 5000, REQUEST(",\"handoffId\":\"h\""));
	assert_int_equal(story_settle(&story, all_done, NULL), 0);
	assert_int_equal(story.chapters[0].state, STORY_LOST);
	story_fini(&story);

	story = begin();
	request(&story, 7, NOW - 5000, REQUEST(",\"handoffId\":\"h\""));
	retry(&story, 11, "2", "1600000000000", "fetch=1");
	assert_int_equal(story_settle(&story, none_done, NULL), 0);
	assert_int_equal(story.chapters[0].state, STORY_DUE);
	story_fini(&story);
}

static void test_a_cancel_belongs_to_the_request_that_it_met(void **state)
{
	(void)state;
	struct story story = begin();
	request(&story, 7, NOW - 5000, REQUEST(",\"handoffId\":\"h\""));
	request(&story, 8, NOW - 4000, "{\"type\":\"cancel\",\"sessionId\":\"s\"}");
	request(&story, 9, NOW - 3000, REQUEST(",\"handoffId\":\"h\""));
	request(&story, 10, NOW - 2000, "{\"type\":\"cancel\",\"sessionId\":\"s\",\"handoffId\":\"other\"}");
	request(&story, 11, NOW - 2000, "{\"type\":\"cancel\",\"sessionId\":\"t\"}");
	assert_int_equal(story_settle(&story, none_done, NULL), 0);
	const enum story_kind kinds[] = { STORY_REQUEST, STORY_CANCEL, STORY_REQUEST };
	assert_kinds(&story, kinds, ARRAY_SIZE(kinds));
	assert_int_equal(story.chapters[0].count, 2);
	story_fini(&story);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_what_bears_the_id_is_kept),
		cmocka_unit_test(test_events_come_in_order_and_tell_their_steps),
		cmocka_unit_test(test_where_it_stands),
		cmocka_unit_test(test_a_cancel_belongs_to_the_request_that_it_met),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
