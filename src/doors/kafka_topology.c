#include "doors/kafka_topology.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "doors/kafka_internal.h"
#include "doors/loop.h"

/* The first report is due after 10 s at the latest, so all of a probe together must take less. */
#define METADATA_TIME (5 * USEC_PER_SEC)
#define ADMIN_TIME    (2 * USEC_PER_SEC)
#define PROBE_TIME    (METADATA_TIME + 2 * ADMIN_TIME)
/* Between two probes while nobody answers: the worker waits for us to start. */
#define UNANSWERED_INTERVAL USEC_PER_SEC
#define SETTLE_TIME         (2 * USEC_PER_SEC)
#define SETTLE_INTERVAL     (200 * USEC_PER_MSEC)
#define FREE_WAIT           8 /* seconds */

struct kafka_topology {
	const struct kafka_options *options;
	int32_t create;
	usec_t interval;
	int wakeup_fd;
	pthread_t thread;

	pthread_mutex_t lock; /* guards the next three */
	pthread_cond_t changed;
	bool stop;
	struct kafka_topology_report *fresh; /* not yet taken */

	struct kafka_topology_report *taken; /* the caller's, until he takes another */

	/* The thread's own: */
	rd_kafka_t *rk;
	rd_kafka_topic_t **topics; /* in the order of the report */
	size_t topic_count;
	bool has_controller; /* as the last metadata have it */
	struct fault heard;  /* the client's last error since somebody answered */
};

/* --- reports --- */

static struct kafka_topology_report *report_new(const struct kafka_topology *t)
{
	struct kafka_topology_report *report = calloc(1, sizeof(*report) + t->topic_count * sizeof(report->topics[0]));
	if (!report)
		return NULL;
	report->topics = (struct kafka_topic_report *)(report + 1);
	report->topic_count = t->topic_count;
	return report;
}

static void publish(struct kafka_topology *t, struct kafka_topology_report *report)
{
	pthread_mutex_lock(&t->lock);
	free(t->fresh);
	t->fresh = report;
	pthread_mutex_unlock(&t->lock);
	loop_wakeup_signal(t->wakeup_fd);
}

/* --- one probe --- */

/* False when the thread has to end. */
static bool rest(struct kafka_topology *t, usec_t time)
{
	const usec_t when = clock_read().mono + time;
	const struct timespec until = { .tv_sec = when / USEC_PER_SEC, .tv_nsec = (when % USEC_PER_SEC) * 1000 };
	pthread_mutex_lock(&t->lock);
	while (!t->stop && clock_read().mono < when)
		pthread_cond_timedwait(&t->changed, &t->lock, &until);
	const bool go_on = !t->stop;
	pthread_mutex_unlock(&t->lock);
	return go_on;
}

static int left_ms(usec_t deadline, usec_t most)
{
	const usec_t left = deadline - clock_read().mono;
	const usec_t time = left < most ? left : most;
	return time > 0 ? (int)(time / USEC_PER_MSEC) : 0;
}

static void fill(struct kafka_topic_report *topic, const struct rd_kafka_metadata *metadata)
{
	const struct rd_kafka_metadata_topic *seen = metadata->topic_cnt > 0 ? &metadata->topics[0] : NULL;
	topic->known = seen && !seen->err && seen->partition_cnt > 0;
	topic->forbidden = seen && seen->err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
	topic->partitions = topic->known ? seen->partition_cnt : 0;
}

/* Requests for configurations are the controller's. Where the brokers name one that is none of them, as librdkafka's
 * mock does (2.0.2), such a request would wait for it until the time is up. */
static bool names_controller(rd_kafka_t *rk, const struct rd_kafka_metadata *metadata)
{
	const int32_t controller = rd_kafka_controllerid(rk, 0);
	for (int i = 0; i < metadata->broker_cnt; i++)
		if (metadata->brokers[i].id == controller)
			return true;
	return false;
}

static bool is_ending(struct kafka_topology *t)
{
	pthread_mutex_lock(&t->lock);
	const bool ending = t->stop;
	pthread_mutex_unlock(&t->lock);
	return ending;
}

/* In small pieces while there is no connection, so that an end need not wait for us; an answer that is merely slow gets
 * all the time there is. */
static rd_kafka_resp_err_t ask_topic(struct kafka_topology *t, rd_kafka_topic_t *topic, usec_t deadline,
				     const struct rd_kafka_metadata **ret)
{
	rd_kafka_resp_err_t error;
	do
		error = rd_kafka_metadata(t->rk, 0, topic, ret, left_ms(deadline, USEC_PER_SEC));
	while (error == RD_KAFKA_RESP_ERR__TRANSPORT && clock_read().mono < deadline && !is_ending(t));
	if (error == RD_KAFKA_RESP_ERR__TIMED_OUT && clock_read().mono < deadline)
		error = rd_kafka_metadata(t->rk, 0, topic, ret, left_ms(deadline, METADATA_TIME));
	return error;
}

/* One request for each: a request for all known topics at once would let the brokers create what is missing. */
static rd_kafka_resp_err_t ask_metadata(struct kafka_topology *t, struct kafka_topology_report *report, usec_t deadline)
{
	for (size_t i = 0; i < t->topic_count; i++) {
		const struct rd_kafka_metadata *metadata;
		report->topics[i].name = rd_kafka_topic_name(t->topics[i]);
		const rd_kafka_resp_err_t error = ask_topic(t, t->topics[i], deadline, &metadata);
		if (error)
			return error;
		fill(&report->topics[i], metadata);
		t->has_controller = names_controller(t->rk, metadata);
		rd_kafka_metadata_destroy(metadata);
	}
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_event_t *wait_result(rd_kafka_queue_t *queue, rd_kafka_event_type_t type, usec_t deadline)
{
	rd_kafka_event_t *event;
	while ((event = rd_kafka_queue_poll(queue, left_ms(deadline, ADMIN_TIME)))) {
		if (rd_kafka_event_type(event) == type)
			break;
		rd_kafka_event_destroy(event);
	}
	return event;
}

static rd_kafka_AdminOptions_t *admin_options(struct kafka_topology *t, rd_kafka_admin_op_t operation, usec_t deadline)
{
	char ignored[8];
	rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(t->rk, operation);
	const int time = left_ms(deadline, ADMIN_TIME);
	/* Ends before we stop waiting for it; less than a millisecond is none at all to the library. */
	rd_kafka_AdminOptions_set_request_timeout(options, time > 100 ? time - 100 : 1, ignored, sizeof(ignored));
	return options;
}

static void read_entry(struct kafka_topic_report *topic, const char *name, const char *value)
{
	if (strcmp(name, "cleanup.policy") == 0)
		snprintf(topic->cleanup_policy, sizeof(topic->cleanup_policy), "%s", value);
	else if (strcmp(name, "retention.ms") == 0)
		topic->retention_ms = strtoll(value, NULL, 10);
	else if (strcmp(name, "max.message.bytes") == 0)
		topic->max_message_bytes = strtoll(value, NULL, 10);
}

static void read_config(struct kafka_topic_report *topic, const rd_kafka_ConfigResource_t *resource)
{
	size_t count;
	const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &count);
	for (size_t i = 0; i < count; i++) {
		const char *value = rd_kafka_ConfigEntry_value(entries[i]);
		if (value)
			read_entry(topic, rd_kafka_ConfigEntry_name(entries[i]), value);
	}
	topic->configured = count > 0;
	topic->compacted = strstr(topic->cleanup_policy, "compact") != NULL;
}

static void read_configs(struct kafka_topology_report *report, rd_kafka_event_t *event)
{
	size_t count;
	const rd_kafka_ConfigResource_t **resources =
		rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event), &count);
	report->answers_configs = true;
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < report->topic_count; k++)
			if (!rd_kafka_ConfigResource_error(resources[i]) &&
			    strcmp(report->topics[k].name, rd_kafka_ConfigResource_name(resources[i])) == 0)
				read_config(&report->topics[k], resources[i]);
}

/* What may not be asked, or not in time, stays as it is: not configured, not compacted. */
static void ask_configs(struct kafka_topology *t, struct kafka_topology_report *report, usec_t deadline)
{
	rd_kafka_ConfigResource_t **wanted =
		t->has_controller ? calloc(t->topic_count, sizeof(rd_kafka_ConfigResource_t *)) : NULL;
	size_t count = 0;
	for (size_t i = 0; wanted && i < report->topic_count; i++)
		if (report->topics[i].known)
			wanted[count++] = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, report->topics[i].name);
	if (count > 0) {
		rd_kafka_queue_t *queue = rd_kafka_queue_new(t->rk);
		rd_kafka_AdminOptions_t *options = admin_options(t, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, deadline);
		rd_kafka_DescribeConfigs(t->rk, wanted, count, options, queue);
		rd_kafka_event_t *event = wait_result(queue, RD_KAFKA_EVENT_DESCRIBECONFIGS_RESULT, deadline);
		if (event && !rd_kafka_event_error(event))
			read_configs(report, event);
		rd_kafka_event_destroy(event);
		rd_kafka_AdminOptions_destroy(options);
		rd_kafka_queue_destroy(queue);
		rd_kafka_ConfigResource_destroy_array(wanted, count);
	}
	free(wanted);
}

static void note_refusals(struct kafka_topology_report *report, rd_kafka_event_t *event)
{
	size_t count;
	const rd_kafka_topic_result_t **results =
		rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
	for (size_t i = 0; i < count; i++) {
		const rd_kafka_resp_err_t error = rd_kafka_topic_result_error(results[i]);
		if (!error || error == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
			continue;
		const char *reason = rd_kafka_topic_result_error_string(results[i]);
		fault_set(&report->fault, 0, kafka_fault_class(error), "creating topic %s: %s",
			  rd_kafka_topic_result_name(results[i]), reason ? reason : rd_kafka_err2str(error));
	}
}

static void create_topics(struct kafka_topology *t, struct kafka_topology_report *report, rd_kafka_NewTopic_t **wanted,
			  size_t count, usec_t deadline)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_new(t->rk);
	rd_kafka_AdminOptions_t *options = admin_options(t, RD_KAFKA_ADMIN_OP_CREATETOPICS, deadline);
	rd_kafka_CreateTopics(t->rk, wanted, count, options, queue);
	rd_kafka_event_t *event = wait_result(queue, RD_KAFKA_EVENT_CREATETOPICS_RESULT, deadline);
	if (!event)
		fault_set(&report->fault, 0, FAULT_DEPENDENCY_DOWN, "creating topics: no answer in time");
	else if (rd_kafka_event_error(event))
		fault_set(&report->fault, 0, kafka_fault_class(rd_kafka_event_error(event)), "creating topics: %s",
			  rd_kafka_event_error_string(event));
	else
		note_refusals(report, event);
	rd_kafka_event_destroy(event);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_queue_destroy(queue);
}

/* True when something was asked to be created. */
static bool create_missing(struct kafka_topology *t, struct kafka_topology_report *report, usec_t deadline)
{
	char ignored[64];
	rd_kafka_NewTopic_t **wanted = calloc(t->topic_count, sizeof(rd_kafka_NewTopic_t *));
	size_t count = 0;
	for (size_t i = 0; wanted && i < report->topic_count; i++) {
		if (report->topics[i].known || report->topics[i].forbidden)
			continue;
		wanted[count] = rd_kafka_NewTopic_new(report->topics[i].name, t->create, -1, ignored, sizeof(ignored));
		if (wanted[count])
			count++;
	}
	if (count > 0) {
		create_topics(t, report, wanted, count, deadline);
		rd_kafka_NewTopic_destroy_array(wanted, count);
	}
	free(wanted);
	return count > 0;
}

static bool all_known(const struct kafka_topology_report *report)
{
	bool known = true;
	for (size_t i = 0; i < report->topic_count; i++)
		known = known && report->topics[i].known;
	return known;
}

static void probe(struct kafka_topology *t, struct kafka_topology_report *report)
{
	const usec_t deadline = clock_read().mono + PROBE_TIME;
	rd_kafka_resp_err_t error = ask_metadata(t, report, deadline - 2 * ADMIN_TIME);
	const bool created = !error && t->create > 0 && create_missing(t, report, deadline);
	/* What was created just now, by us or by somebody else, takes a moment to be seen by every broker. */
	const usec_t settled = created ? deadline - ADMIN_TIME : clock_read().mono + SETTLE_TIME;
	while (!error && !report->fault.kind && !all_known(report) && clock_read().mono < settled &&
	       rest(t, SETTLE_INTERVAL))
		error = ask_metadata(t, report, deadline - ADMIN_TIME);
	rd_kafka_poll(t->rk, 0); /* t->heard */
	report->answered = !error;
	if (!error) {
		ask_configs(t, report, deadline);
		return;
	}
	const bool is_refused = t->heard.kind == FAULT_AUTH;
	fault_set(&report->fault, 0, is_refused ? FAULT_AUTH : FAULT_DEPENDENCY_DOWN,
		  "no broker %s (tried %.80s): %.140s", is_refused ? "lets us in" : "answers", t->options->brokers,
		  t->heard.message[0] ? t->heard.message : rd_kafka_err2str(error));
}

/* --- the thread --- */

static void *run(void *arg)
{
	struct kafka_topology *t = arg;
	usec_t pause;
	do {
		struct kafka_topology_report *report = report_new(t);
		pause = UNANSWERED_INTERVAL;
		if (!report)
			continue;
		probe(t, report);
		if (report->answered) {
			pause = t->interval;
			t->heard = (struct fault){ 0 };
		}
		publish(t, report);
	} while (rest(t, pause));
	return NULL;
}

/* --- life --- */

static void watch_topic(struct kafka_topology *t, const char *name)
{
	rd_kafka_topic_t *topic = name ? rd_kafka_topic_new(t->rk, name, NULL) : NULL;
	if (topic)
		t->topics[t->topic_count++] = topic;
}

static int open_topology(struct kafka_topology *t, struct fault *fault)
{
	const struct kafka_options *options = t->options;
	rd_kafka_conf_t *conf = kafka_conf_new(options, KAFKA_CLIENT_ADMIN, fault);
	if (!conf)
		return -EINVAL;
	kafka_conf_hear(conf, &t->heard);
	t->rk = kafka_client_new(conf, KAFKA_CLIENT_ADMIN, fault);
	if (!t->rk)
		return -EINVAL;
	t->topics = calloc(options->request_count + 3, sizeof(rd_kafka_topic_t *));
	if (!t->topics)
		return fault_set(fault, -ENOMEM, FAULT_OURS, "out of memory");
	for (size_t i = 0; i < options->request_count; i++)
		watch_topic(t, options->requests[i]);
	watch_topic(t, options->retry);
	watch_topic(t, options->outcomes);
	watch_topic(t, options->dead_letters);
	return 0;
}

static int start_thread(struct kafka_topology *t)
{
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return pthread_create(&t->thread, NULL, run, t);
}

static struct kafka_topology *dispose(struct kafka_topology *t)
{
	for (size_t i = 0; i < t->topic_count; i++)
		rd_kafka_topic_destroy(t->topics[i]);
	kafka_client_destroy(t->rk);
	free(t->topics);
	free(t->fresh);
	free(t->taken);
	free(t);
	return NULL;
}

struct kafka_topology *kafka_topology_new(const struct kafka_options *options, int32_t create, usec_t interval,
					  int wakeup_fd, struct fault *fault)
{
	struct kafka_topology *t = calloc(1, sizeof(*t));
	if (!t) {
		fault_set(fault, -ENOMEM, FAULT_OURS, "out of memory");
		return NULL;
	}
	t->options = options;
	t->create = create;
	t->interval = interval;
	t->wakeup_fd = wakeup_fd;
	if (open_topology(t, fault) < 0)
		return dispose(t);
	if (start_thread(t) == 0)
		return t;
	fault_set(fault, -EAGAIN, FAULT_OURS, "no thread for the topology");
	return dispose(t);
}

struct kafka_topology *kafka_topology_free(struct kafka_topology *t)
{
	struct timespec until;
	if (!t)
		return NULL;
	pthread_mutex_lock(&t->lock);
	t->stop = true;
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += FREE_WAIT;
	if (pthread_timedjoin_np(t->thread, NULL, &until) != 0) {
		pthread_detach(t->thread); /* it still uses what is here, so that stays */
		return NULL;
	}
	pthread_cond_destroy(&t->changed);
	pthread_mutex_destroy(&t->lock);
	return dispose(t);
}

bool kafka_topology_next(struct kafka_topology *t, const struct kafka_topology_report **ret)
{
	pthread_mutex_lock(&t->lock);
	struct kafka_topology_report *fresh = t->fresh;
	t->fresh = NULL;
	pthread_mutex_unlock(&t->lock);
	if (!fresh)
		return false;
	free(t->taken);
	t->taken = fresh;
	*ret = fresh;
	return true;
}

int kafka_topology_wait(struct kafka_topology *t, usec_t timeout, const struct kafka_topology_report **ret)
{
	const usec_t deadline = clock_read().mono + timeout;
	while (!kafka_topology_next(t, ret)) {
		const usec_t left = deadline - clock_read().mono;
		struct pollfd fd = { .fd = t->wakeup_fd, .events = POLLIN };
		if (left <= 0)
			return -ETIMEDOUT;
		if (poll(&fd, 1, (int)((left + USEC_PER_MSEC - 1) / USEC_PER_MSEC)) > 0)
			loop_wakeup_clear(t->wakeup_fd);
	}
	return 0;
}
