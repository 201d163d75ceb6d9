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
	struct fault heard; /* the client's last error */
};

/* --- finding the partitions and their ends --- */

static int left_ms(usec_t deadline, usec_t most)
{
	const usec_t left = deadline - clock_read().mono;
	const usec_t time = left < most ? left : most;
	return time > 0 ? (int)((time + USEC_PER_MSEC - 1) / USEC_PER_MSEC) : 0;
}

static int unreachable(struct kafka_reader *r, rd_kafka_resp_err_t error, struct fault *fault)
{
	return fault_set(fault, -EPIPE, FAULT_DEPENDENCY_DOWN, "no broker answers (tried %.100s): %.120s",
			 r->options->brokers, r->heard.message[0] ? r->heard.message : rd_kafka_err2str(error));
}

static int count_partitions(struct kafka_reader *r, rd_kafka_topic_t *topic, usec_t deadline, int32_t *ret,
			    struct fault *fault)
{
	const struct rd_kafka_metadata *metadata;
	rd_kafka_resp_err_t error;
	do {
		error = rd_kafka_metadata(r->rk, 0, topic, &metadata, left_ms(deadline, SLICE));
		rd_kafka_poll(r->rk, 0); /* r->heard */
	} while (error && clock_read().mono < deadline);
	if (error)
		return unreachable(r, error, fault);
	const struct rd_kafka_metadata_topic *seen = metadata->topic_cnt > 0 ? &metadata->topics[0] : NULL;
	error = seen ? seen->err : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
	*ret = seen ? seen->partition_cnt : 0;
	rd_kafka_metadata_destroy(metadata);
	if (!error && *ret > 0)
		return 0;
	return fault_set(fault, -EPIPE, error ? kafka_fault_class(error) : FAULT_PERMANENT, "topic %s: %s",
			 rd_kafka_topic_name(topic), error ? rd_kafka_err2str(error) : "it has no partitions");
}

static int find_ends(struct kafka_reader *r, struct watched *part, enum kafka_reader_start start, usec_t deadline,
		     struct fault *fault)
{
	int64_t low;
	rd_kafka_resp_err_t error;
	do
		error = rd_kafka_query_watermark_offsets(r->rk, rd_kafka_topic_name(part->topic), part->partition, &low,
							 &part->end, left_ms(deadline, 10 * SLICE));
	while (kafka_is_transient(error) && clock_read().mono < deadline);
	if (error)
		return fault_set(fault, -EPIPE, kafka_fault_class(error), "offsets of %s/%d: %s",
				 rd_kafka_topic_name(part->topic), (int)part->partition, rd_kafka_err2str(error));
	part->start = start == KAFKA_READER_EARLIEST ? low : part->end;
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
		error = count_partitions(r, topic, deadline, &partitions, fault);
		if (error == 0 && add_partitions(r, topic, partitions) < 0)
			error = fault_set(fault, -ENOMEM, FAULT_OURS, "out of memory");
	}
	return error;
}

static int start_reading(struct kafka_reader *r, enum kafka_reader_start start, usec_t deadline, struct fault *fault)
{
	/* All ends first: what is written while we ask for them is after the one or before the other. */
	for (size_t i = 0; i < r->part_count; i++) {
		const int error = find_ends(r, &r->parts[i], start, deadline, fault);
		if (error < 0)
			return error;
	}
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

static void on_error(rd_kafka_t *rk, int error, const char *reason, void *opaque)
{
	struct kafka_reader *r = opaque;
	(void)rk;
	/* "all brokers are down" says less than what was heard of any one of them. */
	if (error != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || r->heard.message[0] == '\0')
		fault_set(&r->heard, 0, kafka_fault_class((rd_kafka_resp_err_t)error), "%s", reason);
}

static int open_reader(struct kafka_reader *r, size_t topic_count, struct fault *fault)
{
	rd_kafka_conf_t *conf = kafka_conf_new(r->options, KAFKA_CLIENT_READER, fault);
	if (!conf)
		return -EINVAL;
	rd_kafka_conf_set_opaque(conf, r);
	rd_kafka_conf_set_error_cb(conf, on_error);
	r->rk = kafka_client_new(conf, KAFKA_CLIENT_READER, fault);
	if (!r->rk)
		return -EINVAL;
	r->queue = rd_kafka_queue_new(r->rk);
	r->topics = calloc(topic_count, sizeof(rd_kafka_topic_t *));
	return r->queue && r->topics ? 0 : fault_set(fault, -ENOMEM, FAULT_OURS, "out of memory");
}

struct kafka_reader *kafka_reader_new(const struct kafka_options *options, const char *const *topics, size_t count,
				      enum kafka_reader_start start, usec_t timeout, struct fault *fault)
{
	const usec_t deadline = clock_read().mono + timeout;
	struct kafka_reader *r = calloc(1, sizeof(*r));
	if (!r) {
		fault_set(fault, -ENOMEM, FAULT_OURS, "out of memory");
		return NULL;
	}
	r->options = options;
	if (open_reader(r, count, fault) < 0 || find_partitions(r, topics, count, deadline, fault) < 0 ||
	    start_reading(r, start, deadline, fault) < 0)
		return kafka_reader_free(r);
	return r;
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
		if (part->partition != partition || !part->behind || next < part->end ||
		    strcmp(rd_kafka_topic_name(part->topic), topic) != 0)
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
