/*
 * kafka_topology - do the topics exist, do they fit together, has anything changed?
 *
 * A thread of its own asks the brokers (metadata and configuration calls of the library block), once at the start and
 * then every few seconds, and hands over what it saw as one immutable report. Judging it is the worker's matter.
 */
#ifndef HANDOFF_KAFKA_TOPOLOGY_H
#define HANDOFF_KAFKA_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/fault.h"
#include "doors/kafka_options.h"
#include "handoff/macros.h"

struct kafka_topology;

struct kafka_topic_report {
	const char *name; /* as in the options: requests first, then retry, outcomes, dead letters */
	bool known;       /* false: the brokers say that there is no such topic */
	bool forbidden;   /* not authorized to see it */
	int32_t partitions;
	bool compacted; /* cleanup.policy contains compact; false where it could not be asked */

	bool configured; /* the rest was answered: the right to describe configurations is another one */
	char cleanup_policy[32];
	int64_t retention_ms; /* -1: for ever */
	int64_t max_message_bytes;
};

struct kafka_topology_report {
	bool answered; /* some broker answered; else `fault` says which were tried */
	struct fault fault;
	bool answers_configs; /* questions about configurations are answered at all, were it by a refusal */
	struct kafka_topic_report *topics;
	size_t topic_count;
};

/* `create` > 0: missing topics are created with that many partitions (replication: the broker's default).
 * A first report comes within 10 s whatever happens; later ones every `interval`. */
struct kafka_topology *kafka_topology_new(const struct kafka_options *options, int32_t create, usec_t interval,
					  int wakeup_fd, struct fault *fault) MUST_CHECK;
struct kafka_topology *kafka_topology_free(struct kafka_topology *topology);
/* The newest report not yet taken; valid until the next call. */
bool kafka_topology_next(struct kafka_topology *topology, const struct kafka_topology_report **ret);
/* The same, for who has nothing else to do: waits for one. 0 or -ETIMEDOUT. */
int kafka_topology_wait(struct kafka_topology *topology, usec_t timeout,
			const struct kafka_topology_report **ret) MUST_CHECK;

#endif
