#include "ctl/evidence.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "ctl/done.h"
#include "handoff/contract.h"
#include "rules/history.h"

#define NAME_MAX_BYTES 64 /* of a status or reason; what is longer is none of the contract's */

void evidence_init(struct evidence *e, const struct request_limits *limits)
{
	*e = (struct evidence){ .limits = *limits, .outcomes_from_s = -1 };
}

void evidence_fini(struct evidence *e)
{
	for (size_t i = 0; i < e->count; i++) {
		free(e->parts[i].entries);
		offsets_free(e->parts[i].done);
	}
	free(e->parts);
	*e = (struct evidence){ 0 };
}

int evidence_add_part(struct evidence *e, enum evidence_kind kind, const struct kafka_reader_part *from,
		      const struct kafka_group_offset *committed)
{
	struct evidence_part *parts = realloc(e->parts, (e->count + 1) * sizeof(*parts));
	if (!parts)
		return -ENOMEM;
	e->parts = parts;
	struct evidence_part *part = &parts[e->count++];
	*part = (struct evidence_part){ .kind = kind,
					.topic = from->topic,
					.partition = from->partition,
					.start = from->start,
					.end = from->end,
					.first_ms = -1 };
	if (kind == EVIDENCE_OUTCOMES || part->start >= part->end)
		return done_read(committed, part->topic, part->partition, &part->done);
	part->entries = calloc((size_t)(part->end - part->start), sizeof(*part->entries));
	return part->entries ? done_read(committed, part->topic, part->partition, &part->done) : -ENOMEM;
}

static struct evidence_part *find_part(const struct evidence *e, const char *topic, int32_t partition)
{
	for (size_t i = 0; i < e->count; i++)
		if (e->parts[i].partition == partition && !strcmp(e->parts[i].topic, topic))
			return &e->parts[i];
	return NULL;
}

static const struct evidence_part *retries_of(const struct evidence *e, int32_t partition)
{
	for (size_t i = 0; i < e->count; i++)
		if (e->parts[i].kind == EVIDENCE_RETRIES && e->parts[i].partition == partition)
			return &e->parts[i];
	return NULL;
}

/* NULL when it was written after we looked, or removed before. */
static struct ledger_entry *entry_at(const struct evidence_part *part, int64_t offset)
{
	const bool is_in = part && part->entries && offset >= part->start && offset < part->end;
	return is_in ? &part->entries[offset - part->start] : NULL;
}

static struct ledger_entry *entry_of_origin(const struct evidence *e, const struct origin *origin)
{
	return entry_at(find_part(e, origin->topic, origin->partition), origin->offset);
}

static int take_source(struct evidence *e, const struct evidence_part *part, const struct record *record,
		       int64_t now_ms)
{
	struct ledger_entry *entry = entry_at(part, record->offset);
	struct request request;
	struct history history;
	struct fault fault;
	if (!entry)
		return 0;
	const int r = request_read(record, &e->limits, now_ms, &request, &history, &fault);
	const bool is_cancel = r == 0 && request.is_cancel; /* one that cannot be read is rejected like any request */
	request_fini(&request);
	history_fini(&history);
	if (r == -ENOMEM)
		return r;
	if (is_cancel)
		e->cancels++;
	else
		ledger_add_source(entry, record->timestamp_ms);
	return 0;
}

/* A retry keeps its request's partition number, so its place in that partition tells which one it is. */
static int take_retry(struct evidence *e, const struct evidence_part *part, const struct record *record, int64_t now_ms)
{
	struct origin origin;
	int64_t due_ms = -1;
	if (!history_is_in(record) || origin_read(record_header(record, HDR_ORIGIN), &origin) < 0)
		return take_source(e, part, record, now_ms);
	struct ledger_entry *entry = entry_of_origin(e, &origin);
	if (!entry || origin.partition != part->partition)
		return 0;
	if (text_parse_int64(record_header(record, HDR_NOT_BEFORE), &due_ms) < 0)
		due_ms = -1;
	return ledger_add_retry(entry, record->offset - part->start, due_ms) ? 0 : -ERANGE;
}

static const char *header_text(const struct record *record, const char *name, char ret[NAME_MAX_BYTES + 1])
{
	const struct span value = record_header(record, name);
	const size_t n = value.n <= NAME_MAX_BYTES ? value.n : 0;
	if (n > 0)
		memcpy(ret, value.p, n);
	ret[n] = '\0';
	return ret;
}

static void take_outcome(const struct evidence *e, const struct record *record)
{
	char text[NAME_MAX_BYTES + 1];
	struct origin origin;
	if (origin_read(record_header(record, HDR_ORIGIN), &origin) < 0)
		return;
	struct ledger_entry *entry = entry_of_origin(e, &origin);
	if (!entry)
		return;
	const enum status status = status_by_name(header_text(record, HDR_STATUS, text));
	ledger_add_outcome(entry, status, reason_by_name(header_text(record, HDR_REASON, text)));
}

int evidence_take(struct evidence *e, const struct record *record, int64_t now_ms)
{
	struct evidence_part *part = find_part(e, record->topic, record->partition);
	if (!part)
		return 0;
	if (part->first_ms < 0)
		part->first_ms = record->timestamp_ms;
	if (part->kind == EVIDENCE_RETRIES)
		return take_retry(e, part, record, now_ms);
	if (part->kind == EVIDENCE_REQUESTS)
		return take_source(e, part, record, now_ms);
	take_outcome(e, record);
	return 0;
}

void evidence_outcomes_removed(struct evidence *e, const struct evidence_part *part, int64_t now_s)
{
	const int64_t from_s = part->first_ms >= 0 ? part->first_ms / 1000 : now_s;
	if (from_s > e->outcomes_from_s)
		e->outcomes_from_s = from_s;
}

static bool is_done(const struct evidence_part *part, int64_t offset)
{
	return part && part->done && offsets_is_done(part->done, offset);
}

enum verdict evidence_judge(const struct evidence *e, const struct evidence_part *part, int64_t offset, int64_t now_s)
{
	const struct ledger_entry *entry = entry_at(part, offset);
	if (!entry || !entry->is_source)
		return VERDICT_COUNT;
	const struct evidence_part *retries = entry->retry > 0 ? retries_of(e, part->partition) : NULL;
	const struct ledger_view view = {
		.done = is_done(part, offset),
		.retry_done = retries && is_done(retries, retries->start + (int64_t)entry->retry - 1),
		.now_s = now_s,
		.outcomes_from_s = e->outcomes_from_s,
	};
	return ledger_judge(entry, &view);
}
