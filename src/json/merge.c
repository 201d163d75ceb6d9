#include "json/merge.h"

#include <errno.h>
#include <stdlib.h>

#include "json/write.h"

/* To merge is to find equal keys. They share a bucket, and each bucket is sorted: usually it has one entry or none;
 * keys that were made to collide cost n log n, never n squared. */

/* More than a usual session and a request's metadata have. */
#define ON_STACK         96
#define BUCKETS_ON_STACK 128

struct entry {
	struct span key;    /* decoded */
	struct span quoted; /* as it stands in the existing object, with its quotes; p == NULL for a pair */
	struct span value;  /* p == NULL once an earlier entry speaks for it */
	struct entry *next; /* in its bucket */
};

/* Members and pairs, in the order of the result. */
struct list {
	struct entry *items;
	size_t count;
	size_t cap;
	struct buf keys; /* what `key` of members with escapes points to */
	struct entry on_stack[ON_STACK];
};

static void list_init(struct list *list)
{
	list->items = list->on_stack;
	list->count = 0;
	list->cap = ON_STACK;
	buf_init(&list->keys, SIZE_MAX - 1);
}

static void list_fini(struct list *list)
{
	if (list->items != list->on_stack)
		free(list->items);
	buf_fini(&list->keys);
}

static int list_add(struct list *list, struct entry entry)
{
	if (list->count == list->cap) {
		const bool moved = list->items != list->on_stack;
		struct entry *items = reallocarray(moved ? list->items : NULL, 2 * list->cap, sizeof(*items));
		if (!items)
			return -ENOMEM;
		if (!moved)
			memcpy(items, list->on_stack, sizeof(list->on_stack));
		list->items = items;
		list->cap *= 2;
	}
	list->items[list->count++] = entry;
	return 0;
}

/* Makes room for every key at once, for spans point into it: decoded keys are no longer than written ones. */
static int reserve_keys(struct buf *keys, struct span object)
{
	if (keys->cap > 0)
		return 0;
	buf_add_span(keys, object);
	if (!buf_ok(keys))
		return -ENOMEM;
	buf_reset(keys);
	return 0;
}

static int add_members(struct list *list, struct scan_value object)
{
	struct scan_walk walk = scan_members(object);
	struct scan_member member;
	while (scan_next(&walk, &member)) {
		struct entry entry = { .key = member.key,
				       .quoted = { member.key.p - 1, member.key.n + 2 },
				       .value = member.value.text };
		if (member.key_escaped) {
			if (reserve_keys(&list->keys, object.text) < 0)
				return -ENOMEM;
			const size_t start = list->keys.len;
			scan_decode_key(&list->keys, member.key);
			entry.key = (struct span){ list->keys.data + start, list->keys.len - start };
		}
		if (list_add(list, entry) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int add_pairs(struct list *list, const struct merge_pair *pairs, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (list_add(list, (struct entry){ .key = pairs[i].key, .value = pairs[i].value }) < 0)
			return -ENOMEM;
	return 0;
}

/* By key, and equal keys by place. */
static int compare(const void *left, const void *right)
{
	const struct entry *a = *(struct entry *const *)left;
	const struct entry *b = *(struct entry *const *)right;
	if (a->key.n != b->key.n)
		return a->key.n < b->key.n ? -1 : 1;
	const int order = a->key.n > 0 ? memcmp(a->key.p, b->key.p, a->key.n) : 0;
	if (order != 0)
		return order;
	return a < b ? -1 : a > b;
}

static void sort(struct entry **entries, size_t count)
{
	if (count > 8) {
		qsort(entries, count, sizeof(struct entry *), compare);
		return;
	}
	for (size_t i = 1; i < count; i++) {
		struct entry *entry = entries[i];
		size_t place = i;
		for (; place > 0 && compare(&entry, &entries[place - 1]) < 0; place--)
			entries[place] = entries[place - 1];
		entries[place] = entry;
	}
}

/* Gives the first entry of each key the value of the last, and silences the others. */
static int settle(struct entry **sorted, size_t count)
{
	for (size_t first = 0, next; first < count; first = next) {
		for (next = first + 1; next < count && span_eq(sorted[first]->key, sorted[next]->key); next++) {
			if (sorted[next]->quoted.p)
				return -EINVAL; /* twice in the existing object: members come before pairs */
			sorted[first]->value = sorted[next]->value;
			sorted[next]->value = SPAN_NONE;
		}
	}
	return 0;
}

static uint64_t hash(struct span key)
{
	const uint64_t odd = 0x9e3779b97f4a7c15u;
	uint64_t h = key.n * odd;
	while (key.n > 0) {
		uint64_t bytes = 0;
		const size_t n = key.n < sizeof(bytes) ? key.n : sizeof(bytes);
		memcpy(&bytes, key.p, n);
		h = (h ^ bytes) * odd;
		h ^= h >> 32;
		key = (struct span){ key.p + n, key.n - n };
	}
	return h;
}

static int settle_bucket(struct entry *entry, struct entry **room)
{
	size_t count = 0;
	for (; entry; entry = entry->next)
		room[count++] = entry;
	sort(room, count);
	return settle(room, count);
}

static int find_equal_keys(struct list *list)
{
	struct entry *on_stack[2 * BUCKETS_ON_STACK];
	struct entry **buckets = on_stack;
	size_t count = 16; /* a power of two, not less than there are entries */
	int r = 0;
	while (count < list->count)
		count *= 2;
	if (count > BUCKETS_ON_STACK)
		buckets = reallocarray(NULL, 2 * count, sizeof(struct entry *));
	if (!buckets)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		buckets[i] = NULL;
	for (size_t i = 0; i < list->count; i++) {
		struct entry **bucket = &buckets[hash(list->items[i].key) & (count - 1)];
		list->items[i].next = *bucket;
		*bucket = &list->items[i];
	}
	for (size_t i = 0; i < count && r == 0; i++)
		r = settle_bucket(buckets[i], buckets + count);
	if (buckets != on_stack)
		free(buckets);
	return r;
}

static void emit_entry(struct buf *out, const struct entry *entry)
{
	/* Where it stands together in one piece, as it mostly does, it is copied in one. */
	if (entry->quoted.p && entry->value.p == entry->quoted.p + entry->quoted.n + 1) {
		buf_add(out, entry->quoted.p, entry->quoted.n + 1 + entry->value.n);
		return;
	}
	if (entry->quoted.p)
		buf_add_span(out, entry->quoted);
	else
		write_quoted(out, entry->key);
	buf_add_char(out, ':');
	buf_add_span(out, entry->value);
}

static void emit(struct buf *out, const struct list *list)
{
	bool first = true;
	buf_add_char(out, '{');
	for (size_t i = 0; i < list->count; i++) {
		if (!list->items[i].value.p)
			continue;
		if (!first)
			buf_add_char(out, ',');
		emit_entry(out, &list->items[i]);
		first = false;
	}
	buf_add_char(out, '}');
}

int merge_object(struct buf *out, struct scan_value existing, const struct merge_pair *pairs, size_t count)
{
	struct list list;
	const size_t len = out->len;
	if (existing.text.p && existing.type != SCAN_OBJECT)
		return -EINVAL;
	list_init(&list);
	int r = add_members(&list, existing);
	if (r == 0)
		r = add_pairs(&list, pairs, count);
	if (r == 0)
		r = find_equal_keys(&list);
	if (r == 0) {
		emit(out, &list);
		r = buf_result(out);
	}
	if (r < 0)
		buf_cut(out, len);
	list_fini(&list);
	return r;
}
