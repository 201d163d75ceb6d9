/*
 * How lost records are noticed: the library goes back to the earliest offset by itself when its position is gone, so
 * what comes then does not fit to where we were. `auto.offset.reset=error` would say it plainly, but there is no way on
 * from there in librdkafka 2.0.2: the fetcher has stopped, seek() is refused then, and to assign all partitions anew
 * ends the process by an assertion when two do so at the same time (rdkafka_assignment.c: rktp_started).
 */
#include <errno.h>
#include <stdlib.h>

#include "doors/kafka_internal.h"
#include "doors/loop.h"

#define AGAIN_AFTER USEC_PER_SEC

static const uint64_t one = 1; /* what the library writes into our eventfd; must outlive every client */

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

static int assign(struct kafka_assignment *a, struct fault *fault)
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
	r = r < 0 ? fault_set(fault, r, FAULT_OURS, "no queue for a partition") : assign(a, fault);
	if (r < 0)
		kafka_assignment_clear(a);
	return r;
}

/* The next event of the partition, which stays the same until it is dropped. */
static rd_kafka_event_t *hold(struct kafka_assigned *part)
{
	if (!part->held)
		part->held = rd_kafka_queue_poll(part->queue, 0);
	if (part->held && !part->message && rd_kafka_event_type(part->held) == RD_KAFKA_EVENT_FETCH)
		part->message = rd_kafka_event_message_next(part->held);
	return part->held;
}

static void drop(struct kafka_assigned *part)
{
	if (part->held)
		rd_kafka_event_destroy(part->held);
	part->held = NULL;
	part->message = NULL;
}

void kafka_assignment_clear(struct kafka_assignment *a)
{
	for (size_t i = 0; i < a->count; i++) {
		drop(&a->parts[i]);
		if (!a->parts[i].queue)
			continue;
		/* Else the queue would go on waking the loop for a partition that is nobody's. */
		rd_kafka_queue_io_event_enable(a->parts[i].queue, -1, NULL, 0);
		rd_kafka_queue_destroy(a->parts[i].queue);
	}
	free(a->parts);
	a->parts = NULL;
	a->count = 0;
	a->again_at = 0;
	a->trouble.kind = FAULT_NONE;
}

/* Backwards: the position was beyond the end. Forwards is no loss by itself (markers, compaction), unless the log
 * begins behind our position now; what it begins with came with the same reply as the record. */
static bool was_reset(const struct kafka_assignment *a, const struct kafka_assigned *part, int64_t next)
{
	int64_t low;
	int64_t high;
	if (part->position < 0 || next == part->position)
		return false;
	if (next < part->position)
		return true;
	return rd_kafka_get_watermark_offsets(a->rk, part->topic, part->partition, &low, &high) ==
		       RD_KAFKA_RESP_ERR_NO_ERROR &&
	       low > part->position;
}

/* Tells the reset; what came with it is told by the next reading. */
static void tell_reset(struct kafka_assigned *part, int64_t next, struct kafka_read *ret)
{
	ret->kind = KAFKA_READ_RESET;
	ret->offset = part->position;
	part->position = next;
}

static void tell_record(struct kafka_assignment *a, struct kafka_assigned *part, struct kafka_read *ret)
{
	ret->record = kafka_record_copy(part->message, part->topic);
	if (!ret->record) {
		fault_set(&a->trouble, 0, FAULT_OURS, "out of memory while reading");
		a->again_at = clock_read().mono + AGAIN_AFTER;
		return;
	}
	ret->kind = KAFKA_READ_RECORD;
	part->position = part->message->offset + 1;
	drop(part);
}

static void tell_end(struct kafka_assigned *part, int64_t offset, struct kafka_read *ret)
{
	ret->kind = KAFKA_READ_END;
	ret->offset = offset;
	part->position = offset;
	drop(part);
}

/* Where the end is, when the event says that it was reached; else what it says becomes trouble. */
static bool take_end(struct kafka_assignment *a, struct kafka_assigned *part, int64_t *ret_offset)
{
	const rd_kafka_resp_err_t error = rd_kafka_event_error(part->held);
	rd_kafka_topic_partition_t *where = rd_kafka_event_topic_partition(part->held);
	const bool end = error == RD_KAFKA_RESP_ERR__PARTITION_EOF && where;
	*ret_offset = where ? where->offset : RD_KAFKA_OFFSET_INVALID;
	if (where)
		rd_kafka_topic_partition_destroy(where);
	if (end || rd_kafka_event_type(part->held) != RD_KAFKA_EVENT_ERROR)
		return end;
	fault_set(&a->trouble, 0, kafka_fault_class(error), "%s/%d: %s", part->topic, (int)part->partition,
		  rd_kafka_event_error_string(part->held));
	loop_wakeup_signal(a->wakeup_fd);
	return false;
}

void kafka_assignment_read(struct kafka_assignment *a, size_t index, struct kafka_read *ret)
{
	int64_t offset;
	*ret = (struct kafka_read){ .kind = KAFKA_READ_NOTHING };
	if (index >= a->count)
		return;
	struct kafka_assigned *part = &a->parts[index];
	while (hold(part)) {
		if (part->message)
			offset = part->message->offset;
		else if (!take_end(a, part, &offset)) {
			drop(part);
			continue;
		}
		if (was_reset(a, part, offset))
			tell_reset(part, offset, ret);
		else if (part->message)
			tell_record(a, part, ret);
		else
			tell_end(part, offset, ret);
		return;
	}
}

void kafka_assignment_serve(struct kafka_assignment *a, usec_t now)
{
	if (a->again_at == 0 || now < a->again_at)
		return;
	a->again_at = 0;
	loop_wakeup_signal(a->wakeup_fd);
}
