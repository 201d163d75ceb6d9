#include "rules/request.h"

#include <errno.h>
#include <stdlib.h>

#include "base/text.h"
#include "rules/envelope.h"
#include "rules/trace_context.h"
#include "json/scan.h"

#define CLOCK_SKEW_MAX_MS 5000
#define TEXT_MAX          64  /* of a field that holds a name or a date */
#define HEADER_ID_MAX     320 /* a retry's handoff-id may be a TOPIC/PARTITION/OFFSET@TIMESTAMP */
#define JSON_ESCAPE_MAX   6   /* bytes that one decoded byte takes at most: \u0041 */

/* One reading: goes on after a mistake, so that the outcome can name what was readable, and keeps the first one. */
struct reading {
	struct envelope envelope;
	struct scan_index fields; /* of the envelope's body */
	struct history *history;
	struct fault *fault;
	struct buf scratch;
	int r;
};

struct text_rule {
	const char *field;
	size_t max;
	bool (*fits)(struct span text);
	const char *wanted;
};

static void fail_memory(struct reading *in)
{
	in->r = fault_set(in->fault, -ENOMEM, FAULT_OURS, "out of memory");
}

static void reject(struct reading *in, const char *field, const char *complaint)
{
	if (in->r == 0)
		in->r = fault_set(in->fault, -EINVAL, FAULT_PERMANENT, "%s %s", field, complaint);
}

static void reject_unfit(struct reading *in, const char *field, const char *wanted)
{
	if (in->r == 0)
		in->r = fault_set(in->fault, -EINVAL, FAULT_PERMANENT, "%s must be %s", field, wanted);
}

static char *copy(struct reading *in, struct span text)
{
	char *s = strndup(text.p, text.n);
	if (!s)
		fail_memory(in);
	return s;
}

static bool session_id_fits(struct span s)
{
	return !text_has_control(s) && !span_is(s, ".") && !span_is(s, "..");
}

static bool plain_text_fits(struct span s)
{
	return !text_has_control(s);
}

static const struct text_rule session_id_rule = { "sessionId", REQUEST_SESSION_ID_MAX, session_id_fits,
						  "1 to 256 bytes without control characters, and neither . nor .." };
static const struct text_rule queue_id_rule = { "queueId", TEXT_MAX, text_is_uuid, "a UUID" };
static const struct text_rule handoff_id_rule = { "handoffId", REQUEST_ID_MAX, text_is_printable_ascii,
						  "1 to 128 printable ASCII characters" };
static const struct text_rule batch_id_rule = { "batchId", REQUEST_ID_MAX, text_is_printable_ascii,
						"1 to 128 printable ASCII characters" };
static const struct text_rule tenant_rule = { "tenant", REQUEST_TENANT_MAX, plain_text_fits,
					      "1 to 256 bytes without control characters" };
static const struct text_rule priority_rule = { "priority", TEXT_MAX, plain_text_fits, "high, normal or low" };
static const struct text_rule type_rule = { "type", TEXT_MAX, plain_text_fits, "\"cancel\" where it is given" };
static const struct text_rule user_id_rule = { "userId", REQUEST_USER_ID_MAX, session_id_fits,
					       "1 to 256 bytes without control characters, and neither . nor .." };
static const struct text_rule url_token_rule = { "urlToken", REQUEST_USER_ID_MAX, session_id_fits,
						 "1 to 256 bytes without control characters, and neither . nor .." };
static const struct text_rule target_type_rule = { "target.type", TEXT_MAX, plain_text_fits, "queue, sip or tel" };
static const struct text_rule target_value_rule = { "target.value", TARGET_VALUE_MAX, plain_text_fits,
						    "1 to 256 bytes without control characters" };
static const struct text_rule deadline_rule = { "deadline", TEXT_MAX, plain_text_fits, "an RFC 3339 date and time" };

/* A field of the request; false when it is absent or null, which is the same. */
static bool find(const struct reading *in, const char *field, struct scan_value *ret)
{
	return scan_index_find(&in->fields, field, ret) && ret->type != SCAN_NULL;
}

static bool text_fits(const struct text_rule *rule, struct span text)
{
	return text.n >= 1 && text.n <= rule->max && rule->fits(text);
}

/* The text of a field that is there, valid until the next call; SPAN_NONE: rejected. */
static struct span text_of(struct reading *in, struct scan_value value, const struct text_rule *rule)
{
	if (value.type != SCAN_STRING) {
		reject(in, rule->field, "must be a string");
		return SPAN_NONE;
	}
	buf_reset(&in->scratch);
	if (value.text.n - 2 <= JSON_ESCAPE_MAX * rule->max)
		scan_decode_string(&in->scratch, value.text);
	if (!buf_ok(&in->scratch)) {
		fail_memory(in);
		return SPAN_NONE;
	}
	const struct span text = buf_span(&in->scratch);
	if (text_fits(rule, text))
		return text;
	reject_unfit(in, rule->field, rule->wanted);
	return SPAN_NONE;
}

/* Likewise; also SPAN_NONE where it is absent. */
static struct span read_text(struct reading *in, const struct text_rule *rule)
{
	struct scan_value value;
	return find(in, rule->field, &value) ? text_of(in, value, rule) : SPAN_NONE;
}

static struct span read_member(struct reading *in, struct scan_value object, const struct text_rule *rule)
{
	struct scan_value value;
	const char *name = strchr(rule->field, '.') + 1;
	return scan_find(object, name, &value) && value.type != SCAN_NULL ? text_of(in, value, rule) : SPAN_NONE;
}

static char *take_text(struct reading *in, const struct text_rule *rule)
{
	const struct span text = read_text(in, rule);
	return text.p ? copy(in, text) : NULL;
}

static char *take_required(struct reading *in, const struct text_rule *rule)
{
	struct scan_value value;
	if (!find(in, rule->field, &value))
		reject(in, rule->field, "is missing");
	return take_text(in, rule);
}

static void settle_target(struct reading *in, struct request *ret, struct span value)
{
	if (ret->target_type != TARGET_QUEUE)
		ret->target = copy(in, value);
	else if (!ret->queue_id)
		ret->queue_id = copy(in, value);
	else if (!span_is(value, ret->queue_id))
		reject(in, "target.value", "must be the same as queueId");
}

/* { "type", "value" }; false when there is none. */
static bool read_target(struct reading *in, struct request *ret)
{
	struct scan_value object;
	if (!find(in, "target", &object))
		return false;
	if (object.type != SCAN_OBJECT) {
		reject(in, "target", "must be an object");
		return true;
	}
	const struct span name = read_member(in, object, &target_type_rule);
	const enum target_type type = target_type_by_name(name);
	if (type == TARGET_TYPES) {
		reject_unfit(in, target_type_rule.field, target_type_rule.wanted);
		return true;
	}
	ret->target_type = type;
	const struct span value = read_member(in, object, &target_value_rule);
	if (!value.p || !target_fits(type, value))
		reject_unfit(in, target_value_rule.field, target_wanted(type));
	else
		settle_target(in, ret, value);
	return true;
}

static void read_destination(struct reading *in, struct request *ret)
{
	ret->queue_id = take_text(in, &queue_id_rule);
	if (!read_target(in, ret) && !ret->is_cancel && !ret->queue_id)
		reject(in, queue_id_rule.field, "is missing");
}

static void read_priority(struct reading *in, struct request *ret)
{
	const struct span text = read_text(in, &priority_rule);
	if (!text.p)
		return;
	const enum priority priority = priority_by_name(text.p);
	if (priority == PRIORITY_COUNT)
		reject_unfit(in, priority_rule.field, priority_rule.wanted);
	else
		ret->priority = priority;
}

static void read_type(struct reading *in, struct request *ret)
{
	const struct span text = read_text(in, &type_rule);
	if (!text.p)
		return;
	if (span_is(text, "cancel"))
		ret->is_cancel = true;
	else
		reject_unfit(in, type_rule.field, type_rule.wanted);
}

static void read_event_type(struct reading *in, struct request *ret)
{
	struct span type;
	const int r = envelope_attribute(&in->envelope, "type", &in->scratch, &type);
	if (r == -ENOMEM)
		fail_memory(in);
	else if (r < 0)
		reject(in, "the event's type", "must be a string");
	else if (span_is(type, CE_TYPE_CANCEL))
		ret->is_cancel = true;
}

static const char *metadata_complaint(struct scan_value metadata)
{
	if (metadata.type != SCAN_OBJECT)
		return "must be an object";
	if (metadata.text.n > REQUEST_METADATA_BYTES_MAX)
		return "must have at most 16384 bytes";
	struct scan_walk walk = scan_members(metadata);
	struct scan_member member;
	for (int keys = 1; scan_next(&walk, &member); keys++) {
		if (keys > REQUEST_METADATA_KEYS_MAX)
			return "must have at most 64 keys";
		if (member.value.type == SCAN_OBJECT || member.value.type == SCAN_ARRAY)
			return "must hold strings, numbers, booleans and nulls only";
	}
	return NULL;
}

static void read_metadata(struct reading *in, struct request *ret)
{
	struct scan_value value;
	if (!find(in, "metadata", &value))
		return;
	const char *complaint = metadata_complaint(value);
	if (complaint)
		reject(in, "metadata", complaint);
	else
		ret->metadata = value.text;
}

static int64_t clamp_time(int64_t ms)
{
	return ms < 0 ? 0 : ms > HISTORY_TIME_MAX ? HISTORY_TIME_MAX : ms;
}

static int64_t time_after(int64_t from_ms, int64_t wait_ms)
{
	return clamp_time(clamp_time(from_ms) + clamp_time(wait_ms));
}

static bool digits_only(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return s.n > 0;
}

/* 0 when absent or rejected. A whole number too large for 64 bits still says "as late as can be". */
static int64_t read_ttl_ms(struct reading *in)
{
	struct scan_value value;
	int64_t ms;
	if (!find(in, "ttlMs", &value))
		return 0;
	if (value.type == SCAN_NUMBER && digits_only(value.text)) {
		if (scan_int64(value, &ms) < 0)
			return HISTORY_TIME_MAX;
		if (ms > 0)
			return ms;
	}
	reject_unfit(in, "ttlMs", "a whole number greater than 0");
	return 0;
}

/* False when absent or rejected. */
static bool read_deadline(struct reading *in, int64_t *ret_ms)
{
	const struct span text = read_text(in, &deadline_rule);
	if (!text.p)
		return false;
	if (text_parse_rfc3339(text, ret_ms) == 0)
		return true;
	reject_unfit(in, deadline_rule.field, deadline_rule.wanted);
	return false;
}

static bool read_expirytime(struct reading *in, int64_t *ret_ms)
{
	struct span text;
	const int r = envelope_attribute(&in->envelope, "expirytime", &in->scratch, &text);
	if (r == -ENOMEM)
		fail_memory(in);
	else if (r < 0 || (text.p && text_parse_rfc3339(text, ret_ms) < 0))
		reject_unfit(in, "the event's expirytime", "an RFC 3339 date and time");
	return r == 0 && text.p;
}

/* All that are given must be readable; the first in the contract's order counts. */
static void read_deadlines(struct reading *in)
{
	struct history *h = in->history;
	int64_t deadline, expirytime;
	const int64_t ttl = read_ttl_ms(in);
	const bool has_expirytime = read_expirytime(in, &expirytime);
	const bool has_deadline = read_deadline(in, &deadline);
	if (in->r < 0 || record_header(in->envelope.record, HDR_DEADLINE).p)
		return;
	if (has_deadline)
		h->deadline_ms = clamp_time(deadline);
	else if (has_expirytime)
		h->deadline_ms = clamp_time(expirytime);
	else if (ttl > 0)
		h->deadline_ms = time_after(h->progress.requested_at_ms, ttl);
}

static void read_batch_id(struct reading *in, struct request *ret)
{
	const struct span header = record_header(in->envelope.record, HDR_BATCH);
	struct scan_value value;
	if (find(in, batch_id_rule.field, &value))
		ret->batch_id = take_text(in, &batch_id_rule);
	else if (header.n > 0 && !text_fits(&batch_id_rule, header))
		reject_unfit(in, "header " HDR_BATCH, batch_id_rule.wanted);
	else if (header.n > 0)
		ret->batch_id = copy(in, header);
}

static void read_fields(struct reading *in, struct request *ret)
{
	scan_index_fill(&in->fields, in->envelope.body);
	read_type(in, ret);
	ret->session_id = take_required(in, &session_id_rule);
	read_destination(in, ret);
	ret->user_id = take_text(in, &user_id_rule);
	ret->url_token = take_text(in, &url_token_rule);
	ret->handoff_id = take_text(in, &handoff_id_rule);
	ret->tenant = take_text(in, &tenant_rule);
	read_batch_id(in, ret);
	read_priority(in, ret);
	read_metadata(in, ret);
	read_deadlines(in);
}

static char *positional_id(struct reading *in)
{
	const struct history *h = in->history;
	buf_reset(&in->scratch);
	origin_write(&in->scratch, &h->origin);
	/* The record's own timestamp, believed or not: a redelivery must find the same id. */
	buf_add_char(&in->scratch, '@');
	buf_add_int(&in->scratch, in->envelope.record->timestamp_ms);
	if (buf_ok(&in->scratch))
		return copy(in, buf_span(&in->scratch));
	fail_memory(in);
	return NULL;
}

/* ce_id where it fits: an event's id may be anything, so one that does not fit is no mistake. */
static char *event_id(struct reading *in)
{
	struct span id;
	const int r = envelope_attribute(&in->envelope, "id", &in->scratch, &id);
	if (r == -ENOMEM)
		fail_memory(in);
	return r == 0 && id.p && text_fits(&handoff_id_rule, id) ? copy(in, id) : NULL;
}

/* Identity never changes on the way: what a retry or a replay was called before wins over its value. */
static void settle_identity(struct reading *in, struct request *ret, bool known_before)
{
	const struct span header = known_before ? record_header(in->envelope.record, HDR_ID) : SPAN_NONE;
	ret->handoff_id_given = ret->handoff_id != NULL;
	if (!ret->handoff_id) {
		ret->handoff_id = event_id(in);
		ret->handoff_id_given = ret->handoff_id && !ret->is_cancel;
	}
	if (header.n > 0 && header.n <= HEADER_ID_MAX && text_is_printable_ascii(header)) {
		free(ret->handoff_id);
		ret->handoff_id = copy(in, header);
	}
	if (!ret->handoff_id)
		ret->handoff_id = positional_id(in);
}

static struct span trace_of(struct reading *in, const char *name, bool (*is_valid)(struct span))
{
	struct span s = record_header(in->envelope.record, name);
	if (s.p && is_valid(s))
		return s;
	buf_reset(&in->scratch);
	/* A span must point into the record: a trace that needed decoding (it never has to be escaped) is dropped. */
	if (envelope_attribute(&in->envelope, name, &in->scratch, &s) < 0 || in->scratch.len > 0)
		return SPAN_NONE;
	return s.p && is_valid(s) ? s : SPAN_NONE;
}

static struct history fresh_history(const struct record *record, int64_t now_ms)
{
	const bool credible = record->timestamp_ms >= 0 && record->timestamp_ms <= now_ms + CLOCK_SKEW_MAX_MS;
	struct history h = { .attempt = 1,
			     .first_seen_ms = now_ms,
			     .resume = RESUME_FETCH,
			     .reason = REASON_COUNT,
			     .origin = { .partition = record->partition, .offset = record->offset } };
	h.progress.requested_at_ms = clamp_time(credible ? record->timestamp_ms : now_ms);
	const size_t n = strnlen(record->topic, HISTORY_TOPIC_MAX);
	memcpy(h.origin.topic, record->topic, n);
	return h;
}

/* Returns whether the record is one that we (or handoffctl replay) wrote, and was called something before. */
static bool read_history(struct reading *in, const struct record *record, const struct request_limits *limits,
			 int64_t now_ms)
{
	struct history *h = in->history;
	*h = fresh_history(record, now_ms);
	const bool retry =
		history_is_in(record) && (!limits->retry_topic || strcmp(record->topic, limits->retry_topic) == 0);
	in->r = retry ? history_read(record, h, in->fault) : history_read_replay(record, h, in->fault);
	if (!record_header(record, HDR_DEADLINE).p || in->r < 0)
		h->deadline_ms = time_after(h->progress.requested_at_ms, limits->max_age_ms);
	return retry || h->replay > 0;
}

int request_read(const struct record *record, const struct request_limits *limits, int64_t now_ms, struct request *ret,
		 struct history *ret_history, struct fault *fault)
{
	struct reading in = { .history = ret_history, .fault = fault };
	buf_init(&in.scratch, JSON_ESCAPE_MAX * limits->max_record_bytes + HEADER_ID_MAX);
	*ret = (struct request){ .priority = PRIORITY_NORMAL };
	const bool known_before = read_history(&in, record, limits, now_ms);
	const int opened = envelope_open(record, limits->max_record_bytes, &in.envelope, in.r < 0 ? NULL : fault);
	if (in.r == 0)
		in.r = opened;
	ret->traceparent = trace_of(&in, HDR_TRACEPARENT, traceparent_is_valid);
	ret->tracestate = trace_of(&in, HDR_TRACESTATE, tracestate_is_valid);
	read_event_type(&in, ret);
	if (opened == 0)
		read_fields(&in, ret);
	settle_identity(&in, ret, known_before);
	buf_fini(&in.scratch);
	return in.r;
}

void request_fini(struct request *request)
{
	free(request->session_id);
	free(request->queue_id);
	free(request->user_id);
	free(request->url_token);
	free(request->target);
	free(request->handoff_id);
	free(request->tenant);
	free(request->batch_id);
	*request = (struct request){ .priority = PRIORITY_NORMAL };
}
