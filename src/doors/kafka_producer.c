#include "doors/kafka_producer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "doors/kafka_producer_internal.h"
#include "doors/loop.h"

#define IDLE_POLL      USEC_PER_SEC
#define NOT_READY_POLL (USEC_PER_SEC / 4)
#define FREE_WAIT      6 /* seconds */
#define STUCK_AFTER    (60 * USEC_PER_SEC)
#define WAITING_LONG   USEC_PER_SEC /* less is not worth a word */

/* --- what the pieces need --- */

bool kafka_producer_beat(struct kafka_producer *p)
{
	atomic_store(&p->beat, clock_read().mono);
	return !atomic_load(&p->stop);
}

/* Called with the lock held. Ends early when something has changed. */
static void wait_changed(struct kafka_producer *p, usec_t time)
{
	const usec_t when = clock_read().mono + time;
	const struct timespec until = { .tv_sec = when / USEC_PER_SEC, .tv_nsec = (when % USEC_PER_SEC) * 1000 };
	pthread_cond_timedwait(&p->changed, &p->lock, &until);
}

bool kafka_producer_pause(struct kafka_producer *p, usec_t time)
{
	pthread_mutex_lock(&p->lock);
	if (!atomic_load(&p->stop))
		wait_changed(p, time);
	pthread_mutex_unlock(&p->lock);
	return kafka_producer_beat(p);
}

void kafka_producer_note(struct kafka_producer *p, rd_kafka_resp_err_t error, const char *sentence)
{
	pthread_mutex_lock(&p->lock);
	kafka_hear(&p->trouble, error, sentence);
	pthread_mutex_unlock(&p->lock);
}

bool kafka_producer_disowned(const struct kafka_producer *p)
{
	return p->membership && atomic_load(&p->membership->ended);
}

/* --- the client --- */

static void on_error(rd_kafka_t *rk, int error, const char *reason, void *opaque)
{
	(void)rk;
	kafka_producer_note(opaque, (rd_kafka_resp_err_t)error, reason);
}

static int open_client(struct kafka_producer *p, struct fault *fault)
{
	rd_kafka_conf_t *conf = kafka_conf_new(p->options, KAFKA_CLIENT_PRODUCER, fault);
	if (!conf)
		return -EINVAL;
	rd_kafka_conf_set_opaque(conf, p);
	rd_kafka_conf_set_error_cb(conf, on_error);
	/* Also under transactions, where nobody needs it: without it a flush sleeps in steps of 10 ms. */
	rd_kafka_conf_set_dr_msg_cb(conf, kafka_delivery_report);
	p->rk = kafka_client_new(conf, KAFKA_CLIENT_PRODUCER, fault);
	return p->rk ? 0 : -EINVAL;
}

static void forget_topics(struct kafka_producer *p)
{
	for (size_t i = 0; i < p->topic_count; i++)
		rd_kafka_topic_destroy(p->topics[i]);
	p->topic_count = 0;
}

void kafka_producer_discard(struct kafka_producer *p)
{
	if (!p->rk)
		return;
	forget_topics(p);
	rd_kafka_purge(p->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
	kafka_client_destroy(p->rk);
	p->rk = NULL;
	p->ready = false;
	p->delivery = (struct delivery){ 0 };
}

static void know_topic(struct kafka_producer *p, const char *name)
{
	rd_kafka_topic_t *topic = name ? rd_kafka_topic_new(p->rk, name, NULL) : NULL;
	if (topic)
		p->topics[p->topic_count++] = topic;
}

/* A broker that is merely slow gets more time than one that is not there. */
static bool ask_partitions(struct kafka_producer *p, rd_kafka_topic_t *topic)
{
	const struct rd_kafka_metadata *metadata;
	rd_kafka_resp_err_t error = rd_kafka_metadata(p->rk, 0, topic, &metadata, CALL_MS);
	if (error == RD_KAFKA_RESP_ERR__TIMED_OUT && kafka_producer_beat(p))
		error = rd_kafka_metadata(p->rk, 0, topic, &metadata, LONG_CALL_MS);
	rd_kafka_poll(p->rk, 0); /* what the client has to say of it */
	if (error)
		return false;
	rd_kafka_metadata_destroy(metadata);
	return true;
}

/* Asks for the partitions of every topic we may write to: the first record to a topic that the client does not know
 * waits a whole second (2.0.2). */
static bool warm_up(struct kafka_producer *p)
{
	forget_topics(p);
	for (size_t i = 0; i < p->options->request_count; i++)
		know_topic(p, p->options->requests[i]);
	know_topic(p, p->options->retry);
	know_topic(p, p->options->outcomes);
	know_topic(p, p->options->dead_letters);
	bool known = true;
	for (size_t i = 0; known && i < p->topic_count; i++)
		known = kafka_producer_beat(p) && ask_partitions(p, p->topics[i]);
	return known;
}

bool kafka_producer_prepare(struct kafka_producer *p)
{
	struct fault fault;
	if (p->fenced_out)
		return false; /* init_transactions() would fence the other one */
	if (!p->ready && !p->rk && open_client(p, &fault) < 0)
		kafka_producer_note(p, RD_KAFKA_RESP_ERR__FAIL, fault.message);
	else if (!p->ready)
		p->ready = warm_up(p) && (!p->options->exactly_once || kafka_transaction_init(p));
	return p->ready;
}

/* --- the thread --- */

static struct kafka_batch *take_batch(struct kafka_producer *p)
{
	struct kafka_batch *batch = NULL;
	pthread_mutex_lock(&p->lock);
	if (!atomic_load(&p->stop) && (!p->batch || p->taken))
		wait_changed(p, p->ready ? IDLE_POLL : NOT_READY_POLL);
	if (p->batch && !p->taken) {
		batch = p->batch;
		p->taken = true;
	}
	pthread_mutex_unlock(&p->lock);
	return batch;
}

static void post_answer(struct kafka_producer *p, struct kafka_batch *batch, enum kafka_verdict verdict,
			const struct fault *fault)
{
	pthread_mutex_lock(&p->lock);
	if (!atomic_load(&p->stop)) {
		p->answer = (struct kafka_answer){ .batch = batch, .verdict = verdict, .fault = *fault };
		p->answered = true;
		p->trouble = (struct fault){ 0 };
		loop_wakeup_signal(p->wakeup_fd);
	}
	pthread_mutex_unlock(&p->lock);
}

/* False when the batch has to wait for the client. */
static bool serve(struct kafka_producer *p, struct kafka_batch *batch)
{
	struct fault fault = { 0 };
	enum kafka_verdict verdict = KAFKA_REVOKED_UNDER_US;
	if (batch->offset_count > 0 && (!p->membership || kafka_producer_disowned(p)))
		fault_set(&fault, 0, FAULT_OURS, "the partitions were given back or lost before their batch was begun");
	else if (p->fenced_out)
		verdict = kafka_transaction_fenced(&fault);
	else if (!p->ready)
		return false;
	else if (p->options->exactly_once)
		verdict = kafka_transact_batch(p, batch, &fault);
	else
		verdict = kafka_commit_batch(p, batch, &fault);
	p->membership = kafka_membership_drop(p->membership);
	post_answer(p, batch, verdict, &fault);
	return true;
}

static void *run(void *arg)
{
	struct kafka_producer *p = arg;
	struct kafka_batch *batch = NULL;
	while (kafka_producer_beat(p)) {
		if (kafka_producer_prepare(p))
			rd_kafka_poll(p->rk, 0); /* errors heard while idle must not pile up */
		if (!batch)
			batch = take_batch(p);
		else if (!p->ready)
			kafka_producer_pause(p, NOT_READY_POLL);
		if (batch && serve(p, batch))
			batch = NULL;
	}
	kafka_producer_discard(p);
	return NULL;
}

/* --- the loop's side --- */

static int start_thread(struct kafka_producer *p)
{
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return pthread_create(&p->thread, NULL, run, p);
}

static struct kafka_producer *abandon(struct kafka_producer *p)
{
	if (p->rk)
		kafka_client_destroy(p->rk);
	free(p->topics);
	free(p);
	return NULL;
}

struct kafka_producer *kafka_producer_new(const struct kafka_options *options, struct kafka_consumer *consumer,
					  int wakeup_fd, struct fault *fault)
{
	struct kafka_producer *p = calloc(1, sizeof(*p));
	if (p)
		p->topics = calloc(options->request_count + 3, sizeof(rd_kafka_topic_t *));
	if (!p || !p->topics) {
		fault_set(fault, -ENOMEM, FAULT_OURS, "out of memory");
		free(p);
		return NULL;
	}
	p->options = options;
	p->consumer = consumer;
	p->wakeup_fd = wakeup_fd;
	atomic_init(&p->stop, false);
	atomic_init(&p->beat, clock_read().mono);
	/* Opened here, so that a wrong property is known at once; connects by itself, later. */
	if (open_client(p, fault) < 0)
		return abandon(p);
	if (start_thread(p) == 0)
		return p;
	fault_set(fault, -EAGAIN, FAULT_OURS, "no thread for the producer");
	return abandon(p);
}

struct kafka_producer *kafka_producer_free(struct kafka_producer *p)
{
	struct timespec until;
	if (!p)
		return NULL;
	pthread_mutex_lock(&p->lock);
	atomic_store(&p->stop, true);
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += FREE_WAIT;
	if (pthread_timedjoin_np(p->thread, NULL, &until) != 0) {
		pthread_detach(p->thread); /* it still uses what is here, so that stays */
		return NULL;
	}
	kafka_membership_drop(p->membership);
	pthread_cond_destroy(&p->changed);
	pthread_mutex_destroy(&p->lock);
	free(p->topics);
	free(p);
	return NULL;
}

int kafka_producer_submit(struct kafka_producer *p, struct kafka_batch *batch)
{
	int r = -EBUSY;
	pthread_mutex_lock(&p->lock);
	if (!p->batch) {
		p->batch = batch;
		p->taken = false;
		p->since = clock_read().mono;
		/* The thread reads it only after it has taken the batch, and drops it before it answers. */
		p->membership = p->consumer ? kafka_consumer_membership(p->consumer) : NULL;
		pthread_cond_broadcast(&p->changed);
		r = 0;
	}
	pthread_mutex_unlock(&p->lock);
	return r;
}

bool kafka_producer_answer(struct kafka_producer *p, struct kafka_answer *ret)
{
	pthread_mutex_lock(&p->lock);
	const bool answered = p->answered;
	if (answered) {
		*ret = p->answer;
		p->batch = NULL;
		p->answered = false;
	}
	pthread_mutex_unlock(&p->lock);
	return answered;
}

void kafka_producer_trouble(struct kafka_producer *p, struct fault *ret)
{
	memset(ret, 0, sizeof(*ret));
	pthread_mutex_lock(&p->lock);
	const usec_t waited = p->batch && !p->answered ? clock_read().mono - p->since : 0;
	if (waited > WAITING_LONG) {
		const bool heard = p->trouble.message[0] != '\0';
		fault_set(ret, 0, heard ? p->trouble.kind : FAULT_DEPENDENCY_DOWN,
			  "a batch has been waiting for %lld s%s%.180s", (long long)(waited / USEC_PER_SEC),
			  heard ? ": " : "", p->trouble.message);
	}
	pthread_mutex_unlock(&p->lock);
}

bool kafka_producer_stuck(struct kafka_producer *p)
{
	return clock_read().mono - atomic_load(&p->beat) > STUCK_AFTER;
}
