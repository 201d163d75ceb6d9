#include <stdlib.h>

#include "doors/kafka_internal.h"

static bool is_member(rd_kafka_t *rk)
{
	char *id = rd_kafka_memberid(rk);
	const bool member = id && id[0] != '\0';
	if (id)
		rd_kafka_mem_free(rk, id);
	return member;
}

struct kafka_membership *kafka_membership_new(rd_kafka_t *rk)
{
	struct kafka_membership *membership = malloc(sizeof(*membership));
	if (!membership)
		return NULL;
	membership->metadata = rd_kafka_consumer_group_metadata(rk);
	atomic_init(&membership->references, 1);
	atomic_init(&membership->ended, false);
	/* Asked after the metadata was taken: an id, once lost, comes back only by joining again, and that waits for
	 * us. So an id now means that the metadata has one. */
	if (membership->metadata && is_member(rk))
		return membership;
	return kafka_membership_drop(membership);
}

struct kafka_membership *kafka_membership_hold(struct kafka_membership *membership)
{
	if (membership)
		atomic_fetch_add(&membership->references, 1);
	return membership;
}

struct kafka_membership *kafka_membership_drop(struct kafka_membership *membership)
{
	if (!membership || atomic_fetch_sub(&membership->references, 1) > 1)
		return NULL;
	if (membership->metadata)
		rd_kafka_consumer_group_metadata_destroy(membership->metadata);
	free(membership);
	return NULL;
}
