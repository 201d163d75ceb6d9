#include "ctl/csv.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "json/write.h"

#define ROW_MAX_BYTES ((size_t)64 << 20)
#define METADATA      "metadata."

/* As the request is to have them; those of an object stand together. */
#define COLUMNS                                                                                                        \
	"sessionId, queueId, target.type, target.value, userId, urlToken, handoffId, tenant, priority, deadline, "     \
	"ttlMs, batchId, type"
static const char *const FIELDS[] = { "sessionId", "queueId",   "target.type", "target.value", "userId",
				      "urlToken",  "handoffId", "tenant",      "priority",     "deadline",
				      "ttlMs",     "batchId",   "type" };
/* The objects, as their columns begin. */
static const char *const OBJECTS[] = { "target.", METADATA };

static int wrong(struct fault *fault, const char *what)
{
	return fault_set(fault, -EINVAL, FAULT_PERMANENT, "%s", what);
}

static bool at_line_end(const struct csv *csv)
{
	return csv->p == csv->end || *csv->p == '\n' || (*csv->p == '\r' && csv->p + 1 < csv->end && csv->p[1] == '\n');
}

/* One cell in quotes, which stand at `p`. */
static int read_quoted(struct csv *csv, struct fault *fault)
{
	for (csv->p++;; csv->p++) {
		if (csv->p == csv->end)
			return wrong(fault, "a quote is not closed");
		if (*csv->p == '"' && (csv->p + 1 == csv->end || csv->p[1] != '"'))
			break;
		csv->p += *csv->p == '"';
		csv->line += *csv->p == '\n';
		buf_add_char(&csv->cells, *csv->p);
	}
	csv->p++;
	if (!at_line_end(csv) && *csv->p != ',')
		return wrong(fault, "something follows a closing quote; a quote within quotes is doubled");
	return 0;
}

static int read_cell(struct csv *csv, struct fault *fault)
{
	int r = 0;
	if (csv->p < csv->end && *csv->p == '"')
		r = read_quoted(csv, fault);
	else
		while (!at_line_end(csv) && *csv->p != ',')
			buf_add_char(&csv->cells, *csv->p++);
	if (r == 0 && csv->count == CSV_COLUMNS_MAX)
		r = wrong(fault, "a row has too many cells");
	if (r == 0)
		csv->ends[csv->count++] = csv->cells.len;
	return r;
}

/* 1, 0 at the end, or an error. Empty lines are passed over. */
static int read_row(struct csv *csv, size_t *ret_line, struct fault *fault)
{
	while (csv->p < csv->end && at_line_end(csv)) {
		csv->line += *csv->p == '\n';
		csv->p++;
	}
	if (csv->p == csv->end)
		return 0;
	*ret_line = csv->line;
	csv->count = 0;
	buf_reset(&csv->cells);
	for (bool more = true; more;) {
		const int r = read_cell(csv, fault);
		if (r < 0)
			return r;
		more = csv->p < csv->end && *csv->p == ',';
		csv->p += more;
	}
	return buf_ok(&csv->cells) ? 1 : fault_set(fault, -ENOMEM, FAULT_OURS, "out of memory");
}

static struct span cell(const struct csv *csv, size_t i)
{
	const size_t begin = i == 0 ? 0 : csv->ends[i - 1];
	return (struct span){ buf_text(&csv->cells) + begin, csv->ends[i] - begin };
}

static bool is_known(struct span name)
{
	for (size_t i = 0; i < ARRAY_SIZE(FIELDS); i++)
		if (span_is(name, FIELDS[i]))
			return true;
	return name.n > strlen(METADATA) && !memcmp(name.p, METADATA, strlen(METADATA)) && text_is_utf8(name) &&
	       !text_has_control(name) && !memchr(name.p, '"', name.n) && !memchr(name.p, '\\', name.n);
}

static int take_column(struct csv *csv, size_t i, struct fault *fault)
{
	const struct span name = cell(csv, i);
	if (!is_known(name))
		return fault_set(fault, -EINVAL, FAULT_PERMANENT,
				 "column %zu, \"%.*s\", is none of " COLUMNS " and metadata.NAME", i + 1,
				 (int)(name.n < 64 ? name.n : 64), name.p);
	for (size_t k = 0; k < i; k++)
		if (span_is(name, csv->columns[k]))
			return fault_set(fault, -EINVAL, FAULT_PERMANENT, "columns %zu and %zu are both \"%s\"", k + 1,
					 i + 1, csv->columns[k]);
	csv->columns[i] = strndup(name.p, name.n);
	if (!csv->columns[i])
		return fault_set(fault, -ENOMEM, FAULT_OURS, "out of memory");
	csv->column_count++;
	return 0;
}

/* Where the header was forgotten, the first line is a caller's, and nothing of it is repeated. */
static bool is_header(const struct csv *csv)
{
	for (size_t i = 0; i < csv->count; i++)
		if (is_known(cell(csv, i)))
			return true;
	return false;
}

int csv_init(struct csv *csv, struct span text, struct fault *fault)
{
	size_t line;
	*csv = (struct csv){ .p = text.p, .end = text.p + text.n, .line = 1 };
	buf_init(&csv->cells, ROW_MAX_BYTES);
	int r = read_row(csv, &line, fault);
	if (r == 0)
		return wrong(fault, "there is no header line");
	if (r > 0 && !is_header(csv))
		return wrong(fault, "the first line is no header, for none of its columns is one of " COLUMNS
				    " and metadata.NAME");
	for (size_t i = 0; r > 0 && i < csv->count; i++) {
		const int taken = take_column(csv, i, fault);
		r = taken < 0 ? taken : r;
	}
	return r < 0 ? r : 0;
}

void csv_fini(struct csv *csv)
{
	for (size_t i = 0; i < csv->column_count; i++)
		free(csv->columns[i]);
	buf_fini(&csv->cells);
	*csv = (struct csv){ 0 };
}

static void write_cell(struct buf *out, const char *key, struct span value)
{
	int64_t number;
	if (!strcmp(key, "ttlMs") && text_parse_int64(value, &number) == 0)
		write_int(out, key, number);
	else
		write_string(out, key, value);
}

/* Behind a row that cannot be read. */
static void skip_line(struct csv *csv)
{
	while (csv->p < csv->end && *csv->p != '\n')
		csv->p++;
}

/* The row's cells under columns that begin so, as members; "": those of no object. */
static void write_cells(const struct csv *csv, struct buf *out, const char *prefix)
{
	for (size_t i = 0; i < csv->count; i++) {
		const char *column = csv->columns[i];
		bool is_other = !text_begins(column, prefix);
		for (size_t k = 0; !*prefix && k < ARRAY_SIZE(OBJECTS); k++)
			is_other = is_other || text_begins(column, OBJECTS[k]);
		if (!is_other && cell(csv, i).n > 0)
			write_cell(out, column + strlen(prefix), cell(csv, i));
	}
}

static bool has_cells(const struct csv *csv, const char *prefix)
{
	for (size_t i = 0; i < csv->count; i++)
		if (text_begins(csv->columns[i], prefix) && cell(csv, i).n > 0)
			return true;
	return false;
}

static void write_object(const struct csv *csv, struct buf *out, const char *prefix)
{
	char name[sizeof(METADATA)];
	if (!has_cells(csv, prefix))
		return;
	snprintf(name, sizeof(name), "%.*s", (int)strlen(prefix) - 1, prefix);
	write_object_begin(out, name);
	write_cells(csv, out, prefix);
	write_object_end(out);
}

int csv_next(struct csv *csv, struct buf *out, size_t *ret_line, struct fault *fault)
{
	const int r = read_row(csv, ret_line, fault);
	if (r < 0)
		skip_line(csv);
	if (r <= 0)
		return r;
	if (csv->count != csv->column_count)
		return fault_set(fault, -EINVAL, FAULT_PERMANENT, "the row has %zu cells, the header %zu", csv->count,
				 csv->column_count);
	write_object_begin(out, NULL);
	write_cells(csv, out, "");
	for (size_t i = 0; i < ARRAY_SIZE(OBJECTS); i++)
		write_object(csv, out, OBJECTS[i]);
	write_object_end(out);
	return 1;
}
