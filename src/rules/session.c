#include "rules/session.h"

#include <errno.h>

#include "base/text.h"

bool session_says(struct span json_string, const char *const *words, size_t count)
{
	if (!json_string.p)
		return false;
	char text[64];
	struct buf decoded;
	buf_init_on(&decoded, text, sizeof(text)); /* whatever memory there is: this decides what happens next */
	scan_decode_string(&decoded, json_string);
	bool found = false;
	for (size_t i = 0; i < count && buf_ok(&decoded); i++)
		found = found || span_is(buf_span(&decoded), words[i]);
	buf_fini(&decoded);
	return found;
}

static struct span string_member(struct scan_value object, const char *key)
{
	struct scan_value value;
	return scan_find(object, key, &value) && value.type == SCAN_STRING ? value.text : SPAN_NONE;
}

static enum session_status status_of(struct scan_value body)
{
	static const char *const over[] = { "ended", "completed", "terminated", "closed" };
	static const struct {
		const char *word;
		enum session_status status;
	} table[] = {
		{ "active", SESSION_ACTIVE },
		{ "idle", SESSION_IDLE },
		{ "processing", SESSION_PROCESSING },
		{ "transferring", SESSION_TRANSFERRING },
	};
	const struct span status = string_member(body, "status");
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (session_says(status, &table[i].word, 1))
			return table[i].status;
	return session_says(status, over, ARRAY_SIZE(over)) ? SESSION_OVER : SESSION_UNKNOWN;
}

/* Cuts the part behind the last '#' off `text`; p == NULL when there is no '#'. A handoff id may hold one itself, so
 * a marker is read from its end. */
static struct span cut_last(struct span *text)
{
	for (size_t i = text->n; i > 0; i--) {
		if (text->p[i - 1] != '#')
			continue;
		const struct span tail = { text->p + i, text->n - i };
		text->n = i - 1;
		return tail;
	}
	return SPAN_NONE;
}

static bool origin_eq(const struct origin *a, const struct origin *b)
{
	return a->partition == b->partition && a->offset == b->offset && strcmp(a->topic, b->topic) == 0;
}

static enum session_marker marker_of(struct span text, const struct session_reader *reader)
{
	struct origin origin;
	int64_t attempt;
	const struct span attempt_text = cut_last(&text);
	const struct span origin_text = cut_last(&text);
	if (!attempt_text.p || !origin_text.p || origin_read(origin_text, &origin) < 0 ||
	    text_parse_int64(attempt_text, &attempt) < 0 || !span_is(text, reader->handoff_id))
		return MARKER_FOREIGN;
	if (!origin_eq(&origin, &reader->history->origin))
		return reader->history->replay > 0 ? MARKER_EARLIER : MARKER_TWIN;
	/* A later attempt's marker means that this record was delivered again after its retry had run; one of an
	 * attempt that sent no update, that a worker died in it. */
	const int64_t unexplained = (int64_t)reader->history->attempt - reader->history->progress.unmarked;
	return attempt >= unexplained ? MARKER_THIS : MARKER_EARLIER;
}

/* Without a marker only the session's state can tell: transferring to our queue is our own work. */
static enum session_marker marker_guessed(const struct session *session, const struct session_reader *reader)
{
	if (session->status != SESSION_TRANSFERRING || !session->variables.text.p)
		return MARKER_NONE;
	const char *const ours[] = { reader->queue_id };
	if (!session_says(string_member(session->variables, VAR_TRANSFER_TARGET), ours, 1))
		return MARKER_FOREIGN;
	return reader->history->attempt == 1 ? MARKER_THIS : MARKER_EARLIER;
}

static enum session_marker marker_in(const struct session *session, const struct session_reader *reader)
{
	struct scan_value value;
	if (!reader->marker_variable[0])
		return marker_guessed(session, reader);
	if (!session->variables.text.p || !scan_find(session->variables, reader->marker_variable, &value))
		return MARKER_NONE;
	if (value.type != SCAN_STRING)
		return MARKER_FOREIGN;
	char storage[1025];
	struct buf text;
	buf_init_on(&text, storage, sizeof(storage));
	scan_decode_string(&text, value.text);
	const enum session_marker marker = buf_ok(&text) ? marker_of(buf_span(&text), reader) : MARKER_FOREIGN;
	buf_fini(&text);
	return marker;
}

/* One complete JSON object, or -EINVAL. */
static int object_read(struct span body, struct scan_value *ret, const char **ret_what)
{
	struct scan_error error;
	*ret_what = "the body is empty";
	if (body.n == 0)
		return -EINVAL;
	if (scan_check(body, ret, &error) < 0) {
		*ret_what = error.what;
		return -EINVAL;
	}
	*ret_what = "the body is not a JSON object";
	return ret->type == SCAN_OBJECT ? 0 : -EINVAL;
}

int session_read(struct span body, const struct session_reader *reader, struct session *ret, const char **ret_what)
{
	static const char *const voice = "voice";
	struct scan_value top, value;
	*ret = (struct session){ .status = SESSION_UNKNOWN };
	if (object_read(body, &top, ret_what) < 0)
		return -EINVAL;
	*ret_what = "the session has `variables` twice";
	if (scan_count(top, "variables") > 1)
		return -EINVAL;
	*ret_what = "the session's `variables` are not an object";
	if (scan_find(top, "variables", &value) && value.type != SCAN_NULL) {
		if (value.type != SCAN_OBJECT)
			return -EINVAL;
		ret->variables = value;
	}
	ret->is_voice = session_says(string_member(top, "channel"), &voice, 1);
	ret->status = status_of(top);
	if (scan_find(top, "telephony", &value) && value.type == SCAN_OBJECT)
		ret->call_id = string_member(value, "callId");
	ret->marker = marker_in(ret, reader);
	return 0;
}

void session_marker_write(struct buf *out, const char *handoff_id, const struct history *history)
{
	buf_add_text(out, handoff_id);
	buf_add_char(out, '#');
	origin_write(out, &history->origin);
	buf_add_format(out, "#%d", history->attempt);
}

int update_reply_read(struct span body, struct update_reply *ret)
{
	struct scan_value top, telephony;
	const char *what;
	*ret = (struct update_reply){ 0 };
	if (object_read(body, &top, &what) < 0)
		return -EINVAL;
	if (scan_find(top, "telephony", &telephony) && telephony.type == SCAN_OBJECT) {
		ret->telephony_status = string_member(telephony, "status");
		ret->transfer_id = string_member(telephony, "transferId");
	}
	return 0;
}

int flow_reply_read(struct span body, struct flow_reply *ret)
{
	struct scan_value top, result, wait;
	const char *what;
	*ret = (struct flow_reply){ 0 };
	if (object_read(body, &top, &what) < 0)
		return -EINVAL;
	ret->execution_id = string_member(top, "flowExecutionId");
	ret->status = string_member(top, "status");
	if (scan_find(top, "result", &result) && result.type == SCAN_OBJECT) {
		ret->action = string_member(result, "action");
		ret->media_stream_status = string_member(result, "mediaStreamStatus");
		if (scan_find(result, "agentWaitTime", &wait) && wait.type == SCAN_NUMBER)
			ret->agent_wait_time = wait.text;
	}
	return 0;
}
