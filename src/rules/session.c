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

static struct span string_at(const struct scan_index *top, const char *pointer)
{
	struct scan_value value;
	return scan_index_point(top, pointer, &value) && value.type == SCAN_STRING ? value.text : SPAN_NONE;
}

static enum session_status status_of(const struct scan_index *body, const struct session_view *view)
{
	const struct span status = string_at(body, view->status);
	for (const struct session_word *state = view->states; state->word; state++)
		if (session_says(status, &state->word, 1))
			return state->status;
	return SESSION_UNKNOWN;
}

static bool is_voice(const struct scan_index *body, const struct session_view *view)
{
	size_t count = 0;
	while (view->voice[count])
		count++;
	return session_says(string_at(body, view->channel), view->voice, count);
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

enum session_marker session_marker_read(struct scan_value value, const struct session_reader *reader)
{
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
	return session_marker_read(value, reader);
}

/* One complete JSON object, or -EINVAL. */
static int object_read(struct span body, struct scan_index *ret, const char **ret_what)
{
	struct scan_value top;
	struct scan_error error;
	*ret_what = "the body is empty";
	if (body.n == 0)
		return -EINVAL;
	if (scan_check(body, &top, &error) < 0) {
		*ret_what = error.what;
		return -EINVAL;
	}
	*ret_what = "the body is not a JSON object";
	if (top.type != SCAN_OBJECT)
		return -EINVAL;
	scan_index_fill(ret, top);
	return 0;
}

int session_read(struct span body, const struct session_view *view, const struct session_reader *reader,
		 struct session *ret, const char **ret_what)
{
	struct scan_index top;
	struct scan_value value;
	*ret = (struct session){ .status = SESSION_UNKNOWN };
	if (object_read(body, &top, ret_what) < 0)
		return -EINVAL;
	*ret_what = "the session has `variables` twice";
	if (scan_index_count(&top, view->variables) > 1)
		return -EINVAL;
	*ret_what = "the session's `variables` are not an object";
	if (scan_index_find(&top, view->variables, &value) && value.type != SCAN_NULL) {
		if (value.type != SCAN_OBJECT)
			return -EINVAL;
		ret->variables = value;
	}
	ret->is_voice = is_voice(&top, view);
	ret->status = status_of(&top, view);
	ret->call_id = string_at(&top, view->call_id);
	ret->marker = marker_in(ret, reader);
	return 0;
}

void session_marker_write(struct buf *out, const char *handoff_id, const struct history *history)
{
	buf_add_text(out, handoff_id);
	buf_add_char(out, '#');
	origin_write(out, &history->origin);
	buf_add_char(out, '#');
	buf_add_int(out, history->attempt);
}

int update_reply_read(struct span body, const struct update_view *view, struct update_reply *ret)
{
	struct scan_index top;
	const char *what;
	*ret = (struct update_reply){ 0 };
	if (object_read(body, &top, &what) < 0)
		return -EINVAL;
	ret->telephony_status = string_at(&top, view->telephony_status);
	ret->transfer_id = string_at(&top, view->transfer_id);
	return 0;
}

int flow_reply_read(struct span body, const struct flow_view *view, struct flow_reply *ret)
{
	struct scan_index top;
	struct scan_value wait;
	const char *what;
	*ret = (struct flow_reply){ 0 };
	if (object_read(body, &top, &what) < 0)
		return -EINVAL;
	ret->execution_id = string_at(&top, view->execution_id);
	ret->status = string_at(&top, view->status);
	ret->action = string_at(&top, view->action);
	ret->media_stream_status = string_at(&top, view->media_stream_status);
	if (scan_index_point(&top, view->agent_wait_time, &wait) && wait.type == SCAN_NUMBER)
		ret->agent_wait_time = wait.text;
	return 0;
}
