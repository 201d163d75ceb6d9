/*
 * kafka_internal - what the Kafka doors share among themselves
 *
 * The only header that names librdkafka's types; nothing outside src/doors/kafka_*.c includes it.
 */
#ifndef HANDOFF_KAFKA_INTERNAL_H
#define HANDOFF_KAFKA_INTERNAL_H

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/fault.h"
#include "doors/kafka_consumer.h"
#include "doors/kafka_options.h"
#include "doors/kafka_producer.h"
#include "handoff/macros.h"
#include "handoff/record.h"

/* What a client is for; the settings differ. */
enum kafka_client {
	KAFKA_CLIENT_CONSUMER = 1,
	KAFKA_CLIENT_PRODUCER = 2,
	KAFKA_CLIENT_ADMIN = 4,
	KAFKA_CLIENT_READER = 8
};

/* --- kafka_options.c, kafka_client.c, kafka_token.c: making and unmaking a client --- */

/* Our settings, then the user's properties, then what may not be changed. NULL with the reason in `fault`. */
rd_kafka_conf_t *kafka_conf_new(const struct kafka_options *options, enum kafka_client client,
				struct fault *fault) MUST_CHECK;
/* Takes `conf` in any case. Nothing is logged by the library: errors come as events or callbacks. */
rd_kafka_t *kafka_client_new(rd_kafka_conf_t *conf, enum kafka_client client, struct fault *fault) MUST_CHECK;
/* Destroys it, waiting at most a few seconds: known hangs of the library must not keep a process alive. */
void kafka_client_destroy(rd_kafka_t *rk);
/* Does the login need a token that the library cannot get by itself, and do the properties name the file of one
 * (KAFKA_TOKEN_FILE)? Then every client takes it from there, on a thread of the library, whatever else the client is
 * doing: kafka_conf_take_token() before it is made, kafka_token_serve() after. */
bool kafka_conf_wants_token(const rd_kafka_conf_t *conf);
bool kafka_conf_names_token(const rd_kafka_conf_t *conf);
void kafka_conf_take_token(rd_kafka_conf_t *conf);
void kafka_token_serve(rd_kafka_t *rk);

/* --- kafka_error.c: what does an error mean? --- */

/* What kind of trouble is this, and is it the sort that passes by itself? */
enum fault_class kafka_fault_class(rd_kafka_resp_err_t error);
bool kafka_is_transient(rd_kafka_resp_err_t error);
/* Does a broker refuse our certificate, or the lack of one? */
bool kafka_is_certificate_refused(const char *reason);
/* Was there no token to log in with? */
bool kafka_is_token_missing(const char *reason);
/* One sentence of it in `heard`. That all brokers are down is kept only where nothing was heard before. */
void kafka_hear(struct fault *heard, rd_kafka_resp_err_t error, const char *reason);
/* The same for each of the client's errors; `heard` must outlive the client. Takes the client's opaque. */
void kafka_conf_hear(rd_kafka_conf_t *conf, struct fault *heard);

/* --- kafka_metadata.c: for clients that may wait --- */

/* Waits for a broker until `deadline`. 0, or -EPIPE with one sentence in `fault`; `heard` is what is told where nobody
 * answers, and is emptied when somebody does. */
int kafka_count_partitions(rd_kafka_t *rk, rd_kafka_topic_t *topic, const char *brokers, struct fault *heard,
			   usec_t deadline, int32_t *ret, struct fault *fault) MUST_CHECK;

/* --- kafka_record.c: records in and out --- */

/* A copy of the message; `topic` must outlive it. NULL when out of memory. */
struct record *kafka_record_copy(const rd_kafka_message_t *message, const char *topic) MUST_CHECK;
/* The record's headers as the library wants them; NULL when there are none or (with *ret_failed) out of memory. */
rd_kafka_headers_t *kafka_record_headers(const struct record *record, bool *ret_failed) MUST_CHECK;

/* --- kafka_membership.c: who are we in the group, since when, and is it still so? --- */

/*
 * Made when an assignment is accepted, ended when it is released or lost. A batch belongs to the membership under which
 * it was submitted: its offsets are committed with that generation and no other. Asking the library at commit time
 * instead would be wrong twice: after an expulsion it says "no member", whose offsets a broker takes in a transaction
 * without any check (measured on Apache Kafka 4.2.0); after a rebalance it says the new generation, under which the
 * partitions may be somebody else's.
 * Counted references, any thread.
 */
struct kafka_membership {
	rd_kafka_consumer_group_metadata_t *metadata;
	atomic_int references;
	atomic_bool ended;
};

/* NULL when the group has expelled us meanwhile (or out of memory). Asks the library's main thread: short. */
struct kafka_membership *kafka_membership_new(rd_kafka_t *rk) MUST_CHECK;
struct kafka_membership *kafka_membership_hold(struct kafka_membership *membership);
/* Takes NULL, returns NULL. */
struct kafka_membership *kafka_membership_drop(struct kafka_membership *membership);
/* The consumer's present membership with a reference for the caller, or NULL. The loop's thread only. */
struct kafka_membership *kafka_consumer_membership(struct kafka_consumer *consumer) MUST_CHECK;

/* --- kafka_identity.c: under which ids did the group know us, and is one of them in it now? --- */

#define KAFKA_IDENTITY_IDS   8
#define KAFKA_IDENTITY_BYTES 256

/*
 * A fence says that another member stands for our group.instance.id. That other may be ourselves: a new coordinator
 * knows what its predecessor had written down, which for a static member that joined under a new id since is an older
 * one, and refuses the newer (seen with Apache Kafka 4.2.0 where a coordinator dies while members stand still for
 * longer than their session). Behind a twin stands an id that we never had.
 */
struct kafka_identity {
	char ids[KAFKA_IDENTITY_IDS][KAFKA_IDENTITY_BYTES]; /* the latest; "" where there is none */
	size_t next;
};

/* Keeps the id that the client has now, if it has one. Asks the library's main thread: short. */
void kafka_identity_note(struct kafka_identity *identity, rd_kafka_t *rk);
/* Is one of the ids in the group? Asks its coordinator and waits for the answer, three seconds at most; without one:
 * no. Only once with a client (librdkafka 2.0.2 would ask a coordinator that has moved where it was). */
bool kafka_identity_is_known(const struct kafka_identity *identity, rd_kafka_t *rk, const char *group) MUST_CHECK;

/* --- kafka_assignment.c: the partitions that are being read --- */

struct kafka_assigned {
	const char *topic;
	int32_t partition;
	rd_kafka_queue_t *queue;
	int64_t position;       /* the next offset to read; RD_KAFKA_OFFSET_BEGINNING until the first is known */
	rd_kafka_event_t *held; /* taken from the queue and not yet told */
	const rd_kafka_message_t *message; /* of `held`, when that is a record */
};

struct kafka_assignment {
	rd_kafka_t *rk;
	int wakeup_fd;
	struct kafka_assigned *parts;
	size_t count;
	usec_t again_at;      /* something held is to be tried again then; 0: nothing is */
	struct fault trouble; /* heard while reading; kind FAULT_NONE when there is none. Whoever tells it clears it */
};

/* Begins to read. 0, or -errno with nothing assigned. `topic` of `partitions` must outlive the assignment. */
int kafka_assignment_start(struct kafka_assignment *assignment, const struct kafka_partition *partitions, size_t count,
			   const struct kafka_start *starts, struct fault *fault) MUST_CHECK;
/* Forgets everything, without a word to the library. */
void kafka_assignment_clear(struct kafka_assignment *assignment);
void kafka_assignment_read(struct kafka_assignment *assignment, size_t index, struct kafka_read *ret);
/* Wakes the loop for what is to be tried again. */
void kafka_assignment_serve(struct kafka_assignment *assignment, usec_t now);

/* --- kafka_lookup.c: committed offsets, asked for without waiting --- */

struct kafka_lookup;

struct kafka_lookup_answer {
	uint64_t serial;
	rd_kafka_topic_partition_list_t *partitions; /* the taker's; offsets and metadata when `error` is 0 */
	rd_kafka_resp_err_t error;                   /* one that does not pass by itself */
};

/* `group` must outlive it. */
struct kafka_lookup *kafka_lookup_new(rd_kafka_t *rk, const char *group, int wakeup_fd) MUST_CHECK;
struct kafka_lookup *kafka_lookup_free(struct kafka_lookup *lookup);
/* Takes `partitions`. A question that was still open is forgotten. Begins after `delay`. */
void kafka_lookup_start(struct kafka_lookup *lookup, rd_kafka_topic_partition_list_t *partitions, uint64_t serial,
			usec_t delay);
/* Forgets the open question and its answer. */
void kafka_lookup_cancel(struct kafka_lookup *lookup);
/* The group is about to be left: from here on it has to be asked from outside. */
void kafka_lookup_leaving(struct kafka_lookup *lookup);
bool kafka_lookup_answer(struct kafka_lookup *lookup, struct kafka_lookup_answer *ret);

#endif
