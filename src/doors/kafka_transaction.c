/*
 * A batch exactly once: records and offsets in one transaction.
 *
 *   begin ─> produce ─> send offsets ─> commit ─> COMMITTED
 *     any call says      "retriable"  call it again: aborting here would be wrong, the abort would fail as well
 *                        "abort"      abort ─> ABORTED, or REVOKED_UNDER_US when the group refused the offsets
 *                        "fatal"      a new client with the same id; its init_transactions() ends the old transaction.
 *                                     Before the commit was asked for, nothing can have taken effect: ABORTED.
 *                                     After, nobody knows: UNKNOWN
 *                        "fenced"     as fatal, for a coordinator's time-out looks like this too; a second time within
 *                                     a minute there really is somebody with our id: FENCED
 *                        A static instance that the group has given to another process is told at once: a new client
 *                        would fence that one
 *   the membership ends  (only while something is retried) REVOKED_UNDER_US at once; the next client's
 *                        init_transactions() ends what was open
 */
#include <errno.h>
#include <stdlib.h>

#include "doors/kafka_producer_internal.h"

#define AGAIN_AFTER  (100 * USEC_PER_MSEC)
#define FENCE_MEMORY (60 * USEC_PER_SEC)
/* The transaction after a refusal fails once by itself ("skipped sequence numbers"); halving takes a dozen of each. */
#define CROWD_TRIES  60
#define CROWD_MEMORY (60 * USEC_PER_SEC) /* then twice as many are tried again */

/* What to do after a call. */
enum next { NEXT_GO_ON, NEXT_ABORT, NEXT_RENEW, NEXT_LEAVE };

struct attempt {
	struct kafka_producer *producer;
	struct kafka_batch *batch;
	struct fault *fault;
	usec_t since;
	bool commit_asked;
	bool moved;  /* the group refused the offsets */
	bool ousted; /* because another process has joined with our static instance */
	bool fenced;
};

static bool is_group_refusal(rd_kafka_resp_err_t error)
{
	return error == RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION || error == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID ||
	       error == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID;
}

static bool is_fence(rd_kafka_resp_err_t error)
{
	return error == RD_KAFKA_RESP_ERR__FENCED || error == RD_KAFKA_RESP_ERR_PRODUCER_FENCED ||
	       error == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH;
}

static enum next leave(struct attempt *a)
{
	fault_set(a->fault, 0, FAULT_OURS, "the partitions were given back or lost before the transaction committed");
	return NEXT_LEAVE;
}

/* Takes `error`; NEXT_GO_ON with *ret_again when the same call is to be made again. */
static enum next judge(struct attempt *a, const char *what, rd_kafka_error_t *error, bool *ret_again)
{
	const bool retriable = rd_kafka_error_is_retriable(error);
	const bool abort = rd_kafka_error_txn_requires_abort(error);
	const rd_kafka_resp_err_t code = rd_kafka_error_code(error);
	kafka_producer_note(a->producer, code, rd_kafka_error_string(error));
	if (!retriable || a->fault->kind == FAULT_NONE)
		fault_set(a->fault, 0, kafka_fault_class(code), "%s: %s", what, rd_kafka_error_string(error));
	rd_kafka_error_destroy(error);
	a->moved = a->moved || is_group_refusal(code);
	a->ousted = a->ousted || code == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID;
	a->fenced = a->fenced || is_fence(code);
	*ret_again = false;
	if (abort)
		return NEXT_ABORT;
	if (!retriable)
		return NEXT_RENEW; /* fatal, or of no known kind */
	if (!kafka_producer_pause(a->producer, AGAIN_AFTER) || kafka_producer_disowned(a->producer))
		return leave(a);
	*ret_again = true;
	return NEXT_GO_ON;
}

static rd_kafka_error_t *send_offsets(struct attempt *a)
{
	if (a->batch->offset_count == 0)
		return NULL;
	rd_kafka_topic_partition_list_t *list = kafka_batch_offsets(a->batch);
	if (!list)
		return rd_kafka_error_new(RD_KAFKA_RESP_ERR__FAIL, "out of memory");
	rd_kafka_error_t *error = rd_kafka_send_offsets_to_transaction(a->producer->rk, list,
								       a->producer->membership->metadata, LONG_CALL_MS);
	rd_kafka_topic_partition_list_destroy(list);
	return error;
}

static rd_kafka_error_t *begin(struct attempt *a)
{
	return rd_kafka_begin_transaction(a->producer->rk);
}

static rd_kafka_error_t *commit(struct attempt *a)
{
	a->commit_asked = true;
	return rd_kafka_commit_transaction(a->producer->rk, LONG_CALL_MS);
}

static rd_kafka_error_t *abort_open(struct attempt *a)
{
	return rd_kafka_abort_transaction(a->producer->rk, LONG_CALL_MS);
}

static enum next call(struct attempt *a, const char *what, rd_kafka_error_t *(*function)(struct attempt *))
{
	bool again = true;
	enum next next = NEXT_GO_ON;
	while (again && next == NEXT_GO_ON) {
		if (!kafka_producer_beat(a->producer))
			return NEXT_LEAVE;
		rd_kafka_error_t *error = function(a);
		if (!error)
			return NEXT_GO_ON;
		next = judge(a, what, error, &again);
	}
	return next;
}

static enum next produce(struct attempt *a, const struct crowd *crowd)
{
	struct kafka_producer *p = a->producer;
	if (kafka_deliver(p, a->batch, crowd) < 0)
		return leave(a);
	if (p->delivery.failed == 0)
		return NEXT_GO_ON;
	*a->fault = p->delivery.fault;
	return rd_kafka_fatal_error(p->rk, NULL, 0) ? NEXT_RENEW : NEXT_ABORT;
}

static enum next go(struct attempt *a, const struct crowd *crowd)
{
	enum next next = call(a, "beginning a transaction", begin);
	if (next == NEXT_GO_ON)
		next = produce(a, crowd);
	/* The records are on their way while the offsets are sent; the commit waits for both. */
	if (next == NEXT_GO_ON)
		next = call(a, "sending offsets to the transaction", send_offsets);
	if (next == NEXT_GO_ON && kafka_producer_disowned(a->producer)) {
		a->moved = true;
		fault_set(a->fault, 0, FAULT_OURS, "the partitions were lost before the commit");
		return NEXT_ABORT;
	}
	if (next == NEXT_GO_ON)
		next = call(a, "committing a transaction", commit);
	return next;
}

/* A new client with the same id, whose start ends whatever its predecessor left open. False when the thread has to end
 * or the batch is disowned. */
static bool renew(struct kafka_producer *p)
{
	kafka_producer_discard(p);
	while (!kafka_producer_prepare(p))
		if (!kafka_producer_pause(p, AGAIN_AFTER) || kafka_producer_disowned(p))
			return false;
	return true;
}

enum kafka_verdict kafka_transaction_fenced(struct fault *fault)
{
	fault_set(fault, 0, FAULT_PERMANENT, "another process uses our transactional id");
	return KAFKA_FENCED;
}

/* Another client with our id, whose start would fence the other one, is never made again. */
static enum kafka_verdict stay_out(struct attempt *a)
{
	kafka_producer_discard(a->producer);
	a->producer->fenced_out = true;
	return kafka_transaction_fenced(a->fault);
}

/* As long as the coordinator lets a transaction be open before it ends it by fencing its producer. */
static usec_t transaction_timeout(const struct kafka_producer *p)
{
	char text[32] = "0";
	size_t size = sizeof(text);
	rd_kafka_conf_get(rd_kafka_conf(p->rk), "transaction.timeout.ms", text, &size);
	return strtoll(text, NULL, 10) * USEC_PER_MSEC;
}

static enum kafka_verdict after_renewal(struct attempt *a)
{
	struct kafka_producer *p = a->producer;
	const usec_t now = clock_read().mono;
	/* However often brokers or this process stand still for that long: it says nothing about a twin. Of static
	 * twins the group ends the older; before it does, they may fence each other twice, and the newer one must stay.
	 */
	const bool by_twin = a->fenced && !p->options->static_membership && now - a->since < transaction_timeout(p);
	if (by_twin && p->fenced_at != 0 && now - p->fenced_at < FENCE_MEMORY)
		return stay_out(a);
	if (by_twin)
		p->fenced_at = now;
	if (!renew(p) || a->moved)
		return KAFKA_REVOKED_UNDER_US;
	return a->commit_asked ? KAFKA_UNKNOWN : KAFKA_ABORTED;
}

static enum kafka_verdict attempt(struct attempt *a, const struct crowd *crowd)
{
	a->since = clock_read().mono;
	enum next next = go(a, crowd);
	if (next == NEXT_GO_ON)
		return KAFKA_COMMITTED;
	if (a->ousted)
		return stay_out(a);
	if (next == NEXT_ABORT) {
		next = call(a, "aborting a transaction", abort_open);
		/* An abort that worked proves that no commit did. */
		if (next == NEXT_GO_ON)
			return a->moved ? KAFKA_REVOKED_UNDER_US : KAFKA_ABORTED;
	}
	if (next != NEXT_LEAVE)
		return after_renewal(a);
	kafka_producer_discard(a->producer);
	return KAFKA_REVOKED_UNDER_US;
}

/* What the last batches taught about the topics; in time it is doubted. */
static struct crowd known_crowd(struct kafka_producer *p)
{
	const usec_t now = clock_read().mono;
	if (p->crowd_since > 0 && p->crowd < SIZE_MAX && now - p->crowd_since > CROWD_MEMORY) {
		p->crowd = p->crowd < SIZE_MAX / 2 ? p->crowd * 2 : SIZE_MAX;
		p->crowd_since = now;
	}
	return (struct crowd){ .size = p->crowd_since > 0 ? p->crowd : SIZE_MAX };
}

/* Halves the crowd that was refused. Where another one was already, it is no single record's fault: from now on all
 * crowds are as small. */
static void halve(struct crowd *crowd, const struct kafka_batch *batch)
{
	size_t from = 0;
	size_t to = batch->record_count;
	while (from < to && !batch->records[from].too_large)
		from++;
	while (to > from && !batch->records[to - 1].too_large)
		to--;
	if (crowd->half > 0 && (from < crowd->from || to > crowd->to))
		crowd->size = crowd->half;
	crowd->half = to - from > 1 ? (to - from) / 2 : 1;
	crowd->from = from;
	crowd->to = to;
}

static void learn(struct kafka_producer *p, const struct crowd *crowd)
{
	p->crowd = crowd->half < crowd->size ? crowd->half : crowd->size;
	p->crowd_since = clock_read().mono;
}

enum kafka_verdict kafka_transact_batch(struct kafka_producer *p, struct kafka_batch *batch, struct fault *fault)
{
	struct attempt a = { .producer = p, .batch = batch, .fault = fault };
	struct crowd crowd = known_crowd(p);
	enum kafka_verdict verdict = attempt(&a, &crowd);
	/* One that was sent alone is known to be too large itself. */
	bool searching = verdict == KAFKA_ABORTED && p->delivery.suspects > 1;
	for (int i = 0; searching && i < CROWD_TRIES; i++) {
		if (p->delivery.suspects > 1)
			halve(&crowd, batch);
		a = (struct attempt){ .producer = p, .batch = batch, .fault = fault };
		*fault = (struct fault){ 0 };
		verdict = attempt(&a, &crowd);
		searching = verdict == KAFKA_ABORTED && p->delivery.suspects != 1;
	}
	for (size_t i = 0; searching && i < batch->record_count; i++)
		batch->records[i].too_large = false; /* not known */
	if (verdict != KAFKA_COMMITTED)
		return verdict;
	if (crowd.half > 0)
		learn(p, &crowd);
	*fault = (struct fault){ 0 }; /* of what was tried again and went well */
	return verdict;
}

bool kafka_transaction_init(struct kafka_producer *p)
{
	rd_kafka_error_t *error = rd_kafka_init_transactions(p->rk, LONG_CALL_MS);
	if (!error)
		return true;
	kafka_producer_note(p, rd_kafka_error_code(error), rd_kafka_error_string(error));
	/* A client that will never be ready is replaced; the reason (rights, an impossible time-out) may be mended. */
	if (!rd_kafka_error_is_retriable(error))
		kafka_producer_discard(p);
	rd_kafka_error_destroy(error);
	return false;
}
