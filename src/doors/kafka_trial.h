/*
 * kafka_trial - would the brokers let us do what a worker has to do? Tried, without doing it
 *
 * A worker that runs at the same time is not disturbed, and nothing is written that a reader could see:
 *  - reading and committing: an offset is committed for a partition that no topic has. The brokers look at the rights
 * to group and topic first, and then find nothing to commit;
 *  - writing: a record is sent with a number of acknowledgements that there is not. The rights are looked at first, and
 *    then the record is refused. Only for brokers that are real: librdkafka's mock would keep it;
 *  - transactions: a transactional id of its own, "<group>-<instance>-check", for the worker's would end the worker.
 * Blocking, bounded by the time that is given, one thread; for --check.
 */
#ifndef HANDOFF_KAFKA_TRIAL_H
#define HANDOFF_KAFKA_TRIAL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"
#include "base/fault.h"
#include "doors/kafka_options.h"

enum { KAFKA_TRIAL_BROKERS = 64 };

struct kafka_trial_broker {
	char address[272]; /* HOST:PORT */
	bool advertised;   /* the cluster says that it is one of its brokers; else only the settings say so */
	bool answers;
	struct fault fault; /* why not, and what to do next */
};

struct kafka_trial_brokers {
	struct kafka_trial_broker items[KAFKA_TRIAL_BROKERS];
	size_t count;
};

/* Each broker that is configured or that one of those names, by itself; at most `each` for one, `all` for all. */
void kafka_trial_brokers(const struct kafka_options *options, usec_t each, usec_t all, struct kafka_trial_brokers *ret);

enum kafka_trial_verdict { KAFKA_TRIAL_ALLOWED, KAFKA_TRIAL_REFUSED, KAFKA_TRIAL_UNCLEAR };

struct kafka_trial_right {
	enum kafka_trial_verdict verdict;
	struct fault fault; /* what was said instead of "allowed" */
};

/* May the group's members commit at all, and may each topic be read? Without the former the latter stays unclear. */
void kafka_trial_read(const struct kafka_options *options, const char *const *topics, size_t count, usec_t timeout,
		      struct kafka_trial_right *ret_group, struct kafka_trial_right *ret_topics);
/* May each topic be written? */
void kafka_trial_write(const struct kafka_options *options, const char *const *topics, size_t count, usec_t timeout,
		       struct kafka_trial_right *ret_topics);
/* May transactional ids of that kind be used? */
void kafka_trial_transaction(const struct kafka_options *options, usec_t timeout, struct kafka_trial_right *ret);

#endif
