/*
 * kafka_producer_internal - the producer's thread, in pieces
 *
 *   kafka_producer.c     the thread, its client, and the two ends of a batch's way: submit and answer
 *   kafka_delivery.c     records into the client, acknowledgements out of it
 *   kafka_commit.c       a batch at least once: deliver, then commit the offsets
 *   kafka_transaction.c  a batch exactly once
 *
 * Everything here runs on the producer's thread; no call of the library is given more than LONG_CALL_MS, so that an
 * end, a lost membership or trouble is noticed between two of them.
 */
#ifndef HANDOFF_KAFKA_PRODUCER_INTERNAL_H
#define HANDOFF_KAFKA_PRODUCER_INTERNAL_H

#include <pthread.h>

#include "doors/kafka_internal.h"

#define CALL_MS      1000
#define LONG_CALL_MS (5 * CALL_MS)

/*
 * How many records are handed to the client before their acknowledgements are waited for. A broker measures what is
 * sent to a partition together, so a refusal for size may be that of a crowd, or of one record in it:
 *
 *   |---- size ----|---- size ----|-half-|-half-|-- ...      the crowd that was refused is sent in halves, the rest as
 *                                 from          to            before, until it goes through or one record stands alone
 */
struct crowd {
	size_t size;
	size_t from; /* numbers of records in the batch */
	size_t to;
	size_t half; /* the size from `from` to `to`; 0: nothing was refused yet */
};

#define CROWD_ANY ((struct crowd){ .size = SIZE_MAX })
#define CROWD_ONE ((struct crowd){ .size = 1 })

/* What has become of the records handed to the client since the last kafka_deliver(). */
struct delivery {
	size_t outstanding; /* not yet acknowledged or refused */
	size_t failed;
	size_t suspects;    /* refused by the broker for the size of what they were sent with */
	struct fault fault; /* the first failure's */
};

struct kafka_producer {
	const struct kafka_options *options;
	struct kafka_consumer *consumer;
	int wakeup_fd;
	pthread_t thread;
	atomic_bool stop;
	atomic_llong beat; /* when the thread last was between two calls of the library */

	pthread_mutex_t lock; /* guards the next six */
	pthread_cond_t changed;
	struct kafka_batch *batch; /* submitted and not yet answered */
	bool taken;                /* by the thread */
	bool answered;
	struct kafka_answer answer;
	usec_t since;         /* when `batch` was submitted */
	struct fault trouble; /* the last one heard */

	/* The thread's own: */
	rd_kafka_t *rk;
	rd_kafka_topic_t **topics; /* held so that the client knows their partitions before the first record */
	size_t topic_count;
	bool ready;                          /* `rk` can take a batch */
	struct kafka_membership *membership; /* of the batch at hand; NULL when it has no offsets or we no group */
	struct delivery delivery;
	size_t crowd;       /* the largest that the topics take, as far as is known */
	usec_t crowd_since; /* when that was learnt; 0: nothing was ever refused */
	usec_t fenced_at;   /* 0: never */
	bool fenced_out;    /* somebody else has our id: this producer is finished */
};

/* --- kafka_producer.c --- */

/* Must be called between any two calls of the library. False when the thread has to end. */
bool kafka_producer_beat(struct kafka_producer *producer);
/* Waits, then as kafka_producer_beat(). */
bool kafka_producer_pause(struct kafka_producer *producer, usec_t time);
void kafka_producer_note(struct kafka_producer *producer, rd_kafka_resp_err_t error, const char *sentence);
/* Was the batch's membership given back or lost? Then its offsets may not be committed any more. */
bool kafka_producer_disowned(const struct kafka_producer *producer);
/* The client is of no use any more: the next kafka_producer_prepare() makes a new one. */
void kafka_producer_discard(struct kafka_producer *producer);
/* One attempt to have a client that can take a batch, a few seconds at most. */
bool kafka_producer_prepare(struct kafka_producer *producer);

/* --- kafka_delivery.c --- */

void kafka_delivery_report(rd_kafka_t *rk, const rd_kafka_message_t *message, void *producer);
/* Hands every record that is not yet delivered to the client, in such crowds. 0, or -ECANCELED when the thread has to
 * end or the batch is disowned. What failed is in `delivery`; in a transaction nothing is produced after the first
 * failure. */
int kafka_deliver(struct kafka_producer *producer, struct kafka_batch *batch, const struct crowd *crowd) MUST_CHECK;
/* Waits until nothing is outstanding. 0 or -ECANCELED, as above. */
int kafka_delivery_wait(struct kafka_producer *producer) MUST_CHECK;
/* The batch's offsets as the library wants them; NULL when out of memory. */
rd_kafka_topic_partition_list_t *kafka_batch_offsets(const struct kafka_batch *batch) MUST_CHECK;

/* --- the two ways; `fault` is set unless KAFKA_COMMITTED. After a stop the verdict means nothing. --- */

enum kafka_verdict kafka_commit_batch(struct kafka_producer *producer, struct kafka_batch *batch, struct fault *fault);
enum kafka_verdict kafka_transact_batch(struct kafka_producer *producer, struct kafka_batch *batch,
					struct fault *fault);
/* The verdict of a producer that is fenced out. */
enum kafka_verdict kafka_transaction_fenced(struct fault *fault);
/* One attempt to make a new client's predecessor powerless. True when done; else the reason was noted. */
bool kafka_transaction_init(struct kafka_producer *producer);

#endif
