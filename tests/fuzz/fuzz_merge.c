/*
 * fuzz_merge - does the merge harm anything that is not ours?
 *
 * Input: an object up to the first line feed, then a pair a line, `key=JSON` with the key's bytes as they are.
 * The result must be, byte for byte, what a merge that compares every key with every other writes, and json-c must
 * find in it, in the same order, what it finds in the object and the pairs.
 */
#include <errno.h>
#include <string.h>

#include "fuzz_json.h"
#include "fuzz_line.h"
#include "json/merge.h"
#include "json/write.h"

#define PAIRS_MAX   80
#define MEMBERS_MAX 400
#define LIMIT       ((size_t)1 << 24)

struct item {
	char *key; /* decoded, NUL-terminated besides */
	size_t key_len;
	struct span written; /* with quotes; absent for a pair */
	struct span value;
};

struct items {
	struct item all[MEMBERS_MAX + PAIRS_MAX];
	size_t members;
	size_t count;
};

static struct item *find(struct items *items, struct span key)
{
	for (size_t i = 0; i < items->count; i++)
		if (span_eq((struct span){ items->all[i].key, items->all[i].key_len }, key))
			return &items->all[i];
	return NULL;
}

static void add(struct items *items, struct buf *key, struct span written, struct span value)
{
	struct item *item = &items->all[items->count++];
	buf_add(key, "", 0);
	*item = (struct item){ .written = written, .value = value };
	item->key = buf_take(key, &item->key_len);
	CHECK(item->key);
}

/* False when two members have the same key. */
static bool add_members(struct items *items, struct scan_value object)
{
	struct scan_walk walk = scan_members(object);
	struct scan_member member;
	bool distinct = true;
	while (scan_next(&walk, &member)) {
		struct buf key;
		buf_init(&key, LIMIT);
		scan_decode_key(&key, member.key);
		distinct = distinct && !find(items, buf_span(&key));
		add(items, &key, (struct span){ member.key.p - 1, member.key.n + 2 }, member.value.text);
	}
	return distinct;
}

static void add_pair(struct items *items, struct merge_pair pair)
{
	struct item *item = find(items, pair.key);
	struct buf key;
	if (item) {
		item->value = pair.value;
		return;
	}
	buf_init(&key, LIMIT);
	buf_add_span(&key, pair.key);
	add(items, &key, SPAN_NONE, pair.value);
}

static void write_expected(struct buf *out, const struct items *items)
{
	buf_add_char(out, '{');
	for (size_t i = 0; i < items->count; i++) {
		const struct item *item = &items->all[i];
		if (i > 0)
			buf_add_char(out, ',');
		if (item->written.p)
			buf_add_span(out, item->written);
		else
			write_quoted(out, (struct span){ item->key, item->key_len });
		buf_add_char(out, ':');
		buf_add_span(out, item->value);
	}
	buf_add_char(out, '}');
}

/* json-c cuts keys at a NUL, and pairs may have keys that are not UTF-8: then it has nothing to say. */
static bool json_c_can_tell(const struct items *items)
{
	for (size_t i = 0; i < items->count; i++) {
		const struct item *item = &items->all[i];
		struct scan_value value;
		struct buf quoted;
		buf_init(&quoted, LIMIT);
		write_quoted(&quoted, (struct span){ item->key, item->key_len });
		const bool plain = scan_check(buf_span(&quoted), &value, NULL) == 0 &&
				   !memmem(quoted.data, quoted.len, "\xef\xbf\xbd", 3) &&
				   strlen(item->key) == item->key_len;
		buf_fini(&quoted);
		if (!plain)
			return false;
	}
	return true;
}

static void compare_with_json_c(struct span merged, const struct items *items)
{
	json_object *object = fuzz_json(merged);
	CHECK(json_object_is_type(object, json_type_object));
	if (json_c_can_tell(items)) {
		size_t i = 0;
		json_object_object_foreach(object, key, value)
		{
			CHECK(i < items->count);
			CHECK(strcmp(key, items->all[i].key) == 0);
			json_object *wanted = fuzz_json(items->all[i].value);
			CHECK(strcmp(json_object_to_json_string(wanted), json_object_to_json_string(value)) == 0);
			json_object_put(wanted);
			i++;
		}
		CHECK(i == items->count);
	}
	json_object_put(object);
}

static size_t read_pairs(struct span rest, struct merge_pair *ret)
{
	size_t count = 0;
	while (rest.n > 0 && count < PAIRS_MAX) {
		struct scan_value value;
		const struct span line = fuzz_take_line(&rest);
		const char *equals = line.n > 0 ? memchr(line.p, '=', line.n) : NULL;
		if (!equals)
			continue;
		const size_t n = (size_t)(equals - line.p);
		if (scan_check((struct span){ equals + 1, line.n - n - 1 }, &value, NULL) == 0)
			ret[count++] = (struct merge_pair){ { line.p, n }, value.text };
	}
	return count;
}

static void check_merge(struct scan_value object, const struct merge_pair *pairs, size_t count)
{
	static struct items items;
	struct buf merged, wanted;
	buf_init(&merged, LIMIT);
	buf_init(&wanted, LIMIT);
	items = (struct items){ 0 };
	const bool distinct = add_members(&items, object);
	const int r = merge_object(&merged, object, pairs, count);
	CHECK(r == (distinct ? 0 : -EINVAL));
	if (r == 0) {
		struct scan_value value;
		for (size_t i = 0; i < count; i++)
			add_pair(&items, pairs[i]);
		write_expected(&wanted, &items);
		CHECK(span_eq(buf_span(&merged), buf_span(&wanted)));
		CHECK(scan_check(buf_span(&merged), &value, NULL) == 0 || count > 0); /* a pair may be nested deeper */
		compare_with_json_c(buf_span(&merged), &items);
	}
	for (size_t i = 0; i < items.count; i++)
		free(items.all[i].key);
	buf_fini(&merged);
	buf_fini(&wanted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct merge_pair pairs[PAIRS_MAX];
	struct span rest = fuzz_input(data, size);
	const struct span first = fuzz_take_line(&rest);
	struct scan_value object = { .text = SPAN_NONE };
	const bool is_object = scan_check(first, &object, NULL) == 0 && object.type == SCAN_OBJECT;
	if (!is_object && first.n > 0)
		return 0;
	if (!is_object)
		object.text = SPAN_NONE;
	if (object.text.n / 5 >= MEMBERS_MAX)
		return 0;
	check_merge(object, pairs, read_pairs(rest, pairs));
	return 0;
}
