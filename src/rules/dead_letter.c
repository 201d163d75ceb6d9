/* The dead letters' half of outcome.h. */
#include "rules/header_list.h"
#include "rules/outcome.h"

#define TRUNCATED_VALUE_MAX   1024
#define TRUNCATED_FOREIGN_MAX 65536

static const char *const error_headers[] = { HDR_ID,      HDR_REASON, HDR_STAGE,     HDR_HTTP_STATUS, HDR_ERROR,
					     HDR_ATTEMPT, HDR_ORIGIN, HDR_FAILED_AT, HDR_TRUNCATED };

bool dead_letter_owns_header(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(error_headers); i++)
		if (strcmp(name, error_headers[i]) == 0)
			return true;
	return false;
}

static void add_error_headers(struct header_list *list, const struct request *request, const struct history *history,
			      const struct outcome *outcome)
{
	static const struct outcome_error nothing = { .stage = STAGE_COUNT };
	const struct outcome_error *error = outcome->error && outcome->error->present ? outcome->error : &nothing;
	header_list_add_text(list, HDR_ID, request->handoff_id);
	header_list_add_text(list, HDR_REASON, reason_name(outcome->reason));
	header_list_add_text(list, HDR_STAGE, stage_name(error->stage));
	if (error->http_status > 0)
		header_list_add_int(list, HDR_HTTP_STATUS, error->http_status);
	else
		header_list_add_text(list, HDR_HTTP_STATUS, "");
	header_list_add_text(list, HDR_ERROR, error->message ? error->message : "");
	header_list_add_int(list, HDR_ATTEMPT, outcome_attempts(history, outcome));
	origin_write(header_list_open(list, HDR_ORIGIN), &history->origin);
	header_list_add_int(list, HDR_FAILED_AT, outcome->finished_at_ms);
}

struct record *dead_letter_record(const char *topic, const struct record *original, const struct request *request,
				  const struct history *history, const struct outcome *outcome)
{
	struct header_list list;
	header_list_init(&list, original->header_count + ARRAY_SIZE(error_headers));
	for (size_t i = 0; i < original->header_count; i++) {
		const struct header *header = &original->headers[i];
		if (!history_owns_header(header->name) && !dead_letter_owns_header(header->name))
			header_list_add(&list, header->name, header->value);
	}
	add_error_headers(&list, request, history, outcome);
	const struct record like = { .topic = topic,
				     .partition = -1,
				     .offset = -1,
				     .timestamp_ms = -1,
				     .key = original->key,
				     .value = original->value };
	struct record *record = header_list_record(&list, &like);
	header_list_fini(&list);
	return record;
}

static struct span cut(struct span s)
{
	if (s.n > TRUNCATED_VALUE_MAX)
		s.n = TRUNCATED_VALUE_MAX;
	return s;
}

struct record *record_truncated(const struct record *record)
{
	struct header_list list;
	size_t foreign = 0;
	header_list_init(&list, record->header_count + 1);
	for (size_t i = 0; i < record->header_count; i++) {
		const struct header *header = &record->headers[i];
		const struct span value = cut(header->value);
		const bool ours = dead_letter_owns_header(header->name);
		if (!ours)
			foreign += strlen(header->name) + value.n;
		if (strcmp(header->name, HDR_TRUNCATED) != 0 && (ours || foreign <= TRUNCATED_FOREIGN_MAX))
			header_list_add(&list, header->name, value);
	}
	header_list_add_int(&list, HDR_TRUNCATED, (int64_t)record->value.n);
	struct record like = *record;
	like.value = SPAN_NONE;
	if (like.key.n > TRUNCATED_VALUE_MAX)
		like.key = SPAN_NONE;
	struct record *truncated = header_list_record(&list, &like);
	header_list_fini(&list);
	return truncated;
}
