#include "ctl/findings.h"

#include <inttypes.h>
#include <stdlib.h>

#include "json/write.h"

void findings_fini(struct findings *findings)
{
	for (size_t i = 0; i < findings->named_count; i++)
		free(findings->named[i].handoff_id);
	*findings = (struct findings){ 0 };
}

void findings_add(struct findings *findings, enum verdict verdict, const char *topic, int32_t partition, int64_t offset)
{
	findings->counts[verdict]++;
	if (!verdict_is_broken(verdict) || findings->named_count == FINDINGS_NAMED)
		return;
	findings->named[findings->named_count++] =
		(struct finding){ .verdict = verdict, .topic = topic, .partition = partition, .offset = offset };
}

size_t findings_total(const struct findings *findings)
{
	size_t total = 0;
	for (size_t v = 0; v < VERDICT_COUNT; v++)
		total += findings->counts[v];
	return total;
}

size_t findings_broken(const struct findings *findings)
{
	size_t broken = 0;
	for (size_t v = 0; v < VERDICT_COUNT; v++)
		broken += verdict_is_broken((enum verdict)v) ? findings->counts[v] : 0;
	return broken;
}

static const char *tint(enum verdict verdict, size_t count)
{
	if (verdict_is_broken(verdict))
		return count > 0 ? "\033[31m" : "";
	return verdict == VERDICT_DONE ? "\033[32m" : "\033[33m";
}

void findings_print(const struct findings *findings, bool colour, FILE *out)
{
	fprintf(out, "%-13s  %9s\n", "STATE", "REQUESTS");
	for (size_t v = 0; v < VERDICT_COUNT; v++)
		fprintf(out, "%s%-13s%s  %9zu\n", colour ? tint((enum verdict)v, findings->counts[v]) : "",
			verdict_name((enum verdict)v), colour ? "\033[0m" : "", findings->counts[v]);
	fprintf(out, "%-13s  %9zu\n", "total", findings_total(findings));
	for (size_t i = 0; i < findings->named_count; i++) {
		const struct finding *f = &findings->named[i];
		fprintf(out, "%s  %s/%" PRId32 "/%" PRId64 "  %s  %s\n", verdict_name(f->verdict), f->topic,
			f->partition, f->offset, f->handoff_id ? f->handoff_id : "-", verdict_why(f->verdict));
	}
	if (findings_broken(findings) > findings->named_count)
		fprintf(out, "and %zu more\n", findings_broken(findings) - findings->named_count);
}

void findings_print_line(const struct findings *findings, FILE *out)
{
	for (size_t v = 0; v < VERDICT_COUNT; v++)
		fprintf(out, "%s%s %zu", v > 0 ? ", " : "", verdict_name((enum verdict)v), findings->counts[v]);
	fprintf(out, "\n");
}

static void write_finding(const struct finding *f, struct buf *json)
{
	char origin[320];
	snprintf(origin, sizeof(origin), "%s/%" PRId32 "/%" PRId64, f->topic, f->partition, f->offset);
	write_object_begin(json, NULL);
	write_text(json, "state", verdict_name(f->verdict));
	write_text(json, "origin", origin);
	write_text(json, "handoffId", f->handoff_id);
	write_text(json, "why", verdict_why(f->verdict));
	write_object_end(json);
}

void findings_write(const struct findings *findings, struct buf *json)
{
	write_int(json, "records", (int64_t)findings_total(findings));
	write_object_begin(json, "counts");
	for (size_t v = 0; v < VERDICT_COUNT; v++)
		write_int(json, verdict_name((enum verdict)v), (int64_t)findings->counts[v]);
	write_object_end(json);
	write_array_begin(json, "findings");
	for (size_t i = 0; i < findings->named_count; i++)
		write_finding(&findings->named[i], json);
	write_array_end(json);
	write_int(json, "leftOut", (int64_t)(findings_broken(findings) - findings->named_count));
}
