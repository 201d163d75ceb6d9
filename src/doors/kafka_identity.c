#include <stdlib.h>
#include <string.h>

#include "doors/kafka_internal.h"

#define DESCRIBE_MS 2000

static bool has(const struct kafka_identity *identity, const char *id)
{
	for (size_t i = 0; id && *id && i < KAFKA_IDENTITY_IDS; i++)
		if (strcmp(identity->ids[i], id) == 0)
			return true;
	return false;
}

void kafka_identity_note(struct kafka_identity *identity, rd_kafka_t *rk)
{
	char *id = rd_kafka_memberid(rk);
	if (id && *id && !has(identity, id))
		snprintf(identity->ids[identity->next++ % KAFKA_IDENTITY_IDS], KAFKA_IDENTITY_BYTES, "%s", id);
	if (id)
		rd_kafka_mem_free(rk, id);
}

/* The answer, or NULL. */
static rd_kafka_event_t *describe(rd_kafka_t *rk, const char *group)
{
	char ignored[8];
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS);
	rd_kafka_AdminOptions_set_request_timeout(options, DESCRIBE_MS, ignored, sizeof(ignored));
	rd_kafka_DescribeConsumerGroups(rk, &group, 1, options, queue);
	rd_kafka_event_t *event = rd_kafka_queue_poll(queue, DESCRIBE_MS + DESCRIBE_MS / 2);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_queue_destroy(queue);
	return event;
}

static bool has_one_of(const struct kafka_identity *identity, const rd_kafka_ConsumerGroupDescription_t *group)
{
	const size_t count = rd_kafka_ConsumerGroupDescription_member_count(group);
	for (size_t i = 0; i < count; i++) {
		const rd_kafka_MemberDescription_t *member = rd_kafka_ConsumerGroupDescription_member(group, i);
		if (has(identity, rd_kafka_MemberDescription_consumer_id(member)))
			return true;
	}
	return false;
}

bool kafka_identity_is_known(const struct kafka_identity *identity, rd_kafka_t *rk, const char *group)
{
	size_t count = 0;
	rd_kafka_event_t *event = describe(rk, group);
	if (!event)
		return false;
	const rd_kafka_DescribeConsumerGroups_result_t *result = rd_kafka_event_DescribeConsumerGroups_result(event);
	const rd_kafka_ConsumerGroupDescription_t **groups =
		rd_kafka_event_error(event) ? NULL : rd_kafka_DescribeConsumerGroups_result_groups(result, &count);
	const bool known = groups && count == 1 && has_one_of(identity, groups[0]);
	rd_kafka_event_destroy(event);
	return known;
}
