#include "rules/sent_record.h"

#include "base/text.h"
#include "rules/header_list.h"
#include "rules/outcome.h"
#include "json/write.h"

#define CANCEL_MAX  8192 /* bytes of its JSON: three names of a few hundred bytes, escaped */
#define REPLAY_MAX  1000000
#define OWN_HEADERS 3

static struct record *keyed(const char *topic, int32_t partition, struct span key, struct span value)
{
	const struct record from = {
		.topic = topic, .partition = partition, .offset = -1, .timestamp_ms = -1, .key = key, .value = value
	};
	return record_new(&from);
}

struct record *sent_request(const char *topic, const char *session_id, struct span value)
{
	return keyed(topic, -1, span_of(session_id), value);
}

struct record *sent_cancel(const char *topic, int32_t partition, const char *session_id, const char *handoff_id,
			   const char *tenant)
{
	struct buf value;
	buf_init(&value, CANCEL_MAX);
	write_object_begin(&value, NULL);
	write_text(&value, "type", "cancel");
	write_text(&value, "sessionId", session_id);
	if (handoff_id)
		write_text(&value, "handoffId", handoff_id);
	if (tenant)
		write_text(&value, "tenant", tenant);
	write_object_end(&value);
	struct record *record = buf_ok(&value) ? keyed(topic, partition, span_of(session_id), buf_span(&value)) : NULL;
	buf_fini(&value);
	return record;
}

int32_t sent_replay_of(const struct record *record)
{
	const struct span header = record_header(record, HDR_REPLAY);
	int64_t times;
	if (!header.p)
		return 0;
	if (text_parse_int64(header, &times) < 0 || times < 0 || times > REPLAY_MAX)
		return -1;
	return (int32_t)times;
}

static bool is_left_out(const char *name)
{
	return history_owns_header(name) || dead_letter_owns_header(name) || strcmp(name, HDR_REPLAY) == 0;
}

static int32_t partition_of(const struct record *letter)
{
	struct origin origin;
	return origin_read(record_header(letter, HDR_ORIGIN), &origin) == 0 ? origin.partition : -1;
}

struct record *sent_replay(const struct record *letter, const char *topic, int64_t deadline_ms)
{
	const int32_t times = sent_replay_of(letter);
	struct header_list list;
	header_list_init(&list, letter->header_count + OWN_HEADERS);
	for (size_t i = 0; i < letter->header_count; i++)
		if (!is_left_out(letter->headers[i].name))
			header_list_add(&list, letter->headers[i].name, letter->headers[i].value);
	header_list_add(&list, HDR_ID, record_header(letter, HDR_ID));
	header_list_add_int(&list, HDR_REPLAY, times < 0 ? 1 : times + 1);
	header_list_add_int(&list, HDR_DEADLINE, deadline_ms);
	const struct record like = { .topic = topic,
				     .partition = partition_of(letter),
				     .offset = -1,
				     .timestamp_ms = -1,
				     .key = letter->key,
				     .value = letter->value };
	struct record *record = header_list_record(&list, &like);
	header_list_fini(&list);
	return record;
}
