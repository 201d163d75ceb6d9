#include "rules/offsets.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define BITS        64
#define FIRST_WORDS 16
/* Beyond this the arithmetic on whole words could overflow; no topic gets there. */
#define OFFSET_MAX (INT64_MAX - BITS)

/*
 * One bit per offset, set when it is done, in a ring of words: offset i is bit i % 64 of word (i / 64) % cap.
 *
 *   base <= next <= limit, limit - base <= window
 *   [base, next)   clear: open           set: done
 *   [next, limit)  clear: never seen     set: preloaded
 *   elsewhere      clear
 *   open == 0  exactly when  base == next;  otherwise base is open
 */
struct offsets {
	int64_t base;
	int64_t next;
	int64_t limit;
	size_t window;
	size_t open;
	size_t cap; /* words; a power of two */
	uint64_t *words;
};

struct offsets *offsets_new(int64_t start, size_t window)
{
	assert(start >= 0);
	struct offsets *o = malloc(sizeof(*o));
	if (!o)
		return NULL;
	*o = (struct offsets){ .base = start, .next = start, .limit = start, .window = window, .cap = FIRST_WORDS };
	o->words = calloc(o->cap, sizeof(o->words[0]));
	return o->words ? o : offsets_free(o);
}

struct offsets *offsets_free(struct offsets *o)
{
	if (o)
		free(o->words);
	free(o);
	return NULL;
}

int64_t offsets_base(const struct offsets *o)
{
	return o->base;
}

int64_t offsets_next(const struct offsets *o)
{
	return o->next;
}

int64_t offsets_limit(const struct offsets *o)
{
	return o->limit;
}

size_t offsets_open_count(const struct offsets *o)
{
	return o->open;
}

static uint64_t *word_of(const struct offsets *o, int64_t offset)
{
	return &o->words[(uint64_t)offset / BITS & (o->cap - 1)];
}

/* The first offset of the word behind the one that holds `offset`. */
static int64_t next_word(int64_t offset)
{
	return (offset | (BITS - 1)) + 1;
}

/* Within the word that holds `from`, the bits of [from, to). */
static uint64_t mask_of(int64_t from, int64_t to)
{
	const uint64_t tail = to < next_word(from) ? ~(UINT64_MAX << (to & (BITS - 1))) : UINT64_MAX;
	return UINT64_MAX << (from & (BITS - 1)) & tail;
}

static void set_range(struct offsets *o, int64_t from, int64_t to)
{
	for (int64_t at = from; at < to; at = next_word(at))
		*word_of(o, at) |= mask_of(at, to);
}

static void clear_range(struct offsets *o, int64_t from, int64_t to)
{
	for (int64_t at = from; at < to; at = next_word(at))
		*word_of(o, at) &= ~mask_of(at, to);
}

static bool is_set(const struct offsets *o, int64_t offset)
{
	return *word_of(o, offset) >> (offset & (BITS - 1)) & 1;
}

/* The first offset in [from, to) whose bit is `set`, else `to`. */
static int64_t find(const struct offsets *o, int64_t from, int64_t to, bool set)
{
	for (int64_t at = from; at < to; at = next_word(at)) {
		const uint64_t word = *word_of(o, at);
		const uint64_t hits = (set ? word : ~word) & mask_of(at, to);
		if (hits)
			return (at & ~(int64_t)(BITS - 1)) + __builtin_ctzll(hits);
	}
	return to;
}

bool offsets_is_done(const struct offsets *o, int64_t offset)
{
	return offset < o->base || (offset < o->limit && is_set(o, offset));
}

/* Makes the ring large enough for [base, end). */
static int grow(struct offsets *o, int64_t end)
{
	const size_t need = (size_t)((end - 1) / BITS - o->base / BITS + 1);
	if (need <= o->cap)
		return 0;
	size_t cap = o->cap;
	while (cap < need)
		cap *= 2;
	uint64_t *words = calloc(cap, sizeof(words[0]));
	if (!words)
		return -ENOMEM;
	for (int64_t at = o->base; at < o->limit; at = next_word(at))
		words[(uint64_t)at / BITS & (cap - 1)] = *word_of(o, at);
	free(o->words);
	o->words = words;
	o->cap = cap;
	return 0;
}

/* May the span end at `end`? With nothing open it may, however far that is: the base moves along. */
static int make_room(struct offsets *o, int64_t end)
{
	if (end > OFFSET_MAX)
		return -E2BIG;
	if (o->open == 0)
		return 0;
	return (uint64_t)(end - o->base) > o->window ? -E2BIG : grow(o, end);
}

/* Moves the base up to `to`, leaving nothing behind it in the ring. */
static void advance(struct offsets *o, int64_t to)
{
	clear_range(o, o->base, to < o->limit ? to : o->limit);
	o->base = to;
}

/* Counts everything in [next, to) as done; there is room for it. */
static void pass(struct offsets *o, int64_t to)
{
	if (o->open == 0)
		advance(o, to);
	else
		set_range(o, o->next, to);
	o->next = to;
	if (o->limit < to)
		o->limit = to;
}

int offsets_open(struct offsets *o, int64_t offset)
{
	if (offset < o->next)
		return offsets_is_done(o, offset) ? -EEXIST : -EALREADY;
	if (offset >= OFFSET_MAX)
		return -E2BIG;
	if (offsets_is_done(o, offset)) {
		pass(o, offset + 1); /* it is below the limit: there is room */
		return -EEXIST;
	}
	const int r = make_room(o, offset + 1);
	if (r < 0)
		return r;
	pass(o, offset);
	o->next = offset + 1;
	if (o->limit < o->next)
		o->limit = o->next;
	o->open++;
	return 0;
}

void offsets_done(struct offsets *o, int64_t offset)
{
	const bool open = offset >= o->base && offset < o->next && !is_set(o, offset);
	assert(open);
	if (!open)
		return;
	*word_of(o, offset) |= UINT64_C(1) << (offset & (BITS - 1));
	o->open--;
	/* Each word is passed over once in its life, so this costs O(1) per offset, whatever the order. */
	if (offset == o->base)
		advance(o, find(o, offset, o->next, false));
}

int offsets_reach(struct offsets *o, int64_t end)
{
	if (end <= o->next)
		return 0;
	const int r = make_room(o, end);
	if (r == 0)
		pass(o, end);
	return r;
}

int offsets_preload(struct offsets *o, int64_t from, int64_t to)
{
	assert(o->base == o->next && from >= o->base);
	if (from >= to)
		return 0;
	if (from < o->base || to > OFFSET_MAX || (uint64_t)(to - o->base) > o->window)
		return -E2BIG;
	const int r = grow(o, to);
	if (r < 0)
		return r;
	set_range(o, from, to);
	if (o->limit < to)
		o->limit = to;
	return 0;
}

int64_t offsets_run(const struct offsets *o, int64_t from, bool *ret_done)
{
	*ret_done = offsets_is_done(o, from);
	if (from >= o->limit)
		return from;
	return find(o, from < o->base ? o->base : from, o->limit, !*ret_done);
}

uint64_t offsets_bits(const struct offsets *o, int64_t from)
{
	assert(from >= o->base);
	if (from >= o->limit)
		return 0;
	const int shift = (int)(from & (BITS - 1));
	uint64_t bits = *word_of(o, from) >> shift;
	/* Beyond the limit the ring may hold the base's word again. */
	if (shift > 0 && next_word(from) < o->limit)
		bits |= *word_of(o, next_word(from)) << (BITS - shift);
	return bits;
}
