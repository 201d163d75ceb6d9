#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "doors/kafka_producer_internal.h"

#define FULL_QUEUE_MS 100
#define MOST_PARTS    8 /* of one rd_kafka_produceva() */

static void fail(struct kafka_producer *p, rd_kafka_resp_err_t error, const char *topic)
{
	if (p->delivery.failed++ == 0)
		fault_set(&p->delivery.fault, 0, kafka_fault_class(error), "writing to %s: %s", topic,
			  rd_kafka_err2str(error));
}

void kafka_delivery_report(rd_kafka_t *rk, const rd_kafka_message_t *message, void *producer)
{
	struct kafka_producer *p = producer;
	struct kafka_batch_record *record = message->_private;
	(void)rk;
	if (atomic_load(&p->stop))
		return; /* the batch may be gone already */
	p->delivery.outstanding--;
	if (!message->err) {
		record->delivered = !p->options->exactly_once; /* there, only the transaction delivers */
		return;
	}
	if (message->err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) {
		record->too_large = true;
		p->delivery.suspects++;
	}
	fail(p, message->err, record->record->topic);
}

static rd_kafka_resp_err_t hand_over(rd_kafka_t *rk, struct kafka_batch_record *item, rd_kafka_headers_t *headers)
{
	const struct record *record = item->record;
	rd_kafka_vu_t parts[MOST_PARTS];
	size_t n = 0;
	parts[n++] = (rd_kafka_vu_t){ .vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = record->topic };
	parts[n++] = (rd_kafka_vu_t){ .vtype = RD_KAFKA_VTYPE_PARTITION,
				      .u.i32 = record->partition < 0 ? RD_KAFKA_PARTITION_UA : record->partition };
	parts[n++] = (rd_kafka_vu_t){ .vtype = RD_KAFKA_VTYPE_KEY,
				      .u.mem = { (void *)(uintptr_t)record->key.p, record->key.n } };
	parts[n++] = (rd_kafka_vu_t){ .vtype = RD_KAFKA_VTYPE_VALUE,
				      .u.mem = { (void *)(uintptr_t)record->value.p, record->value.n } };
	/* A copy: a batch may be abandoned while the client still holds its records. */
	parts[n++] = (rd_kafka_vu_t){ .vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY };
	parts[n++] = (rd_kafka_vu_t){ .vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = item };
	if (record->timestamp_ms >= 0)
		parts[n++] = (rd_kafka_vu_t){ .vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = record->timestamp_ms };
	if (headers)
		parts[n++] = (rd_kafka_vu_t){ .vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers };
	rd_kafka_error_t *error = rd_kafka_produceva(rk, parts, n);
	const rd_kafka_resp_err_t code = rd_kafka_error_code(error);
	if (error)
		rd_kafka_error_destroy(error);
	return code;
}

/* The client's refusal, 0 when it has the record. */
static rd_kafka_resp_err_t try_once(struct kafka_producer *p, struct kafka_batch_record *item)
{
	bool failed;
	rd_kafka_headers_t *headers = kafka_record_headers(item->record, &failed);
	if (failed)
		return RD_KAFKA_RESP_ERR__QUEUE_FULL; /* out of memory: wait for some as one waits for room */
	const rd_kafka_resp_err_t error = hand_over(p->rk, item, headers);
	if (error && headers)
		rd_kafka_headers_destroy(headers); /* else they are the client's */
	return error;
}

static int produce(struct kafka_producer *p, struct kafka_batch_record *item)
{
	rd_kafka_resp_err_t error;
	while ((error = try_once(p, item)) == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
		if (!kafka_producer_beat(p) || kafka_producer_disowned(p))
			return -ECANCELED;
		rd_kafka_poll(p->rk, FULL_QUEUE_MS);
	}
	if (!error) {
		p->delivery.outstanding++;
		return 0;
	}
	item->too_large = error == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
	fail(p, error, item->record->topic);
	return 0;
}

int kafka_delivery_wait(struct kafka_producer *p)
{
	while (p->delivery.outstanding > 0) {
		if (!kafka_producer_beat(p) || kafka_producer_disowned(p))
			return -ECANCELED;
		/* Serves kafka_delivery_report() and does not let records wait for company. */
		rd_kafka_flush(p->rk, CALL_MS / 5);
	}
	return 0;
}

/* Does a crowd of so many end before record number `i`? */
static bool crowd_ends(const struct crowd *crowd, size_t i, size_t together)
{
	const bool refused = crowd->half > 0 && i >= crowd->from && i < crowd->to;
	return together >= (refused ? crowd->half : crowd->size) || (refused && i == crowd->from);
}

int kafka_deliver(struct kafka_producer *p, struct kafka_batch *batch, const struct crowd *crowd)
{
	const bool all_or_nothing = p->options->exactly_once;
	size_t together = 0;
	int r = 0;
	p->delivery = (struct delivery){ 0 };
	for (size_t i = 0; i < batch->record_count; i++)
		batch->records[i].too_large = false; /* what an earlier attempt suspected */
	for (size_t i = 0; r == 0 && i < batch->record_count; i++) {
		if (batch->records[i].delivered)
			continue;
		if (crowd_ends(crowd, i, together)) {
			r = kafka_delivery_wait(p);
			together = 0;
		}
		if (p->delivery.failed > 0 && all_or_nothing)
			break;
		if (r == 0)
			r = produce(p, &batch->records[i]);
		together++;
	}
	return r;
}

rd_kafka_topic_partition_list_t *kafka_batch_offsets(const struct kafka_batch *batch)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)batch->offset_count);
	for (size_t i = 0; i < batch->offset_count; i++) {
		const struct kafka_batch_offset *from = &batch->offsets[i];
		rd_kafka_topic_partition_t *to = rd_kafka_topic_partition_list_add(list, from->topic, from->partition);
		to->offset = from->offset;
		if (!from->metadata || from->metadata[0] == '\0')
			continue;
		to->metadata = strdup(from->metadata); /* the list frees it */
		if (!to->metadata) {
			rd_kafka_topic_partition_list_destroy(list);
			return NULL;
		}
		to->metadata_size = strlen(from->metadata);
	}
	return list;
}
