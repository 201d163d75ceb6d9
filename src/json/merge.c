#include "json/merge.h"

#include <errno.h>
#include <stdlib.h>

#include "json/write.h"

/* To merge is to find equal keys, and sorting brings them together. That costs n log n whatever the keys are; a hash
 * table would have to be defended against keys that were made to collide. */

#define ON_STACK 96 /* more than a usual session and a request's metadata have */

struct entry {
	struct span key;    /* decoded */
	struct span quoted; /* as it stands in the existing object, with its quotes; p == NULL for a pair */
	struct span value;  /* p == NULL once an earlier entry speaks for it */
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

static int find_equal_keys(struct list *list)
{
	struct entry *on_stack[ON_STACK];
	struct entry **sorted = on_stack;
	if (list->count > ON_STACK)
		sorted = reallocarray(NULL, list->count, sizeof(struct entry *));
	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < list->count; i++)
		sorted[i] = &list->items[i];
	qsort(sorted, list->count, sizeof(struct entry *), compare);
	const int r = settle(sorted, list->count);
	if (sorted != on_stack)
		free(sorted);
	return r;
}

static void emit(struct buf *out, const struct list *list)
{
	char before = '{';
	for (size_t i = 0; i < list->count; i++) {
		const struct entry *entry = &list->items[i];
		if (!entry->value.p)
			continue;
		buf_add_char(out, before);
		if (entry->quoted.p)
			buf_add_span(out, entry->quoted);
		else
			write_quoted(out, entry->key);
		buf_add_char(out, ':');
		buf_add_span(out, entry->value);
		before = ',';
	}
	if (before == '{')
		buf_add_char(out, '{');
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
		r = buf_ok(out) ? 0 : -EMSGSIZE;
	}
	if (r < 0)
		buf_cut(out, len);
	list_fini(&list);
	return r;
}
