/*
 * csv - rows of a table with a header line, each as the JSON of a request
 *
 * RFC 4180: commas, quotes doubled within quotes, line ends within quotes. The header names the request's fields
 * (sessionId, queueId, ...), target.type and target.value its target, and metadata.NAME its metadata; an empty cell is
 * an absent field. ttlMs is a number, every other cell a text.
 */
#ifndef HANDOFF_CSV_H
#define HANDOFF_CSV_H

#include <stddef.h>

#include "base/buf.h"
#include "base/fault.h"
#include "handoff/macros.h"
#include "handoff/span.h"

#define CSV_COLUMNS_MAX 128

struct csv {
	const char *p;
	const char *end;
	size_t line;      /* of `p`, 1-based */
	struct buf cells; /* the present row's texts, one after the other */
	size_t ends[CSV_COLUMNS_MAX];
	size_t count; /* of cells in the present row */
	char *columns[CSV_COLUMNS_MAX];
	size_t column_count;
};

/* Reads the header line. 0; -EINVAL with the sentence in `fault` (`csv->line` says where); -ENOMEM. csv_fini() in any
 * case. `text` must live as long. */
int csv_init(struct csv *csv, struct span text, struct fault *fault) MUST_CHECK;
void csv_fini(struct csv *csv);
/* Appends the next row's JSON to `out`: 1, and the line at which it begins; 0 at the end; errors as above. A row that
 * cannot be read is passed over, so that the next call reads the next one. */
int csv_next(struct csv *csv, struct buf *out, size_t *ret_line, struct fault *fault) MUST_CHECK;

#endif
