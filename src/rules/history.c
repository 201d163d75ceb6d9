#include "rules/history.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "rules/header_list.h"

#define COUNT_MAX      1000000
#define PROGRESS_MAX   8192 /* bytes of two percent-encoded ids and the numbers around them; more is not ours */
#define OWN_HEADER_MAX 13

static const char *const own_headers[] = {
	HDR_ID,     HDR_ATTEMPT, HDR_NOT_BEFORE, HDR_FIRST_SEEN, HDR_DEADLINE,   HDR_RESUME,
	HDR_REASON, HDR_BUDGET,  HDR_ORIGIN,     HDR_PROGRESS,   HDR_SPILLED_AT,
};

/* As the progress header spells them. */
static const char *const call_keys[STAGE_COUNT] = {
	[STAGE_FETCH] = "fetch",
	[STAGE_UPDATE] = "update",
	[STAGE_TRIGGER] = "trigger",
};

void history_fini(struct history *history)
{
	free(history->progress.call_id);
	free(history->progress.transfer_id);
	history->progress.call_id = NULL;
	history->progress.transfer_id = NULL;
}

struct span history_cut_id(struct span id)
{
	if (id.n > HISTORY_ID_MAX) {
		id.n = HISTORY_ID_MAX;
		while (id.n > 0 && ((unsigned char)id.p[id.n] & 0xc0) == 0x80)
			id.n--;
	}
	return id;
}

bool history_keep_id(char **ret, struct span id)
{
	const struct span cut = history_cut_id(id);
	free(*ret);
	*ret = NULL;
	if (cut.n == 0 || memchr(cut.p, '\0', cut.n))
		return true;
	*ret = strndup(cut.p, cut.n);
	return *ret != NULL;
}

void origin_write(struct buf *out, const struct origin *origin)
{
	buf_add_text(out, origin->topic);
	buf_add_char(out, '/');
	buf_add_int(out, origin->partition);
	buf_add_char(out, '/');
	buf_add_int(out, origin->offset);
}

/* Kafka's own rule for topic names; it leaves no room for a slash. */
static bool topic_is_valid(struct span s)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	if (s.n < 1 || s.n > HISTORY_TOPIC_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!memchr(letters, s.p[i], sizeof(letters) - 1))
			return false;
	return true;
}

int origin_read(struct span text, struct origin *ret)
{
	const char *slash = text.n > 0 ? memrchr(text.p, '/', text.n) : NULL;
	const char *first = slash ? memchr(text.p, '/', text.n) : NULL;
	if (!first || first == slash)
		return -EINVAL;
	const struct span topic = { text.p, (size_t)(first - text.p) };
	const struct span middle = { first + 1, (size_t)(slash - first) - 1 };
	const struct span last = { slash + 1, (size_t)(text.p + text.n - slash) - 1 };
	int64_t partition, offset;
	if (!topic_is_valid(topic) || text_parse_int64(middle, &partition) < 0 || text_parse_int64(last, &offset) < 0 ||
	    partition < 0 || partition > INT32_MAX || offset < 0)
		return -EINVAL;
	memcpy(ret->topic, topic.p, topic.n);
	ret->topic[topic.n] = '\0';
	ret->partition = (int32_t)partition;
	ret->offset = offset;
	return 0;
}

static int read_clamped(struct span text, int64_t min, int64_t max, int64_t *ret)
{
	int64_t n;
	const int r = text_parse_int64(text, &n);
	if (r == -EINVAL)
		return r;
	if (r < 0)
		n = text.p[0] == '-' ? min : max;
	*ret = n < min ? min : n > max ? max : n;
	return 0;
}

static int read_time(struct span text, int64_t *ret)
{
	return read_clamped(text, 0, HISTORY_TIME_MAX, ret);
}

static int read_count(struct span text, int32_t min, int32_t *ret)
{
	int64_t n;
	const int r = read_clamped(text, min, COUNT_MAX, &n);
	if (r == 0)
		*ret = (int32_t)n;
	return r;
}

/* Walks "key=value,key=value": 1 and a pair, 0 at the end, -EINVAL where there is no `=`. */
static int next_pair(struct span *rest, struct span *ret_key, struct span *ret_value)
{
	if (rest->n == 0)
		return 0;
	const char *comma = memchr(rest->p, ',', rest->n);
	const size_t n = comma ? (size_t)(comma - rest->p) : rest->n;
	const char *equals = memchr(rest->p, '=', n);
	if (!equals)
		return -EINVAL;
	*ret_key = (struct span){ rest->p, (size_t)(equals - rest->p) };
	*ret_value = (struct span){ equals + 1, n - ret_key->n - 1 };
	const size_t taken = comma ? n + 1 : n;
	*rest = (struct span){ rest->p + taken, rest->n - taken };
	return 1;
}

static int read_budget(struct span text, int32_t failures[BUDGET_COUNT])
{
	struct span key, value;
	int r;
	while ((r = next_pair(&text, &key, &value)) > 0)
		for (int b = 0; b < BUDGET_COUNT; b++)
			if (span_is(key, budget_name((enum budget)b)) && read_count(value, 0, &failures[b]) < 0)
				return -EINVAL;
	return r;
}

static int read_id(struct span encoded, char **ret)
{
	struct buf decoded;
	buf_init(&decoded, PROGRESS_MAX);
	int r = text_percent_decode(&decoded, encoded);
	if (r == 0 && !buf_ok(&decoded))
		r = -ENOMEM;
	if (r == 0 && memchr(buf_text(&decoded), '\0', decoded.len))
		r = -EINVAL;
	if (r == 0 && !history_keep_id(ret, buf_span(&decoded)))
		r = -ENOMEM;
	buf_fini(&decoded);
	return r;
}

static int read_progress_pair(struct span key, struct span value, struct progress *ret)
{
	if (span_is(key, "requestedAt"))
		return read_time(value, &ret->requested_at_ms);
	if (span_is(key, "startedAt"))
		return read_time(value, &ret->started_at_ms);
	if (span_is(key, "parked"))
		return read_time(value, &ret->parked_ms);
	if (span_is(key, "callId"))
		return read_id(value, &ret->call_id);
	if (span_is(key, "transferId"))
		return read_id(value, &ret->transfer_id);
	for (int s = STAGE_FETCH; s < STAGE_COUNT; s++)
		if (span_is(key, call_keys[s]))
			return read_count(value, 0, &ret->calls[s]);
	if (span_is(key, "unmarked"))
		return read_count(value, 0, &ret->unmarked);
	if (span_is(key, "unanswered"))
		ret->unanswered = span_is(value, "1");
	if (span_is(key, "cancel"))
		ret->cancel_asked = span_is(value, "1");
	return 0;
}

static int read_progress(struct span text, struct progress *ret)
{
	struct span key, value;
	int r;
	if (text.n > PROGRESS_MAX)
		return -EINVAL;
	while ((r = next_pair(&text, &key, &value)) > 0) {
		const int pair = read_progress_pair(key, value, ret);
		if (pair < 0)
			return pair;
	}
	return r;
}

static int read_resume(struct span text, enum resume *ret)
{
	for (int i = 0; i < RESUME_COUNT; i++)
		if (span_is(text, resume_name((enum resume)i))) {
			*ret = (enum resume)i;
			return 0;
		}
	return -EINVAL;
}

/* Only told to people, so a reason that this version does not know is no reason to refuse the record. */
static int read_reason(struct span text, enum reason *ret)
{
	*ret = REASON_COUNT;
	for (int i = 0; i < REASON_COUNT; i++)
		if (span_is(text, reason_name((enum reason)i)))
			*ret = (enum reason)i;
	return 0;
}

static int read_header(const char *name, struct span value, struct history *ret)
{
	if (strcmp(name, HDR_ATTEMPT) == 0)
		return read_count(value, 1, &ret->attempt);
	if (strcmp(name, HDR_NOT_BEFORE) == 0)
		return read_time(value, &ret->not_before_ms);
	if (strcmp(name, HDR_FIRST_SEEN) == 0)
		return read_time(value, &ret->first_seen_ms);
	if (strcmp(name, HDR_DEADLINE) == 0)
		return read_time(value, &ret->deadline_ms);
	if (strcmp(name, HDR_SPILLED_AT) == 0)
		return read_time(value, &ret->spilled_at_ms);
	if (strcmp(name, HDR_RESUME) == 0)
		return read_resume(value, &ret->resume);
	if (strcmp(name, HDR_REASON) == 0)
		return read_reason(value, &ret->reason);
	if (strcmp(name, HDR_BUDGET) == 0)
		return read_budget(value, ret->failures);
	if (strcmp(name, HDR_REPLAY) == 0)
		return read_count(value, 0, &ret->replay);
	if (strcmp(name, HDR_ORIGIN) == 0)
		return origin_read(value, &ret->origin);
	return read_progress(value, &ret->progress);
}

static int read_headers(const struct record *record, const char *const *names, size_t count, struct history *ret,
			struct fault *fault)
{
	int r = 0;
	for (size_t i = 0; i < count; i++) {
		const struct span value = record_header(record, names[i]);
		const int one = value.p ? read_header(names[i], value, ret) : 0;
		if (one == -ENOMEM)
			return fault_set(fault, one, FAULT_OURS, "out of memory");
		if (one < 0 && r == 0)
			r = fault_set(fault, one, FAULT_PERMANENT, "header %s cannot be read", names[i]);
	}
	return r;
}

bool history_is_in(const struct record *record)
{
	return record_header(record, HDR_ATTEMPT).p != NULL;
}

int history_read(const struct record *record, struct history *ret, struct fault *fault)
{
	static const char *const names[] = { HDR_ORIGIN,   HDR_ATTEMPT, HDR_NOT_BEFORE, HDR_FIRST_SEEN,
					     HDR_DEADLINE, HDR_RESUME,  HDR_REASON,     HDR_BUDGET,
					     HDR_PROGRESS, HDR_REPLAY,  HDR_SPILLED_AT };
	return read_headers(record, names, ARRAY_SIZE(names), ret, fault);
}

int history_read_replay(const struct record *record, struct history *ret, struct fault *fault)
{
	static const char *const names[] = { HDR_DEADLINE, HDR_REPLAY };
	return read_headers(record, names, ARRAY_SIZE(names), ret, fault);
}

bool history_owns_header(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(own_headers); i++)
		if (strcmp(name, own_headers[i]) == 0)
			return true;
	return false;
}

static void write_budget(struct buf *out, const int32_t failures[BUDGET_COUNT])
{
	for (int b = 0; b < BUDGET_COUNT; b++)
		buf_add_format(out, "%s%s=%" PRId32, b ? "," : "", budget_name((enum budget)b), failures[b]);
}

static void write_id(struct buf *out, const char *key, const char *id)
{
	if (!id)
		return;
	buf_add_format(out, ",%s=", key);
	text_percent_encode(out, span_of(id));
}

static void write_progress(struct buf *out, const struct progress *p)
{
	buf_add_format(out, "requestedAt=%" PRId64, p->requested_at_ms);
	if (p->started_at_ms > 0)
		buf_add_format(out, ",startedAt=%" PRId64, p->started_at_ms);
	write_id(out, "callId", p->call_id);
	write_id(out, "transferId", p->transfer_id);
	for (int s = STAGE_FETCH; s < STAGE_COUNT; s++)
		buf_add_format(out, ",%s=%" PRId32, call_keys[s], p->calls[s]);
	if (p->unanswered)
		buf_add_text(out, ",unanswered=1");
	if (p->cancel_asked)
		buf_add_text(out, ",cancel=1");
	if (p->unmarked > 0)
		buf_add_format(out, ",unmarked=%" PRId32, p->unmarked);
	if (p->parked_ms > 0)
		buf_add_format(out, ",parked=%" PRId64, p->parked_ms);
}

static void add_own_headers(struct header_list *list, const char *handoff_id, const char *batch_id,
			    const struct history *h)
{
	header_list_add_text(list, HDR_ID, handoff_id);
	header_list_add_int(list, HDR_ATTEMPT, h->attempt);
	header_list_add_int(list, HDR_NOT_BEFORE, h->not_before_ms);
	header_list_add_int(list, HDR_FIRST_SEEN, h->first_seen_ms);
	header_list_add_int(list, HDR_DEADLINE, h->deadline_ms);
	header_list_add_text(list, HDR_RESUME, resume_name(h->resume));
	if (h->reason < REASON_COUNT)
		header_list_add_text(list, HDR_REASON, reason_name(h->reason));
	write_budget(header_list_open(list, HDR_BUDGET), h->failures);
	origin_write(header_list_open(list, HDR_ORIGIN), &h->origin);
	write_progress(header_list_open(list, HDR_PROGRESS), &h->progress);
	if (batch_id)
		header_list_add_text(list, HDR_BATCH, batch_id);
	if (h->spilled_at_ms > 0)
		header_list_add_int(list, HDR_SPILLED_AT, h->spilled_at_ms);
	if (h->replay > 0)
		header_list_add_int(list, HDR_REPLAY, h->replay);
}

struct record *history_retry_record(const struct record *original, const char *retry_topic, const char *handoff_id,
				    const char *batch_id, const struct history *history)
{
	struct header_list list;
	header_list_init(&list, original->header_count + OWN_HEADER_MAX);
	for (size_t i = 0; i < original->header_count; i++) {
		const struct header *header = &original->headers[i];
		if (!history_owns_header(header->name) && strcmp(header->name, HDR_BATCH) != 0 &&
		    strcmp(header->name, HDR_REPLAY) != 0)
			header_list_add(&list, header->name, header->value);
	}
	add_own_headers(&list, handoff_id, batch_id, history);
	struct record like = *original;
	like.topic = retry_topic;
	like.offset = -1;
	like.timestamp_ms = -1;
	struct record *record = header_list_record(&list, &like);
	header_list_fini(&list);
	return record;
}
