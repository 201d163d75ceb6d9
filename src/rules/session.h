/*
 * session - what does Cognigy say about this session, and whose work is already in it?
 *
 * Reads the replies of the three calls (contract, section 3). Spans point into the body that was read. Pure.
 */
#ifndef HANDOFF_SESSION_H
#define HANDOFF_SESSION_H

#include <stdbool.h>

#include "handoff/macros.h"
#include "handoff/span.h"
#include "rules/history.h"
#include "json/scan.h"

enum session_status {
	SESSION_ACTIVE,
	SESSION_IDLE,
	SESSION_PROCESSING, /* a flow holds it */
	SESSION_TRANSFERRING,
	SESSION_OVER,   /* ended, completed, terminated, closed */
	SESSION_UNKNOWN /* any other text, or none: treated as active, and counted */
};

/* Whose marker stands in the session's variables? */
enum session_marker {
	MARKER_NONE,
	MARKER_FOREIGN, /* another handoff's, or not readable */
	MARKER_TWIN,    /* our handoff id, but another record: a duplicate request */
	MARKER_EARLIER, /* ours, of an earlier attempt */
	MARKER_THIS     /* ours, of this attempt (or a later one, or one that left no marker): its trigger may have been
			   executed */
};

struct session {
	bool is_voice;
	enum session_status status;
	enum session_marker marker;
	struct scan_value variables; /* text.p == NULL when the session has none */
	struct span call_id;         /* a JSON string with its quotes; p == NULL when absent */
};

/* Where in a fetch's reply its values stand, as JSON pointers. */
struct session_word {
	const char *word; /* NULL ends the list */
	enum session_status status;
};
struct session_view {
	/* With `items` the reply is a conversation, whose items tell all that is known (rules/conversation.c). */
	const char *items;
	const char *time;                /* of an item: the newest one counts */
	const char *const *transferring; /* of an item: true there means that an agent was asked for; NULL-terminated */
	const char *note;                /* of an item: an object, or its text, in which the marker may stand */
	const char *channel;
	const char *const *voice; /* the channels that are voice; NULL-terminated */
	const char *status;
	const struct session_word *states;
	const char *variables; /* the name of a member: it may stand there only once */
	const char *call_id;
};

/* Who reads: the handoff whose marker would be ours. */
struct session_reader {
	const char *handoff_id;
	const struct history *history;
	const char *queue_id;
	const char *marker_variable; /* "": no marker; `transferring` to our queue counts as our own work */
};

/* Reads the body of a fetch reply. 0; -EINVAL when it is not one complete JSON object, or has `variables` twice or of
 * another type than object or null: nothing could be merged faithfully. `what` says why (static text). */
int session_read(struct span body, const struct session_view *view, const struct session_reader *reader,
		 struct session *ret, const char **ret_what) MUST_CHECK;

/* "{handoffId}#{origin}#{attempt}" */
void session_marker_write(struct buf *out, const char *handoff_id, const struct history *history);

/* What an update or a flow reply said. Spans are JSON values' texts (strings with quotes); p == NULL when absent. */
struct update_reply {
	struct span telephony_status;
	struct span transfer_id;
};
struct flow_reply {
	struct span execution_id;
	struct span status;
	struct span action;
	struct span media_stream_status;
	struct span agent_wait_time; /* only when it is a number */
};

/* Where they stand, as JSON pointers, and which words of theirs say that the transfer failed (NULL-terminated). */
struct update_view {
	const char *telephony_status;
	const char *transfer_id;
	const char *const *refused; /* of telephony_status */
};
struct flow_view {
	const char *execution_id;
	const char *status;
	const char *action;
	const char *media_stream_status;
	const char *agent_wait_time;
	const char *const *refused;        /* of status */
	const char *const *stream_refused; /* of media_stream_status */
};

/* 0, or -EINVAL when the body is not one complete JSON object. */
int update_reply_read(struct span body, const struct update_view *view, struct update_reply *ret) MUST_CHECK;
int flow_reply_read(struct span body, const struct flow_view *view, struct flow_reply *ret) MUST_CHECK;

/* Whose marker is this JSON value, which stands under the marker's name? */
enum session_marker session_marker_read(struct scan_value value, const struct session_reader *reader);

/* Does this JSON string (with its quotes) say one of these words? */
bool session_says(struct span json_string, const char *const *words, size_t count);

#endif
