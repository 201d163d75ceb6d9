/*
 * kafka_fixture - a broker in this process, and waiting for what must come
 *
 * The cluster is librdkafka's mock: it checks no generation in a transaction, stores no transactional offsets and
 * creates every topic that is asked for. What rests on those is tested on Apache Kafka (tests/e2e).
 */
#ifndef HANDOFF_KAFKA_FIXTURE_H
#define HANDOFF_KAFKA_FIXTURE_H

#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* needs some of the above before it */
#include <cmocka.h>

#include "base/clock.h"
#include "doors/kafka_consumer.h"
#include "doors/kafka_options.h"
#include "doors/kafka_producer.h"
#include "doors/loop.h"
#include "handoff/record.h"

#ifndef PATIENCE
#define PATIENCE (30 * USEC_PER_SEC)
#endif

struct cluster {
	rd_kafka_t *rk;
	rd_kafka_mock_cluster_t *mock;
	const char *requests[1];
	struct kafka_options options;
};

/* The mock's join rounds last almost as long as a session, the first one 3 s (a shorter session ends in it, unnoticed
 * by the member), and it answers an empty fetch only after the whole wait. */
static const char *const mock_properties[] = { "session.timeout.ms=3500", "fetch.wait.max.ms=20" };

static inline void cluster_start(struct cluster *c, int brokers, int partitions)
{
	char reason[256];
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	assert_int_equal(rd_kafka_conf_set(conf, "socket.nagle.disable", "true", reason, sizeof(reason)), 0);
	c->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof(reason));
	assert_non_null(c->rk);
	c->mock = rd_kafka_mock_cluster_new(c->rk, brokers);
	assert_non_null(c->mock);
	c->requests[0] = "requests";
	c->options = (struct kafka_options){
		.brokers = rd_kafka_mock_cluster_bootstraps(c->mock),
		.group = "group",
		.instance = "one",
		.requests = c->requests,
		.request_count = 1,
		.retry = "retry",
		.outcomes = "outcomes",
		.dead_letters = "dlq",
		.properties = mock_properties,
		.property_count = ARRAY_SIZE(mock_properties),
	};
	const char *const topics[] = { "requests", "retry", "outcomes", "dlq" };
	for (size_t i = 0; i < ARRAY_SIZE(topics); i++)
		assert_int_equal(rd_kafka_mock_topic_create(c->mock, topics[i], partitions, brokers), 0);
}

static inline void cluster_stop(struct cluster *c)
{
	rd_kafka_mock_cluster_destroy(c->mock);
	rd_kafka_destroy(c->rk);
}

/* Sleeps until something has signalled `fd`, or a tenth of a second at most: the doors want to be asked now and then.
 */
static inline void wait_signal(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	poll(&p, 1, 100);
	loop_wakeup_clear(fd);
}

static inline usec_t patience_ends(void)
{
	return clock_read().mono + PATIENCE;
}

/* --- a member: a consumer that is served as the worker serves it --- */

struct member {
	struct kafka_consumer *consumer;
	int wakeup;
};

static inline void member_open(struct member *m, const struct kafka_options *options)
{
	struct fault fault = { 0 };
	m->wakeup = loop_wakeup_new();
	assert_true(m->wakeup >= 0);
	m->consumer = kafka_consumer_new(options, m->wakeup, &fault);
	if (!m->consumer)
		fail_msg("%s", fault.message);
	assert_int_equal(kafka_consumer_subscribe(m->consumer, &fault), 0);
}

static inline void member_abandon(struct member *m)
{
	m->consumer = kafka_consumer_free(m->consumer);
	close(m->wakeup);
}

/* Waits for an event of that kind. TROUBLE is passed over; anything else that comes first fails the test. */
static inline void member_expect(struct member *m, enum kafka_consumer_event_kind kind,
				 struct kafka_consumer_event *ret)
{
	struct fault trouble = { 0 };
	const usec_t until = patience_ends();
	while (clock_read().mono < until) {
		if (!kafka_consumer_next(m->consumer, ret)) {
			wait_signal(m->wakeup);
			continue;
		}
		if (ret->kind == kind)
			return;
		if (ret->kind != KAFKA_TROUBLE)
			fail_msg("event %d instead of %d: %s", (int)ret->kind, (int)kind, ret->fault.message);
		trouble = ret->fault;
	}
	fail_msg("event %d did not come; trouble: %s", (int)kind, trouble.message);
}

/* Accepts, each partition from where the group stands. */
static inline void member_accept(struct member *m, const struct kafka_consumer_event *assigned)
{
	struct kafka_start starts[64];
	struct fault fault = { 0 };
	assert_true(assigned->count <= ARRAY_SIZE(starts));
	for (size_t i = 0; i < assigned->count; i++)
		starts[i].offset = assigned->partitions[i].committed;
	if (kafka_consumer_accept(m->consumer, starts, &fault) < 0)
		fail_msg("%s", fault.message);
}

/* Joins and accepts; the event stays valid until the next one. */
static inline void member_join(struct member *m, const struct kafka_options *options,
			       struct kafka_consumer_event *event)
{
	member_open(m, options);
	member_expect(m, KAFKA_ASSIGNED, event);
	member_accept(m, event);
}

/* Leaves the group in good order. */
static inline void member_leave(struct member *m)
{
	struct kafka_consumer_event event;
	const usec_t until = patience_ends();
	kafka_consumer_close(m->consumer);
	while (clock_read().mono < until) {
		if (!kafka_consumer_next(m->consumer, &event))
			wait_signal(m->wakeup);
		else if (event.kind == KAFKA_REVOKED || event.kind == KAFKA_LOST)
			kafka_consumer_release(m->consumer);
		else if (event.kind == KAFKA_CLOSED)
			break;
	}
	assert_true(clock_read().mono < until);
	member_abandon(m);
}

/* Reads partition `index` until something comes that is not NOTHING. */
static inline void member_read(struct member *m, size_t index, struct kafka_read *ret)
{
	struct kafka_consumer_event event;
	const usec_t until = patience_ends();
	do {
		kafka_consumer_read(m->consumer, index, ret);
		if (ret->kind != KAFKA_READ_NOTHING)
			return;
		while (kafka_consumer_next(m->consumer, &event))
			if (event.kind != KAFKA_TROUBLE)
				fail_msg("event %d while reading: %s", (int)event.kind, event.fault.message);
		wait_signal(m->wakeup);
	} while (clock_read().mono < until);
	fail_msg("nothing to read in partition %zu", index);
}

static inline struct record *member_record(struct member *m, size_t index)
{
	struct kafka_read read;
	do
		member_read(m, index, &read);
	while (read.kind == KAFKA_READ_END);
	assert_int_equal(read.kind, KAFKA_READ_RECORD);
	return read.record;
}

static inline int64_t member_end(struct member *m, size_t index)
{
	struct kafka_read read;
	member_read(m, index, &read);
	assert_int_equal(read.kind, KAFKA_READ_END);
	return read.offset;
}

/* Keeps a consumer served meanwhile; expects that nothing but trouble happens to it. */
static inline void member_serve(struct member *m)
{
	struct kafka_consumer_event event;
	while (kafka_consumer_next(m->consumer, &event))
		if (event.kind != KAFKA_TROUBLE)
			fail_msg("event %d meanwhile: %s", (int)event.kind, event.fault.message);
}

/* --- batches --- */

static inline void producer_open(struct kafka_producer **ret, const struct kafka_options *options,
				 struct member *member, int wakeup)
{
	struct fault fault = { 0 };
	*ret = kafka_producer_new(options, member ? member->consumer : NULL, wakeup, &fault);
	if (!*ret)
		fail_msg("%s", fault.message);
}

/* Waits for the answer to the batch; `member` (may be NULL) is served meanwhile. */
static inline enum kafka_verdict batch_answer(struct kafka_producer *producer, const struct kafka_batch *batch,
					      struct member *member, int wakeup, struct kafka_answer *ret)
{
	const usec_t until = patience_ends();
	while (!kafka_producer_answer(producer, ret)) {
		if (clock_read().mono > until) {
			struct fault trouble;
			kafka_producer_trouble(producer, &trouble);
			fail_msg("no answer: %s", trouble.message);
		}
		wait_signal(wakeup);
		if (member)
			member_serve(member);
	}
	assert_ptr_equal(ret->batch, batch);
	return ret->verdict;
}

static inline enum kafka_verdict batch_run(struct kafka_producer *producer, struct kafka_batch *batch,
					   struct member *member, int wakeup)
{
	struct kafka_answer answer;
	assert_int_equal(kafka_producer_submit(producer, batch), 0);
	return batch_answer(producer, batch, member, wakeup, &answer);
}

/* A batch of one record and, unless `offset` is NULL, one offset. */
struct small_batch {
	struct kafka_batch_record item;
	struct kafka_batch_offset offset;
	struct kafka_batch batch;
};

static inline struct kafka_batch *small_batch(struct small_batch *b, const struct record *record,
					      const struct kafka_batch_offset *offset)
{
	memset(b, 0, sizeof(*b));
	b->item.record = record;
	b->batch.records = &b->item;
	b->batch.record_count = record ? 1 : 0;
	if (offset) {
		b->offset = *offset;
		b->batch.offsets = &b->offset;
		b->batch.offset_count = 1;
	}
	return &b->batch;
}

/* Writes `count` copies of the record, by a producer of its own. */
static inline void put_records(const struct kafka_options *options, const struct record *record, size_t count)
{
	struct kafka_producer *producer;
	const int wakeup = loop_wakeup_new();
	struct kafka_batch_record *items = calloc(count, sizeof(*items));
	assert_non_null(items);
	for (size_t i = 0; i < count; i++)
		items[i].record = record;
	struct kafka_batch batch = { .records = items, .record_count = count };
	producer_open(&producer, options, NULL, wakeup);
	assert_int_equal(batch_run(producer, &batch, NULL, wakeup), KAFKA_COMMITTED);
	for (size_t i = 0; i < count; i++)
		assert_true(items[i].delivered);
	kafka_producer_free(producer);
	free(items);
	close(wakeup);
}

/* The partition's index in the event. */
static inline size_t event_index(const struct kafka_consumer_event *event, const char *topic, int32_t partition)
{
	for (size_t i = 0; i < event->count; i++)
		if (strcmp(event->partitions[i].topic, topic) == 0 && event->partitions[i].partition == partition)
			return i;
	fail_msg("%s/%d is not there", topic, (int)partition);
	return 0;
}

/* A record for a batch; key and value are NUL-terminated texts or NULL. */
static inline struct record plain_record(const char *topic, int32_t partition, const char *key, const char *value)
{
	return (struct record){
		.topic = topic,
		.partition = partition,
		.timestamp_ms = -1,
		.key = span_of(key),
		.value = span_of(value),
	};
}

#endif
