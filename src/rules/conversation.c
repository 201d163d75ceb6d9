#include "rules/conversation.h"

#include <errno.h>

#include "base/text.h"

#define NOTE_MAX ((size_t)65536)

/* What an item says of the marker; `note` is an object or the text of one. */
static enum session_marker marker_in_note(struct scan_value note, const struct session_reader *reader)
{
	struct scan_value object = note, value;
	struct buf text;
	enum session_marker marker = MARKER_NONE;
	buf_init(&text, NOTE_MAX);
	if (note.type == SCAN_STRING)
		scan_decode_string(&text, note.text);
	if (note.type == SCAN_STRING && (!buf_ok(&text) || scan_check(buf_span(&text), &object, NULL) < 0))
		object.type = SCAN_NULL;
	if (object.type == SCAN_OBJECT && scan_find(object, reader->marker_variable, &value))
		marker = session_marker_read(value, reader);
	buf_fini(&text);
	return marker;
}

/* An item with our marker is a trigger that was executed: whichever attempt sent it, none may send another. (But a
 * replay wants another transfer than the one before it.) */
static enum session_marker weigh(enum session_marker marker, const struct session_reader *reader)
{
	return marker == MARKER_EARLIER && reader->history->replay == 0 ? MARKER_THIS : marker;
}

static bool is_true_at(struct scan_value item, const char *pointer)
{
	struct scan_value value;
	return scan_point(item, pointer, &value) && value.type == SCAN_BOOL && span_is(value.text, "true");
}

/* When it was; an item that does not say so is older than any that does. */
static int64_t time_of(struct scan_value item, const char *pointer)
{
	struct scan_value value;
	struct buf text;
	char storage[64];
	int64_t unix_ms = INT64_MIN;
	if (!scan_point(item, pointer, &value) || value.type != SCAN_STRING)
		return unix_ms;
	buf_init_on(&text, storage, sizeof(storage));
	scan_decode_string(&text, value.text);
	const int r = buf_ok(&text) ? text_parse_rfc3339(buf_span(&text), &unix_ms) : -EINVAL;
	buf_fini(&text);
	return r == 0 ? unix_ms : INT64_MIN;
}

static void read_items(struct scan_value items, const struct session_view *view, const struct session_reader *reader,
		       struct session *ret)
{
	struct scan_walk walk = scan_members(items);
	struct scan_value item, note;
	int64_t newest = INT64_MIN;
	while (scan_next_element(&walk, &item)) {
		if (item.type != SCAN_OBJECT)
			continue;
		const int64_t time = time_of(item, view->time);
		if (time >= newest) {
			newest = time;
			ret->status = SESSION_ACTIVE;
			for (size_t i = 0; view->transferring[i]; i++)
				if (is_true_at(item, view->transferring[i]))
					ret->status = SESSION_TRANSFERRING;
		}
		if (!reader->marker_variable[0] || !scan_point(item, view->note, &note))
			continue;
		const enum session_marker marker = weigh(marker_in_note(note, reader), reader);
		if (marker > ret->marker)
			ret->marker = marker;
	}
}

int conversation_read(struct span body, const struct session_view *view, const struct session_reader *reader,
		      struct session *ret, const char **ret_what)
{
	struct scan_value top, items;
	struct scan_error error;
	*ret = (struct session){ .status = SESSION_UNKNOWN, .is_voice = true, .marker = MARKER_NONE };
	if (scan_check(body, &top, &error) < 0) {
		*ret_what = error.what;
		return -EINVAL;
	}
	*ret_what = "the body is neither a JSON object nor an array";
	if (top.type != SCAN_OBJECT && top.type != SCAN_ARRAY)
		return -EINVAL;
	items = top;
	if (top.type == SCAN_ARRAY || (scan_point(top, view->items, &items) && items.type == SCAN_ARRAY))
		read_items(items, view, reader, ret);
	/* A trigger of ours got no reply: that an agent was asked for may be its doing. */
	if (ret->status == SESSION_TRANSFERRING && ret->marker == MARKER_NONE &&
	    reader->history->resume == RESUME_VERIFY)
		ret->marker = MARKER_THIS;
	return 0;
}
