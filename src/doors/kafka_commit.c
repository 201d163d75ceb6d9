/*
 * A batch at least once: every record acknowledged by all replicas, and only then the offsets.
 * A crash in between repeats the records; nothing is lost.
 */
#include <errno.h>

#include "doors/kafka_producer_internal.h"

#define AGAIN_AFTER (100 * USEC_PER_MSEC)

/* What the broker says when the partitions are no longer ours to commit. */
static bool has_moved(rd_kafka_resp_err_t error)
{
	return error == RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION || error == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID ||
	       error == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID || error == RD_KAFKA_RESP_ERR__ASSIGNMENT_LOST ||
	       error == RD_KAFKA_RESP_ERR__FATAL;
}

static rd_kafka_resp_err_t event_result(rd_kafka_event_t *event)
{
	const rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(event);
	rd_kafka_resp_err_t error = rd_kafka_event_error(event);
	for (int i = 0; !error && list && i < list->cnt; i++)
		error = list->elems[i].err;
	return error;
}

/* One commit, waited for on a queue of its own: rd_kafka_commit() itself could not be interrupted.
 * _DESTROY when the thread has to end. */
static rd_kafka_resp_err_t commit_once(struct kafka_producer *p, const rd_kafka_topic_partition_list_t *list)
{
	rd_kafka_t *group = kafka_consumer_handle(p->consumer);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(group);
	rd_kafka_resp_err_t error = rd_kafka_commit_queue(group, list, queue, NULL, NULL);
	bool answered = error != RD_KAFKA_RESP_ERR_NO_ERROR;
	while (!answered) {
		rd_kafka_event_t *event = rd_kafka_queue_poll(queue, CALL_MS / 5);
		if (event && rd_kafka_event_type(event) == RD_KAFKA_EVENT_OFFSET_COMMIT) {
			error = event_result(event);
			answered = true;
		} else if (!kafka_producer_beat(p)) {
			error = RD_KAFKA_RESP_ERR__DESTROY;
			answered = true;
		}
		rd_kafka_event_destroy(event);
	}
	rd_kafka_queue_destroy(queue);
	return error;
}

static enum kafka_verdict disowned(struct fault *fault)
{
	fault_set(fault, 0, FAULT_OURS, "the partitions were given back or lost before the offsets were committed");
	return KAFKA_REVOKED_UNDER_US;
}

static enum kafka_verdict commit(struct kafka_producer *p, const rd_kafka_topic_partition_list_t *list,
				 struct fault *fault)
{
	rd_kafka_t *group = kafka_consumer_handle(p->consumer);
	rd_kafka_resp_err_t error;
	do {
		/* Asked each time: the library commits as whoever we are then, not as who we were. */
		if (kafka_producer_disowned(p) || rd_kafka_assignment_lost(group))
			return disowned(fault);
		error = commit_once(p, list);
		if (!error)
			return KAFKA_COMMITTED;
		kafka_producer_note(p, error, rd_kafka_err2str(error));
	} while (kafka_is_transient(error) && kafka_producer_pause(p, AGAIN_AFTER));
	fault_set(fault, 0, kafka_fault_class(error), "committing offsets of group %s: %s", p->options->group,
		  rd_kafka_err2str(error));
	return has_moved(error) ? KAFKA_REVOKED_UNDER_US : KAFKA_ABORTED;
}

static enum kafka_verdict commit_offsets(struct kafka_producer *p, const struct kafka_batch *batch, struct fault *fault)
{
	if (batch->offset_count == 0)
		return KAFKA_COMMITTED;
	if (kafka_producer_disowned(p))
		return disowned(fault);
	rd_kafka_topic_partition_list_t *list = kafka_batch_offsets(batch);
	if (!list) {
		fault_set(fault, 0, FAULT_OURS, "out of memory");
		return KAFKA_ABORTED;
	}
	const enum kafka_verdict verdict = commit(p, list, fault);
	rd_kafka_topic_partition_list_destroy(list);
	return verdict;
}

static int deliver_all(struct kafka_producer *p, struct kafka_batch *batch, const struct crowd *crowd)
{
	const int r = kafka_deliver(p, batch, crowd);
	return r == 0 ? kafka_delivery_wait(p) : r;
}

static int deliver(struct kafka_producer *p, struct kafka_batch *batch)
{
	int r = deliver_all(p, batch, &CROWD_ANY);
	/* The broker measures what was sent together; only one sent alone is known to be too large itself. */
	if (r == 0 && p->delivery.suspects > 1)
		r = deliver_all(p, batch, &CROWD_ONE);
	return r;
}

enum kafka_verdict kafka_commit_batch(struct kafka_producer *p, struct kafka_batch *batch, struct fault *fault)
{
	if (batch->offset_count > 0 && kafka_producer_disowned(p))
		return disowned(fault);
	if (deliver(p, batch) < 0) {
		/* What is still in the client must not be written later: it is the next owner's work now. */
		kafka_producer_discard(p);
		return disowned(fault);
	}
	if (p->delivery.failed == 0)
		return commit_offsets(p, batch, fault);
	*fault = p->delivery.fault;
	if (rd_kafka_fatal_error(p->rk, NULL, 0) != RD_KAFKA_RESP_ERR_NO_ERROR)
		kafka_producer_discard(p);
	return KAFKA_ABORTED;
}
