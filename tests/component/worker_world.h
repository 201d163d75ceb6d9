/*
 * worker_world - the whole worker between fake doors, in virtual time
 *
 * The test puts records into the two partitions, answers the calls that are open (or lets the tenant be healthy), and
 * turns the loop; what was committed is in world.ends.
 */
#ifndef WORKER_WORLD_H
#define WORKER_WORLD_H

#include "component/worker_doors.h"

/* ---- the stage ---- */

static inline void turn(usec_t later)
{
	world.now += later;
	worker_turn(&world.worker);
}

/* Turns as the loop would, sleeping as long as it wants to, for `time`. The number of turns: a loop that spins makes
 * many. */
static inline int turns_within(usec_t time)
{
	const usec_t end = world.now + time;
	int turns = 0;
	for (; world.now < end && turns < 100000; turns++) {
		worker_turn(&world.worker);
		/* What it wants now is known only at the beginning of the next turn. */
		const usec_t before = world.now;
		worker_turn(&world.worker);
		world.now = before + (world.slept > 0 ? world.slept : 1);
	}
	return turns;
}

static inline void say_topics_fit(void)
{
	static const char *const names[] = { "requests", "retry", "outcomes", "dlq" };
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		world.topics[i] = (struct kafka_topic_report){ .name = names[i], .known = true, .partitions = 1 };
	world.topology = (struct kafka_topology_report){ .answered = true,
							 .topics = world.topics,
							 .topic_count = ARRAY_SIZE(names) };
	world.topology_news = true;
}

static inline void assign(void)
{
	struct kafka_consumer_event *e = event(KAFKA_ASSIGNED);
	for (size_t i = 0; i < PARTITIONS_MAX; i++)
		world.assigned[i] = (struct kafka_partition){ .topic = topic_names[i], .committed = 0, .metadata = "" };
	e->partitions = world.assigned;
	e->count = PARTITIONS_MAX;
}

static inline struct kafka_read *next_read(size_t partition)
{
	assert_true(world.read_count[partition] < READS_MAX);
	return &world.reads[partition][world.read_count[partition]++];
}

/* A record of partition `partition`, at its next offset; headers: name, value, ..., NULL. */
static inline void put(size_t partition, const char *value, const char *const *headers)
{
	struct header list[8];
	struct record record = { .topic = topic_names[partition],
				 .offset = world.next_offset[partition]++,
				 .timestamp_ms = __wrap_clock_read().unix_ms,
				 .value = span_of(value),
				 .headers = list };
	for (; headers && headers[0]; headers += 2)
		list[record.header_count++] = (struct header){ .name = headers[0], .value = span_of(headers[1]) };
	*next_read(partition) = (struct kafka_read){ .kind = KAFKA_READ_RECORD, .record = record_new(&record) };
}

/* A record as a worker wrote it; the caller keeps it. */
static inline void put_record(size_t partition, const struct record *like)
{
	struct record record = *like;
	record.topic = topic_names[partition];
	record.offset = world.next_offset[partition]++;
	record.timestamp_ms = __wrap_clock_read().unix_ms;
	*next_read(partition) = (struct kafka_read){ .kind = KAFKA_READ_RECORD, .record = record_new(&record) };
}

static inline void put_end(size_t partition)
{
	*next_read(partition) = (struct kafka_read){ .kind = KAFKA_READ_END, .offset = world.next_offset[partition] };
}

static inline void request(const char *id, const char *session, int64_t ttl_ms)
{
	char value[512];
	snprintf(value, sizeof(value),
		 "{\"sessionId\":\"%s\",\"queueId\":\"" QUEUE "\",\"handoffId\":\"%s\",\"ttlMs\":%lld}", session, id,
		 (long long)ttl_ms);
	put(REQUESTS, value, NULL);
}

/* A retry of attempt 2 that is due in `wait_ms`; deadline: ten minutes from now. */
static inline void retry(const char *id, const char *session, int64_t wait_ms, size_t padding)
{
	char due[32], deadline[32];
	const int64_t now_ms = __wrap_clock_read().unix_ms;
	const char *const headers[] = { HDR_ATTEMPT, "2", HDR_NOT_BEFORE, due, HDR_DEADLINE, deadline, NULL };
	char *value = malloc(padding + 512);
	assert_non_null(value);
	snprintf(due, sizeof(due), "%lld", (long long)(now_ms + wait_ms));
	snprintf(deadline, sizeof(deadline), "%lld", (long long)(now_ms + 600000));
	snprintf(value, padding + 512,
		 "{\"sessionId\":\"%s\",\"queueId\":\"" QUEUE "\",\"handoffId\":\"%s\",\"pad\":\"%*s\"}", session, id,
		 (int)padding, "");
	put(RETRY, value, headers);
	free(value);
}

/* The only record written for this handoff to this topic; NULL when there is none. */
static inline const struct written *end_of(const char *topic, const char *id)
{
	const struct written *found = NULL;
	for (size_t i = 0; i < world.end_count; i++)
		if (strcmp(world.ends[i].topic, topic) == 0 && strcmp(world.ends[i].id, id) == 0) {
			assert_null(found); /* twice */
			found = &world.ends[i];
		}
	return found;
}

/* All but the worker itself. */
static inline void set_stage(void)
{
	static const char *requests[] = { "requests" };
	memset(&world, 0, sizeof(world));
	world.now = START;
	world.commits = true;
	world.tenant = (struct settings_tenant){ .name = "default",
						 .base_url = "http://origin",
						 .endpoint_url = "",
						 .token_url = "",
						 .update_path = "",
						 .scope = "",
						 .client_id = "me",
						 .client_secret = "secret",
						 .client_secret_file = "",
						 .login_timeout_ms = 10000,
						 .fetch_timeout_ms = 10000,
						 .update_timeout_ms = 15000,
						 .trigger_timeout_ms = 15000,
						 .login_path = "/auth/login",
						 .session_path = "/session/{sessionId}",
						 .flow_path = "/flow",
						 .intent = "i",
						 .text = "t",
						 .marker_variable = "handoffdId",
						 .retrigger_keyed = true,
						 .max_in_flight = 256,
						 .adaptive_concurrency = false,
						 .breaker_failures = 5,
						 .breaker_open_ms = 5000 };
	world.settings = (struct settings){
		.kafka = { .brokers = "b",
			   .group = "g",
			   .instance = "i",
			   .requests = { requests, 1 },
			   .retry = "retry",
			   .outcomes = "outcomes",
			   .dead_letters = "dlq",
			   .commit_interval_ms = 50 },
		.tenants = &world.tenant,
		.tenant_count = 1,
		.retry = { .base_delay_ms = 1000,
			   .max_delay_ms = 60000,
			   .locked_delay_ms = 2000,
			   .max_age_ms = 900000,
			   .budgets = { 20, 30, 3, 5 } },
		.worker = { .drain_ms = 20000,
			    .revoke_ms = 5000,
			    .window = 20000,
			    .memory_mb = 256,
			    .max_record_bytes = 524288 },
		.admin_listen = "",
	};
	log_set_level(LOG_ERROR);
}

static inline int set_up(void **state)
{
	struct fault fault = { 0 };
	(void)state;
	set_stage();
	assert_int_equal(worker_init(&world.worker, &world.settings, &world.signals, &fault), 0);
	return 0;
}

/* The end must not depend on how the test left things. */
static inline int tear_down(void **state)
{
	(void)state;
	worker_fini(&world.worker);
	world.last_retry = record_free(world.last_retry);
	world.last_outcome = record_free(world.last_outcome);
	return 0;
}

/* Up to an assignment whose partitions were read to their ends, logged in. */
static inline void begin_work(void)
{
	world.serves = true;
	say_topics_fit();
	assign();
	put_end(REQUESTS);
	put_end(RETRY);
	for (int i = 0; i < 5; i++)
		turn(0);
	world.serves = false;
	assert_int_equal(world.accepted, 1);
	assert_false(world.worker.finished);
}

/* Brings the only handoff to the call of this stage. */
static inline void bring_to(enum stage stage)
{
	turn(0);
	for (enum stage at = STAGE_FETCH; at < stage; at++) {
		serve(open_call(at));
		turn(0);
	}
	(void)open_call(stage);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
