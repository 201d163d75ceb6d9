#include "doors/kafka_group.h"

#include <errno.h>
#include <stdlib.h>

#include "doors/kafka_internal.h"

#define ATTEMPT_MS 2000

struct kafka_group {
	rd_kafka_t *rk;
	rd_kafka_topic_partition_list_t *offsets;
	struct fault heard; /* the client's last error */
};

static int add_topic(struct kafka_group *g, const char *name, const char *brokers, usec_t deadline, struct fault *fault)
{
	int32_t partitions = 0;
	rd_kafka_topic_t *topic = rd_kafka_topic_new(g->rk, name, NULL);
	if (!topic)
		return fault_set(fault, -EINVAL, FAULT_PERMANENT, "topic %s: no such name is possible", name);
	const int r = kafka_count_partitions(g->rk, topic, brokers, &g->heard, deadline, &partitions, fault);
	rd_kafka_topic_destroy(topic);
	if (r == 0)
		rd_kafka_topic_partition_list_add_range(g->offsets, name, 0, partitions - 1);
	return r;
}

static rd_kafka_resp_err_t ask_once(struct kafka_group *g)
{
	rd_kafka_resp_err_t error = rd_kafka_committed(g->rk, g->offsets, ATTEMPT_MS);
	for (int i = 0; !error && i < g->offsets->cnt; i++)
		error = g->offsets->elems[i].err;
	rd_kafka_poll(g->rk, 0);
	return error;
}

static int ask(struct kafka_group *g, const char *group, usec_t deadline, struct fault *fault)
{
	rd_kafka_resp_err_t error;
	do
		error = ask_once(g);
	while (kafka_is_transient(error) && clock_read().mono < deadline);
	return error ? fault_set(fault, -EPIPE, kafka_fault_class(error), "offsets of the group %.100s: %s", group,
				 rd_kafka_err2str(error))
		     : 0;
}

static int open_client(struct kafka_group *g, const struct kafka_options *options, const char *group,
		       struct fault *fault)
{
	struct kafka_options named = *options;
	named.group = group;
	named.static_membership = false;
	rd_kafka_conf_t *conf = kafka_conf_new(&named, KAFKA_CLIENT_CONSUMER, fault);
	if (!conf)
		return -EINVAL;
	kafka_conf_hear(conf, &g->heard);
	g->rk = kafka_client_new(conf, KAFKA_CLIENT_CONSUMER, fault);
	g->offsets = rd_kafka_topic_partition_list_new(16);
	return g->rk ? 0 : -EINVAL;
}

struct kafka_group *kafka_group_new(const struct kafka_options *options, const char *group, const char *const *topics,
				    size_t count, usec_t timeout, usec_t patience, struct fault *fault)
{
	const usec_t deadline = clock_read().mono + timeout;
	struct kafka_group *g = calloc(1, sizeof(*g));
	if (!g) {
		fault_set(fault, -ENOMEM, FAULT_OURS, "out of memory");
		return NULL;
	}
	int r = open_client(g, options, group, fault);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = add_topic(g, topics[i], options->brokers, deadline, fault);
	if (r == 0)
		r = ask(g, group, clock_read().mono + patience, fault);
	return r == 0 ? g : kafka_group_free(g);
}

struct kafka_group *kafka_group_free(struct kafka_group *g)
{
	if (!g)
		return NULL;
	if (g->offsets)
		rd_kafka_topic_partition_list_destroy(g->offsets);
	kafka_client_destroy(g->rk);
	free(g);
	return NULL;
}

struct kafka_group_offset kafka_group_offset(const struct kafka_group *g, const char *topic, int32_t partition)
{
	const rd_kafka_topic_partition_t *found = rd_kafka_topic_partition_list_find(g->offsets, topic, partition);
	if (!found || found->offset < 0)
		return (struct kafka_group_offset){ .offset = -1, .metadata = SPAN_NONE };
	return (struct kafka_group_offset){ .offset = found->offset,
					    .metadata = { found->metadata, found->metadata_size } };
}
