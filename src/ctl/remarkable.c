#include "ctl/remarkable.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/body.h"
#include "handoff/contract.h"
#include "json/write.h"

static void remark_fini(struct remark *remark)
{
	free(remark->handoff_id);
	free(remark->session_id);
	free(remark->status);
	free(remark->reason);
	free(remark->message);
	*remark = (struct remark){ 0 };
}

/* --- reading an outcome --- */

static char *copy_header(const struct record *outcome, const char *name)
{
	const struct span value = record_header(outcome, name);
	return value.p ? strndup(value.p, value.n) : NULL;
}

/* "trigger: 500 the connector failed" */
static char *message_of(struct json_object *error)
{
	struct buf text;
	buf_init(&text, 4096);
	if (body_member(error, "stage"))
		buf_add_format(&text, "%s: ", json_object_get_string(body_member(error, "stage")));
	if (body_member(error, "httpStatus"))
		buf_add_format(&text, "%d ", json_object_get_int(body_member(error, "httpStatus")));
	if (body_member(error, "message"))
		buf_add_text(&text, json_object_get_string(body_member(error, "message")));
	char *message = buf_take(&text, NULL);
	buf_fini(&text);
	return message;
}

static struct remark read_outcome(const struct record *outcome, struct json_object *body)
{
	return (struct remark){
		.handoff_id = copy_header(outcome, HDR_ID),
		.session_id = copy_header(outcome, HDR_CE_SUBJECT),
		.status = copy_header(outcome, HDR_STATUS),
		.reason = copy_header(outcome, HDR_REASON),
		.message = message_of(body_member(body, "error")),
		.total_ms = json_object_get_int64(body_member(body_member(body, "timing"), "totalMs")),
	};
}

/* --- keeping --- */

static void keep_slow(struct remarkable *all, const struct record *outcome, struct json_object *body)
{
	const int64_t total_ms = json_object_get_int64(body_member(body_member(body, "timing"), "totalMs"));
	size_t at = all->slowest_count;
	while (at > 0 && all->slowest[at - 1].total_ms < total_ms)
		at--;
	if (at == REMARKABLE_SLOWEST)
		return;
	if (all->slowest_count == REMARKABLE_SLOWEST)
		remark_fini(&all->slowest[--all->slowest_count]);
	memmove(&all->slowest[at + 1], &all->slowest[at], (all->slowest_count - at) * sizeof(all->slowest[0]));
	all->slowest[at] = read_outcome(outcome, body);
	all->slowest_count++;
}

static void keep_failed(struct remarkable *all, const struct record *outcome, struct json_object *body)
{
	if (all->failed_count < REMARKABLE_FAILED)
		all->failed[all->failed_count++] = read_outcome(outcome, body);
	else
		all->failed_more++;
}

void remarkable_take(struct remarkable *all, const struct record *outcome, bool is_good)
{
	struct json_object *body = body_parse(outcome);
	if (json_object_is_type(body, json_type_object)) {
		keep_slow(all, outcome, body);
		if (!is_good)
			keep_failed(all, outcome, body);
	}
	json_object_put(body);
}

void remarkable_fini(struct remarkable *all)
{
	for (size_t i = 0; i < all->slowest_count; i++)
		remark_fini(&all->slowest[i]);
	for (size_t i = 0; i < all->failed_count; i++)
		remark_fini(&all->failed[i]);
	*all = (struct remarkable){ 0 };
}

/* --- telling --- */

static void print_remark(const struct remark *remark, bool with_message, FILE *out)
{
	fputs("  ", out);
	body_print_text(remark->handoff_id, out);
	fputs("  ", out);
	body_print_text(remark->session_id, out);
	fprintf(out, "  %s/%s  %" PRId64 " ms", remark->status ? remark->status : "?",
		remark->reason ? remark->reason : "?", remark->total_ms);
	if (with_message && remark->message) {
		fputs("  ", out);
		body_print_text(remark->message, out);
	}
	fputc('\n', out);
}

void remarkable_print(const struct remarkable *all, FILE *out)
{
	if (all->failed_count > 0)
		fputs("NOT HANDED OVER\n", out);
	for (size_t i = 0; i < all->failed_count; i++)
		print_remark(&all->failed[i], true, out);
	if (all->failed_more > 0)
		fprintf(out, "  and %zu more; handoffctl follow --from-start --batch lists all\n", all->failed_more);
	if (all->slowest_count > 0)
		fputs("SLOWEST\n", out);
	for (size_t i = 0; i < all->slowest_count; i++)
		print_remark(&all->slowest[i], false, out);
}

static void write_remarks(const char *key, const struct remark *remarks, size_t count, struct buf *json)
{
	write_array_begin(json, key);
	for (size_t i = 0; i < count; i++) {
		write_object_begin(json, NULL);
		write_text(json, "handoffId", remarks[i].handoff_id);
		write_text(json, "sessionId", remarks[i].session_id);
		write_text(json, "status", remarks[i].status);
		write_text(json, "reason", remarks[i].reason);
		write_text(json, "message", remarks[i].message);
		write_int(json, "totalMs", remarks[i].total_ms);
		write_object_end(json);
	}
	write_array_end(json);
}

void remarkable_write(const struct remarkable *all, struct buf *json)
{
	write_remarks("slowest", all->slowest, all->slowest_count, json);
	write_remarks("failed", all->failed, all->failed_count, json);
	write_int(json, "failedLeftOut", (int64_t)all->failed_more);
}
