/*
 * fuzz_reply - whatever a tenant answers, is there one consequence, and the one that its own words allow?
 *
 * Input, line by line: "STAGE STATUS HOW PROFILE LOGIN" (0 login .. 3 trigger; HOW: w whole, c cut, l late, u unsent;
 * the others count the enums of rules/profile.h); Retry-After; Date; the rest is the body. json-c reads the same body:
 * what we take for a good reply must be one to it, too, and must say the same of the transfer; what an error says of
 * itself must stand in it. Then a handoff is told of it.
 */
#include <string.h>

#include "fuzz_json.h"
#include "fuzz_line.h"
#include "rules/handoff.h"
#include "rules/retry_after.h"

#define NOW_MS INT64_C(1763978400000)

static const struct history history = {
	.attempt = 2,
	.deadline_ms = NOW_MS + 900000,
	.reason = REASON_COUNT,
	.origin = { .topic = "t", .partition = 1, .offset = 7 },
};
static const struct session_reader reader = {
	.handoff_id = "h", .history = &history, .queue_id = "q", .marker_variable = "m"
};

static struct reply_facts read_facts(struct span input)
{
	const struct span line = fuzz_take_line(&input);
	char first[32] = "", how = 'w';
	unsigned stage = 0, status = 0, profile = 0, credential = 0;
	memcpy(first, line.p ? line.p : "", line.n < sizeof(first) - 1 ? line.n : sizeof(first) - 1);
	sscanf(first, "%u %u %c %u %u", &stage, &status, &how, &profile, &credential);
	const struct span retry_after = fuzz_take_line(&input), date = fuzz_take_line(&input);
	struct reply_facts facts = {
		.stage = (enum stage)(stage % STAGE_COUNT),
		.complete = how == 'w',
		.sent = how != 'u',
		.timed_out = how == 'l',
		.status = how == 'u' ? 0 : (int)(status % 1000),
		.body = input,
		.retry_after = retry_after.n > 0 ? retry_after : SPAN_NONE,
		.date = date.n > 0 ? date : SPAN_NONE,
		.trouble = "trouble",
	};
	facts.step = profile_step((enum profile_kind)(profile % PROFILE_KINDS),
				  (enum credential_kind)(credential % (CREDENTIAL_OAUTH2_BASIC + 1)), facts.stage);
	facts.complete = facts.complete && facts.status >= 200;
	return facts;
}

/* ---- the independent reader ---- */

/* The text at a.b (or at a); "" where there is none. */
static const char *text_at(json_object *object, const char *a, const char *b)
{
	json_object *value = fuzz_json_member(object, a);
	return fuzz_json_text(b ? fuzz_json_member(value, b) : value);
}

static bool is_one_of(const char *text, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(text, words[i]) == 0)
			return true;
	return false;
}

static bool says_refused(json_object *object, enum stage stage)
{
	static const char *const failed[] = { "failed", "error", "rejected" };
	static const char *const media[] = { "failed", "disconnected", "rejected" };
	if (stage == STAGE_UPDATE)
		return is_one_of(text_at(object, "telephony", "status"), failed, ARRAY_SIZE(failed));
	return stage == STAGE_TRIGGER &&
	       (is_one_of(text_at(object, "status", NULL), failed, ARRAY_SIZE(failed)) ||
		is_one_of(text_at(object, "result", "mediaStreamStatus"), media, ARRAY_SIZE(media)));
}

/* What the profile has to know of a success. */
static void compare_success(const struct reply_facts *facts, const struct reply *reply, json_object *value)
{
	const bool is_refused = reply->reason == REASON_TRANSFER_REJECTED;
	const bool is_conversation = facts->stage == STAGE_FETCH && facts->step->session.items;
	CHECK(json_object_is_type(value, json_type_object) ||
	      (is_conversation && json_object_is_type(value, json_type_array)));
	if (fuzz_json_has_nul(facts->body))
		return;
	CHECK(is_refused == says_refused(value, facts->stage));
	if (facts->stage == STAGE_FETCH && !is_conversation)
		CHECK(reply->session.is_voice == (strcmp(text_at(value, "channel", NULL), "voice") == 0));
	if (facts->stage == STAGE_LOGIN)
		CHECK(text_at(value, "access_token", NULL)[0] != '\0');
}

/* Cut, it would be half a telephone number and nothing else: the next place speaks. */
static bool is_half_number(const char *text, size_t size)
{
	return strlen(text) >= size && strspn(text, "+0123456789 .-/()") >= size - 1;
}

/* The first of its places that says something, as the reply has room for it. */
static void compare_text(const char *said, size_t size, const char *const *texts, size_t count)
{
	size_t i = 0;
	while (i < count && (texts[i][0] == '\0' || is_half_number(texts[i], size)))
		i++;
	for (size_t at = 0; i < count && said[at]; at++) {
		const unsigned char wanted = (unsigned char)texts[i][at];
		CHECK((unsigned char)said[at] == (wanted < 0x20 || wanted == 0x7f ? ' ' : wanted) && wanted != '\0');
	}
}

/* {"error":{"code","message"}}, {"code","message"}, RFC 7807. */
static void compare_error(const struct reply_facts *facts, const struct reply *reply, json_object *value)
{
	const char *const codes[] = { text_at(value, "error", "code"), text_at(value, "code", NULL) };
	const char *const messages[] = { text_at(value, "error", "message"), text_at(value, "message", NULL),
					 text_at(value, "detail", NULL), text_at(value, "title", NULL),
					 text_at(value, "error", NULL) };
	if (fuzz_json_has_nul(facts->body))
		return;
	compare_text(reply->code, sizeof(reply->code), codes, ARRAY_SIZE(codes));
	compare_text(reply->message, sizeof(reply->message), messages, ARRAY_SIZE(messages));
}

static void compare(const struct reply_facts *facts, const struct reply *reply)
{
	const bool is_success = facts->complete && facts->status >= 200 && facts->status <= 299;
	const bool is_read = reply->kind == FAULT_NONE || reply->reason == REASON_TRANSFER_REJECTED;
	struct scan_value top;
	if (facts->step->any_body && is_success)
		CHECK(reply->kind == FAULT_NONE && !reply->update.transfer_id.p && !reply->flow.execution_id.p);
	if (!facts->complete || facts->body.n == 0 || (is_success && (!is_read || facts->step->any_body)))
		return;
	if (!is_success && (scan_check(facts->body, &top, NULL) < 0 || top.type != SCAN_OBJECT))
		return;
	json_object *value = fuzz_json(facts->body);
	if (is_success)
		compare_success(facts, reply, value);
	else
		compare_error(facts, reply, value);
	json_object_put(value);
}

/* ---- the consequences ---- */

static bool is_printable(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return false;
	return true;
}

static void check_reply(const struct reply_facts *facts, const struct reply *reply)
{
	CHECK((reply->kind == FAULT_NONE) == (reply->reason == REASON_OK));
	CHECK(reply->retry_after_ms >= -1 && reply->retry_after_ms <= RETRY_AFTER_MAX_MS);
	CHECK(is_printable(reply->code) && is_printable(reply->message));
	CHECK(reply->kind != FAULT_NONE || (facts->complete && facts->status >= 200 && facts->status <= 299));
	CHECK(reply->kind != FAULT_DEPENDENCY_DOWN || !facts->sent || facts->stage == STAGE_LOGIN);
	CHECK(facts->stage != STAGE_LOGIN || reply->budget == BUDGET_COUNT);
	/* A trigger that was sent and whose fate the reply does not tell is ambiguous, and nothing else. */
	if (facts->stage == STAGE_TRIGGER && facts->sent && !facts->complete && facts->status < 300)
		CHECK(reply->kind == FAULT_AMBIGUOUS);
	if (facts->stage == STAGE_LOGIN && reply->kind == FAULT_NONE)
		CHECK(reply->login.life > 0 && reply->login.access_token.n > 2);
}

static struct handoff_order feed(struct handoff *h, enum handoff_event_kind kind, const struct reply *reply)
{
	static const struct handoff_policy policy = { .base_delay_ms = 1000,
						      .max_delay_ms = 60000,
						      .locked_delay_ms = 2000,
						      .budgets = { 20, 30, 3, 5 },
						      .retrigger_keyed = true };
	const struct instant now = { .mono = USEC_PER_SEC, .unix_ms = NOW_MS };
	const struct handoff_event event = { .kind = kind, .reply = reply, .missing_scopes = "" };
	return handoff_feed(h, &event, &policy, &now, 0);
}

static void check_story(const struct reply *reply, bool unanswered)
{
	static const struct reply fetched = { .stage = STAGE_FETCH, .session = { .is_voice = true } };
	static const struct reply updated = { .stage = STAGE_UPDATE };
	struct handoff h;
	handoff_init(&h, &history);
	h.history.resume = unanswered ? RESUME_VERIFY : RESUME_FETCH;
	h.history.progress.unanswered = unanswered;
	CHECK(feed(&h, HANDOFF_START, NULL).kind == ORDER_FETCH);
	if (reply->stage > STAGE_FETCH)
		CHECK(feed(&h, HANDOFF_REPLY, &fetched).kind == ORDER_UPDATE);
	if (reply->stage > STAGE_UPDATE)
		CHECK(feed(&h, HANDOFF_REPLY, &updated).kind == ORDER_TRIGGER);
	const struct handoff_order order = feed(&h, HANDOFF_REPLY, reply);
	CHECK(order.kind != ORDER_NOTHING);
	/* One trigger an attempt, but for a refused token. */
	CHECK(order.kind != ORDER_TRIGGER || reply->stage == STAGE_UPDATE || order.fresh_token);
	CHECK(order.kind != ORDER_PARK || h.history.not_before_ms < h.history.deadline_ms);
	CHECK(order.kind != ORDER_PARK || reply->retry_after_ms < 0 ||
	      h.history.not_before_ms >= NOW_MS + reply->retry_after_ms);
	if (order.kind == ORDER_FINISH && unanswered)
		CHECK(h.status != STATUS_FAILED && h.status != STATUS_EXPIRED);
	if (order.kind == ORDER_FINISH && (h.status == STATUS_FAILED || h.status == STATUS_EXPIRED))
		CHECK(h.error.present);
	handoff_fini(&h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct reply_facts facts = read_facts(fuzz_input(data, size));
	struct reply reply;
	reply_read(&facts, &reader, NOW_MS, &reply);
	check_reply(&facts, &reply);
	compare(&facts, &reply);
	if (facts.stage != STAGE_LOGIN) {
		check_story(&reply, false);
		check_story(&reply, true);
	}
	return 0;
}
