#include "worker/filling.h"

#include <errno.h>

#include "base/template.h"
#include "base/text.h"
#include "rules/session.h"
#include "json/merge.h"
#include "json/write.h"

#define OWN_VARIABLES 5
#define PAIRS_MAX     (REQUEST_METADATA_KEYS_MAX + OWN_VARIABLES)

/* ---- {variables} ---- */

/* The caller's metadata as pairs; their decoded keys are collected in `keys`, which must outlive the pairs. */
static size_t add_metadata(const struct request *request, struct merge_pair *pairs, struct buf *keys)
{
	struct scan_value object;
	struct scan_member member;
	size_t ends[REQUEST_METADATA_KEYS_MAX];
	size_t count = 0;
	if (!request->metadata.p || scan_check(request->metadata, &object, NULL) < 0)
		return 0;
	struct scan_walk walk = scan_members(object);
	while (count < REQUEST_METADATA_KEYS_MAX && scan_next(&walk, &member)) {
		scan_decode_key(keys, member.key);
		ends[count] = keys->len;
		pairs[count++].value = member.value.text;
	}
	/* Only now does the buffer no longer move. */
	for (size_t i = 0, begin = 0; i < count; begin = ends[i], i++)
		pairs[i].key = (struct span){ buf_text(keys) + begin, ends[i] - begin };
	return count;
}

/* The type as a JSON string. */
static struct span target_type(const struct request *request)
{
	static const struct span types[] = {
		[TARGET_QUEUE] = { "\"queue\"", 7 }, [TARGET_SIP] = { "\"sip\"", 5 }, [TARGET_TEL] = { "\"tel\"", 5 }
	};
	return types[request->target_type];
}

static size_t add_own(const struct filling *filling, const struct buf *target, const struct buf *marker,
		      struct merge_pair *pairs)
{
	const struct settings_tenant *settings = filling->settings;
	size_t count = 0;
	pairs[count++] = (struct merge_pair){ SPAN(VAR_TRANSFER_TARGET), buf_span(target) };
	pairs[count++] = (struct merge_pair){ SPAN(VAR_TRANSFER_TYPE), target_type(filling->request) };
	pairs[count++] = (struct merge_pair){ SPAN(VAR_HANDOFF_TRIGGER), SPAN("true") };
	pairs[count++] = (struct merge_pair){ SPAN(VAR_TELEPHONY_ACTION), SPAN("\"transfer\"") };
	if (settings->marker_variable[0])
		pairs[count++] = (struct merge_pair){ span_of(settings->marker_variable), buf_span(marker) };
	return count;
}

static void write_marker(struct buf *quoted, const struct filling *filling)
{
	char storage[1025];
	struct buf marker;
	buf_init_on(&marker, storage, sizeof(storage));
	session_marker_write(&marker, filling->request->handoff_id, filling->history);
	write_quoted(quoted, buf_span(&marker));
	buf_fini(&marker);
}

/* The first that is not well; want of memory comes before everything else, which may be its consequence. */
static int worst_of(const struct buf *const *bufs, size_t count, int r)
{
	for (size_t i = 0; i < count; i++)
		if (buf_result(bufs[i]) == -ENOMEM || r == 0)
			r = buf_result(bufs[i]);
	return r;
}

/* What a handoff writes, over the session's variables and the caller's metadata where `with_foreign`. */
static int write_pairs(const struct filling *filling, bool with_foreign, struct buf *out)
{
	const struct request *request = filling->request;
	const struct scan_value nothing = { .type = SCAN_OBJECT, .text = SPAN_NONE };
	struct merge_pair pairs[PAIRS_MAX];
	struct buf keys, target, marker;
	buf_init(&keys, REQUEST_METADATA_BYTES_MAX);
	buf_init(&target, 6 * TARGET_VALUE_MAX + 2);
	buf_init(&marker, 8192);
	size_t count = with_foreign ? add_metadata(request, pairs, &keys) : 0;
	write_quoted(&target, span_of(request->target ? request->target : request->queue_id));
	write_marker(&marker, filling);
	count += add_own(filling, &target, &marker, pairs + count);
	int r = merge_object(out, with_foreign ? filling->variables : nothing, pairs, count);
	r = worst_of((const struct buf *const[]){ out, &keys, &target, &marker }, 4, r);
	buf_fini(&keys);
	buf_fini(&target);
	buf_fini(&marker);
	return r;
}

static int write_variables(const struct filling *filling, struct buf *out)
{
	return write_pairs(filling, true, out);
}

static int write_data(const struct filling *filling, struct buf *out)
{
	return write_pairs(filling, false, out);
}

/* ---- the holes ---- */

static int write_preserve_media_stream(const struct filling *filling, struct buf *out)
{
	buf_add_text(out, filling->settings->preserve_media_stream ? "true" : "false");
	return 0;
}

static struct span session_id(const struct filling *filling)
{
	return span_of(filling->request->session_id);
}

static struct span user_id(const struct filling *filling)
{
	return span_of(filling->request->user_id);
}

static struct span url_token(const struct filling *filling)
{
	return span_of(filling->request->url_token);
}

static struct span scope(const struct filling *filling)
{
	return span_of(filling->settings->scope);
}

static struct span intent(const struct filling *filling)
{
	return span_of(filling->settings->intent);
}

static struct span text(const struct filling *filling)
{
	return span_of(filling->settings->text);
}

static struct span client_id(const struct filling *filling)
{
	return span_of(filling->settings->client_id);
}

static struct span client_secret(const struct filling *filling)
{
	return filling->secret;
}

/* Texts fit into paths, headers and bodies; JSON values into bodies alone. */
static const struct hole {
	struct span name;
	struct span (*text)(const struct filling *filling);
	int (*json)(const struct filling *filling, struct buf *out);
} holes[] = {
	{ .name = { "sessionId", 9 }, .text = session_id },
	{ .name = { "variables", 9 }, .json = write_variables },
	{ .name = { "preserveMediaStream", 19 }, .json = write_preserve_media_stream },
	{ .name = { "intent", 6 }, .text = intent },
	{ .name = { "text", 4 }, .text = text },
	{ .name = { "data", 4 }, .json = write_data },
	{ .name = { "userId", 6 }, .text = user_id },
	{ .name = { "urlToken", 8 }, .text = url_token },
	{ .name = { "scope", 5 }, .text = scope },
	{ .name = { "clientId", 8 }, .text = client_id },
	{ .name = { "clientSecret", 12 }, .text = client_secret },
};

static const struct hole *find(struct span name)
{
	for (size_t i = 0; i < ARRAY_SIZE(holes); i++)
		if (span_eq(holes[i].name, name))
			return &holes[i];
	return NULL;
}

static int fill_encoded(const void *arg, struct span name, struct buf *out)
{
	const struct hole *hole = find(name);
	if (!hole || !hole->text)
		return -EINVAL;
	text_percent_encode(out, hole->text(arg));
	return 0;
}

/* After a replay it is another transfer that is wanted, hence another key. */
static void write_idempotency_key(const struct filling *filling, struct buf *out)
{
	buf_add_text(out, filling->request->handoff_id);
	if (filling->history->replay > 0)
		buf_add_format(out, ".r%d", filling->history->replay);
}

static int fill_header(const void *arg, struct span name, struct buf *out)
{
	if (!span_is(name, "idempotencyKey"))
		return -EINVAL;
	write_idempotency_key(arg, out);
	return 0;
}

static int fill_body(const void *arg, struct span name, struct buf *out)
{
	const struct hole *hole = find(name);
	if (!hole)
		return -EINVAL;
	if (hole->json)
		return hole->json(arg, out);
	write_quoted(out, hole->text(arg));
	return 0;
}

static int write_filled(struct buf *out, const char *template, template_fill *fill, const struct filling *filling)
{
	const int r = template_write(out, template, fill, filling);
	return r < 0 ? r : buf_result(out);
}

int filling_encoded(struct buf *out, const char *template, const struct filling *filling)
{
	return write_filled(out, template, fill_encoded, filling);
}

int filling_header(struct buf *out, const char *template, const struct filling *filling)
{
	return write_filled(out, template, fill_header, filling);
}

int filling_body(struct buf *out, const char *template, const struct filling *filling)
{
	return write_filled(out, template, fill_body, filling);
}
