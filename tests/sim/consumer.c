/* The group's side of a worker: doors/kafka_consumer.h. The states are those of doors/kafka_consumer.c. */
#include "doors/kafka_consumer.h"

#include <errno.h>

#include "sim/chance.h"
#include "sim/kafka_doors.h"
#include "sim/process.h"
#include "sim/trace.h"
#include "sim/verdict.h"
#include "sim/witness.h"
#include "sim/world.h"

enum phase { IDLE, ASKING, OFFERED, READING, GIVING_BACK };

/* Between these times after a loss a worker may take itself for a twin, and find out. */
#define FENCE_FIRST (150 * USEC_PER_MSEC)
#define FENCE_LAST  (55 * USEC_PER_SEC)

enum { ASSIGNED_MAX = (LANES_MAX + 1) * PARTITIONS_MAX, WORDS_MAX = 8 };

/* One partition that is read. */
struct reading {
	struct log *log;
	int64_t position;
	int64_t fetched; /* up to here the records are in the client */
	bool is_whole;   /* nothing was behind it when it was fetched */
	bool was_at_end; /* since the assignment */
	bool at_end;     /* told since something new was fetched */
	bool fetching;
};

enum word { WORD_ASSIGN, WORD_GIVE_BACK, WORD_LOST, WORD_TROUBLE, WORD_FENCED };

struct kafka_consumer {
	struct process *process;
	enum phase phase;
	enum word words[WORDS_MAX]; /* what the library has to say, oldest first */
	int word_count;
	struct kafka_partition offered[ASSIGNED_MAX];
	struct kafka_partition told[ASSIGNED_MAX];
	struct log *logs[ASSIGNED_MAX];
	size_t count;
	struct reading *readings; /* of this assignment: what was asked for an older one finds its own */
	size_t reading_count;
	struct membership *membership;
	int serial; /* of the newest question */
	bool answered;
	usec_t accepted_at;
	usec_t revoked_at;   /* of GIVING_BACK */
	bool has_assignment; /* as the library sees it: until it was given back */
	usec_t lost_at;
	bool fenced;         /* the client can do no more */
	usec_t fenced_until; /* not before is it again */
	bool closing, left, closed;
};

struct kafka_consumer *kafka_consumer_new(const struct kafka_options *options, int wakeup_fd, struct fault *fault)
{
	(void)options;
	(void)wakeup_fd;
	(void)fault;
	struct kafka_consumer *c = agenda_memory(sizeof(*c));
	c->process = world.running;
	c->process->consumer = c;
	return c;
}

static void end_membership(struct kafka_consumer *c)
{
	if (c->membership)
		c->membership->ended = true;
	c->membership = NULL;
}

struct kafka_consumer *kafka_consumer_free(struct kafka_consumer *c)
{
	(void)c;
	return NULL;
}

struct membership *consumer_membership(struct kafka_consumer *c)
{
	return c->membership;
}

bool consumer_is_reading(const struct kafka_consumer *c)
{
	return c->phase == READING;
}

/* ---- what the library says ---- */

static void say(struct kafka_consumer *c, enum word word)
{
	if (c->word_count == WORDS_MAX)
		verdict_give("%s does not listen to its consumer", c->process->name);
	else
		c->words[c->word_count++] = word;
	process_wake(c->process);
}

/* A client that has nothing to give back joins again by itself. */
static void must_give_back(struct member *member, bool lost)
{
	struct kafka_consumer *c = member->process->consumer;
	if (c->fenced)
		return;
	if (c->has_assignment)
		say(c, lost ? WORD_LOST : WORD_GIVE_BACK);
	else if (member->joins > 0 && !c->closing)
		group_join(member);
}

static void is_assigned(struct member *member)
{
	struct kafka_consumer *c = member->process->consumer;
	if (c->fenced)
		return;
	c->has_assignment = true;
	say(c, WORD_ASSIGN);
}

void consumer_trouble(struct kafka_consumer *c)
{
	say(c, WORD_TROUBLE);
}

bool consumer_was_at_end(const struct kafka_consumer *c, const struct log *log)
{
	for (size_t i = 0; i < c->reading_count; i++)
		if (c->readings[i].log == log)
			return c->readings[i].was_at_end;
	return false;
}

usec_t consumer_accepted_at(const struct kafka_consumer *c)
{
	return c->accepted_at;
}

usec_t consumer_giving_back_since(const struct kafka_consumer *c)
{
	return c->phase == GIVING_BACK ? c->revoked_at : USEC_NEVER;
}

int kafka_consumer_subscribe(struct kafka_consumer *c, struct fault *fault)
{
	(void)fault;
	c->process->member.must_give_back = must_give_back;
	c->process->member.is_assigned = is_assigned;
	if (process_effect(c->process, "join the group"))
		group_join(&c->process->member);
	return 0;
}

/* ---- committed offsets ---- */

struct question {
	struct kafka_consumer *consumer;
	int serial;
};

static void look_up(void *arg)
{
	struct question *q = arg;
	struct kafka_consumer *c = q->consumer;
	if (q->serial != c->serial)
		return;
	for (size_t i = 0; i < c->count; i++)
		if (c->logs[i]->unstable > 0) {
			/* An open transaction may still change it. */
			process_in(c->process, chance_between(50000, 150000), look_up, q);
			return;
		}
	for (size_t i = 0; i < c->count; i++)
		c->told[i] = (struct kafka_partition){
			.topic = c->logs[i]->topic,
			.partition = c->logs[i]->partition,
			.committed = c->logs[i]->committed < 0 ? KAFKA_OFFSET_NONE : c->logs[i]->committed,
			.metadata = c->logs[i]->metadata,
		};
	c->answered = true;
	process_wake(c->process);
}

static void ask(struct kafka_consumer *c)
{
	struct question *q = agenda_memory(sizeof(*q));
	*q = (struct question){ .consumer = c, .serial = ++c->serial };
	c->answered = false;
	process_in(c->process, broker_way(), look_up, q);
}

int kafka_consumer_ask(struct kafka_consumer *c, struct fault *fault)
{
	if (c->phase != READING && c->phase != GIVING_BACK)
		return fault_set(fault, -ESTALE, FAULT_OURS, "nothing is assigned");
	if (process_effect(c->process, "ask for the committed offsets"))
		ask(c);
	return 0;
}

/* ---- rebalances ---- */

static void give_back(struct kafka_consumer *c)
{
	end_membership(c);
	c->serial++;
	c->answered = false;
	c->reading_count = 0;
	c->phase = IDLE;
	c->has_assignment = false;
	if (!c->process->alive)
		return;
	if (c->fenced)
		return;
	if (!c->closing) {
		group_join(&c->process->member);
	} else if (!c->left) {
		c->left = true;
		group_leave(&c->process->member);
	}
	process_wake(c->process);
}

static void take_assignment(struct kafka_consumer *c)
{
	const struct member *m = &c->process->member;
	c->count = 0;
	/* As the library lists them: topic by topic. */
	for (size_t t = 0; t + 2 < broker_topic_count(); t++)
		for (int32_t p = m->first; p < m->first + m->count; p++)
			c->logs[c->count++] = broker_log(broker_topic(t), p);
}

static bool on_assign(struct kafka_consumer *c, struct kafka_consumer_event *ret)
{
	if (c->closing) {
		give_back(c);
		return false;
	}
	take_assignment(c);
	if (c->count > 0) {
		c->phase = ASKING;
		ask(c);
		return false;
	}
	c->phase = OFFERED;
	ret->kind = KAFKA_ASSIGNED;
	return true;
}

/* A heartbeat of the membership that was lost is taken for another's. */
static void fence(void *arg)
{
	struct kafka_consumer *c = arg;
	if (c->closing || agenda_now() < c->fenced_until)
		return;
	c->fenced_until = agenda_now() + 90 * USEC_PER_SEC;
	say(c, WORD_FENCED);
}

static bool on_give_back(struct kafka_consumer *c, bool lost, struct kafka_consumer_event *ret)
{
	if (c->phase == GIVING_BACK)
		return false; /* under way already */
	if (c->phase == IDLE || c->phase == ASKING) {
		give_back(c);
		return false;
	}
	if (lost) {
		end_membership(c);
		c->lost_at = agenda_now();
		if (chance_hits(100))
			process_in(c->process, chance_between(FENCE_FIRST, 20 * USEC_PER_SEC), fence, c);
	}
	c->phase = GIVING_BACK;
	c->revoked_at = agenda_now();
	ret->kind = lost ? KAFKA_LOST : KAFKA_REVOKED;
	return true;
}

/* In the same moment as a loss it would be a twin's doing, and there are none. */
static bool on_fenced(struct kafka_consumer *c, struct kafka_consumer_event *ret)
{
	const usec_t since = agenda_now() - c->lost_at;
	if (since < FENCE_FIRST || since > FENCE_LAST)
		return false;
	c->fenced = true;
	end_membership(c);
	witness.on_died(c->process); /* as if it had been expelled */
	ret->kind = KAFKA_FATAL;
	ret->fenced = true;
	return true;
}

static bool hear(struct kafka_consumer *c, enum word word, struct kafka_consumer_event *ret)
{
	switch (word) {
	case WORD_ASSIGN:
		return on_assign(c, ret);
	case WORD_GIVE_BACK:
	case WORD_LOST:
		/* The library says at the time of listening whether the assignment is lost. */
		return on_give_back(c, word == WORD_LOST || !c->process->member.in_group, ret);
	case WORD_TROUBLE:
		ret->kind = KAFKA_TROUBLE;
		ret->all_brokers_down = true;
		fault_set(&ret->fault, 0, FAULT_DEPENDENCY_DOWN, "no broker answers");
		return true;
	case WORD_FENCED:
		return on_fenced(c, ret);
	}
	return false;
}

static bool take_answer(struct kafka_consumer *c, struct kafka_consumer_event *ret)
{
	if (!c->answered)
		return false;
	c->answered = false;
	if (c->phase == ASKING) {
		for (size_t i = 0; i < c->count; i++)
			c->offered[i] = c->told[i];
		c->phase = OFFERED;
		ret->kind = KAFKA_ASSIGNED;
		ret->partitions = c->offered;
	} else if (chance_hits(world.calm ? 0 : 100)) {
		ret->kind = KAFKA_OFFSETS;
		fault_set(&ret->fault, 0, FAULT_DEPENDENCY_DOWN, "the coordinator has moved");
		return true;
	} else {
		ret->kind = KAFKA_OFFSETS;
		ret->partitions = c->told;
	}
	ret->count = c->count;
	return true;
}

bool kafka_consumer_next(struct kafka_consumer *c, struct kafka_consumer_event *ret)
{
	bool told = false;
	*ret = (struct kafka_consumer_event){ .kind = KAFKA_TROUBLE };
	while (!told && c->word_count > 0) {
		const enum word word = c->words[0];
		for (int i = 1; i < c->word_count; i++)
			c->words[i - 1] = c->words[i];
		c->word_count--;
		told = hear(c, word, ret);
	}
	if (told || take_answer(c, ret))
		return true;
	if (!c->left || c->closed)
		return false;
	c->closed = true;
	ret->kind = KAFKA_CLOSED;
	return true;
}

int kafka_consumer_renew(struct kafka_consumer *c, struct fault *fault)
{
	(void)fault;
	if (!process_effect(c->process, "make a new client"))
		return 0;
	trace(c->process->name, "has a new client");
	if (c->has_assignment)
		witness.on_gave_back(c->process);
	give_back(c);
	c->word_count = 0;
	c->fenced = false;
	return 0;
}

void kafka_consumer_close(struct kafka_consumer *c)
{
	if (!process_effect(c->process, "leave the group") || c->closing)
		return;
	c->closing = true;
	if (c->phase == READING)
		say(c, WORD_GIVE_BACK);
	else if (c->phase != GIVING_BACK)
		give_back(c);
}

void kafka_consumer_release(struct kafka_consumer *c)
{
	if (process_effect(c->process, "give its partitions back")) {
		trace(c->process->name, "gives its partitions back");
		witness.on_gave_back(c->process);
		give_back(c);
	}
}

/* ---- reading ---- */

static void fetch(void *arg)
{
	struct reading *r = arg;
	int64_t end = broker_stable_end(r->log);
	r->fetching = false;
	r->is_whole = end <= r->fetched || chance_hits(700);
	if (end > r->fetched)
		r->at_end = false;
	if (!r->is_whole) /* it comes in pieces */
		end = chance_between(r->fetched, end - 1);
	r->fetched = end;
	witness.on_moved(r->log);
}

static void fetch_soon(struct kafka_consumer *c, struct reading *r)
{
	if (r->fetching)
		return;
	r->fetching = true;
	process_in(c->process, broker_way(), fetch, r);
}

static void notice(const struct log *log)
{
	for (int slot = 0; slot < SLOTS_MAX; slot++) {
		struct process *p = world.slots[slot];
		struct kafka_consumer *c = p && p->alive ? p->consumer : NULL;
		for (size_t i = 0; c && i < c->reading_count; i++) {
			struct reading *r = &c->readings[i];
			if (r->log != log)
				continue;
			if (broker_stable_end(log) > r->fetched)
				fetch_soon(c, r);
			if (r->position < r->fetched || !r->at_end)
				process_wake(p);
		}
	}
}

int kafka_consumer_accept(struct kafka_consumer *c, const struct kafka_start *starts, struct fault *fault)
{
	if (c->phase != OFFERED)
		return fault_set(fault, -ESTALE, FAULT_OURS, "the assignment was overtaken by a newer rebalance");
	if (!process_effect(c->process, "accept its partitions"))
		return 0;
	end_membership(c);
	c->membership = agenda_memory(sizeof(*c->membership));
	*c->membership =
		(struct membership){ .member = &c->process->member, .generation = c->process->member.generation };
	struct reading *readings = agenda_memory(ASSIGNED_MAX * sizeof(*readings));
	c->readings = readings;
	c->reading_count = c->count;
	for (size_t i = 0; i < c->count; i++) {
		const int64_t from = starts[i].offset == KAFKA_OFFSET_NONE ? 0 : starts[i].offset;
		readings[i] = (struct reading){ .log = c->logs[i], .position = from, .fetched = from };
		fetch_soon(c, &readings[i]);
	}
	c->phase = READING;
	c->accepted_at = agenda_now();
	return 0;
}

void kafka_consumer_read(struct kafka_consumer *c, size_t index, struct kafka_read *ret)
{
	struct reading *r = &c->readings[index];
	*ret = (struct kafka_read){ .kind = KAFKA_READ_NOTHING };
	if (index >= c->reading_count)
		return;
	while (r->position < r->fetched) {
		const struct entry *entry = broker_read(r->log, r->position++);
		if (!entry)
			continue;
		ret->kind = KAFKA_READ_RECORD;
		ret->record = record_new(entry->record);
		return;
	}
	if (r->fetching || r->at_end || !r->is_whole)
		return;
	r->at_end = r->was_at_end = true;
	ret->kind = KAFKA_READ_END;
	ret->offset = r->fetched;
}

int64_t kafka_consumer_end(struct kafka_consumer *c, size_t index)
{
	return index < c->reading_count ? c->readings[index].fetched : -1;
}

void consumers_begin(void)
{
	witness.on_moved = notice;
}
