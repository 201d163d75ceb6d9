/*
 * One thread that asks for committed offsets, so that the loop never waits for them.
 *
 * Not rd_kafka_ListConsumerGroupOffsets(), which would be asynchronous by itself: in librdkafka 2.0.2 it keeps the
 * coordinator in a cache that nothing empties while that broker is up, so after the coordinator has moved every such
 * call ends as NOT_COORDINATOR, for ever. rd_kafka_committed() asks the coordinator the group itself uses. Both ask for
 * stable offsets only (isolation.level is read_committed): what an open transaction may still change is waited for.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "doors/kafka_internal.h"
#include "doors/loop.h"

#define ATTEMPT_MS  1000 /* bounds how long kafka_lookup_free() waits */
#define RETRY_DELAY (50 * USEC_PER_MSEC)

struct kafka_lookup {
	rd_kafka_t *rk;
	int wakeup_fd;
	pthread_t thread;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t changed;
	bool stop;
	rd_kafka_topic_partition_list_t *question; /* open: not yet answered */
	uint64_t serial;
	usec_t not_before;
	struct kafka_lookup_answer answer; /* `partitions` is NULL when there is none */
};

static void forget(struct kafka_lookup *l)
{
	if (l->question)
		rd_kafka_topic_partition_list_destroy(l->question);
	if (l->answer.partitions)
		rd_kafka_topic_partition_list_destroy(l->answer.partitions);
	l->question = NULL;
	l->answer.partitions = NULL;
}

static rd_kafka_resp_err_t ask(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *partitions)
{
	const rd_kafka_resp_err_t error = rd_kafka_committed(rk, partitions, ATTEMPT_MS);
	if (error)
		return error;
	for (int i = 0; i < partitions->cnt; i++)
		if (partitions->elems[i].err)
			return partitions->elems[i].err;
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* Called and returns with the lock held. */
static void attempt(struct kafka_lookup *l)
{
	const uint64_t serial = l->serial;
	rd_kafka_topic_partition_list_t *partitions = rd_kafka_topic_partition_list_copy(l->question);
	pthread_mutex_unlock(&l->lock);
	const rd_kafka_resp_err_t error = ask(l->rk, partitions);
	pthread_mutex_lock(&l->lock);

	const bool overtaken = !l->question || l->serial != serial;
	if (overtaken || kafka_is_transient(error)) {
		rd_kafka_topic_partition_list_destroy(partitions);
		if (!overtaken)
			l->not_before = clock_read().mono + RETRY_DELAY;
		return;
	}
	forget(l);
	l->answer = (struct kafka_lookup_answer){ serial, partitions, error };
	loop_wakeup_signal(l->wakeup_fd);
}

static void wait_until(struct kafka_lookup *l, usec_t when)
{
	const struct timespec until = { .tv_sec = when / USEC_PER_SEC, .tv_nsec = (when % USEC_PER_SEC) * 1000 };
	pthread_cond_timedwait(&l->changed, &l->lock, &until);
}

static void *run(void *arg)
{
	struct kafka_lookup *l = arg;
	pthread_mutex_lock(&l->lock);
	while (!l->stop) {
		if (!l->question)
			pthread_cond_wait(&l->changed, &l->lock);
		else if (clock_read().mono < l->not_before)
			wait_until(l, l->not_before);
		else
			attempt(l);
	}
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

static int start_thread(struct kafka_lookup *l)
{
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return pthread_create(&l->thread, NULL, run, l);
}

struct kafka_lookup *kafka_lookup_new(rd_kafka_t *rk, int wakeup_fd)
{
	struct kafka_lookup *l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	l->rk = rk;
	l->wakeup_fd = wakeup_fd;
	if (start_thread(l) == 0)
		return l;
	free(l);
	return NULL;
}

struct kafka_lookup *kafka_lookup_free(struct kafka_lookup *l)
{
	if (!l)
		return NULL;
	pthread_mutex_lock(&l->lock);
	l->stop = true;
	pthread_cond_signal(&l->changed);
	pthread_mutex_unlock(&l->lock);
	pthread_join(l->thread, NULL);
	forget(l);
	pthread_cond_destroy(&l->changed);
	pthread_mutex_destroy(&l->lock);
	free(l);
	return NULL;
}

void kafka_lookup_start(struct kafka_lookup *l, rd_kafka_topic_partition_list_t *partitions, uint64_t serial,
			usec_t delay)
{
	pthread_mutex_lock(&l->lock);
	forget(l);
	l->question = partitions;
	l->serial = serial;
	l->not_before = clock_read().mono + delay;
	pthread_cond_signal(&l->changed);
	pthread_mutex_unlock(&l->lock);
}

void kafka_lookup_cancel(struct kafka_lookup *l)
{
	pthread_mutex_lock(&l->lock);
	forget(l);
	pthread_mutex_unlock(&l->lock);
}

bool kafka_lookup_answer(struct kafka_lookup *l, struct kafka_lookup_answer *ret)
{
	pthread_mutex_lock(&l->lock);
	*ret = l->answer;
	l->answer.partitions = NULL;
	pthread_mutex_unlock(&l->lock);
	return ret->partitions != NULL;
}
