/*
 * Where a consumer stands, and what moves it:
 *
 *            ASSIGN event            answer            accept()
 *   IDLE ──────────────────> ASKING ──────> OFFERED ──────────────> READING
 *    ^  <─ REVOKE, close() ─────┘             │  REVOKE                │  REVOKE
 *    │                                        v                        v
 *    └──────────────────────────── release() ── GIVING_BACK <──────────┘
 *
 * While we ask for the committed offsets librdkafka holds the rebalance open for us; the caller learns of an
 * assignment only with its offsets, and of its end only if it has learnt of the assignment.
 */
#include "doors/kafka_consumer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "doors/kafka_internal.h"
#include "doors/loop.h"

#define ASK_AGAIN_DELAY USEC_PER_SEC

static const uint64_t one = 1; /* what the library writes into our eventfd; must outlive every client */

enum phase { IDLE, ASKING, OFFERED, READING, GIVING_BACK };

/* Partitions as events show them; strings included, one allocation. */
struct view {
	struct kafka_partition *items;
	size_t count;
};

struct kafka_consumer {
	const struct kafka_options *options;
	rd_kafka_t *rk;
	rd_kafka_queue_t *events;
	int wakeup_fd;
	enum phase phase;
	struct view offered; /* the last ASSIGNED */
	struct view told;    /* the last KAFKA_OFFSETS */
	struct kafka_assignment assignment;
	struct kafka_membership *membership;
	struct kafka_identity identity;
	struct kafka_lookup *lookup;
	uint64_t serial; /* of the open question; an answer to an older one is thrown away */
	bool closing;
	bool close_failed; /* the library will not close: nothing is left to wait for */
	bool closed;       /* and told */
};

/* --- views --- */

static void view_clear(struct view *view)
{
	free(view->items);
	*view = (struct view){ 0 };
}

/* The name as the options have it, which outlives everything here. NULL for a topic we did not ask for: the group's
 * leader may be any client, and must not make us read what we do not know. */
static const char *own_name(const struct kafka_options *options, const char *topic)
{
	for (size_t i = 0; i < options->request_count; i++)
		if (strcmp(options->requests[i], topic) == 0)
			return options->requests[i];
	return strcmp(options->retry, topic) == 0 ? options->retry : NULL;
}

static int view_fill(struct view *view, const struct kafka_options *options,
		     const rd_kafka_topic_partition_list_t *list)
{
	size_t bytes = (size_t)list->cnt * sizeof(*view->items) + 1;
	for (int i = 0; i < list->cnt; i++)
		bytes += list->elems[i].metadata_size + 1;
	view_clear(view);
	view->items = malloc(bytes);
	if (!view->items)
		return -ENOMEM;
	char *text = (char *)(view->items + list->cnt);
	for (int i = 0; i < list->cnt; i++) {
		const rd_kafka_topic_partition_t *from = &list->elems[i];
		const char *topic = own_name(options, from->topic);
		if (!topic)
			continue;
		view->items[view->count++] = (struct kafka_partition){
			.topic = topic,
			.partition = from->partition,
			.committed = from->offset >= 0 ? from->offset : KAFKA_OFFSET_NONE,
			.metadata = text,
		};
		if (from->metadata_size > 0)
			memcpy(text, from->metadata, from->metadata_size);
		text[from->metadata_size] = '\0'; /* the library's copy has no end of its own */
		text += from->metadata_size + 1;
	}
	return 0;
}

static void view_show(const struct view *view, struct kafka_consumer_event *ret)
{
	ret->partitions = view->items;
	ret->count = view->count;
}

/* --- life --- */

static rd_kafka_t *connect_client(struct kafka_consumer *c, struct fault *fault)
{
	rd_kafka_conf_t *conf = kafka_conf_new(c->options, KAFKA_CLIENT_CONSUMER, fault);
	if (!conf)
		return NULL;
	rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_FETCH);
	return kafka_client_new(conf, KAFKA_CLIENT_CONSUMER, fault);
}

static int open_consumer(struct kafka_consumer *c, struct fault *fault)
{
	c->rk = connect_client(c, fault);
	if (!c->rk)
		return -EINVAL;
	rd_kafka_poll_set_consumer(c->rk); /* errors come where the rebalances come */
	c->events = rd_kafka_queue_get_consumer(c->rk);
	c->lookup = c->events ? kafka_lookup_new(c->rk, c->options->group, c->wakeup_fd) : NULL;
	if (!c->lookup)
		return fault_set(fault, -ENOMEM, FAULT_OURS, "no thread or queue for the consumer");
	rd_kafka_queue_io_event_enable(c->events, c->wakeup_fd, &one, sizeof(one));
	c->assignment.rk = c->rk;
	c->assignment.wakeup_fd = c->wakeup_fd;
	return 0;
}

struct kafka_consumer *kafka_consumer_new(const struct kafka_options *options, int wakeup_fd, struct fault *fault)
{
	struct kafka_consumer *c = calloc(1, sizeof(*c));
	if (!c) {
		fault_set(fault, -ENOMEM, FAULT_OURS, "out of memory");
		return NULL;
	}
	c->options = options;
	c->wakeup_fd = wakeup_fd;
	return open_consumer(c, fault) < 0 ? kafka_consumer_free(c) : c;
}

static void end_membership(struct kafka_consumer *c)
{
	if (c->membership)
		atomic_store(&c->membership->ended, true);
	c->membership = kafka_membership_drop(c->membership);
}

static void close_client(struct kafka_consumer *c)
{
	end_membership(c);
	c->lookup = kafka_lookup_free(c->lookup);
	kafka_assignment_clear(&c->assignment);
	if (c->events) {
		rd_kafka_queue_io_event_enable(c->events, -1, NULL, 0);
		rd_kafka_queue_destroy(c->events);
	}
	kafka_client_destroy(c->rk);
	c->events = NULL;
	c->rk = NULL;
}

int kafka_consumer_renew(struct kafka_consumer *c, struct fault *fault)
{
	close_client(c);
	c->phase = IDLE;
	c->serial++;
	return open_consumer(c, fault);
}

struct kafka_consumer *kafka_consumer_free(struct kafka_consumer *c)
{
	if (!c)
		return NULL;
	close_client(c);
	view_clear(&c->offered);
	view_clear(&c->told);
	free(c);
	return NULL;
}

int kafka_consumer_subscribe(struct kafka_consumer *c, struct fault *fault)
{
	rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new((int)c->options->request_count + 1);
	for (size_t i = 0; i < c->options->request_count; i++)
		rd_kafka_topic_partition_list_add(topics, c->options->requests[i], RD_KAFKA_PARTITION_UA);
	rd_kafka_topic_partition_list_add(topics, c->options->retry, RD_KAFKA_PARTITION_UA);
	const rd_kafka_resp_err_t error = rd_kafka_subscribe(c->rk, topics);
	rd_kafka_topic_partition_list_destroy(topics);
	if (!error)
		return 0;
	return fault_set(fault, -EIO, kafka_fault_class(error), "joining group %s: %s", c->options->group,
			 rd_kafka_err2str(error));
}

/* Nothing is assigned any more, and whatever was asked is moot. */
static void give_back(struct kafka_consumer *c)
{
	end_membership(c);
	c->serial++;
	kafka_lookup_cancel(c->lookup);
	kafka_assignment_clear(&c->assignment);
	rd_kafka_assign(c->rk, NULL);
	c->phase = IDLE;
}

void kafka_consumer_close(struct kafka_consumer *c)
{
	if (c->closing)
		return;
	c->closing = true;
	/* The library would wait for our answer to an assignment that nobody will accept now. */
	if (c->phase == ASKING || c->phase == OFFERED)
		give_back(c);
	kafka_lookup_leaving(c->lookup);
	rd_kafka_error_t *error = rd_kafka_consumer_close_queue(c->rk, c->events);
	c->close_failed = error != NULL;
	if (error)
		rd_kafka_error_destroy(error);
	loop_wakeup_signal(c->wakeup_fd);
}

/* --- events --- */

static void ask(struct kafka_consumer *c, rd_kafka_topic_partition_list_t *partitions, usec_t delay)
{
	kafka_lookup_start(c->lookup, partitions, ++c->serial, delay);
}

static bool on_assign(struct kafka_consumer *c, const rd_kafka_topic_partition_list_t *partitions,
		      struct kafka_consumer_event *ret)
{
	if (c->closing) {
		give_back(c);
		return false;
	}
	view_clear(&c->offered);
	if (partitions->cnt > 0) {
		c->phase = ASKING;
		ask(c, rd_kafka_topic_partition_list_copy(partitions), 0);
		return false;
	}
	c->phase = OFFERED;
	ret->kind = KAFKA_ASSIGNED;
	return true;
}

static bool on_revoke(struct kafka_consumer *c, struct kafka_consumer_event *ret)
{
	const bool lost = rd_kafka_assignment_lost(c->rk);
	if (c->phase == IDLE || c->phase == ASKING) {
		give_back(c);
		return false;
	}
	if (lost)
		end_membership(c); /* a batch in flight commits nothing any more */
	c->phase = GIVING_BACK;
	ret->kind = lost ? KAFKA_LOST : KAFKA_REVOKED;
	return true;
}

static bool on_rebalance(struct kafka_consumer *c, rd_kafka_event_t *event, struct kafka_consumer_event *ret)
{
	kafka_identity_note(&c->identity, c->rk);
	switch (rd_kafka_event_error(event)) {
	case RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS:
		return on_assign(c, rd_kafka_event_topic_partition_list(event), ret);
	case RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS:
		return on_revoke(c, ret);
	default:
		give_back(c);
		return false;
	}
}

static bool on_error(struct kafka_consumer *c, rd_kafka_event_t *event, struct kafka_consumer_event *ret)
{
	const rd_kafka_resp_err_t error = rd_kafka_event_error(event);
	ret->kind = rd_kafka_event_error_is_fatal(event) ? KAFKA_FATAL : KAFKA_TROUBLE;
	ret->fenced = error == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID;
	ret->by_ourselves = ret->fenced && kafka_identity_is_known(&c->identity, c->rk, c->options->group);
	ret->all_brokers_down = error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;
	kafka_hear(&ret->fault, error, rd_kafka_event_error_string(event));
	return true;
}

static bool on_event(struct kafka_consumer *c, rd_kafka_event_t *event, struct kafka_consumer_event *ret)
{
	switch (rd_kafka_event_type(event)) {
	case RD_KAFKA_EVENT_REBALANCE:
		return on_rebalance(c, event, ret);
	case RD_KAFKA_EVENT_ERROR:
		return on_error(c, event, ret);
	default:
		return false;
	}
}

/* --- committed offsets --- */

static bool offer(struct kafka_consumer *c, struct kafka_lookup_answer *answer, struct kafka_consumer_event *ret)
{
	if (!answer->error && view_fill(&c->offered, c->options, answer->partitions) == 0) {
		c->phase = OFFERED;
		ret->kind = KAFKA_ASSIGNED;
		view_show(&c->offered, ret);
		return true;
	}
	/* Nothing can be read without them, so there is no giving up; but somebody should know. */
	ret->kind = KAFKA_TROUBLE;
	fault_set(&ret->fault, 0, answer->error ? kafka_fault_class(answer->error) : FAULT_OURS,
		  "committed offsets of group %s: %s", c->options->group,
		  answer->error ? rd_kafka_err2str(answer->error) : "out of memory");
	ask(c, answer->partitions, ASK_AGAIN_DELAY);
	answer->partitions = NULL;
	return true;
}

static void tell_offsets(struct kafka_consumer *c, const struct kafka_lookup_answer *answer,
			 struct kafka_consumer_event *ret)
{
	ret->kind = KAFKA_OFFSETS;
	if (answer->error)
		fault_set(&ret->fault, 0, kafka_fault_class(answer->error), "committed offsets of group %s: %s",
			  c->options->group, rd_kafka_err2str(answer->error));
	else if (view_fill(&c->told, c->options, answer->partitions) < 0)
		fault_set(&ret->fault, 0, FAULT_OURS, "out of memory");
	else
		view_show(&c->told, ret);
}

static bool take_answer(struct kafka_consumer *c, struct kafka_consumer_event *ret)
{
	struct kafka_lookup_answer answer;
	bool told = false;
	if (!kafka_lookup_answer(c->lookup, &answer))
		return false;
	if (answer.serial == c->serial && c->phase == ASKING) {
		told = offer(c, &answer, ret);
	} else if (answer.serial == c->serial && (c->phase == READING || c->phase == GIVING_BACK)) {
		tell_offsets(c, &answer, ret);
		told = true;
	}
	if (answer.partitions)
		rd_kafka_topic_partition_list_destroy(answer.partitions);
	return told;
}

static bool tell_trouble(struct kafka_consumer *c, struct kafka_consumer_event *ret)
{
	if (c->assignment.trouble.kind == FAULT_NONE)
		return false;
	ret->kind = KAFKA_TROUBLE;
	ret->fault = c->assignment.trouble;
	c->assignment.trouble.kind = FAULT_NONE;
	return true;
}

static bool tell_closed(struct kafka_consumer *c, struct kafka_consumer_event *ret)
{
	if (!c->closing || c->closed || !(c->close_failed || rd_kafka_consumer_closed(c->rk)))
		return false;
	c->closed = true;
	ret->kind = KAFKA_CLOSED;
	return true;
}

bool kafka_consumer_next(struct kafka_consumer *c, struct kafka_consumer_event *ret)
{
	rd_kafka_event_t *event;
	bool told = false;
	memset(ret, 0, sizeof(*ret));
	kafka_assignment_serve(&c->assignment, clock_read().mono);
	while (!told && (event = rd_kafka_queue_poll(c->events, 0))) {
		told = on_event(c, event, ret);
		rd_kafka_event_destroy(event);
	}
	return told || take_answer(c, ret) || tell_trouble(c, ret) || tell_closed(c, ret);
}

/* --- the caller's answers --- */

int kafka_consumer_accept(struct kafka_consumer *c, const struct kafka_start *starts, struct fault *fault)
{
	if (c->phase != OFFERED)
		return fault_set(fault, -ESTALE, FAULT_OURS, "the assignment was overtaken by a newer rebalance");
	struct kafka_membership *membership = kafka_membership_new(c->rk);
	const int r = kafka_assignment_start(&c->assignment, c->offered.items, c->offered.count, starts, fault);
	if (r < 0) {
		kafka_membership_drop(membership);
		return r;
	}
	end_membership(c); /* of an empty assignment, which the library replaces without a revocation */
	c->membership = membership;
	c->phase = READING;
	return 0;
}

void kafka_consumer_release(struct kafka_consumer *c)
{
	give_back(c);
}

void kafka_consumer_read(struct kafka_consumer *c, size_t index, struct kafka_read *ret)
{
	kafka_assignment_read(&c->assignment, index, ret);
}

int kafka_consumer_ask(struct kafka_consumer *c, struct fault *fault)
{
	if (c->phase != READING && c->phase != GIVING_BACK)
		return fault_set(fault, -ESTALE, FAULT_OURS, "nothing is assigned");
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)c->offered.count);
	for (size_t i = 0; i < c->offered.count; i++)
		rd_kafka_topic_partition_list_add(list, c->offered.items[i].topic, c->offered.items[i].partition);
	ask(c, list, 0);
	return 0;
}

int64_t kafka_consumer_end(struct kafka_consumer *c, size_t index)
{
	int64_t low;
	int64_t high;
	if (index >= c->assignment.count)
		return -1;
	const struct kafka_assigned *part = &c->assignment.parts[index];
	if (rd_kafka_get_watermark_offsets(c->rk, part->topic, part->partition, &low, &high) !=
	    RD_KAFKA_RESP_ERR_NO_ERROR)
		return -1;
	return high >= 0 ? high : -1;
}

void *kafka_consumer_handle(struct kafka_consumer *c)
{
	return c->rk;
}

struct kafka_membership *kafka_consumer_membership(struct kafka_consumer *c)
{
	return kafka_membership_hold(c->membership);
}
