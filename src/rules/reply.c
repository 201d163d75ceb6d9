#include "rules/reply.h"

#include <stdio.h>

#include "rules/conversation.h"
#include "rules/retry_after.h"

static const struct reply_meaning ambiguous = { FAULT_AMBIGUOUS, REASON_TIMEOUT, BUDGET_TIMEOUT };
static const struct reply_meaning down = { FAULT_DEPENDENCY_DOWN, REASON_TIMEOUT, BUDGET_COUNT };
static const struct reply_meaning transfer_rejected = { FAULT_PERMANENT, REASON_TRANSFER_REJECTED, BUDGET_COUNT };

/* A status that is no success. */
static struct reply_meaning meaning_of(const struct profile_step *step, int status)
{
	const struct reply_row *row = step->rows;
	while (status < row->first || status > row->last)
		row++;
	return row->means;
}

/* No complete reply. An error status that did arrive still counts: only its body is missing. */
static struct reply_meaning meaning_of_trouble(const struct reply_facts *facts)
{
	if (!facts->sent || (facts->stage == STAGE_LOGIN && facts->status < 300))
		return down;
	if (facts->status >= 300)
		return meaning_of(facts->step, facts->status);
	if (facts->timed_out || facts->status < 200)
		return ambiguous;
	return facts->step->unreadable;
}

static void settle(struct reply *ret, struct reply_meaning meaning)
{
	ret->kind = meaning.kind;
	ret->reason = meaning.reason;
	ret->budget = meaning.budget;
}

/* Does the JSON string say one of the words (NULL-terminated; NULL: there are none)? */
static bool says_one_of(struct span json_string, const char *const *words)
{
	size_t count = 0;
	while (words && words[count])
		count++;
	return session_says(json_string, words, count);
}

static void settle_transfer_rejected(struct reply *ret, const char *what)
{
	settle(ret, transfer_rejected);
	snprintf(ret->code, sizeof(ret->code), "TRANSFER_REJECTED");
	snprintf(ret->message, sizeof(ret->message), "the %s says that the transfer failed", what);
}

/* A 2xx of any kind: read what the stage promises. */
static void read_success(const struct reply_facts *facts, const struct session_reader *reader, struct reply *ret)
{
	const struct profile_step *step = facts->step;
	const char *what = facts->stage == STAGE_LOGIN ? "it holds no usable access_token"
						       : "the body is not a complete JSON object";
	int r = 0;
	if (facts->stage == STAGE_LOGIN)
		r = login_reply_read(facts->body, &ret->login);
	else if (facts->stage == STAGE_FETCH && step->session.items)
		r = conversation_read(facts->body, &step->session, reader, &ret->session, &what);
	else if (facts->stage == STAGE_FETCH)
		r = session_read(facts->body, &step->session, reader, &ret->session, &what);
	else if (step->any_body)
		r = 0;
	else if (facts->body.n > 0 && facts->stage == STAGE_UPDATE)
		r = update_reply_read(facts->body, &step->update, &ret->update);
	else if (facts->body.n > 0)
		r = flow_reply_read(facts->body, &step->flow, &ret->flow);
	if (r < 0) {
		settle(ret, step->unreadable);
		snprintf(ret->code, sizeof(ret->code), "BAD_BODY");
		snprintf(ret->message, sizeof(ret->message), "the reply cannot be read: %s", what);
	} else if (says_one_of(ret->update.telephony_status, step->update.refused)) {
		settle_transfer_rejected(ret, "update's reply");
	} else if (says_one_of(ret->flow.status, step->flow.refused) ||
		   says_one_of(ret->flow.media_stream_status, step->flow.stream_refused)) {
		settle_transfer_rejected(ret, "flow's reply");
	}
}

/* Half of a telephone number would not be known for one when personal values are taken out. */
static void drop_half_number(char *text)
{
	size_t n = strlen(text);
	while (n > 0 && strchr("+0123456789 .-/()", text[n - 1]))
		n--;
	text[n] = '\0';
}

/* Copies a JSON string's content, cut to the place it has. Control characters do not pass. */
static void take_text(struct scan_value object, const char *key, char *into, size_t size)
{
	struct scan_value value;
	if (into[0] || !scan_find(object, key, &value) || value.type != SCAN_STRING)
		return;
	struct buf text;
	buf_init(&text, 4096);
	scan_decode_string(&text, value.text);
	if ((size_t)snprintf(into, size, "%s", buf_text(&text)) >= size)
		drop_half_number(into);
	for (char *c = into; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = ' ';
	buf_fini(&text);
}

/* The error's own words, in the shapes that connectors use: {"error":{"code","message"}}, {"code","message"} and
 * RFC 7807's {"title","detail"}. The message is not taken into logs (it may be personal), only into the outcome. */
static void read_error(const struct reply_facts *facts, struct reply *ret)
{
	struct scan_value top, error;
	if (scan_check(facts->body, &top, NULL) == 0 && top.type == SCAN_OBJECT) {
		if (scan_find(top, "error", &error) && error.type == SCAN_OBJECT) {
			take_text(error, "code", ret->code, sizeof(ret->code));
			take_text(error, "message", ret->message, sizeof(ret->message));
		}
		take_text(top, "code", ret->code, sizeof(ret->code));
		take_text(top, "message", ret->message, sizeof(ret->message));
		take_text(top, "detail", ret->message, sizeof(ret->message));
		take_text(top, "title", ret->message, sizeof(ret->message));
		take_text(top, "error", ret->message, sizeof(ret->message));
	}
	if (!ret->code[0])
		snprintf(ret->code, sizeof(ret->code), "HTTP_%d", facts->status);
	if (!ret->message[0])
		snprintf(ret->message, sizeof(ret->message), "the %s call was answered with HTTP status %d",
			 stage_name(facts->stage), facts->status);
}

static void read_trouble(const struct reply_facts *facts, struct reply *ret)
{
	snprintf(ret->code, sizeof(ret->code), "%s",
		 !facts->sent       ? "NOT_SENT"
		 : facts->timed_out ? "NO_REPLY_IN_TIME"
				    : "CONNECTION_BROKEN");
	snprintf(ret->message, sizeof(ret->message), "%s", facts->trouble);
}

void reply_read(const struct reply_facts *facts, const struct session_reader *reader, int64_t now_ms, struct reply *ret)
{
	*ret = (struct reply){
		.stage = facts->stage,
		.reason = REASON_OK,
		.budget = BUDGET_COUNT,
		.http_status = facts->status,
		.sends = !facts->complete && !facts->sent ? 0
			 : facts->resent                  ? 2
							  : 1,
		.retry_after_ms = -1,
		.elapsed = facts->elapsed,
	};
	const bool is_success =
		facts->status >= facts->step->success_first && facts->status <= facts->step->success_last;
	if (facts->complete && is_success) {
		read_success(facts, reader, ret);
	} else if (facts->complete) {
		settle(ret, meaning_of(facts->step, facts->status));
		read_error(facts, ret);
	} else {
		settle(ret, meaning_of_trouble(facts));
		read_trouble(facts, ret);
	}
	/* What it asked for holds although its body never came. */
	if (!is_success)
		ret->retry_after_ms = retry_after_ms(facts->retry_after, facts->date, now_ms);
	if (ret->kind != FAULT_NONE)
		ret->body = facts->body;
}
