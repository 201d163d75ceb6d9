#include "worker/outlet.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "rules/done_map.h"
#include "rules/outcome.h"

#define BATCH_EFFECTS_MAX 2000
#define BATCH_BYTES_MAX   ((size_t)8 << 20)
/* This many are worth a batch before the interval has passed. */
#define BATCH_EFFECTS_GOOD 500
/* Done marks without an effect (the base has passed transaction markers) wait longer for company, but not for ever: an
 * idle group's offsets would fall behind what retention removes. */
#define MARKS_ALONE USEC_PER_SEC
/* An aborted batch is not thrown at a broker in trouble without a breath. */
#define AGAIN_AFTER (50 * USEC_PER_MSEC)

struct effect {
	struct effect *next;
	struct partition *partition; /* NULL once it has gone: nothing of it may be submitted again (promise 6) */
	int64_t offset;
	usec_t since;
	struct record *records[2];
};

struct effects {
	struct effect *first;
	struct effect **last;
	size_t count;
	size_t memory;
};

/* What the producer holds a pointer to. */
struct parcel {
	struct kafka_batch batch;
	struct effects effects;
	char *maps; /* all metadata, one after the other */
};

struct outlet {
	struct kafka_producer *producer;
	usec_t interval; /* the most an effect waits for company */
	struct effects waiting;
	struct parcel parcel;
	bool busy;     /* the producer has the parcel */
	bool orphaned; /* the assignment changed meanwhile: its verdict has no consequence */
	bool again;    /* the parcel is to be submitted again as it is */
	usec_t due_again;
	bool asking;   /* its fate is unknown */
	bool disowned; /* nothing goes out until the assignment has changed */
	bool prove;
	bool proving; /* the parcel in flight is the proof */
	usec_t due;   /* when what waits must go; USEC_NEVER when nothing does */
	struct fault fault;
	struct metrics *metrics;
};

static void effects_init(struct effects *e)
{
	*e = (struct effects){ .last = NULL };
}

static void effects_append(struct effects *list, struct effect *effect)
{
	effect->next = NULL;
	if (list->first)
		*list->last = effect;
	else
		list->first = effect;
	list->last = &effect->next;
	list->count++;
	for (size_t i = 0; i < ARRAY_SIZE(effect->records); i++)
		list->memory += effect->records[i] ? effect->records[i]->memory : 0;
}

static void effect_free(struct effect *effect)
{
	for (size_t i = 0; i < ARRAY_SIZE(effect->records); i++)
		record_free(effect->records[i]);
	free(effect);
}

static void effects_free(struct effects *list)
{
	for (struct effect *e = list->first, *next; e; e = next) {
		next = e->next;
		effect_free(e);
	}
	effects_init(list);
}

struct outlet *outlet_new(struct kafka_producer *producer, usec_t interval, struct metrics *metrics)
{
	struct outlet *outlet = calloc(1, sizeof(*outlet));
	if (!outlet)
		return NULL;
	outlet->producer = producer;
	outlet->interval = interval;
	outlet->metrics = metrics;
	outlet->due = USEC_NEVER;
	effects_init(&outlet->waiting);
	effects_init(&outlet->parcel.effects);
	return outlet;
}

static void parcel_fini(struct parcel *parcel)
{
	effects_free(&parcel->effects);
	free(parcel->batch.records);
	free(parcel->batch.offsets);
	free(parcel->maps);
	*parcel = (struct parcel){ 0 };
}

struct outlet *outlet_free(struct outlet *outlet)
{
	if (!outlet)
		return NULL;
	effects_free(&outlet->waiting);
	parcel_fini(&outlet->parcel);
	free(outlet);
	return NULL;
}

int outlet_add(struct outlet *outlet, struct partition *partition, int64_t offset, struct record *first,
	       struct record *second, usec_t now)
{
	struct effect *effect = malloc(sizeof(*effect));
	if (!effect)
		return -ENOMEM;
	*effect =
		(struct effect){ .partition = partition, .offset = offset, .since = now, .records = { first, second } };
	effects_append(&outlet->waiting, effect);
	if (outlet->due > now + outlet->interval)
		outlet->due = now + outlet->interval;
	return 0;
}

void outlet_prove(struct outlet *outlet)
{
	outlet->prove = true;
}

bool outlet_proof_pending(const struct outlet *outlet)
{
	return outlet->prove || outlet->proving;
}

/* Moves effects from the outbox into the parcel, as many as one batch may hold, and marks their sources done. */
static void fill(struct outlet *outlet)
{
	struct effects *from = &outlet->waiting;
	struct effects *to = &outlet->parcel.effects;
	while (from->first && to->count < BATCH_EFFECTS_MAX && to->memory < BATCH_BYTES_MAX) {
		struct effect *effect = from->first;
		const size_t before = to->memory;
		from->first = effect->next;
		from->count--;
		effects_append(to, effect);
		from->memory -= to->memory - before;
		offsets_done(effect->partition->offsets, effect->offset);
		effect->partition->dirty = true;
	}
}

static void list_records(struct parcel *parcel)
{
	parcel->batch.record_count = 0;
	for (const struct effect *e = parcel->effects.first; e; e = e->next)
		for (size_t i = 0; i < ARRAY_SIZE(e->records); i++)
			if (e->records[i])
				parcel->batch.records[parcel->batch.record_count++] =
					(struct kafka_batch_record){ .record = e->records[i] };
}

/* One offset and its done map for each partition that has news (or for all, as a proof). */
static void list_offsets(struct outlet *outlet, struct partition *const *partitions, size_t count, bool all)
{
	struct kafka_batch *batch = &outlet->parcel.batch;
	batch->offset_count = 0;
	for (size_t i = 0; i < count; i++) {
		struct partition *p = partitions[i];
		if (!p->dirty && !all)
			continue;
		char *map = outlet->parcel.maps + batch->offset_count * (DONE_MAP_MAX + 1);
		struct buf text;
		buf_init_on(&text, map, DONE_MAP_MAX + 1); /* reserved: want of memory must not leave a map out */
		/* One that does not fit is left out: the records above the base would be handled again, not lost.
		 * partition_has_room() keeps it from coming to that. */
		if (done_map_write(&text, p->topic, p->number, p->offsets) < 0)
			map[0] = '\0';
		batch->offsets[batch->offset_count++] = (struct kafka_batch_offset){
			.topic = p->topic,
			.partition = p->number,
			.offset = offsets_base(p->offsets),
			.metadata = map,
		};
		p->dirty = false;
	}
}

/* All memory a parcel needs, before anything is moved into it. */
static bool reserve(struct outlet *outlet, size_t partitions)
{
	struct parcel *parcel = &outlet->parcel;
	const size_t effects = outlet->waiting.count < BATCH_EFFECTS_MAX ? outlet->waiting.count : BATCH_EFFECTS_MAX;
	parcel->batch.records = calloc(2 * effects + 1, sizeof(*parcel->batch.records));
	parcel->batch.offsets = calloc(partitions + 1, sizeof(*parcel->batch.offsets));
	parcel->maps = malloc((partitions + 1) * (DONE_MAP_MAX + 1));
	if (parcel->batch.records && parcel->batch.offsets && parcel->maps)
		return true;
	parcel_fini(parcel);
	return false;
}

bool outlet_has_news(const struct outlet *outlet, struct partition *const *partitions, size_t count)
{
	if (outlet->waiting.count > 0)
		return true;
	for (size_t i = 0; i < count; i++)
		if (partitions[i]->dirty)
			return true;
	return false;
}

static void submit(struct outlet *outlet)
{
	outlet->busy = kafka_producer_submit(outlet->producer, &outlet->parcel.batch) == 0;
	outlet->again = !outlet->busy;
}

void outlet_run(struct outlet *outlet, struct partition *const *partitions, size_t count, usec_t now, bool at_once)
{
	if (outlet->busy || outlet->asking || outlet->disowned)
		return;
	if (outlet->again) {
		if (now >= outlet->due_again)
			submit(outlet);
		return;
	}
	const bool news = outlet_has_news(outlet, partitions, count);
	if (!news)
		outlet->due = USEC_NEVER;
	else if (outlet->due == USEC_NEVER)
		outlet->due = now + MARKS_ALONE;
	const bool due = now >= outlet->due || outlet->waiting.count >= BATCH_EFFECTS_GOOD || at_once;
	if (!(outlet->prove && count > 0) && !(due && news))
		return;
	if (!reserve(outlet, count))
		return;
	fill(outlet);
	list_records(&outlet->parcel);
	list_offsets(outlet, partitions, count, outlet->prove);
	outlet->proving = outlet->prove;
	outlet->prove = false;
	outlet->due = outlet->waiting.count > 0 ? now + outlet->interval : USEC_NEVER;
	submit(outlet);
}

usec_t outlet_wait(const struct outlet *outlet, usec_t now)
{
	if (outlet->busy || outlet->asking || outlet->disowned)
		return USEC_NEVER;
	const usec_t due = outlet->again ? outlet->due_again : outlet->due;
	if (due == USEC_NEVER)
		return USEC_NEVER;
	return due > now ? due - now : 0;
}

static void count_verdict(struct outlet *outlet, const char *result)
{
	const char *const labels[] = { result };
	metric_add(metrics_series(outlet->metrics, METRIC_TRANSACTIONS, labels), 1);
}

static void parcel_done(struct outlet *outlet)
{
	parcel_fini(&outlet->parcel);
	effects_init(&outlet->parcel.effects);
	outlet->proving = false;
}

/* A record over the topic's limit goes as headers alone; its done mark needs some record. Which of the effect's
 * records it is, is told by the batch's list, which was made in the same order. */
static void shrink_too_large(struct parcel *parcel)
{
	size_t n = 0;
	for (struct effect *e = parcel->effects.first; e; e = e->next)
		for (size_t i = 0; i < ARRAY_SIZE(e->records); i++) {
			if (!e->records[i])
				continue;
			struct kafka_batch_record *listed = &parcel->batch.records[n++];
			struct record *shrunk = listed->too_large ? record_truncated(e->records[i]) : NULL;
			if (!shrunk)
				continue;
			record_free(e->records[i]);
			e->records[i] = shrunk;
			*listed = (struct kafka_batch_record){ .record = shrunk };
		}
}

static enum outlet_news hear_verdict(struct outlet *outlet, enum kafka_verdict verdict, usec_t now)
{
	switch (verdict) {
	case KAFKA_COMMITTED:
		count_verdict(outlet, "committed");
		parcel_done(outlet);
		return OUTLET_COMMITTED;
	case KAFKA_ABORTED:
		count_verdict(outlet, "aborted");
		shrink_too_large(&outlet->parcel);
		outlet->again = true;
		outlet->due_again = now + AGAIN_AFTER;
		return OUTLET_AGAIN;
	case KAFKA_REVOKED_UNDER_US:
		count_verdict(outlet, "lost");
		outlet->disowned = true;
		return OUTLET_DISOWNED;
	case KAFKA_FENCED:
		count_verdict(outlet, "fenced");
		outlet->disowned = true;
		return OUTLET_TWIN;
	case KAFKA_UNKNOWN:
		count_verdict(outlet, "unknown");
		outlet->asking = true;
		return OUTLET_ASK;
	}
	return OUTLET_QUIET;
}

enum outlet_news outlet_hear(struct outlet *outlet, usec_t now, const struct fault **ret_fault)
{
	struct kafka_answer answer;
	if (!kafka_producer_answer(outlet->producer, &answer))
		return OUTLET_QUIET;
	outlet->busy = false;
	outlet->fault = answer.fault;
	*ret_fault = &outlet->fault;
	if (answer.verdict != KAFKA_FENCED && outlet->orphaned) {
		/* Lost while the batch was out: it is somebody else's work now, whatever became of it. */
		count_verdict(outlet, answer.verdict == KAFKA_COMMITTED ? "committed" : "lost");
		outlet->orphaned = false;
		parcel_done(outlet);
		return OUTLET_QUIET;
	}
	return hear_verdict(outlet, answer.verdict, now);
}

bool outlet_batch_is_in(const struct outlet *outlet, const struct partition *partition, int64_t committed,
			const char *metadata)
{
	bool in = false;
	if (committed < 0)
		return false; /* nothing was ever committed there */
	struct offsets *there = offsets_new(committed, PARTITION_SPAN_MAX);
	if (!there)
		return false;
	const int r = done_map_read(span_of(metadata), partition->topic, partition->number, there);
	for (const struct effect *e = outlet->parcel.effects.first; e && !in; e = e->next)
		in = e->partition == partition &&
		     (e->offset < committed || (r == 0 && offsets_is_done(there, e->offset)));
	offsets_free(there);
	return in;
}

void outlet_told(struct outlet *outlet, bool took_effect)
{
	if (!outlet->asking)
		return; /* the assignment has changed since the question, or it was answered already */
	outlet->asking = false;
	if (took_effect) {
		/* It was not heard as a commit, so it has proved nothing to whoever waits for that. */
		outlet->prove = outlet->prove || outlet->proving;
		parcel_done(outlet);
	} else {
		outlet->again = true;
	}
}

void outlet_forget(struct outlet *outlet)
{
	effects_free(&outlet->waiting);
	for (struct effect *e = outlet->parcel.effects.first; e; e = e->next)
		e->partition = NULL;
	if (outlet->busy)
		outlet->orphaned = true;
	else
		parcel_done(outlet);
	outlet->again = outlet->asking = outlet->disowned = outlet->prove = false;
	outlet->due = USEC_NEVER;
}

bool outlet_is_asking(const struct outlet *outlet)
{
	return outlet->asking;
}

bool outlet_is_disowned(const struct outlet *outlet)
{
	return outlet->disowned;
}

bool outlet_is_busy(const struct outlet *outlet)
{
	return outlet->busy || outlet->asking;
}

bool outlet_is_empty(const struct outlet *outlet)
{
	return !outlet_is_busy(outlet) && !outlet->again && outlet->waiting.count == 0;
}

size_t outlet_memory(const struct outlet *outlet)
{
	return outlet->waiting.memory + outlet->parcel.effects.memory;
}

size_t outlet_count(const struct outlet *outlet)
{
	return outlet->waiting.count + outlet->parcel.effects.count;
}

usec_t outlet_oldest(const struct outlet *outlet, usec_t now)
{
	const struct effect *sent = outlet->parcel.effects.first;
	const struct effect *oldest = sent ? sent : outlet->waiting.first;
	return oldest ? now - oldest->since : 0;
}
