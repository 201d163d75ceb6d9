/*
 * fuzz_reply - whatever a tenant answers, is there one consequence, and the one that its own words allow?
 *
 * Input, line by line: "STAGE STATUS HOW" (0 login .. 3 trigger; HOW: w whole, c cut, l late, u unsent); Retry-After;
 * Date; the rest is the body. json-c reads the same body: what we take for a good reply must be an object to it, too,
 * and must say the same of the transfer. Then a handoff is told of it.
 */
#include <string.h>

#include <json-c/json.h>

#include "fuzz_check.h"
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

static struct span take_line(struct span *rest)
{
	const char *feed = rest->n > 0 ? memchr(rest->p, '\n', rest->n) : NULL;
	const size_t n = feed ? (size_t)(feed - rest->p) : rest->n;
	const struct span line = { rest->p, n };
	rest->p += feed ? n + 1 : n;
	rest->n -= feed ? n + 1 : n;
	return line;
}

static struct reply_facts read_facts(struct span input)
{
	const struct span line = take_line(&input);
	char first[32] = "", how = 'w';
	unsigned stage = 0, status = 0;
	memcpy(first, line.p ? line.p : "", line.n < sizeof(first) - 1 ? line.n : sizeof(first) - 1);
	sscanf(first, "%u %u %c", &stage, &status, &how);
	const struct span retry_after = take_line(&input), date = take_line(&input);
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
	facts.step = profile_step(PROFILE_SEED_V1, CREDENTIAL_LOGIN, facts.stage);
	facts.complete = facts.complete && facts.status >= 200;
	return facts;
}

/* ---- the independent reader ---- */

static json_object *parse(struct span text)
{
	struct json_tokener *tokener = json_tokener_new_ex(2 * SCAN_MAX_DEPTH);
	char *copy = malloc(text.n + 1);
	CHECK(tokener && copy);
	memcpy(copy, text.p ? text.p : "", text.n);
	copy[text.n] = '\0';
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
	json_object *object = json_tokener_parse_ex(tokener, copy, (int)text.n + 1);
	json_tokener_free(tokener);
	free(copy);
	return object;
}

/* The text at a.b (or at a); "" where there is none. */
static const char *text_at(json_object *object, const char *a, const char *b)
{
	json_object *value = NULL;
	if (!json_object_object_get_ex(object, a, &value))
		return "";
	if (b && (!json_object_is_type(value, json_type_object) || !json_object_object_get_ex(value, b, &value)))
		return "";
	return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
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

static void compare(const struct reply_facts *facts, const struct reply *reply)
{
	const bool is_success = facts->complete && facts->status <= 299;
	const bool is_refused = reply->reason == REASON_TRANSFER_REJECTED;
	if (!is_success || facts->body.n == 0 || (reply->kind != FAULT_NONE && !is_refused))
		return;
	json_object *object = parse(facts->body);
	CHECK(json_object_is_type(object, json_type_object));
	/* json-c cuts texts at a NUL when they are read as such, and keys always. */
	if (!memmem(facts->body.p, facts->body.n, "\\u0000", 6)) {
		CHECK(is_refused == says_refused(object, facts->stage));
		if (facts->stage == STAGE_FETCH)
			CHECK(reply->session.is_voice == (strcmp(text_at(object, "channel", NULL), "voice") == 0));
		if (facts->stage == STAGE_LOGIN)
			CHECK(text_at(object, "access_token", NULL)[0] != '\0');
	}
	json_object_put(object);
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
	const struct reply_facts facts = read_facts((struct span){ size > 0 ? (const char *)data : "", size });
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
