/*
 * One thread that asks for committed offsets, so that the loop never waits for them.
 *
 * Not rd_kafka_ListConsumerGroupOffsets(), which would be asynchronous by itself: in librdkafka 2.0.2 it keeps the
 * coordinator in a cache that nothing empties while that broker is up, so after the coordinator has moved every such
 * call ends as NOT_COORDINATOR, for ever. rd_kafka_committed() asks the coordinator the group itself uses. Both ask for
 * stable offsets only (isolation.level is read_committed): what an open transaction may still change is waited for.
 * While the group is being left, the latter answers nobody any more; then it is the former's turn after all.
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
	const char *group;
	int wakeup_fd;
	pthread_t thread;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t changed;
	bool stop;
	bool leaving;                              /* the group */
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

/* Replaces *partitions by what the answer says of them. */
static rd_kafka_resp_err_t take_result(rd_kafka_event_t *event, rd_kafka_topic_partition_list_t **partitions)
{
	size_t count = 0;
	const rd_kafka_group_result_t **groups = rd_kafka_ListConsumerGroupOffsets_result_groups(
		rd_kafka_event_ListConsumerGroupOffsets_result(event), &count);
	const rd_kafka_error_t *error = count == 1 ? rd_kafka_group_result_error(groups[0]) : NULL;
	const rd_kafka_topic_partition_list_t *list = count == 1 ? rd_kafka_group_result_partitions(groups[0]) : NULL;
	if (!list || error)
		return error ? rd_kafka_error_code(error) : RD_KAFKA_RESP_ERR__FAIL;
	rd_kafka_topic_partition_list_destroy(*partitions);
	*partitions = rd_kafka_topic_partition_list_copy(list);
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t ask_as_stranger(struct kafka_lookup *l, rd_kafka_topic_partition_list_t **partitions)
{
	char ignored[8];
	rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR__TIMED_OUT;
	rd_kafka_queue_t *queue = rd_kafka_queue_new(l->rk);
	rd_kafka_ListConsumerGroupOffsets_t *wanted = rd_kafka_ListConsumerGroupOffsets_new(l->group, *partitions);
	rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(l->rk, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
	rd_kafka_AdminOptions_set_request_timeout(options, ATTEMPT_MS, ignored, sizeof(ignored));
	rd_kafka_error_destroy(rd_kafka_AdminOptions_set_require_stable_offsets(options, 1));
	rd_kafka_ListConsumerGroupOffsets(l->rk, &wanted, 1, options, queue);
	rd_kafka_event_t *event = rd_kafka_queue_poll(queue, ATTEMPT_MS + ATTEMPT_MS / 2);
	if (event) {
		error = rd_kafka_event_error(event);
		if (!error)
			error = take_result(event, partitions);
		rd_kafka_event_destroy(event);
	}
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_ListConsumerGroupOffsets_destroy(wanted);
	rd_kafka_queue_destroy(queue);
	return error;
}

static rd_kafka_resp_err_t ask(struct kafka_lookup *l, bool leaving, rd_kafka_topic_partition_list_t **partitions)
{
	const rd_kafka_resp_err_t error =
		leaving ? ask_as_stranger(l, partitions) : rd_kafka_committed(l->rk, *partitions, ATTEMPT_MS);
	if (error)
		return error;
	for (int i = 0; i < (*partitions)->cnt; i++)
		if ((*partitions)->elems[i].err)
			return (*partitions)->elems[i].err;
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* Called and returns with the lock held. */
static void attempt(struct kafka_lookup *l)
{
	const uint64_t serial = l->serial;
	const bool leaving = l->leaving;
	rd_kafka_topic_partition_list_t *partitions = rd_kafka_topic_partition_list_copy(l->question);
	pthread_mutex_unlock(&l->lock);
	const rd_kafka_resp_err_t error = ask(l, leaving, &partitions);
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

struct kafka_lookup *kafka_lookup_new(rd_kafka_t *rk, const char *group, int wakeup_fd)
{
	struct kafka_lookup *l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	l->rk = rk;
	l->group = group;
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

void kafka_lookup_leaving(struct kafka_lookup *l)
{
	pthread_mutex_lock(&l->lock);
	l->leaving = true;
	pthread_mutex_unlock(&l->lock);
}
