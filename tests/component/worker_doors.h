/*
 * worker_doors - the doors of a worker that is tested: the test says what HTTP, the group and the producer do
 *
 * Nothing sleeps and nothing is sent: time is world.now, loop_once() writes down how long the worker would have slept.
 * Linked with --wrap for the clock and the loop. worker_world.h has what a test is written with.
 */
#ifndef WORKER_DOORS_H
#define WORKER_DOORS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "rules/done_map.h"
#include "worker/worker.h"

#define START    (1000 * USEC_PER_SEC)
#define START_MS INT64_C(1763978400000)
#define QUEUE    "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
#define ACTIVE   "{\"channel\":\"voice\",\"status\":\"active\",\"variables\":{},\"telephony\":{\"callId\":\"c\"}}"
#define UPDATED  "{\"telephony\":{\"status\":\"transferring\",\"transferId\":\"x\"}}"
#define BRIDGED  "{\"status\":\"completed\",\"result\":{\"mediaStreamStatus\":\"bridged\"}}"
#define TOKEN    "{\"access_token\":\"t\",\"expires_in\":86400}"

enum { CALLS_MAX = 512, READS_MAX = 4096, EVENTS_MAX = 16, ENDS_MAX = 4096, PARTITIONS_MAX = 2 };
enum { REQUESTS, RETRY }; /* the partitions of the assignment */

struct http_call {
	bool open;
	bool ended;
	enum stage stage;
	char session[64];
	usec_t timeout;
	struct http_reply reply;
	http_done *done;
	void *arg;
};

/* A record that a batch took to its topic. */
struct written {
	char topic[16];
	char id[32];
	char status[32];
	char reason[48];
	char resume[16];
	char attempt[8];
};

/* What a batch was when the producer got it: it must not change while it is there. */
struct seal {
	size_t record_count;
	size_t offset_count;
	const struct record *last_record;
	int64_t offsets[PARTITIONS_MAX];
};

static struct world {
	usec_t now;
	usec_t slept;        /* how long the worker wanted to sleep */
	int64_t set_back_ms; /* by so much the wall clock was */
	struct settings settings;
	struct settings_tenant tenant;
	struct worker_signals signals;
	struct worker worker;

	struct http_call calls[CALLS_MAX];
	size_t in_flight;
	bool serves;          /* every call is answered as a healthy tenant would */
	bool refuses;         /* every connection is refused */
	size_t most_at_once;  /* calls that were open */
	size_t calls_started; /* since the test set it to 0 */

	struct kafka_topic_report topics[4];
	struct kafka_topology_report topology;
	bool topology_news;

	struct kafka_consumer_event events[EVENTS_MAX];
	size_t event_first, event_count;
	struct kafka_partition assigned[PARTITIONS_MAX];
	struct kafka_read reads[PARTITIONS_MAX][READS_MAX];
	size_t read_first[PARTITIONS_MAX], read_count[PARTITIONS_MAX];
	int64_t next_offset[PARTITIONS_MAX];
	int subscribed, accepted, released, renewed, closed, asked;

	struct kafka_batch *batch; /* with the producer */
	bool commits;              /* every batch is committed at once */
	bool answered;
	struct kafka_answer answer;
	struct seal seal;
	struct written ends[ENDS_MAX];
	size_t end_count;
	int64_t committed[PARTITIONS_MAX];
	struct record *last_retry; /* as it was written */
	struct record *last_outcome;
	void (*on_commit)(const struct kafka_batch *batch);
} world;

static const char *const topic_names[PARTITIONS_MAX] = { "requests", "retry" };

/* ---- the clock and the loop ---- */

struct instant __wrap_clock_read(void);
int __wrap_loop_once(struct loop *loop, usec_t timeout);

struct instant __wrap_clock_read(void)
{
	return (struct instant){ .mono = world.now,
				 .unix_ms = START_MS - world.set_back_ms + (world.now - START) / USEC_PER_MSEC };
}

int __wrap_loop_once(struct loop *loop, usec_t timeout)
{
	(void)loop;
	world.slept = timeout;
	return 0;
}

/* ---- HTTP ---- */

struct http *http_new(struct loop *loop, const struct http_options *options, struct fault *fault)
{
	(void)loop;
	(void)options;
	(void)fault;
	return (struct http *)&world;
}

struct http *http_free(struct http *http)
{
	(void)http;
	for (size_t i = 0; i < CALLS_MAX; i++)
		world.calls[i].open = false;
	world.in_flight = 0;
	return NULL;
}

static inline enum stage stage_of(const struct http_request *request)
{
	if (strstr(request->url, "/auth/login"))
		return STAGE_LOGIN;
	if (strcmp(request->method, "GET") == 0)
		return STAGE_FETCH;
	return strcmp(request->method, "PUT") == 0 ? STAGE_UPDATE : STAGE_TRIGGER;
}

struct http_call *http_start(struct http *http, const struct http_request *request, http_done *done, void *arg)
{
	(void)http;
	for (size_t i = 0; i < CALLS_MAX; i++) {
		struct http_call *call = &world.calls[i];
		if (call->open)
			continue;
		*call = (struct http_call){ .open = true, .stage = stage_of(request), .done = done, .arg = arg };
		const char *id = strrchr(request->url, '/') + 1;
		if (call->stage == STAGE_TRIGGER)
			id = strchr(strchr(request->body.p, ':'), '"') + 1;
		snprintf(call->session, sizeof(call->session), "%.*s", (int)strcspn(id, "\""), id);
		assert_true(request->timeout > 0);
		call->timeout = request->timeout;
		world.calls_started++;
		if (++world.in_flight > world.most_at_once)
			world.most_at_once = world.in_flight;
		return call;
	}
	return NULL;
}

void http_cancel(struct http *http, struct http_call *call)
{
	(void)http;
	assert_true(call->open);
	call->open = false;
	world.in_flight--;
}

static inline void answer(struct http_call *call, int status, const char *body)
{
	assert_true(call->open && !call->ended);
	call->ended = true;
	call->reply = (struct http_reply){
		.error = status ? HTTP_OK : HTTP_CONNECT, .sent = status != 0, .status = status, .body = span_of(body)
	};
}

static inline void serve(struct http_call *call)
{
	static const char *const bodies[] = {
		[STAGE_LOGIN] = TOKEN, [STAGE_FETCH] = ACTIVE, [STAGE_UPDATE] = UPDATED, [STAGE_TRIGGER] = BRIDGED
	};
	answer(call, 200, bodies[call->stage]);
}

void http_run(struct http *http, usec_t now)
{
	(void)http;
	(void)now;
	for (size_t i = 0; i < CALLS_MAX; i++) {
		struct http_call *call = &world.calls[i];
		if (!call->open || (!call->ended && !world.serves && !world.refuses))
			continue;
		if (!call->ended && world.refuses)
			answer(call, 0, "");
		else if (!call->ended)
			serve(call);
		const struct http_call ended = *call;
		call->open = false;
		world.in_flight--;
		ended.done(ended.arg, &ended.reply);
	}
}

usec_t http_wait(const struct http *http, usec_t now)
{
	(void)http;
	(void)now;
	for (size_t i = 0; i < CALLS_MAX; i++)
		if (world.calls[i].open && (world.calls[i].ended || world.serves || world.refuses))
			return 0;
	return USEC_NEVER;
}

size_t http_in_flight(const struct http *http)
{
	(void)http;
	return world.in_flight;
}

/* The open call of that stage, which must be there. */
static inline struct http_call *open_call(enum stage stage)
{
	for (size_t i = 0; i < CALLS_MAX; i++)
		if (world.calls[i].open && world.calls[i].stage == stage)
			return &world.calls[i];
	fail_msg("no call of stage %d is open", (int)stage);
	return NULL;
}

/* ---- the topics ---- */

struct kafka_topology *kafka_topology_new(const struct kafka_options *options, int32_t create, usec_t interval,
					  int wakeup_fd, struct fault *fault)
{
	(void)options;
	(void)create;
	(void)interval;
	(void)wakeup_fd;
	(void)fault;
	return (struct kafka_topology *)&world;
}

struct kafka_topology *kafka_topology_free(struct kafka_topology *topology)
{
	(void)topology;
	return NULL;
}

bool kafka_topology_next(struct kafka_topology *topology, const struct kafka_topology_report **ret)
{
	(void)topology;
	const bool news = world.topology_news;
	world.topology_news = false;
	*ret = &world.topology;
	return news;
}

/* ---- the group ---- */

struct kafka_consumer *kafka_consumer_new(const struct kafka_options *options, int wakeup_fd, struct fault *fault)
{
	(void)options;
	(void)wakeup_fd;
	(void)fault;
	return (struct kafka_consumer *)&world;
}

struct kafka_consumer *kafka_consumer_free(struct kafka_consumer *consumer)
{
	(void)consumer;
	for (size_t p = 0; p < PARTITIONS_MAX; p++)
		for (; world.read_first[p] < world.read_count[p]; world.read_first[p]++)
			record_free(world.reads[p][world.read_first[p]].record);
	return NULL;
}

int kafka_consumer_renew(struct kafka_consumer *consumer, struct fault *fault)
{
	(void)consumer;
	(void)fault;
	world.renewed++;
	world.released = world.accepted;
	return 0;
}

int kafka_consumer_subscribe(struct kafka_consumer *consumer, struct fault *fault)
{
	(void)consumer;
	(void)fault;
	world.subscribed++;
	return 0;
}

static inline struct kafka_consumer_event *event(enum kafka_consumer_event_kind kind)
{
	assert_true(world.event_count < EVENTS_MAX);
	struct kafka_consumer_event *e = &world.events[world.event_count++];
	*e = (struct kafka_consumer_event){ .kind = kind };
	return e;
}

void kafka_consumer_close(struct kafka_consumer *consumer)
{
	(void)consumer;
	if (world.closed++ == 0 && world.accepted > world.released)
		event(KAFKA_REVOKED);
	else
		event(KAFKA_CLOSED);
}

bool kafka_consumer_next(struct kafka_consumer *consumer, struct kafka_consumer_event *ret)
{
	(void)consumer;
	if (world.event_first == world.event_count)
		return false;
	*ret = world.events[world.event_first++];
	if (world.event_first == world.event_count)
		world.event_first = world.event_count = 0;
	return true;
}

int kafka_consumer_accept(struct kafka_consumer *consumer, const struct kafka_start *starts, struct fault *fault)
{
	(void)consumer;
	(void)starts;
	(void)fault;
	world.accepted++;
	return 0;
}

void kafka_consumer_release(struct kafka_consumer *consumer)
{
	(void)consumer;
	world.released++;
	if (world.closed > 0)
		event(KAFKA_CLOSED);
}

void kafka_consumer_read(struct kafka_consumer *consumer, size_t index, struct kafka_read *ret)
{
	(void)consumer;
	assert_true(world.accepted > world.released);
	*ret = (struct kafka_read){ .kind = KAFKA_READ_NOTHING };
	if (world.read_first[index] < world.read_count[index])
		*ret = world.reads[index][world.read_first[index]++];
}

int kafka_consumer_ask(struct kafka_consumer *consumer, struct fault *fault)
{
	(void)consumer;
	(void)fault;
	world.asked++;
	return 0;
}

int64_t kafka_consumer_end(struct kafka_consumer *consumer, size_t index)
{
	(void)consumer;
	return world.next_offset[index];
}

/* ---- the producer ---- */

struct kafka_producer *kafka_producer_new(const struct kafka_options *options, struct kafka_consumer *consumer,
					  int wakeup_fd, struct fault *fault)
{
	(void)options;
	(void)consumer;
	(void)wakeup_fd;
	(void)fault;
	return (struct kafka_producer *)&world;
}

struct kafka_producer *kafka_producer_free(struct kafka_producer *producer)
{
	(void)producer;
	return NULL;
}

static inline void note_header(char *into, size_t size, const struct record *record, const char *name)
{
	snprintf(into, size, "%.*s", SPAN_FMT(record_header(record, name)));
}

static inline struct seal seal_of(const struct kafka_batch *batch)
{
	struct seal seal = { .record_count = batch->record_count, .offset_count = batch->offset_count };
	if (batch->record_count > 0)
		seal.last_record = batch->records[batch->record_count - 1].record;
	for (size_t i = 0; i < batch->offset_count && i < PARTITIONS_MAX; i++)
		seal.offsets[i] = batch->offsets[i].offset;
	return seal;
}

static inline void note_offsets(void)
{
	for (size_t i = 0; i < world.batch->offset_count; i++)
		for (size_t p = 0; p < PARTITIONS_MAX; p++)
			if (strcmp(world.batch->offsets[i].topic, topic_names[p]) == 0)
				world.committed[p] = world.batch->offsets[i].offset;
}

static inline void keep(struct record **last, const struct record *record, const char *topic)
{
	if (strcmp(record->topic, topic) != 0)
		return;
	record_free(*last);
	*last = record_new(record);
}

/* What the producer has takes effect. */
static inline void commit_batch(void)
{
	note_offsets();
	if (world.on_commit)
		world.on_commit(world.batch);
	for (size_t i = 0; i < world.batch->record_count && world.end_count < ENDS_MAX; i++) {
		const struct record *record = world.batch->records[i].record;
		struct written *w = &world.ends[world.end_count++];
		snprintf(w->topic, sizeof(w->topic), "%s", record->topic);
		note_header(w->id, sizeof(w->id), record, HDR_ID);
		note_header(w->status, sizeof(w->status), record, HDR_STATUS);
		note_header(w->reason, sizeof(w->reason), record, HDR_REASON);
		note_header(w->resume, sizeof(w->resume), record, HDR_RESUME);
		note_header(w->attempt, sizeof(w->attempt), record, HDR_ATTEMPT);
		keep(&world.last_retry, record, topic_names[RETRY]);
		keep(&world.last_outcome, record, "outcomes");
	}
}

static inline void verdict(enum kafka_verdict what)
{
	assert_non_null(world.batch);
	const struct seal seal = seal_of(world.batch);
	assert_memory_equal(&seal, &world.seal, sizeof(seal));
	if (what == KAFKA_COMMITTED)
		commit_batch();
	world.answer = (struct kafka_answer){ .batch = world.batch, .verdict = what };
	world.answered = true;
}

int kafka_producer_submit(struct kafka_producer *producer, struct kafka_batch *batch)
{
	(void)producer;
	if (world.batch)
		return -EBUSY;
	world.batch = batch;
	world.seal = seal_of(batch);
	if (world.commits)
		verdict(KAFKA_COMMITTED);
	return 0;
}

bool kafka_producer_answer(struct kafka_producer *producer, struct kafka_answer *ret)
{
	(void)producer;
	if (!world.answered)
		return false;
	*ret = world.answer;
	world.answered = false;
	world.batch = NULL;
	return true;
}

void kafka_producer_trouble(struct kafka_producer *producer, struct fault *ret)
{
	(void)producer;
	*ret = (struct fault){ 0 };
}

bool kafka_producer_stuck(struct kafka_producer *producer)
{
	(void)producer;
	return false;
}

#endif
