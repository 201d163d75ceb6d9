#include <errno.h>
#include <stdlib.h>

#include "doors/kafka_internal.h"
#include "doors/loop.h"

#define STALL_DELAY USEC_PER_SEC

static const uint64_t one = 1; /* what the library writes into our eventfd; must outlive every client */

static void drain(rd_kafka_queue_t *queue)
{
	rd_kafka_event_t *event;
	while ((event = rd_kafka_queue_poll(queue, 0)))
		rd_kafka_event_destroy(event);
}

/* Tells the library to read every partition from its position. Quick: the library's main thread never waits. */
static int assign_positions(struct kafka_assignment *a, struct fault *fault)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)a->count);
	for (size_t i = 0; i < a->count; i++)
		rd_kafka_topic_partition_list_add(list, a->parts[i].topic, a->parts[i].partition)->offset =
			a->parts[i].position;
	const rd_kafka_resp_err_t error = rd_kafka_assign(a->rk, list);
	rd_kafka_topic_partition_list_destroy(list);
	if (!error)
		return 0;
	return fault_set(fault, -EIO, kafka_fault_class(error), "the assignment was not taken: %s",
			 rd_kafka_err2str(error));
}

/* The library cannot seek in a partition whose position is gone (2.0.2: the fetcher has stopped and seek() says
 * "erroneous state"), nor take a single partition out and in again under an eager assignor. So all are assigned anew
 * at their positions. What the queues still hold will be fetched again; it goes first, because an error among it would
 * be taken for a new one. */
static void restart(struct kafka_assignment *a)
{
	for (size_t i = 0; i < a->count; i++)
		drain(a->parts[i].queue);
	const bool failed = assign_positions(a, &a->trouble) < 0;
	a->restart_at = failed ? clock_read().mono + STALL_DELAY : 0;
	for (size_t i = 0; i < a->count; i++)
		a->parts[i].stalled = failed;
}

/* The trouble, already set, is told by kafka_consumer_next(); the restart follows from there too. */
static void stall(struct kafka_assignment *a, struct kafka_assigned *part)
{
	part->stalled = true;
	a->restart_at = clock_read().mono + STALL_DELAY;
	loop_wakeup_signal(a->wakeup_fd);
}

/* A queue per partition: what is not read stays there, and the rest of the events never queues behind data. */
static int open_queue(struct kafka_assignment *a, struct kafka_assigned *part)
{
	part->queue = rd_kafka_queue_get_partition(a->rk, part->topic, part->partition);
	if (!part->queue)
		return -ENOENT;
	rd_kafka_queue_forward(part->queue, NULL);
	rd_kafka_queue_io_event_enable(part->queue, a->wakeup_fd, &one, sizeof(one));
	return 0;
}

int kafka_assignment_start(struct kafka_assignment *a, const struct kafka_partition *partitions, size_t count,
			   const struct kafka_start *starts, struct fault *fault)
{
	int r = 0;
	kafka_assignment_clear(a);
	a->parts = calloc(count ? count : 1, sizeof(*a->parts));
	if (!a->parts)
		return fault_set(fault, -ENOMEM, FAULT_OURS, "out of memory");
	for (; r == 0 && a->count < count; a->count++) {
		struct kafka_assigned *part = &a->parts[a->count];
		const int64_t offset = starts[a->count].offset;
		part->topic = partitions[a->count].topic;
		part->partition = partitions[a->count].partition;
		part->position = offset == KAFKA_OFFSET_NONE ? RD_KAFKA_OFFSET_BEGINNING : offset;
		r = open_queue(a, part);
	}
	r = r < 0 ? fault_set(fault, r, FAULT_OURS, "no queue for a partition") : assign_positions(a, fault);
	if (r < 0)
		kafka_assignment_clear(a);
	return r;
}

void kafka_assignment_clear(struct kafka_assignment *a)
{
	for (size_t i = 0; i < a->count; i++) {
		if (!a->parts[i].queue)
			continue;
		/* Else the queue would go on waking the loop for a partition that is nobody's. */
		rd_kafka_queue_io_event_enable(a->parts[i].queue, -1, NULL, 0);
		rd_kafka_queue_destroy(a->parts[i].queue);
	}
	free(a->parts);
	a->parts = NULL;
	a->count = 0;
	a->restart_at = 0;
	a->trouble.kind = FAULT_NONE;
}

/* True when the event is an answer for the caller. */
static bool on_message(struct kafka_assignment *a, struct kafka_assigned *part, rd_kafka_event_t *event,
		       struct kafka_read *ret)
{
	const rd_kafka_message_t *message = rd_kafka_event_message_next(event);
	if (!message || message->offset < part->position)
		return false;
	ret->record = kafka_record_copy(message, part->topic);
	if (!ret->record) {
		/* The library thinks that we have it: without this the record would be passed over. */
		fault_set(&a->trouble, 0, FAULT_OURS, "out of memory while reading");
		stall(a, part);
		return true;
	}
	ret->kind = KAFKA_READ_RECORD;
	part->position = message->offset + 1;
	return true;
}

static void on_reset(struct kafka_assignment *a, struct kafka_assigned *part, int64_t lost, struct kafka_read *ret)
{
	part->position = RD_KAFKA_OFFSET_BEGINNING;
	if (lost < 0) {
		/* Not a lost position: the beginning could not be asked for. */
		fault_set(&a->trouble, 0, FAULT_PERMANENT, "%s/%d: its earliest offset could not be asked for",
			  part->topic, (int)part->partition);
		stall(a, part);
		return;
	}
	ret->kind = KAFKA_READ_RESET;
	ret->offset = lost;
	restart(a);
}

static bool on_error(struct kafka_assignment *a, struct kafka_assigned *part, rd_kafka_event_t *event,
		     struct kafka_read *ret)
{
	const rd_kafka_resp_err_t error = rd_kafka_event_error(event);
	rd_kafka_topic_partition_t *where = rd_kafka_event_topic_partition(event);
	const int64_t offset = where ? where->offset : RD_KAFKA_OFFSET_INVALID;
	if (where)
		rd_kafka_topic_partition_destroy(where);

	if (error == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
		part->position = offset;
		ret->kind = KAFKA_READ_END;
		ret->offset = offset;
	} else if (error == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET) {
		on_reset(a, part, offset, ret);
	} else {
		fault_set(&a->trouble, 0, kafka_fault_class(error), "%s/%d: %s", part->topic, (int)part->partition,
			  rd_kafka_event_error_string(event));
		loop_wakeup_signal(a->wakeup_fd);
	}
	return part->stalled || ret->kind != KAFKA_READ_NOTHING;
}

void kafka_assignment_read(struct kafka_assignment *a, size_t index, struct kafka_read *ret)
{
	*ret = (struct kafka_read){ .kind = KAFKA_READ_NOTHING };
	if (index >= a->count)
		return;
	struct kafka_assigned *part = &a->parts[index];
	rd_kafka_event_t *event;
	bool done = part->stalled;
	while (!done && (event = rd_kafka_queue_poll(part->queue, 0))) {
		switch (rd_kafka_event_type(event)) {
		case RD_KAFKA_EVENT_FETCH:
			done = on_message(a, part, event, ret);
			break;
		case RD_KAFKA_EVENT_ERROR:
			done = on_error(a, part, event, ret);
			break;
		default:
			break;
		}
		rd_kafka_event_destroy(event);
	}
}

void kafka_assignment_serve(struct kafka_assignment *a, usec_t now)
{
	if (a->restart_at != 0 && now >= a->restart_at)
		restart(a);
}
