/*
 * A batch takes effect or not: doors/kafka_producer.h. The verdicts come about as in doors/kafka_transaction.c and
 * doors/kafka_commit.c, a step at a time, with the network between the steps:
 *
 *   exactly once    init (once) ─> produce ─> send offsets ─> commit is asked ─> it arrives ─> answer
 *   at least once                  produce each, acknowledged ─> commit is asked ─> it arrives ─> answer
 *
 * A step is a thread's: it stands still with the process and dies with it. What was sent arrives all the same.
 */
#include "doors/kafka_producer.h"

#include <errno.h>
#include <string.h>

#include "handoff/contract.h"
#include "sim/chance.h"
#include "sim/kafka_doors.h"
#include "sim/process.h"
#include "sim/trace.h"
#include "sim/world.h"

#define FENCE_MEMORY (60 * USEC_PER_SEC)

struct kafka_producer {
	struct process *process;
	struct kafka_consumer *consumer;
	bool ready;
	bool postponed; /* a batch came before we were */
	int epoch;
	struct kafka_batch *batch; /* unanswered */
	struct membership *membership;
	struct transaction *transaction;
	usec_t fenced_at;
	bool answered;
	struct kafka_answer answer;
};

/* A commit on its way; it outlives the process. */
struct commit_request {
	struct kafka_producer *producer;
	struct transaction *transaction;
	struct transaction_offset *offsets;
	size_t count;
	const struct membership *membership;
	int slot, epoch;
	bool is_lost;    /* on the way there */
	bool is_unheard; /* its answer is lost */
	enum kafka_verdict verdict;
};

static const struct troubles *troubles(void)
{
	static const struct troubles none = { 0 };
	return world.calm ? &none : &world.plan.troubles;
}

static void answer(struct kafka_producer *p, enum kafka_verdict verdict, const char *why)
{
	static const char *const names[] = { "committed", "aborted", "revoked", "fenced", "unknown" };
	trace(p->process->name, "hears: the batch is %s%s%s", names[verdict], why[0] ? ": " : "", why);
	p->answer = (struct kafka_answer){ .batch = p->batch, .verdict = verdict };
	if (why[0])
		fault_set(&p->answer.fault, 0, FAULT_DEPENDENCY_DOWN, "%s", why);
	p->answered = true;
	p->transaction = NULL;
	p->process->is_fenced = verdict == KAFKA_FENCED;
	process_wake(p->process);
}

static bool is_disowned(const struct kafka_producer *p)
{
	return p->batch->offset_count > 0 && (!p->membership || p->membership->ended);
}

/* ---- the client's start ---- */

static void produce(void *arg);

static void init(void *arg)
{
	struct kafka_producer *p = arg;
	p->epoch = broker_init_producer(p->process->slot);
	p->ready = true;
	if (p->postponed)
		produce(p);
}

/* A new client under the same id, whose start ends what the last one left open. */
static void renew_and_answer(void *arg)
{
	struct kafka_producer *p = arg;
	p->epoch = broker_init_producer(p->process->slot);
	const enum kafka_verdict verdict = p->answer.verdict;
	answer(p, verdict, "the producer had to be rebuilt");
}

static void renew(struct kafka_producer *p, enum kafka_verdict verdict, bool fenced)
{
	p->transaction = NULL;
	if (fenced && p->fenced_at != 0 && agenda_now() - p->fenced_at < FENCE_MEMORY) {
		answer(p, KAFKA_FENCED, "fenced twice within a minute");
		return;
	}
	if (fenced)
		p->fenced_at = agenda_now();
	p->answer.verdict = verdict;
	process_in(p->process, broker_way() + chance_between(0, 300000), renew_and_answer, p);
}

/* ---- the commit ---- */

static struct transaction_offset *copy_offsets(const struct kafka_batch *batch)
{
	struct transaction_offset *offsets = agenda_memory((batch->offset_count + 1) * sizeof(*offsets));
	for (size_t i = 0; i < batch->offset_count; i++)
		offsets[i] = (struct transaction_offset){
			.log = broker_log(batch->offsets[i].topic, batch->offsets[i].partition),
			.offset = batch->offsets[i].offset,
			.metadata = agenda_text(batch->offsets[i].metadata, strlen(batch->offsets[i].metadata)),
		};
	return offsets;
}

static void hear_commit(void *arg)
{
	struct commit_request *r = arg;
	struct kafka_producer *p = r->producer;
	if (r->verdict == KAFKA_UNKNOWN)
		renew(p, KAFKA_UNKNOWN, broker_is_fenced(r->slot, r->epoch));
	else
		answer(p, r->verdict, r->verdict == KAFKA_COMMITTED ? "" : "the group refused the offsets");
}

static void commit_arrives(void *arg)
{
	struct commit_request *r = arg;
	r->verdict = KAFKA_COMMITTED;
	if (r->transaction && (r->is_lost || r->transaction->state != TRANSACTION_OPEN))
		r->verdict = KAFKA_UNKNOWN;
	else if (r->transaction)
		broker_end_transaction(r->transaction, true);
	else if (r->count > 0 && !group_accepts(r->membership))
		r->verdict = KAFKA_REVOKED_UNDER_US;
	else
		broker_commit(r->offsets, r->count);
	if (r->transaction && r->is_unheard)
		r->verdict = KAFKA_UNKNOWN;
	process_in(r->producer->process, broker_way(), hear_commit, r);
}

static void ask_commit(struct kafka_producer *p)
{
	struct commit_request *r = agenda_memory(sizeof(*r));
	*r = (struct commit_request){ .producer = p,
				      .transaction = p->transaction,
				      .membership = p->membership,
				      .slot = p->process->slot,
				      .epoch = p->epoch,
				      .count = p->batch->offset_count,
				      .is_lost = chance_hits(troubles()->batch_unknown),
				      .is_unheard = chance_hits(troubles()->batch_unknown) };
	r->offsets = copy_offsets(p->batch);
	if (process_effect(p->process, "ask for the commit"))
		agenda_in(broker_way(), commit_arrives, r);
}

/* What came from a topic fits into its like; a dead letter has more headers. */
static bool may_be_too_large(const struct record *record)
{
	return strcmp(record->topic, world.plan.settings.kafka.dead_letters) == 0 &&
	       !record_header(record, HDR_TRUNCATED).p;
}

/* ---- exactly once ---- */

static void abort_batch(struct kafka_producer *p, enum kafka_verdict verdict, const char *why)
{
	broker_end_transaction(p->transaction, false);
	answer(p, verdict, why);
}

static void send_offsets(void *arg)
{
	struct kafka_producer *p = arg;
	if (broker_is_fenced(p->process->slot, p->epoch)) {
		renew(p, KAFKA_ABORTED, true);
	} else if (is_disowned(p) || (p->batch->offset_count > 0 && !group_accepts(p->membership))) {
		abort_batch(p, KAFKA_REVOKED_UNDER_US, "the group refused the offsets");
	} else if (chance_hits(troubles()->batch_aborted)) {
		abort_batch(p, KAFKA_ABORTED, "the broker would not have it");
	} else if (chance_hits(troubles()->batch_fatal)) {
		renew(p, KAFKA_ABORTED, false);
	} else {
		broker_add_offsets(p->transaction, copy_offsets(p->batch), p->batch->offset_count);
		ask_commit(p);
	}
}

static void produce_in_transaction(struct kafka_producer *p)
{
	p->transaction = broker_transaction(p->process->slot);
	for (size_t i = 0; i < p->batch->record_count; i++) {
		struct kafka_batch_record *r = &p->batch->records[i];
		r->too_large = may_be_too_large(r->record) && chance_hits(troubles()->too_large);
		if (r->too_large) {
			abort_batch(p, KAFKA_ABORTED, "a record is too large");
			return;
		}
		broker_append(r->record, p->transaction);
	}
	process_in(p->process, broker_way(), send_offsets, p);
}

/* ---- at least once ---- */

static void acknowledged(void *arg)
{
	struct kafka_producer *p = arg;
	if (is_disowned(p))
		answer(p, KAFKA_REVOKED_UNDER_US, "the partitions were given back or lost");
	else if (p->batch->offset_count == 0)
		answer(p, KAFKA_COMMITTED, "");
	else
		ask_commit(p);
}

static void produce_each(struct kafka_producer *p)
{
	for (size_t i = 0; i < p->batch->record_count; i++) {
		struct kafka_batch_record *r = &p->batch->records[i];
		if (r->delivered)
			continue;
		r->too_large = may_be_too_large(r->record) && chance_hits(troubles()->too_large);
		if (r->too_large || chance_hits(troubles()->batch_aborted)) {
			answer(p, KAFKA_ABORTED, "a record was not delivered");
			return;
		}
		if (!process_effect(p->process, "write a record"))
			return;
		broker_append(r->record, NULL);
		r->delivered = true;
	}
	process_in(p->process, broker_way(), acknowledged, p);
}

/* ---- the door ---- */

static void produce(void *arg)
{
	struct kafka_producer *p = arg;
	p->postponed = !p->ready; /* then init() comes back here */
	if (p->postponed)
		return;
	if (is_disowned(p))
		answer(p, KAFKA_REVOKED_UNDER_US, "the partitions were given back or lost before the batch was begun");
	else if (!process_effect(p->process, "write its batch"))
		return;
	else if (p->process->settings.kafka.exactly_once)
		produce_in_transaction(p);
	else
		produce_each(p);
}

struct kafka_producer *kafka_producer_new(const struct kafka_options *options, struct kafka_consumer *consumer,
					  int wakeup_fd, struct fault *fault)
{
	(void)options;
	(void)wakeup_fd;
	(void)fault;
	struct kafka_producer *p = agenda_memory(sizeof(*p));
	p->process = world.running;
	p->process->producer = p;
	p->consumer = consumer;
	process_in(p->process, broker_way() + chance_between(0, 100000), init, p);
	return p;
}

struct kafka_producer *kafka_producer_free(struct kafka_producer *p)
{
	(void)p;
	return NULL;
}

int kafka_producer_submit(struct kafka_producer *p, struct kafka_batch *batch)
{
	if (p->batch)
		return -EBUSY;
	p->batch = batch;
	p->membership = consumer_membership(p->consumer);
	if (!process_effect(p->process, "submit a batch"))
		return 0;
	trace(p->process->name, "submits %zu records and %zu offsets", batch->record_count, batch->offset_count);
	process_in(p->process, broker_way(), produce, p);
	return 0;
}

bool kafka_producer_answer(struct kafka_producer *p, struct kafka_answer *ret)
{
	if (!p->answered)
		return false;
	*ret = p->answer;
	p->answered = false;
	p->batch = NULL;
	return true;
}

void kafka_producer_trouble(struct kafka_producer *p, struct fault *ret)
{
	(void)p;
	*ret = (struct fault){ 0 };
}

bool kafka_producer_stuck(struct kafka_producer *p)
{
	(void)p;
	return false;
}
