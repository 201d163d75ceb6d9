/*
 * kafka_apache - a corner of a real Apache Kafka for one test
 *
 * $HANDOFF_KAFKA has the bootstrap servers; without it these tests are skipped. Topics and group are new for each test,
 * so nothing has to be cleaned up and several may run against the same brokers.
 */
#ifndef HANDOFF_KAFKA_APACHE_H
#define HANDOFF_KAFKA_APACHE_H

#include "kafka_fixture.h"

struct corner {
	rd_kafka_t *rk; /* of the test itself: creates topics, writes and reads past the doors */
	char names[5][64];
	const char *requests[1];
	const char *properties[8];
	struct kafka_options options;
};

enum { CORNER_REQUESTS, CORNER_RETRY, CORNER_OUTCOMES, CORNER_DEAD_LETTERS, CORNER_GROUP };

static inline void corner_create_topic(struct corner *c, const char *name, int partitions, const char *key,
				       const char *value)
{
	char reason[256] = "";
	rd_kafka_queue_t *queue = rd_kafka_queue_new(c->rk);
	rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(name, partitions, -1, reason, sizeof(reason));
	assert_non_null(topic);
	if (key)
		rd_kafka_NewTopic_set_config(topic, key, value);
	rd_kafka_CreateTopics(c->rk, &topic, 1, NULL, queue);
	rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 30000);
	assert_non_null(event);
	if (rd_kafka_event_error(event))
		fail_msg("creating %s: %s", name, rd_kafka_event_error_string(event));
	size_t count;
	const rd_kafka_topic_result_t **results =
		rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
	assert_int_equal(count, 1);
	if (rd_kafka_topic_result_error(results[0]))
		fail_msg("creating %s: %s", name, rd_kafka_topic_result_error_string(results[0]));
	rd_kafka_event_destroy(event);
	rd_kafka_NewTopic_destroy(topic);
	rd_kafka_queue_destroy(queue);
}

/* Waits until the cluster shows the topic with leaders for all partitions. */
static inline void corner_await_topic(struct corner *c, const char *name, int partitions)
{
	const usec_t until = patience_ends();
	rd_kafka_topic_t *topic = rd_kafka_topic_new(c->rk, name, NULL);
	int ready = 0;
	while (ready != partitions && clock_read().mono < until) {
		const struct rd_kafka_metadata *metadata;
		if (rd_kafka_metadata(c->rk, 0, topic, &metadata, 5000))
			continue;
		ready = 0;
		for (int i = 0; metadata->topic_cnt > 0 && i < metadata->topics[0].partition_cnt; i++)
			ready += metadata->topics[0].partitions[i].leader >= 0;
		rd_kafka_metadata_destroy(metadata);
	}
	assert_int_equal(ready, partitions);
	rd_kafka_topic_destroy(topic);
}

/* False (and the test is skipped) when there is no Apache Kafka. `partitions` < 0: no topics are made. */
static inline bool corner_open(struct corner *c, int partitions, bool exactly_once)
{
	static unsigned count;
	static const char *const nouns[] = { "requests", "retry", "outcomes", "dlq", "group" };
	const char *brokers = getenv("HANDOFF_KAFKA");
	char reason[256];
	if (!brokers)
		return false;
	memset(c, 0, sizeof(*c));
	count++;
	for (size_t i = 0; i < ARRAY_SIZE(nouns); i++)
		snprintf(c->names[i], sizeof(c->names[i]), "%s-%ld-%u", nouns[i], (long)getpid(), count);
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	assert_int_equal(rd_kafka_conf_set(conf, "bootstrap.servers", brokers, reason, sizeof(reason)), 0);
	c->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof(reason));
	assert_non_null(c->rk);
	for (size_t i = 0; partitions > 0 && i < CORNER_GROUP; i++)
		corner_create_topic(c, c->names[i], partitions, NULL, NULL);
	for (size_t i = 0; partitions > 0 && i < CORNER_GROUP; i++)
		corner_await_topic(c, c->names[i], partitions);
	c->requests[0] = c->names[CORNER_REQUESTS];
	c->properties[0] = "session.timeout.ms=6000";
	c->options = (struct kafka_options){
		.brokers = brokers,
		.group = c->names[CORNER_GROUP],
		.instance = "one",
		.exactly_once = exactly_once,
		.requests = c->requests,
		.request_count = 1,
		.retry = c->names[CORNER_RETRY],
		.outcomes = c->names[CORNER_OUTCOMES],
		.dead_letters = c->names[CORNER_DEAD_LETTERS],
		.properties = c->properties,
		.property_count = 1,
	};
	return true;
}

static inline void corner_close(struct corner *c)
{
	rd_kafka_destroy(c->rk);
}

/* Adds a property for the clients that are made from here on. */
static inline void corner_property(struct corner *c, const char *property)
{
	assert_true(c->options.property_count < ARRAY_SIZE(c->properties));
	c->properties[c->options.property_count++] = property;
}

/* Deletes what is before `offset`, as retention would. */
static inline void corner_delete_before(struct corner *c, const char *topic, int32_t partition, int64_t offset)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_new(c->rk);
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
	rd_kafka_DeleteRecords_t *wish = rd_kafka_DeleteRecords_new(list);
	rd_kafka_DeleteRecords(c->rk, &wish, 1, NULL, queue);
	rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 30000);
	assert_non_null(event);
	assert_int_equal(rd_kafka_event_error(event), 0);
	rd_kafka_event_destroy(event);
	rd_kafka_DeleteRecords_destroy(wish);
	rd_kafka_topic_partition_list_destroy(list);
	rd_kafka_queue_destroy(queue);
}

/* A transactional producer past the doors, between begin and commit. */
static inline rd_kafka_t *stranger_begin(struct corner *c, const char *id)
{
	char reason[256];
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	assert_int_equal(rd_kafka_conf_set(conf, "bootstrap.servers", c->options.brokers, reason, sizeof(reason)), 0);
	assert_int_equal(rd_kafka_conf_set(conf, "transactional.id", id, reason, sizeof(reason)), 0);
	rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof(reason));
	assert_non_null(rk);
	assert_null(rd_kafka_init_transactions(rk, 30000));
	assert_null(rd_kafka_begin_transaction(rk));
	return rk;
}

static inline void stranger_put(rd_kafka_t *rk, const char *topic, int32_t partition)
{
	static char value[] = "v";
	const rd_kafka_vu_t parts[] = {
		{ .vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = topic },
		{ .vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = partition },
		{ .vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = { value, 1 } },
	};
	assert_null(rd_kafka_produceva(rk, parts, ARRAY_SIZE(parts)));
	assert_int_equal(rd_kafka_flush(rk, 30000), 0);
}

static inline void join_group(struct member *m, const struct kafka_options *options, struct kafka_consumer_event *event)
{
	member_open(m, options);
	member_expect(m, KAFKA_ASSIGNED, event);
	member_accept(m, event);
}

/* What the group has committed for that partition, by the member's question. */
static inline int64_t committed_offset(struct member *m, const char *topic, int32_t partition)
{
	struct kafka_consumer_event event;
	struct fault fault;
	assert_int_equal(kafka_consumer_ask(m->consumer, &fault), 0);
	member_expect(m, KAFKA_OFFSETS, &event);
	assert_int_equal(event.fault.kind, FAULT_NONE);
	return event.partitions[event_index(&event, topic, partition)].committed;
}

#endif
