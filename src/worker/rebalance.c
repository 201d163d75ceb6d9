/*
 * rebalance - partitions come and go; what is in flight when they go
 *
 *  ASSIGNED ──> partitions built from committed offsets and done maps ──> accept: reading begins
 *  REVOKED  ──> no new calls; open ones may end until revoke_ms; the rest is parked with its progress;
 *               everything reported is committed ──> release
 *  LOST     ──> everything is dropped at once, nothing more is published ──> release when no batch is in flight
 *  FATAL    ──> fenced by ourselves, or it may be so: as LOST, then a new client joins unless we stop; else the end
 *
 * Open calls of partitions that have left run on as orphans: they publish nothing, but their session stays locked until
 * they end (promises 5, 6 and 8).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "worker/worker.h"

#define FENCE_DOUBT (60 * USEC_PER_SEC)
#define FENCE_LOSS  (100 * USEC_PER_MSEC)

void rebalance_drop_all(struct worker *w)
{
	w->unreported = NULL; /* its jobs are in their partitions' lists */
	for (size_t i = 0; i < w->partition_count; i++) {
		struct partition *p = w->partitions[i];
		while (p->jobs)
			dispatch_orphan(w, p->jobs);
		partition_free(p);
	}
	free(w->partitions);
	w->partitions = NULL;
	w->partition_count = 0;
	w->read_from = 0;
	w->ask_again_at = 0;
	w->more_to_read = false;
	metrics_clear(w->metrics, METRIC_CONSUMER_LAG);
}

static void let_go(struct worker *w)
{
	rebalance_drop_all(w);
	outlet_forget(w->outlet);
	w->leaving = LEAVING_NOT;
	w->unproven = false;
}

static void release(struct worker *w)
{
	let_go(w);
	kafka_consumer_release(w->consumer);
}

static void renew(struct worker *w)
{
	struct fault fault;
	let_go(w);
	w->must_renew = false;
	w->renewed_at = w->now.mono;
	if (kafka_consumer_renew(w->consumer, &fault) < 0 || kafka_consumer_subscribe(w->consumer, &fault) < 0)
		worker_fail(w, "cannot join the group anew: %s", fault.message);
}

void rebalance_continue(struct worker *w)
{
	if (w->must_renew && !w->closing && !outlet_is_busy(w->outlet))
		renew(w);
	if (w->leaving == LEAVING_LOST && !outlet_is_busy(w->outlet))
		release(w);
	if (w->leaving != LEAVING_REVOKED)
		return;
	if (outlet_is_disowned(w->outlet)) {
		/* Expelled while we were giving back: no further event tells of it, and nothing can be committed. */
		log_write(LOG_WARN, LOG_NOBODY, "the partitions were lost before everything was committed");
		release(w);
		return;
	}
	if (dispatch_busy(w) > 0 && w->now.mono >= w->leave_by)
		dispatch_abandon(w, true);
	if (dispatch_busy(w) == 0 && !w->unreported && outlet_is_empty(w->outlet) &&
	    !outlet_has_news(w->outlet, w->partitions, w->partition_count))
		release(w);
}

static void on_revoked(struct worker *w)
{
	log_write(LOG_INFO, LOG_NOBODY, "giving back %zu partitions", w->partition_count);
	w->leaving = LEAVING_REVOKED;
	w->leave_by = w->now.mono + w->settings->worker.revoke_ms * USEC_PER_MSEC;
	dispatch_abandon(w, false);
}

/* Nothing is ours any more; what is open runs on as orphans. */
static void lose(struct worker *w)
{
	w->leaving = LEAVING_LOST;
	rebalance_drop_all(w);
	outlet_forget(w->outlet);
}

static void on_lost(struct worker *w)
{
	log_write(LOG_WARN, LOG_NOBODY, "lost %zu partitions: the group went on without us", w->partition_count);
	w->lost_at = w->now.mono;
	lose(w);
}

static bool is_retry_topic(const struct worker *w, const char *topic)
{
	return strcmp(topic, w->settings->kafka.retry) == 0;
}

static struct partition *build(struct worker *w, const struct kafka_partition *from)
{
	/* The event's strings end with the event; the settings' live as long as we do. */
	const char *topic = w->settings->kafka.retry;
	int32_t lane = 0;
	for (size_t i = 0; i < w->settings->kafka.requests.count; i++)
		if (strcmp(from->topic, w->settings->kafka.requests.items[i]) == 0) {
			topic = w->settings->kafka.requests.items[i];
			lane = (int32_t)i;
		}
	const int64_t start = from->committed == KAFKA_OFFSET_NONE ? 0 : from->committed;
	struct partition *p = partition_new(topic, from->partition, start, from->metadata, PARTITION_SPAN_MAX);
	if (!p)
		return NULL;
	p->is_retry = is_retry_topic(w, from->topic);
	p->awaits_retries = !p->is_retry;
	p->assigned_at = w->now.mono;
	p->lane = lane;
	const char *const labels[] = { topic };
	p->requests = p->is_retry ? NULL : metrics_series(w->metrics, METRIC_REQUESTS, labels);
	return p;
}

static void on_assigned(struct worker *w, const struct kafka_consumer_event *event)
{
	struct fault fault = { 0 };
	struct kafka_start *starts = calloc(event->count + 1, sizeof(*starts));
	rebalance_drop_all(w); /* an empty assignment is replaced without having been revoked */
	w->partitions = calloc(event->count + 1, sizeof(struct partition *));
	bool ok = starts && w->partitions;
	for (size_t i = 0; ok && i < event->count; i++) {
		w->partitions[i] = build(w, &event->partitions[i]);
		starts[i].offset = event->partitions[i].committed;
		ok = w->partitions[i] != NULL;
		w->partition_count += ok;
	}
	if (!ok)
		worker_fail(w, "out of memory");
	else if (kafka_consumer_accept(w->consumer, starts, &fault) < 0)
		worker_fail(w, "cannot begin to read the partitions we were given: %s", fault.message);
	if (w->finished)
		rebalance_drop_all(w); /* nothing is to be read of them in what is left of this turn */
	free(starts);
	w->joined = true;
	metric_add(metrics_plain(w->metrics, METRIC_REBALANCES), 1);
	worker_share_rate(w);
	log_write(LOG_INFO, LOG_NOBODY, "assigned %zu partitions", event->count);
}

static void on_trouble(struct worker *w, const struct kafka_consumer_event *event)
{
	if (event->all_brokers_down && w->brokers_down)
		return;
	w->brokers_down = w->brokers_down || event->all_brokers_down;
	log_write(event->all_brokers_down ? LOG_ERROR : LOG_WARN, LOG_NOBODY, "Kafka: %s", event->fault.message);
}

/* The brokers answer in an order of their own. */
static const struct partition *find(const struct worker *w, const struct kafka_partition *like)
{
	for (size_t i = 0; i < w->partition_count; i++)
		if (w->partitions[i]->number == like->partition && strcmp(w->partitions[i]->topic, like->topic) == 0)
			return w->partitions[i];
	return NULL;
}

/* The committed state after a commit of unknown fate: did the batch take effect? */
static void on_offsets(struct worker *w, const struct kafka_consumer_event *event)
{
	bool in = false;
	if (!outlet_is_asking(w->outlet))
		return;
	if (event->fault.kind != FAULT_NONE) {
		w->ask_again_at = w->now.mono + USEC_PER_SEC;
		return;
	}
	for (size_t i = 0; i < event->count; i++) {
		const struct partition *p = find(w, &event->partitions[i]);
		in = in || (p && outlet_batch_is_in(w->outlet, p, event->partitions[i].committed,
						    event->partitions[i].metadata));
	}
	log_write(LOG_WARN, LOG_NOBODY, "the batch whose commit got no answer %s",
		  in ? "had taken effect" : "had not taken effect and is sent again");
	outlet_told(w->outlet, in);
}

/* Within a minute of a loss it may have been ourselves: where a coordinator was away for longer than the session
 * time-out, the library joins anew, and a heartbeat of its old membership that arrives behind that is told to be
 * another's (seen with librdkafka 2.0.2). With a new client the group decides once more; if there is a twin, that ends
 * one of us. A loss in the same moment is the fence's own. */
static bool may_be_ourselves(const struct worker *w)
{
	const usec_t now = w->now.mono;
	return w->lost_at > 0 && now - w->lost_at >= FENCE_LOSS && now - w->lost_at < FENCE_DOUBT &&
	       (w->renewed_at == 0 || now - w->renewed_at >= FENCE_DOUBT);
}

static void on_fatal(struct worker *w, const struct kafka_consumer_event *event)
{
	if (event->fenced && (event->by_ourselves || may_be_ourselves(w))) {
		log_write(LOG_WARN, LOG_NOBODY, "the group takes us for a second `%s`%s", w->settings->kafka.instance,
			  w->stopping ? "" : ": joining anew");
		lose(w);
		w->must_renew = !w->stopping;
	} else if (event->fenced) {
		worker_fail(w,
			    "the instance `%s` is used twice: another process has joined the group with it; "
			    "give each worker a kafka.instance of its own",
			    w->settings->kafka.instance);
	} else {
		worker_fail(w, "Kafka: %s", event->fault.message);
	}
}

static void serve(struct worker *w, const struct kafka_consumer_event *event)
{
	switch (event->kind) {
	case KAFKA_ASSIGNED:
		on_assigned(w, event);
		break;
	case KAFKA_REVOKED:
		on_revoked(w);
		break;
	case KAFKA_LOST:
		on_lost(w);
		break;
	case KAFKA_OFFSETS:
		on_offsets(w, event);
		break;
	case KAFKA_TROUBLE:
		on_trouble(w, event);
		break;
	case KAFKA_FATAL:
		on_fatal(w, event);
		break;
	case KAFKA_CLOSED:
		w->finished = true;
		break;
	}
}

void rebalance_serve(struct worker *w)
{
	struct kafka_consumer_event event;
	while (kafka_consumer_next(w->consumer, &event))
		serve(w, &event);
	if (w->ask_again_at && w->now.mono >= w->ask_again_at) {
		w->ask_again_at = 0;
		rebalance_ask(w);
	}
}

void rebalance_ask(struct worker *w)
{
	struct fault fault;
	if (kafka_consumer_ask(w->consumer, &fault) < 0)
		w->ask_again_at = w->now.mono + USEC_PER_SEC;
}
