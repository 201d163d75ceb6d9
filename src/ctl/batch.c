#include "ctl/batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "ctl/csv.h"
#include "ctl/pair_map.h"
#include "rules/request.h"
#include "rules/sent_record.h"
#include "json/merge.h"
#include "json/scan.h"
#include "json/write.h"

#define VALUE_MAX_BYTES ((size_t)128 << 20)
/* To name a field that is given twice: each of so many is compared with all. */
#define KEYS_COMPARED   1000
#define KEY_SHOWN_BYTES ((size_t)4096)

struct reading {
	struct batch *batch;
	const struct batch_source *source;
	struct span text; /* the source's, without the mark that editors put before UTF-8 */
	struct buf *complaints;
	struct request_limits limits;
	int64_t now_ms;
	struct pair_map ids; /* tenant and handoffId -> line */
	struct buf value;
};

static int complain(struct reading *reading, size_t line, const char *what)
{
	if (reading->batch->refused++ < BATCH_COMPLAINTS_MAX)
		buf_add_format(reading->complaints, "%s:%zu: %s\n", reading->source->file, line, what);
	return buf_ok(reading->complaints) ? 0 : -ENOMEM;
}

static int read_request(const struct reading *reading, struct span value, struct request *ret, struct fault *fault)
{
	struct history history;
	/* The record that the worker would see. */
	const struct record record = { .topic = reading->source->topic,
				       .timestamp_ms = reading->now_ms,
				       .value = value };
	const int r = request_read(&record, &reading->limits, reading->now_ms, ret, &history, fault);
	history_fini(&history);
	return r;
}

/* Puts handoffId and batchId into the value where they are missing; every other byte stays. */
static int add_ids(struct reading *reading, size_t line, struct span value, const struct request *request)
{
	struct scan_value object;
	struct merge_pair pairs[2];
	struct buf id;
	struct buf batch;
	size_t count = 0;
	buf_init(&id, 512);
	buf_init(&batch, 512);
	buf_add_format(&id, "\"%s-%zu\"", reading->source->batch_id, line);
	write_quoted(&batch, span_of(reading->source->batch_id));
	if (!request->handoff_id_given)
		pairs[count++] = (struct merge_pair){ SPAN("handoffId"), buf_span(&id) };
	if (!request->batch_id)
		pairs[count++] = (struct merge_pair){ SPAN("batchId"), buf_span(&batch) };
	int r = scan_check(value, &object, NULL);
	if (r == 0)
		r = merge_object(&reading->value, object, pairs, count);
	buf_fini(&id);
	buf_fini(&batch);
	return r;
}

struct batch_item *batch_add(struct batch *batch, struct record *record)
{
	if (record && batch->count == batch->capacity) {
		const size_t capacity = batch->capacity ? batch->capacity * 2 : 256;
		struct batch_item *items = realloc(batch->items, capacity * sizeof(*items));
		if (items) {
			batch->items = items;
			batch->capacity = capacity;
		}
	}
	if (!record || batch->count == batch->capacity) {
		record_free(record);
		return NULL;
	}
	batch->items[batch->count] = (struct batch_item){ .record = record, .line = batch->count + 1 };
	return &batch->items[batch->count++];
}

static int keep(struct reading *reading, size_t line, const struct request *request, struct span value)
{
	struct batch_item *item =
		batch_add(reading->batch, sent_request(reading->source->topic, request->session_id, value));
	if (!item)
		return -ENOMEM;
	item->line = line;
	item->is_cancel = request->is_cancel;
	item->handoff_id = strdup(request->handoff_id_given ? request->handoff_id : "");
	item->tenant = strdup(request->tenant ? request->tenant : "");
	return item->handoff_id && item->tenant ? 0 : -ENOMEM;
}

/* Whose it is; NULL: nobody's. */
static const struct settings_tenant *tenant_of(const struct settings *settings, const char *name)
{
	for (size_t i = 0; i < settings->tenant_count; i++)
		if (!strcmp(settings->tenants[i].name, name))
			return &settings->tenants[i];
	return *name ? NULL : &settings->tenants[0];
}

/* What the worker would reject: a tenant that it does not have, or one whose API cannot be asked that way. */
static int check_tenant(const struct settings *settings, const struct request *request, struct fault *fault)
{
	const char *name = request->tenant ? request->tenant : "";
	const struct settings_tenant *tenant = tenant_of(settings, name);
	if (!*name && settings->tenant_count > 1)
		return fault_set(fault, -EINVAL, FAULT_PERMANENT,
				 "field \"tenant\" is missing: there are several tenants");
	if (!tenant)
		return fault_set(fault, -EINVAL, FAULT_PERMANENT, "there is no tenant \"%.64s\"", name);
	const char *unfit = request->is_cancel ? NULL : profile_complaint(tenant->profile, tenant->flow_path, request);
	return unfit ? fault_set(fault, -EINVAL, FAULT_PERMANENT, "%s", unfit) : 0;
}

/* What the worker would only find out later, an id that comes twice too. */
static int check_line(const struct reading *reading, const struct request *request, struct fault *fault)
{
	const char *tenant = request->tenant ? request->tenant : "";
	if (reading->source->knows_tenants && check_tenant(reading->source->settings, request, fault) < 0)
		return -EINVAL;
	const struct pair_slot *slot =
		request->is_cancel ? NULL : pair_map_find(&reading->ids, span_of(tenant), span_of(request->handoff_id));
	if (slot)
		return fault_set(fault, -EINVAL, FAULT_PERMANENT, "the handoffId \"%s\" is that of line %zu too",
				 request->handoff_id, slot->number);
	return 0;
}

/* Remembers the id; the texts are the item's, which stay where they are. */
static int remember(struct reading *reading, size_t line)
{
	const struct batch_item *item = &reading->batch->items[reading->batch->count - 1];
	bool is_new;
	if (item->is_cancel)
		return 0;
	return pair_map_put(&reading->ids, span_of(item->tenant), span_of(item->handoff_id), line, &is_new) ? 0
													    : -ENOMEM;
}

/* The second look, at the value as it will be sent. */
static int take_value(struct reading *reading, size_t line, struct span value, struct fault *fault)
{
	struct request request;
	int r = read_request(reading, value, &request, fault);
	if (r == 0)
		r = check_line(reading, &request, fault);
	if (r == 0)
		r = keep(reading, line, &request, value);
	if (r == 0)
		r = remember(reading, line);
	request_fini(&request);
	return r;
}

/* Two of the object's members have the same name: which one? */
static void name_repeated(struct span value, struct fault *fault)
{
	struct scan_value object;
	struct scan_member member;
	struct buf key;
	fault_set(fault, 0, FAULT_PERMANENT, "two of its fields have the same name: leave one of them");
	if (scan_check(value, &object, NULL) < 0)
		return;
	buf_init(&key, KEY_SHOWN_BYTES);
	struct scan_walk walk = scan_members(object);
	for (size_t i = 0; i < KEYS_COMPARED && scan_next(&walk, &member); i++) {
		buf_reset(&key);
		scan_decode_key(&key, member.key);
		if (!buf_ok(&key) || scan_count(object, buf_text(&key)) < 2)
			continue;
		fault_set(fault, 0, FAULT_PERMANENT, "the field \"%.64s\" is given twice: leave one of them",
			  buf_text(&key));
		break;
	}
	buf_fini(&key);
}

/* One line's or row's JSON. 0 also when it was complained about. */
static int take_line(struct reading *reading, size_t line, struct span value)
{
	struct request request;
	struct fault fault = { 0 };
	int r = read_request(reading, value, &request, &fault);
	if (r == 0 && !request.is_cancel && !(request.handoff_id_given && request.batch_id)) {
		buf_reset(&reading->value);
		r = add_ids(reading, line, value, &request);
		if (r == -EINVAL)
			name_repeated(value, &fault);
		value = buf_span(&reading->value);
	}
	request_fini(&request);
	if (r == 0)
		r = take_value(reading, line, value, &fault);
	return r == -EINVAL ? complain(reading, line, fault.message) : r;
}

static int read_lines(struct reading *reading)
{
	const struct span text = reading->text;
	size_t line = 1;
	int r = 0;
	for (const char *p = text.p, *end = text.p + text.n; r == 0 && p < end; line++) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));
		const size_t n = (size_t)((newline ? newline : end) - p);
		const size_t blank = strspn(p, " \t\r");
		if (blank < n)
			r = take_line(reading, line, (struct span){ p, n });
		p += n + 1;
	}
	return r;
}

static int read_rows(struct reading *reading)
{
	struct csv csv;
	struct fault fault = { 0 };
	struct buf row;
	size_t line = 1;
	buf_init(&row, VALUE_MAX_BYTES);
	int r = csv_init(&csv, reading->text, &fault);
	if (r == -EINVAL)
		r = complain(reading, csv.line, fault.message);
	else if (r == 0)
		for (r = 1; r > 0;) {
			buf_reset(&row);
			r = csv_next(&csv, &row, &line, &fault);
			if (r > 0 && !buf_ok(&row))
				r = -ENOMEM;
			if (r == -EINVAL)
				r = complain(reading, line, fault.message) < 0 ? -ENOMEM : 1;
			else if (r > 0 && take_line(reading, line, buf_span(&row)) < 0)
				r = -ENOMEM;
		}
	csv_fini(&csv);
	buf_fini(&row);
	return r;
}

static struct span without_mark(struct span text)
{
	static const char MARK[] = "\xef\xbb\xbf";
	const bool marked = text.n >= 3 && !memcmp(text.p, MARK, 3);
	return marked ? (struct span){ text.p + 3, text.n - 3 } : text;
}

int batch_read(struct batch *batch, const struct batch_source *source, struct buf *complaints)
{
	*batch = (struct batch){ 0 };
	struct reading reading = { .batch = batch,
				   .source = source,
				   .text = without_mark(source->text),
				   .complaints = complaints,
				   .limits = source->limits,
				   .now_ms = clock_read().unix_ms };
	buf_init(&reading.value, VALUE_MAX_BYTES);
	const int r = source->csv ? read_rows(&reading) : read_lines(&reading);
	pair_map_fini(&reading.ids);
	buf_fini(&reading.value);
	return r < 0 ? r : batch->refused > 0 ? -EINVAL : 0;
}

void batch_fini(struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		record_free(batch->items[i].record);
		free(batch->items[i].handoff_id);
		free(batch->items[i].tenant);
	}
	free(batch->items);
	*batch = (struct batch){ 0 };
}
