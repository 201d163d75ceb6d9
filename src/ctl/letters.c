#include "ctl/letters.h"

#include <errno.h>
#include <stdlib.h>

#include "base/text.h"
#include "rules/sent_record.h"

static enum reason reason_of(const struct record *record)
{
	const struct span value = record_header(record, HDR_REASON);
	char text[64] = "";
	if (value.n > 0 && value.n < sizeof(text))
		memcpy(text, value.p, value.n);
	return reason_by_name(text);
}

static bool is_asked_for(const struct letters_filter *filter, const struct record *record)
{
	return (!filter->id || span_is(record_header(record, HDR_ID), filter->id)) &&
	       (filter->reason == REASON_COUNT || filter->reason == reason_of(record));
}

static struct letter *new_letter(struct letters *letters)
{
	if (letters->count == letters->capacity) {
		const size_t capacity = letters->capacity ? letters->capacity * 2 : 64;
		struct letter *items = realloc(letters->items, capacity * sizeof(*items));
		if (!items)
			return NULL;
		letters->items = items;
		letters->capacity = capacity;
	}
	return &letters->items[letters->count];
}

/* The letter joins the others of its handoff. False when out of memory. */
static bool chain(struct letters *letters, size_t index)
{
	const struct record *record = letters->items[index].record;
	bool is_new;
	struct pair_slot *slot =
		pair_map_put(&letters->chains, record_header(record, HDR_ID), record->key, index, &is_new);
	if (!slot)
		return false;
	letters->items[index].next = is_new ? SIZE_MAX : slot->number;
	slot->number = index;
	return true;
}

int letters_take(struct letters *letters, const struct letters_filter *filter, const struct record *record)
{
	letters->seen++;
	if (!is_asked_for(filter, record) || !record_header(record, HDR_ID).p)
		return 0;
	if (letters->memory + record->memory > LETTERS_MAX_BYTES)
		return -EFBIG;
	struct letter *letter = new_letter(letters);
	struct record *copy = letter ? record_new(record) : NULL;
	if (!copy)
		return -ENOMEM;
	*letter = (struct letter){
		.record = copy, .reason = reason_of(record), .replay = sent_replay_of(record), .replayed_as = -1
	};
	if (text_parse_int64(record_header(record, HDR_FAILED_AT), &letter->failed_at_ms) < 0)
		letter->failed_at_ms = 0;
	letters->memory += copy->memory;
	return chain(letters, letters->count++) ? 0 : -ENOMEM;
}

/* Every letter of this handoff learns that there is a record of this number. */
static void note(struct letters *letters, struct span id, struct span key, int32_t number)
{
	const struct pair_slot *slot = pair_map_find(&letters->chains, id, key);
	for (size_t i = slot ? slot->number : SIZE_MAX; i != SIZE_MAX; i = letters->items[i].next)
		if (letters->items[i].replayed_as < number)
			letters->items[i].replayed_as = number;
}

void letters_replay(struct letters *letters, const struct record *request)
{
	const struct span id = record_header(request, HDR_ID);
	const int32_t number = sent_replay_of(request);
	if (id.p && number > 0)
		note(letters, id, request->key, number);
}

static enum letter_fate judge(const struct letter *letter, const struct letters_rule *rule)
{
	if (record_header(letter->record, HDR_TRUNCATED).p)
		return LETTER_TRUNCATED;
	if (letter->replayed_as > letter->replay && !rule->again)
		return LETTER_REPLAYED;
	if (letter->replay < 0 || letter->replay >= rule->most)
		return LETTER_TOO_OFTEN;
	if (letter->failed_at_ms < rule->removed_before_ms && !rule->again)
		return LETTER_UNSURE;
	return LETTER_OPEN;
}

void letters_judge(struct letters *letters, const struct letters_rule *rule)
{
	for (size_t i = 0; i < letters->count; i++) {
		const struct record *record = letters->items[i].record;
		note(letters, record_header(record, HDR_ID), record->key, letters->items[i].replay);
	}
	for (size_t i = 0; i < letters->count; i++)
		letters->items[i].fate = judge(&letters->items[i], rule);
}

void letters_fini(struct letters *letters)
{
	for (size_t i = 0; i < letters->count; i++)
		record_free(letters->items[i].record);
	free(letters->items);
	pair_map_fini(&letters->chains);
	*letters = (struct letters){ 0 };
}

const char *letter_fate_name(enum letter_fate fate)
{
	static const char *const names[] = {
		[LETTER_OPEN] = "toReplay",      [LETTER_REPLAYED] = "replayedBefore", [LETTER_UNSURE] = "unsure",
		[LETTER_TOO_OFTEN] = "tooOften", [LETTER_TRUNCATED] = "truncated",
	};
	return names[fate];
}
