/*
 * fuzz_conversation - whatever messages a tenant lists, is the handoff told what they say, and no more?
 *
 * Input: a line "RESUME REPLAY" (0 fetch, 1 update, 2 verify; 0 or more), and the body of a conversation's fetch.
 * json-c reads the same body, and what status and marker follow is worked out once more, from its values. Then the
 * handoff is told: a trigger that may have been executed is never followed by another.
 */
#include <time.h>

#include "base/text.h"
#include "fuzz_json.h"
#include "fuzz_line.h"
#include "rules/conversation.h"
#include "rules/handoff.h"

#define NOW_MS  INT64_C(1763978400000)
#define ATTEMPT 2

struct seen {
	enum session_status status;
	enum session_marker marker;
};

/* ---- the same once more, of what json-c reads ---- */

/* "h#t/1/7#ATTEMPT", and nothing else, is ours. */
static enum session_marker marker_of(json_object *value, int replay)
{
	int partition;
	long long offset, attempt;
	char again[512], topic[HISTORY_TOPIC_MAX + 1];
	const char *text = fuzz_json_text(value);
	if (sscanf(text, "h#%249[A-Za-z0-9._-]/%d/%lld#%lld", topic, &partition, &offset, &attempt) != 4)
		return MARKER_FOREIGN;
	snprintf(again, sizeof(again), "h#%s/%d/%lld#%lld", topic, partition, offset, attempt);
	if (strcmp(again, text) != 0 || partition < 0 || offset < 0)
		return MARKER_FOREIGN;
	const bool is_here = strcmp(topic, "t") == 0 && partition == 1 && offset == 7;
	if (!is_here)
		return replay > 0 ? MARKER_EARLIER : MARKER_TWIN;
	return attempt < ATTEMPT && replay > 0 ? MARKER_EARLIER : MARKER_THIS;
}

/* Of a note that is an object, or the text of one. */
static enum session_marker marker_in(json_object *note, int replay)
{
	struct scan_value inner;
	json_object *value = NULL, *object = NULL;
	enum session_marker marker = MARKER_NONE;
	if (json_object_is_type(note, json_type_object)) {
		object = json_object_get(note);
	} else if (json_object_is_type(note, json_type_string)) {
		const struct span text = { json_object_get_string(note), (size_t)json_object_get_string_len(note) };
		if (scan_check(text, &inner, NULL) == 0) /* that is fuzz_scan's matter */
			object = fuzz_json(text);
	}
	if (json_object_is_type(object, json_type_object) && json_object_object_get_ex(object, "m", &value))
		marker = marker_of(value, replay);
	json_object_put(object);
	return marker;
}

static int64_t time_of(json_object *item)
{
	int64_t unix_ms;
	const char *text = fuzz_json_text(fuzz_json_member(item, "timestamp"));
	return text_parse_rfc3339(span_of(text), &unix_ms) == 0 ? unix_ms : INT64_MIN;
}

static bool is_true(json_object *item, const char *key)
{
	json_object *value = fuzz_json_member(item, key);
	return json_object_is_type(value, json_type_boolean) && json_object_get_boolean(value);
}

static struct seen see(json_object *items, enum resume resume, int replay)
{
	struct seen seen = { SESSION_UNKNOWN, MARKER_NONE };
	int64_t newest = INT64_MIN;
	const size_t count = json_object_is_type(items, json_type_array) ? json_object_array_length(items) : 0;
	for (size_t i = 0; i < count; i++) {
		json_object *item = json_object_array_get_idx(items, i);
		if (!json_object_is_type(item, json_type_object))
			continue;
		if (time_of(item) >= newest) {
			newest = time_of(item);
			seen.status = is_true(item, "inHandoverRequest") || is_true(item, "inHandoverConversation")
					      ? SESSION_TRANSFERRING
					      : SESSION_ACTIVE;
		}
		const enum session_marker marker = marker_in(fuzz_json_member(item, "inputData"), replay);
		if (marker > seen.marker)
			seen.marker = marker;
	}
	if (seen.status == SESSION_TRANSFERRING && seen.marker == MARKER_NONE && resume == RESUME_VERIFY)
		seen.marker = MARKER_THIS;
	return seen;
}

static void compare(struct span body, const struct session *session, const struct history *history)
{
	json_object *top = fuzz_json(body);
	const bool is_list = json_object_is_type(top, json_type_array);
	CHECK(is_list || json_object_is_type(top, json_type_object));
	if (!fuzz_json_has_nul(body)) {
		const struct seen seen =
			see(is_list ? top : fuzz_json_member(top, "items"), history->resume, history->replay);
		CHECK(session->status == seen.status);
		CHECK(session->marker == seen.marker);
	}
	json_object_put(top);
}

/* ---- what follows ---- */

static void check_story(const struct reply *reply, const struct history *history)
{
	static const struct handoff_policy policy = {
		.base_delay_ms = 1000, .max_delay_ms = 60000, .locked_delay_ms = 2000, .budgets = { 20, 30, 3, 5 }
	};
	const struct instant now = { .mono = USEC_PER_SEC, .unix_ms = NOW_MS };
	const struct handoff_event start = { .kind = HANDOFF_START };
	const struct handoff_event told = { .kind = HANDOFF_REPLY, .reply = reply, .missing_scopes = "" };
	const struct session *session = &reply->session;
	const bool ours = session->marker == MARKER_THIS || session->marker == MARKER_EARLIER;
	const bool may_have_run = session->marker == MARKER_THIS || history->resume == RESUME_VERIFY;
	struct handoff h;
	handoff_init(&h, history);
	CHECK(handoff_feed(&h, &start, &policy, &now, 0).kind == ORDER_FETCH);
	const enum handoff_order_kind order = handoff_feed(&h, &told, &policy, &now, 0).kind;
	if (reply->kind != FAULT_NONE) {
		CHECK(order == ORDER_PARK || h.status == STATUS_FAILED || h.history.resume == RESUME_VERIFY);
	} else if (session->marker == MARKER_TWIN || (session->status == SESSION_TRANSFERRING && !ours)) {
		CHECK(order == ORDER_FINISH && h.status == STATUS_DUPLICATE);
	} else if (may_have_run) {
		CHECK(order == ORDER_FINISH && h.status == STATUS_INITIATED);
	} else {
		CHECK(order == ORDER_UPDATE);
	}
	handoff_fini(&h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span body = fuzz_input(data, size);
	const struct span line = fuzz_take_line(&body);
	char first[16] = "";
	unsigned resume = 0, replay = 0;
	memcpy(first, line.p, line.n < sizeof(first) - 1 ? line.n : sizeof(first) - 1);
	sscanf(first, "%1u %3u", &resume, &replay);
	const struct history history = { .attempt = ATTEMPT,
					 .deadline_ms = NOW_MS + 900000,
					 .reason = REASON_COUNT,
					 .resume = (enum resume)(resume % RESUME_COUNT),
					 .replay = (int32_t)replay,
					 .origin = { .topic = "t", .partition = 1, .offset = 7 } };
	const struct session_reader reader = { .handoff_id = "h", .history = &history, .marker_variable = "m" };
	const struct reply_facts facts = { .stage = STAGE_FETCH,
					   .step = profile_step(PROFILE_COGNIGY_AI, CREDENTIAL_API_KEY, STAGE_FETCH),
					   .complete = true,
					   .sent = true,
					   .status = 200,
					   .body = body,
					   .trouble = "" };
	struct reply reply;
	reply_read(&facts, &reader, NOW_MS, &reply);
	if (reply.kind == FAULT_NONE)
		compare(body, &reply.session, &history);
	check_story(&reply, &history);
	return 0;
}
