#include "sim/broker.h"

#include <stdlib.h>
#include <string.h>

#include "sim/agenda.h"
#include "sim/chance.h"
#include "sim/trace.h"
#include "sim/verdict.h"
#include "sim/witness.h"
#include "sim/world.h"

#define TRANSACTION_TIMEOUT (20 * USEC_PER_SEC)

enum { TOPICS_MAX = LANES_MAX + 3 };

static struct log logs[TOPICS_MAX][PARTITIONS_MAX];
static size_t topic_count;
static int epochs[SLOTS_MAX];
static struct transaction *open_transactions[SLOTS_MAX];
static usec_t up_at;

static void add_topic(const char *name)
{
	for (int32_t p = 0; p < world.plan.partitions; p++)
		logs[topic_count][p] = (struct log){ .topic = name, .partition = p, .committed = -1, .metadata = "" };
	topic_count++;
}

void broker_begin(void)
{
	const struct settings_kafka *k = &world.plan.settings.kafka;
	topic_count = 0;
	up_at = 0;
	memset(epochs, 0, sizeof(epochs));
	memset(open_transactions, 0, sizeof(open_transactions));
	for (size_t i = 0; i < k->requests.count; i++)
		add_topic(k->requests.items[i]);
	add_topic(k->retry);
	add_topic(k->outcomes);
	add_topic(k->dead_letters);
}

void broker_end(void)
{
	for (size_t t = 0; t < topic_count; t++)
		for (int32_t p = 0; p < world.plan.partitions; p++)
			for (size_t i = 0; i < logs[t][p].count; i++)
				record_free(logs[t][p].entries[i]->record);
	topic_count = 0;
}

size_t broker_topic_count(void)
{
	return topic_count;
}

const char *broker_topic(size_t index)
{
	return logs[index][0].topic;
}

struct log *broker_log(const char *topic, int32_t partition)
{
	for (size_t t = 0; t < topic_count; t++)
		if (strcmp(logs[t][0].topic, topic) == 0 && partition >= 0 && partition < world.plan.partitions)
			return &logs[t][partition];
	verdict_give("there is no log %s/%d", topic, (int)partition);
	return &logs[0][0];
}

/* ---- writing ---- */

static void *grown(void *old, size_t count, size_t *cap, size_t size)
{
	if (count < *cap)
		return old;
	*cap = *cap ? 2 * *cap : 16;
	void *fresh = agenda_memory(*cap * size);
	if (count > 0)
		memcpy(fresh, old, count * size);
	return fresh;
}

static struct entry *push(struct log *log, enum entry_kind kind)
{
	struct entry *entry = agenda_memory(sizeof(*entry));
	entry->kind = kind;
	log->entries = grown(log->entries, log->count, &log->cap, sizeof(struct entry *));
	log->entries[log->count++] = entry;
	return entry;
}

static void touch(struct transaction *t, struct log *log)
{
	for (size_t i = 0; i < t->log_count; i++)
		if (t->logs[i] == log)
			return;
	t->logs[t->log_count++] = log;
}

struct entry *broker_append(const struct record *record, struct transaction *t)
{
	struct record like = *record;
	struct log *log = broker_log(record->topic, record->partition >= 0
							    ? record->partition
							    : (int32_t)chance_between(0, world.plan.partitions - 1));
	like.topic = log->topic;
	like.partition = log->partition;
	like.offset = (int64_t)log->count;
	if (like.timestamp_ms < 0)
		like.timestamp_ms = world_unix_ms();
	struct entry *entry = push(log, ENTRY_RECORD);
	entry->record = record_new(&like);
	entry->transaction = t;
	if (t) {
		touch(t, log);
		t->entries = grown(t->entries, t->entry_count, &t->entry_cap, sizeof(struct entry *));
		t->entries[t->entry_count++] = entry;
	}
	witness.on_written(entry);
	witness.on_moved(log);
	return entry;
}

void broker_append_gap(struct log *log)
{
	push(log, ENTRY_GONE);
	witness.on_moved(log);
}

/* ---- transactions ---- */

static void on_time_out(void *arg)
{
	struct transaction *t = arg;
	if (t->state != TRANSACTION_OPEN)
		return;
	trace("broker", "the transaction of w%d has been open for too long", t->slot);
	if (t->slot >= 0)
		epochs[t->slot]++;
	broker_end_transaction(t, false);
}

struct transaction *broker_transaction(int slot)
{
	struct transaction *t = agenda_memory(sizeof(*t));
	t->slot = slot;
	t->logs = agenda_memory(topic_count * PARTITIONS_MAX * sizeof(struct log *));
	if (slot >= 0)
		open_transactions[slot] = t;
	agenda_in(TRANSACTION_TIMEOUT, on_time_out, t);
	return t;
}

int broker_init_producer(int slot)
{
	if (open_transactions[slot])
		broker_end_transaction(open_transactions[slot], false);
	return ++epochs[slot];
}

bool broker_is_fenced(int slot, int epoch)
{
	return epochs[slot] != epoch;
}

void broker_add_offsets(struct transaction *t, struct transaction_offset *offsets, size_t count)
{
	t->offsets = offsets;
	t->offset_count = count;
	for (size_t i = 0; i < count; i++)
		offsets[i].log->unstable++;
}

void broker_end_transaction(struct transaction *t, bool commit)
{
	if (t->state != TRANSACTION_OPEN)
		return;
	t->state = commit ? TRANSACTION_COMMITTED : TRANSACTION_ABORTED;
	if (t->slot >= 0)
		open_transactions[t->slot] = NULL;
	for (size_t i = 0; i < t->offset_count; i++)
		t->offsets[i].log->unstable--;
	for (size_t i = 0; i < t->log_count; i++)
		push(t->logs[i], ENTRY_MARKER);
	if (t->slot >= 0)
		trace("broker", "the transaction of w%d is %s: %zu records, %zu offsets", t->slot,
		      commit ? "committed" : "aborted", t->entry_count, t->offset_count);
	if (commit) {
		if (t->slot >= 0)
			witness.on_transaction(t);
		broker_commit(t->offsets, t->offset_count);
	}
	for (size_t i = 0; i < t->log_count; i++)
		witness.on_moved(t->logs[i]);
}

void broker_commit(const struct transaction_offset *offsets, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct log *log = offsets[i].log;
		log->committed = offsets[i].offset;
		log->metadata = offsets[i].metadata;
		witness.on_committed(log);
		trace("broker", "committed %s/%d: %lld %s", log->topic, (int)log->partition, (long long)log->committed,
		      log->metadata);
	}
}

/* ---- reading ---- */

bool broker_is_visible(const struct entry *entry)
{
	return entry->kind == ENTRY_RECORD &&
	       (!entry->transaction || entry->transaction->state == TRANSACTION_COMMITTED);
}

int64_t broker_stable_end(const struct log *log)
{
	for (size_t i = 0; i < log->count; i++)
		if (log->entries[i]->transaction && log->entries[i]->transaction->state == TRANSACTION_OPEN)
			return (int64_t)i;
	return (int64_t)log->count;
}

struct entry *broker_read(const struct log *log, int64_t offset)
{
	struct entry *entry = log->entries[offset];
	return broker_is_visible(entry) ? entry : NULL;
}

/* ---- the network ---- */

void broker_outage(usec_t duration)
{
	if (agenda_now() + duration > up_at)
		up_at = agenda_now() + duration;
	trace("broker", "does not answer for %.1f s", (double)duration / (double)USEC_PER_SEC);
}

void broker_recover(void)
{
	up_at = 0;
}

bool broker_is_up(void)
{
	return agenda_now() >= up_at;
}

usec_t broker_way(void)
{
	const usec_t down = up_at > agenda_now() ? up_at - agenda_now() : 0;
	return down + chance_between(200, chance_hits(50) ? 200000 : 8000);
}
