#include <stdlib.h>

#include "doors/kafka_internal.h"

#define FEW_HEADERS 32 /* a retry record has some twenty; more than this costs an allocation */

static size_t read_headers(const rd_kafka_headers_t *from, struct header *into, size_t count)
{
	size_t n = 0;
	for (; n < count; n++) {
		const void *value;
		size_t size;
		if (rd_kafka_header_get_all(from, n, &into[n].name, &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR)
			break;
		into[n].value = (struct span){ value, value ? size : 0 };
	}
	return n;
}

struct record *kafka_record_copy(const rd_kafka_message_t *message, const char *topic)
{
	struct header few[FEW_HEADERS];
	struct header *headers = few;
	rd_kafka_headers_t *list = NULL;
	size_t count = 0;
	rd_kafka_timestamp_type_t type;
	const int64_t timestamp = rd_kafka_message_timestamp(message, &type);

	if (rd_kafka_message_headers(message, &list) == RD_KAFKA_RESP_ERR_NO_ERROR)
		count = rd_kafka_header_cnt(list);
	if (count > FEW_HEADERS && !(headers = malloc(count * sizeof(*headers))))
		return NULL;
	count = list ? read_headers(list, headers, count) : 0;
	struct record *copy = record_new(&(struct record){
		.topic = topic,
		.partition = message->partition,
		.offset = message->offset,
		.timestamp_ms = type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? -1 : timestamp,
		.key = { message->key, message->key ? message->key_len : 0 },
		.value = { message->payload, message->payload ? message->len : 0 },
		.headers = headers,
		.header_count = count,
	});
	if (headers != few)
		free(headers);
	return copy;
}

rd_kafka_headers_t *kafka_record_headers(const struct record *record, bool *ret_failed)
{
	*ret_failed = false;
	if (record->header_count == 0)
		return NULL;
	rd_kafka_headers_t *list = rd_kafka_headers_new(record->header_count);
	for (size_t i = 0; list && i < record->header_count; i++) {
		const struct header *h = &record->headers[i];
		if (rd_kafka_header_add(list, h->name, -1, h->value.p, (ssize_t)h->value.n) ==
		    RD_KAFKA_RESP_ERR_NO_ERROR)
			continue;
		rd_kafka_headers_destroy(list);
		list = NULL;
	}
	*ret_failed = !list;
	return list;
}
