/*
 * explain_text - a story as people read it, and as machines do
 *
 * Pure: both append to a page. Nothing in a text steers a terminal.
 */
#ifndef HANDOFF_EXPLAIN_TEXT_H
#define HANDOFF_EXPLAIN_TEXT_H

#include "base/buf.h"
#include "ctl/story.h"

struct json_object;

/* What a running worker said of itself (its /status). */
struct worker_view {
	const char *address;        /* where it was asked; "" or port 0: nowhere */
	struct json_object *status; /* NULL: it was not asked, or did not answer */
	char trouble[128];          /* why it did not */
};

void explain_write_text(const struct story *story, const struct worker_view *view, struct buf *out);
void explain_write_json(const struct story *story, const struct worker_view *view, struct buf *out);

#endif
