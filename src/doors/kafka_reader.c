/*
 * The library's simple consumer: it needs no group, so it asks nobody for the right to one.
 */
#include "doors/kafka_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "doors/kafka_internal.h"

#define SLICE USEC_PER_SEC /* of waiting for a broker */

struct watched {
	rd_kafka_topic_t *topic; /* borrowed from the reader */
	int32_t partition;
	int64_t start;
	int64_t end; /* when the reader was made */
	int64_t at;  /* the first offset that was not passed yet */
	bool started;
	bool behind; /* not yet read to `end` */
};

struct kafka_reader {
	const struct kafka_options *options;
	rd_kafka_t *rk;
	rd_kafka_queue_t *queue;
	rd_kafka_topic_t **topics; /* kept for their names, which the records borrow */
	size_t topic_count;
	struct watched *parts;
	size_t part_count;
	size_t behind;
	int64_t since_ms;   /* 0: from where `start` says */
	struct fault heard; /* the client's last error */
};

/* --- finding the partitions and their ends --- */

static int left_ms(usec_t deadline, usec_t most)
{
	const usec_t left = deadline - clock_read().mono;
	const usec_t time = left < most ? left : most;
	return time > 0 ? (int)((time + USEC_PER_MSEC - 1) / USEC_PER_MSEC) : 0;
}

/* By `rk` it depends whether what open transactions have written counts. */
static int ask_ends(rd_kafka_t *rk, const struct watched *part, usec_t deadline, int64_t *ret_low, int64_t *ret_end,
		    struct fault *fault)
{
	rd_kafka_resp_err_t error;
	do
		error = rd_kafka_query_watermark_offsets(rk, rd_kafka_topic_name(part->topic), part->partition, ret_low,
							 ret_end, left_ms(deadline, 10 * SLICE));
	while (kafka_is_transient(error) && clock_read().mono < deadline);
	if (error)
		return fault_set(fault, -EPIPE, kafka_fault_class(error), "offsets of %s/%d: %s",
				 rd_kafka_topic_name(part->topic), (int)part->partition, rd_kafka_err2str(error));
	return 0;
}

/* The first offset that is no older than since_ms; the end when there is none. */
static int ask_since(struct kafka_reader *r, struct watched *part, usec_t deadline, struct fault *fault)
{
	const char *topic = rd_kafka_topic_name(part->topic);
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_t *asked = rd_kafka_topic_partition_list_add(list, topic, part->partition);
	rd_kafka_resp_err_t error;
	do {
		asked->offset = r->since_ms;
		error = rd_kafka_offsets_for_times(r->rk, list, left_ms(deadline, 10 * SLICE));
		error = error ? error : asked->err;
	} while (kafka_is_transient(error) && clock_read().mono < deadline);
	if (!error)
		part->start = asked->offset >= 0 ? asked->offset : part->end;
	rd_kafka_topic_partition_list_destroy(list);
	return error ? fault_set(fault, -EPIPE, kafka_fault_class(error), "offsets of %s/%d: %s", topic,
				 (int)part->partition, rd_kafka_err2str(error))
		     : 0;
}

static int find_ends(struct kafka_reader *r, rd_kafka_t *rk, struct watched *part, enum kafka_reader_start start,
		     usec_t deadline, struct fault *fault)
{
	int64_t low = 0;
	int error = ask_ends(rk, part, deadline, &low, &part->end, fault);
	part->start = start == KAFKA_READER_LATEST ? part->end : low;
	if (error == 0 && r->since_ms > 0)
		error = ask_since(r, part, deadline, fault);
	if (error < 0)
		return error;
	part->at = part->start;
	part->behind = part->start < part->end;
	r->behind += part->behind;
	return 0;
}

static int add_partitions(struct kafka_reader *r, rd_kafka_topic_t *topic, int32_t count)
{
	struct watched *parts = realloc(r->parts, (r->part_count + (size_t)count) * sizeof(*parts));
	if (!parts)
		return -ENOMEM;
	r->parts = parts;
	for (int32_t i = 0; i < count; i++)
		r->parts[r->part_count++] = (struct watched){ .topic = topic, .partition = i };
	return 0;
}

static int find_partitions(struct kafka_reader *r, const char *const *names, size_t count, usec_t deadline,
			   struct fault *fault)
{
	int32_t partitions = 0;
	int error = 0;
	for (size_t i = 0; error == 0 && i < count; i++) {
		rd_kafka_topic_t *topic = rd_kafka_topic_new(r->rk, names[i], NULL);
		if (!topic)
			return fault_set(fault, -EINVAL, FAULT_PERMANENT, "topic %s: no such name is possible",
					 names[i]);
		r->topics[r->topic_count++] = topic;
		error = kafka_count_partitions(r->rk, topic, r->options->brokers, &r->heard, deadline, &partitions,
					       fault);
		if (error == 0 && add_partitions(r, topic, partitions) < 0)
			error = fault_set(fault, -ENOMEM, FAULT_OURS, "out of memory");
	}
	return error;
}

/* Asked under read_committed, a partition's end is its first open transaction; this client is told the very end. */
static rd_kafka_t *new_stranger(const struct kafka_options *options, struct fault *fault)
{
	char ignored[8];
	rd_kafka_conf_t *conf = kafka_conf_new(options, KAFKA_CLIENT_ADMIN, fault);
	if (!conf)
		return NULL;
	rd_kafka_conf_set(conf, "isolation.level", "read_uncommitted", ignored, sizeof(ignored));
	return kafka_client_new(conf, KAFKA_CLIENT_ADMIN, fault);
}

static int find_all_ends(struct kafka_reader *r, enum kafka_reader_start start, usec_t deadline, struct fault *fault)
{
	rd_kafka_t *stranger = start == KAFKA_READER_WRITTEN ? new_stranger(r->options, fault) : NULL;
	int error = start == KAFKA_READER_WRITTEN && !stranger ? -EPIPE : 0;
	for (size_t i = 0; error == 0 && i < r->part_count; i++)
		error = find_ends(r, stranger ? stranger : r->rk, &r->parts[i], start, deadline, fault);
	kafka_client_destroy(stranger);
	return error;
}

static int start_reading(struct kafka_reader *r, enum kafka_reader_start start, usec_t deadline, struct fault *fault)
{
	/* All ends first: what is written while we ask for them is after the one or before the other. */
	const int error = find_all_ends(r, start, deadline, fault);
	if (error < 0)
		return error;
	for (size_t i = 0; i < r->part_count; i++) {
		struct watched *part = &r->parts[i];
		if (rd_kafka_consume_start_queue(part->topic, part->partition, part->start, r->queue) < 0)
			return fault_set(fault, -EPIPE, FAULT_OURS, "reading %s/%d: %s",
					 rd_kafka_topic_name(part->topic), (int)part->partition,
					 rd_kafka_err2str(rd_kafka_last_error()));
		part->started = true;
	}
	return 0;
}

/* --- life --- */

static int open_reader(struct kafka_reader *r, size_t topic_count, struct fault *fault)
{
	rd_kafka_conf_t *conf = kafka_conf_new(r->options, KAFKA_CLIENT_READER, fault);
	if (!conf)
		return -EINVAL;
	kafka_conf_hear(conf, &r->heard);
	r->rk = kafka_client_new(conf, KAFKA_CLIENT_READER, fault);
	if (!r->rk)
		return -EINVAL;
	r->queue = rd_kafka_queue_new(r->rk);
	r->topics = calloc(topic_count, sizeof(rd_kafka_topic_t *));
	return r->queue && r->topics ? 0 : fault_set(fault, -ENOMEM, FAULT_OURS, "out of memory");
}

static struct kafka_reader *new_reader(const struct kafka_options *options, const char *const *topics, size_t count,
				       enum kafka_reader_start start, int64_t since_ms, usec_t timeout,
				       struct fault *fault)
{
	const usec_t deadline = clock_read().mono + timeout;
	struct kafka_reader *r = calloc(1, sizeof(*r));
	if (!r) {
		fault_set(fault, -ENOMEM, FAULT_OURS, "out of memory");
		return NULL;
	}
	r->options = options;
	r->since_ms = since_ms;
	if (open_reader(r, count, fault) < 0 || find_partitions(r, topics, count, deadline, fault) < 0 ||
	    start_reading(r, start, deadline, fault) < 0)
		return kafka_reader_free(r);
	return r;
}

struct kafka_reader *kafka_reader_new(const struct kafka_options *options, const char *const *topics, size_t count,
				      enum kafka_reader_start start, usec_t timeout, struct fault *fault)
{
	return new_reader(options, topics, count, start, 0, timeout, fault);
}

struct kafka_reader *kafka_reader_new_since(const struct kafka_options *options, const char *const *topics,
					    size_t count, int64_t since_ms, usec_t timeout, struct fault *fault)
{
	return new_reader(options, topics, count, KAFKA_READER_EARLIEST, since_ms, timeout, fault);
}

struct kafka_reader *kafka_reader_free(struct kafka_reader *r)
{
	if (!r)
		return NULL;
	for (size_t i = 0; i < r->part_count; i++)
		if (r->parts[i].started)
			rd_kafka_consume_stop(r->parts[i].topic, r->parts[i].partition);
	if (r->queue)
		rd_kafka_queue_destroy(r->queue);
	for (size_t i = 0; i < r->topic_count; i++)
		rd_kafka_topic_destroy(r->topics[i]);
	kafka_client_destroy(r->rk);
	free(r->topics);
	free(r->parts);
	free(r);
	return NULL;
}

/* --- reading --- */

/* `next` is the first offset of that partition that was not read. */
static void advance(struct kafka_reader *r, const char *topic, int32_t partition, int64_t next)
{
	for (size_t i = 0; r->behind > 0 && i < r->part_count; i++) {
		struct watched *part = &r->parts[i];
		if (part->partition != partition || !part->behind ||
		    strcmp(rd_kafka_topic_name(part->topic), topic) != 0)
			continue;
		part->at = next < part->end ? next : part->end;
		if (part->at < part->end)
			continue;
		part->behind = false;
		r->behind--;
	}
}

static int on_message(struct kafka_reader *r, rd_kafka_event_t *event, struct record **ret, struct fault *fault)
{
	const rd_kafka_message_t *message = rd_kafka_event_message_next(event);
	if (!message)
		return 0;
	const char *topic = rd_kafka_topic_name(message->rkt);
	*ret = kafka_record_copy(message, topic);
	if (!*ret)
		return fault_set(fault, -EPIPE, FAULT_OURS, "out of memory");
	advance(r, topic, message->partition, message->offset + 1);
	return 1;
}

static int on_stop(struct kafka_reader *r, rd_kafka_event_t *event, struct fault *fault)
{
	const rd_kafka_resp_err_t error = rd_kafka_event_error(event);
	rd_kafka_topic_partition_t *where = rd_kafka_event_topic_partition(event);
	int result = 0;
	if (error == RD_KAFKA_RESP_ERR__PARTITION_EOF && where)
		advance(r, where->topic, where->partition, where->offset);
	else if (error != RD_KAFKA_RESP_ERR__PARTITION_EOF && !kafka_is_transient(error))
		result = fault_set(fault, -EPIPE, kafka_fault_class(error), "reading %s/%d: %s",
				   where ? where->topic : "?", where ? (int)where->partition : -1,
				   rd_kafka_event_error_string(event));
	if (where)
		rd_kafka_topic_partition_destroy(where);
	return result;
}

int kafka_reader_next(struct kafka_reader *r, usec_t timeout, struct record **ret, struct fault *fault)
{
	const usec_t deadline = clock_read().mono + timeout;
	int result = 0;
	int wait = left_ms(deadline, timeout);
	do {
		rd_kafka_event_t *event = rd_kafka_queue_poll(r->queue, wait);
		if (!event)
			break;
		if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_FETCH)
			result = on_message(r, event, ret, fault);
		else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR)
			result = on_stop(r, event, fault);
		rd_kafka_event_destroy(event);
		wait = left_ms(deadline, timeout);
	} while (result == 0);
	rd_kafka_poll(r->rk, 0); /* what the client has to say must not pile up */
	return result;
}

bool kafka_reader_caught_up(const struct kafka_reader *r)
{
	return r->behind == 0;
}

bool kafka_reader_part(const struct kafka_reader *r, size_t index, struct kafka_reader_part *ret)
{
	if (index >= r->part_count)
		return false;
	const struct watched *part = &r->parts[index];
	*ret = (struct kafka_reader_part){ .topic = rd_kafka_topic_name(part->topic),
					   .partition = part->partition,
					   .start = part->start,
					   .end = part->end,
					   .at = part->at };
	return true;
}

int kafka_reader_low(struct kafka_reader *r, size_t index, usec_t timeout, int64_t *ret, struct fault *fault)
{
	int64_t end;
	return ask_ends(r->rk, &r->parts[index], clock_read().mono + timeout, ret, &end, fault);
}

/* --- one record --- */

static struct record *take_one(rd_kafka_topic_t *topic, int32_t partition, int64_t offset, usec_t deadline)
{
	struct record *record = NULL;
	bool is_over = false;
	while (!is_over && clock_read().mono < deadline) {
		rd_kafka_message_t *message = rd_kafka_consume(topic, partition, left_ms(deadline, SLICE));
		if (!message)
			continue;
		is_over = !message->err || !kafka_is_transient(message->err);
		if (!message->err && message->offset == offset)
			record = kafka_record_copy(message, rd_kafka_topic_name(topic));
		rd_kafka_message_destroy(message);
	}
	return record;
}

struct record *kafka_reader_get(struct kafka_reader *r, const char *topic, int32_t partition, int64_t offset,
				usec_t timeout)
{
	struct watched *part = NULL;
	for (size_t i = 0; i < r->part_count && !part; i++)
		if (r->parts[i].partition == partition && !strcmp(rd_kafka_topic_name(r->parts[i].topic), topic))
			part = &r->parts[i];
	if (!part)
		return NULL;
	if (part->started)
		rd_kafka_consume_stop(part->topic, partition);
	part->started = false;
	if (rd_kafka_consume_start(part->topic, partition, offset) < 0)
		return NULL;
	struct record *record = take_one(part->topic, partition, offset, clock_read().mono + timeout);
	rd_kafka_consume_stop(part->topic, partition);
	return record;
}
