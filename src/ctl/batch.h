/*
 * batch - the records that are to be sent: the requests that a file asks for, all of them checked before any is sent
 *
 * A line (or a row) becomes a record: its JSON, with the ids that it lacks put in, under its session as the key. What
 * is valid is decided by rules/request.h, as the worker will decide it. A file is read whole, into memory.
 */
#ifndef HANDOFF_BATCH_H
#define HANDOFF_BATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "doors/settings.h"
#include "handoff/macros.h"
#include "handoff/record.h"
#include "handoff/span.h"
#include "rules/request.h"

struct batch_item {
	struct record *record;
	char *handoff_id; /* "" for a cancel without one */
	char *tenant;     /* "" when it names none */
	size_t line;      /* its place in what it was read from, from 1 on */
	bool is_cancel;   /* has no outcome of its own */
};

struct batch {
	struct batch_item *items;
	size_t count;
	size_t capacity;
	size_t refused;
};

struct batch_source {
	const char *file; /* how sentences call it */
	struct span text;
	bool csv;
	const char *topic;
	const char *batch_id; /* batchId of those that have none; with "-LINE" their handoffId */
	const struct settings *settings;
	struct request_limits limits;
	bool knows_tenants; /* the settings are the worker's own: their tenants are all that there are */
};

#define BATCH_COMPLAINTS_MAX 10

/* 0; -EINVAL with "FILE:LINE: SENTENCE\n" for each bad line in `complaints`, the first BATCH_COMPLAINTS_MAX of them;
 * -ENOMEM. batch_fini() in any case. */
int batch_read(struct batch *batch, const struct batch_source *source, struct buf *complaints) MUST_CHECK;
/* One more, which takes over `record` (freed when there is no memory); NULL then. */
struct batch_item *batch_add(struct batch *batch, struct record *record) MUST_CHECK;
void batch_fini(struct batch *batch);

#endif
