#include "ctl/tally.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "json/write.h"

int tally_init(struct tally *tally, const struct batch *batch)
{
	*tally = (struct tally){ 0 };
	tally->missing = calloc(batch->count + 1, sizeof(*tally->missing));
	if (!tally->missing)
		return -ENOMEM;
	for (size_t i = 0; i < batch->count; i++) {
		const struct batch_item *item = &batch->items[i];
		bool is_new;
		if (item->is_cancel)
			continue;
		const struct pair_slot *slot =
			pair_map_put(&tally->ids, span_of(item->handoff_id), item->record->key, i, &is_new);
		if (!slot)
			return -ENOMEM;
		tally->missing[slot->number]++;
		tally->awaited++;
	}
	return 0;
}

void tally_fini(struct tally *tally)
{
	pair_map_fini(&tally->ids);
	free(tally->missing);
	tally->missing = NULL;
	remarkable_fini(&tally->remarkable);
}

/* A request that was sent before is answered by the outcome of its first one: sending a file again harms nothing. */
static bool is_good(size_t status, size_t reason)
{
	return status == STATUS_COMPLETED || status == STATUS_INITIATED ||
	       (status == STATUS_DUPLICATE && reason == REASON_DUPLICATE);
}

/* The header's text in `ret`; what does not fit is no name of ours. */
static const char *header_text(const struct record *record, const char *name, char ret[64])
{
	const struct span value = record_header(record, name);
	const size_t n = value.n < 63 ? value.n : 63;
	if (n > 0)
		memcpy(ret, value.p, n);
	ret[n] = '\0';
	return ret;
}

bool tally_take(struct tally *tally, const struct record *outcome)
{
	char text[64];
	const struct span id = record_header(outcome, HDR_ID);
	const struct span session = record_header(outcome, HDR_CE_SUBJECT);
	const struct pair_slot *slot = id.p && session.p ? pair_map_find(&tally->ids, id, session) : NULL;
	if (!slot || tally->missing[slot->number] == 0)
		return false;
	tally->missing[slot->number]--;
	tally->seen++;
	const enum status status = status_by_name(header_text(outcome, HDR_STATUS, text));
	const enum reason reason = reason_by_name(header_text(outcome, HDR_REASON, text));
	remarkable_take(&tally->remarkable, outcome, is_good(status, reason));
	if (status < STATUS_COUNT && reason < REASON_COUNT)
		tally->counts[status][reason]++;
	else
		tally->unknown++;
	return true;
}

bool tally_is_clean(const struct tally *tally)
{
	size_t good = 0;
	for (size_t s = 0; s < STATUS_COUNT; s++)
		for (size_t r = 0; r < REASON_COUNT; r++)
			good += is_good(s, r) ? tally->counts[s][r] : 0;
	return good == tally->seen;
}

static void print_row(FILE *out, bool colour, const char *tint, const char *status, const char *reason, size_t count)
{
	fprintf(out, "%s%-10s%s  %-30s %9zu\n", colour ? tint : "", status, colour ? "\033[0m" : "", reason, count);
}

void tally_print(const struct tally *tally, bool colour, FILE *out)
{
	remarkable_print(&tally->remarkable, out);
	fprintf(out, "%-10s  %-30s %9s\n", "STATUS", "REASON", "REQUESTS");
	for (size_t s = 0; s < STATUS_COUNT; s++)
		for (size_t r = 0; r < REASON_COUNT; r++)
			if (tally->counts[s][r] > 0)
				print_row(out, colour, is_good(s, r) ? "\033[32m" : "\033[31m",
					  status_name((enum status)s), reason_name((enum reason)r),
					  tally->counts[s][r]);
	if (tally->unknown > 0)
		print_row(out, colour, "\033[31m", "?", "not of this version", tally->unknown);
	if (tally->seen < tally->awaited)
		print_row(out, colour, "\033[33m", "-", "no outcome yet", tally->awaited - tally->seen);
	print_row(out, false, "", "total", "", tally->awaited);
}

void tally_write(const struct tally *tally, struct buf *json)
{
	write_array_begin(json, "outcomes");
	for (size_t s = 0; s < STATUS_COUNT; s++)
		for (size_t r = 0; r < REASON_COUNT; r++) {
			if (tally->counts[s][r] == 0)
				continue;
			write_object_begin(json, NULL);
			write_text(json, "status", status_name((enum status)s));
			write_text(json, "reason", reason_name((enum reason)r));
			write_int(json, "count", (int64_t)tally->counts[s][r]);
			write_object_end(json);
		}
	write_array_end(json);
	write_int(json, "unknown", (int64_t)tally->unknown);
	remarkable_write(&tally->remarkable, json);
	write_int(json, "missing", (int64_t)(tally->awaited - tally->seen));
}
