/*
 * kafka_doors - the consumer, the producer and the topology of a worker, played on the simulated broker
 *
 * They keep what the headers in doors/ promise, with the freedom that those leave: every answer comes late, a rebalance
 * overtakes another, a batch ends in any verdict. What the client library does on threads of its own goes on between
 * the turns of the loop, and stands still when the process does.
 */
#ifndef SIM_KAFKA_DOORS_H
#define SIM_KAFKA_DOORS_H

#include <stdbool.h>

#include "doors/kafka_consumer.h"
#include "doors/kafka_producer.h"
#include "sim/broker.h"
#include "sim/group.h"

/* Readers hear of what is new. */
void consumers_begin(void);

/* As whom batches are committed now; NULL: as nobody. */
struct membership *consumer_membership(struct kafka_consumer *consumer);
/* Is it reading, and may it begin calls? */
bool consumer_is_reading(const struct kafka_consumer *consumer);
/* Has it read the log to its end since it was assigned? */
bool consumer_was_at_end(const struct kafka_consumer *consumer, const struct log *log);
/* When its assignment was accepted. */
usec_t consumer_accepted_at(const struct kafka_consumer *consumer);
/* When it was asked to give its partitions back; USEC_NEVER: it was not. */
usec_t consumer_giving_back_since(const struct kafka_consumer *consumer);
/* No broker answers, and now they do again: the client notices. */
void consumer_trouble(struct kafka_consumer *consumer);

/* For as long as it lasts, the topics do not fit together. */
void topology_misfit(bool misfit);
bool topology_is_misfit(void);

#endif
