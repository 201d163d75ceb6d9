/*
 * conversation - what does a list of messages say about the session, and whose work is already in it?
 *
 * Cognigy.AI tells of a session what was said in it. Whether an agent was asked for stands in the newest item; a
 * trigger of ours that was executed is an item itself, with our marker in its data. It is not claimed to be known what
 * the items do not say: the channel's names are not documented, so every session counts as voice.
 * Spans point into the body that was read. Pure.
 */
#ifndef HANDOFF_CONVERSATION_H
#define HANDOFF_CONVERSATION_H

#include "handoff/macros.h"
#include "rules/session.h"

/* As session_read(): 0; -EINVAL when the body is neither a complete JSON object nor an array. Without any item the
 * session's status is SESSION_UNKNOWN. */
int conversation_read(struct span body, const struct session_view *view, const struct session_reader *reader,
		      struct session *ret, const char **ret_what) MUST_CHECK;

#endif
