/* check_kafka - do the topics fit the settings, and may we use them? */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doors/kafka_topology.h"
#include "doors/kafka_trial.h"
#include "doors/loop.h"
#include "worker/check.h"

#define TOPICS_TIME (12 * USEC_PER_SEC)
#define RIGHT_TIME  (10 * USEC_PER_SEC)
/* What the headers of a retry or a dead letter may add, and what an outcome with its error body is. */
#define HEADER_BYTES INT64_C(65536)

/* A topic and what it is for. */
struct role {
	const struct kafka_topic_report *topic;
	bool is_request;
	bool is_retry;
	bool is_letters;
};

static struct role role_of(const struct kafka_options *options, const struct kafka_topology_report *report, size_t i)
{
	return (struct role){
		.topic = &report->topics[i],
		.is_request = i < options->request_count,
		.is_retry = i == options->request_count,
		.is_letters = i == options->request_count + 2,
	};
}

/* Does a handoff get lost with the record? Of an outcome or a dead letter, only its story. */
static enum check_mark gravity(const struct role *role)
{
	return role->is_request || role->is_retry ? CHECK_FAIL : CHECK_WARN;
}

/* --- topics --- */

static void check_topic(struct check *check, const struct role *role)
{
	const struct kafka_topic_report *t = role->topic;
	if (t->forbidden)
		check_say(check, CHECK_FAIL, "topic", t->name,
			  "not authorized to see it: give the user READ and WRITE on it, or name another topic");
	else if (!t->known && check->settings->kafka.create_topics)
		check_say(check, CHECK_WARN, "topic", t->name,
			  "does not exist yet; the worker will create it (kafka.create_topics = true)");
	else if (!t->known)
		check_say(check, CHECK_FAIL, "topic", t->name,
			  "does not exist: create it (scripts/create-topics), or set kafka.create_topics = true");
	else
		check_say(check, CHECK_OK, "topic", t->name, "%" PRId32 " partitions", t->partitions);
}

static void check_partitions(struct check *check, const struct kafka_options *options,
			     const struct kafka_topology_report *report)
{
	const struct kafka_topic_report *retry = &report->topics[options->request_count];
	bool equal = retry->known;
	for (size_t i = 0; i < options->request_count; i++) {
		const struct kafka_topic_report *requests = &report->topics[i];
		equal = equal && requests->partitions == retry->partitions;
		if (requests->known && retry->known && requests->partitions != retry->partitions)
			check_say(check, CHECK_FAIL, "partitions", "",
				  "%s has %" PRId32 " and %s has %" PRId32
				  ", but a retry keeps its request's number: grow the smaller one",
				  requests->name, requests->partitions, retry->name, retry->partitions);
	}
	if (equal)
		check_say(check, CHECK_OK, "partitions", "", "requests and retries have equally many");
}

static void check_policy(struct check *check, const struct role *role)
{
	const struct kafka_topic_report *t = role->topic;
	if (t->compacted)
		check_say(check, gravity(role), "cleanup.policy", t->name,
			  "%s: all but the newest record of a session would be removed; set it to delete",
			  t->cleanup_policy);
	else
		check_say(check, CHECK_OK, "cleanup.policy", t->name, "%s", t->cleanup_policy);
}

static void check_retention(struct check *check, const struct role *role)
{
	const struct kafka_topic_report *t = role->topic;
	const int64_t age = check->settings->retry.max_age_ms;
	if (t->retention_ms < 0)
		check_say(check, CHECK_OK, "retention.ms", t->name, "%" PRId64 ", for ever", t->retention_ms);
	else if (t->retention_ms < age)
		check_say(check, gravity(role), "retention.ms", t->name,
			  "%" PRId64 " is below retry.max_age_ms (%" PRId64
			  "), so records are removed while their handoffs go on: set it to %" PRId64 " or more",
			  t->retention_ms, age, 2 * age);
	else if (t->retention_ms < 2 * age)
		check_say(check, CHECK_WARN, "retention.ms", t->name,
			  "%" PRId64 " is below twice retry.max_age_ms (%" PRId64
			  "), so an outage of a few minutes can cost records: set it to %" PRId64 " or more",
			  t->retention_ms, age, 2 * age);
	else
		check_say(check, CHECK_OK, "retention.ms", t->name, "%" PRId64, t->retention_ms);
}

static void check_size(struct check *check, const struct role *role, int64_t largest_request)
{
	const struct kafka_topic_report *t = role->topic;
	const int64_t record = check->settings->worker.max_record_bytes;
	const int64_t copied = record < largest_request ? record : largest_request;
	const int64_t needed = role->is_request                     ? record
			       : role->is_retry || role->is_letters ? copied + HEADER_BYTES
								    : HEADER_BYTES;
	const bool is_small = t->max_message_bytes < needed;
	if (is_small && role->is_request)
		check_say(check, CHECK_WARN, "max.message.bytes", t->name,
			  "%" PRId64 " is below worker.max_record_bytes (%" PRId64
			  "): producers are refused what the worker would take; raise the one or lower the other",
			  t->max_message_bytes, record);
	else if (is_small)
		check_say(check, role->is_letters ? CHECK_WARN : CHECK_FAIL, "max.message.bytes", t->name,
			  "%" PRId64 " is below %" PRId64
			  ", what its largest record may need with its headers: raise it, or lower "
			  "worker.max_record_bytes (%" PRId64 ")",
			  t->max_message_bytes, needed, record);
	else
		check_say(check, CHECK_OK, "max.message.bytes", t->name, "%" PRId64, t->max_message_bytes);
}

/* What can be written to a request topic at all; without an answer, anything. */
static int64_t largest_request(const struct kafka_options *options, const struct kafka_topology_report *report)
{
	int64_t largest = 0;
	for (size_t i = 0; i < options->request_count; i++) {
		const struct kafka_topic_report *t = &report->topics[i];
		if (!t->configured)
			return INT64_MAX;
		largest = t->max_message_bytes > largest ? t->max_message_bytes : largest;
	}
	return largest;
}

static void check_configs(struct check *check, const struct kafka_options *options,
			  const struct kafka_topology_report *report)
{
	const int64_t largest = largest_request(options, report);
	for (size_t i = 0; i < report->topic_count; i++) {
		const struct role role = role_of(options, report, i);
		if (role.topic->known && role.topic->configured) {
			check_policy(check, &role);
			check_retention(check, &role);
			check_size(check, &role, largest);
		} else if (role.topic->known && report->answers_configs) {
			check_say(check, CHECK_WARN, "configuration of", role.topic->name,
				  "not shown to this user: give him DESCRIBE_CONFIGS on it, or look at cleanup.policy, "
				  "retention.ms and max.message.bytes yourself");
		}
	}
}

/* --- rights --- */

/* `what`: the operation and the kind of thing, as kafka-acls spells them. */
static void say_right(struct check *check, const char *what, const char *name, const struct kafka_trial_right *right,
		      const char *needed)
{
	if (right->verdict == KAFKA_TRIAL_ALLOWED)
		check_say(check, CHECK_OK, what, name, "allowed");
	else if (right->verdict == KAFKA_TRIAL_REFUSED)
		check_say(check, CHECK_FAIL, what, name, "refused (%s): give the user %s", right->fault.message,
			  needed);
	else
		check_say(check, CHECK_WARN, what, name, "not found out (%s): see yourself that the user has %s",
			  right->fault.message, needed);
}

static size_t known_names(const struct kafka_topology_report *report, size_t from, size_t to, const char **ret)
{
	size_t count = 0;
	for (size_t i = from; i < to && i < report->topic_count; i++)
		if (report->topics[i].known)
			ret[count++] = report->topics[i].name;
	return count;
}

static void check_reading(struct check *check, const struct kafka_options *options, const char *const *names,
			  size_t count, struct kafka_trial_right *rights)
{
	struct kafka_trial_right group = { 0 };
	if (count == 0)
		return;
	kafka_trial_read(options, names, count, RIGHT_TIME, &group, rights);
	say_right(check, "ACL READ group", options->group, &group, "READ on this group");
	for (size_t i = 0; i < count; i++)
		say_right(check, "ACL READ topic", names[i], &rights[i], "READ on this topic");
}

static void check_writing(struct check *check, const struct kafka_options *options, const char *const *names,
			  size_t count, struct kafka_trial_right *rights)
{
	if (count > 0)
		kafka_trial_write(options, names, count, RIGHT_TIME, rights);
	for (size_t i = 0; i < count; i++)
		say_right(check, "ACL WRITE topic", names[i], &rights[i], "WRITE on this topic");
}

static void check_transactions(struct check *check, const struct kafka_options *options)
{
	char name[600], needed[300];
	struct kafka_trial_right right = { 0 };
	if (!options->exactly_once)
		return;
	kafka_trial_transaction(options, RIGHT_TIME, &right);
	snprintf(name, sizeof(name), "%.200s-%.200s-check", options->group, options->instance);
	snprintf(needed, sizeof(needed), "WRITE and DESCRIBE on transactional ids with the prefix %.200s-",
		 options->group);
	say_right(check, "ACL WRITE transactional-id", name, &right, needed);
}

static void check_rights(struct check *check, const struct kafka_options *options,
			 const struct kafka_topology_report *report)
{
	const size_t retry = options->request_count;
	const char **names = calloc(report->topic_count, sizeof(*names));
	struct kafka_trial_right *rights = calloc(report->topic_count, sizeof(*rights));
	bool any = false;
	for (size_t i = 0; i < report->topic_count; i++)
		any = any || report->topics[i].known;
	if (!any) {
		check_say(check, CHECK_WARN, "ACLs", "", "not tried, for there is no topic to try them on");
	} else if (!report->answers_configs) {
		check_say(check, CHECK_WARN, "ACLs", "",
			  "not tried, nor cleanup.policy, retention.ms and max.message.bytes asked: these brokers do "
			  "not answer such questions (those of handoff-sandbox never do; else ask again)");
	} else if (names && rights) {
		check_reading(check, options, names, known_names(report, 0, retry + 1, names), rights);
		check_writing(check, options, names, known_names(report, retry, report->topic_count, names), rights);
		check_transactions(check, options);
	}
	free(names);
	free(rights);
}

/* --- all of it --- */

static void judge(struct check *check, const struct kafka_options *options, const struct kafka_topology_report *report)
{
	if (!report->answered) {
		check_say(check, CHECK_FAIL, "topics", "", "%s; start it again when the brokers answer",
			  report->fault.message);
		return;
	}
	for (size_t i = 0; i < report->topic_count; i++) {
		const struct role role = role_of(options, report, i);
		check_topic(check, &role);
	}
	check_partitions(check, options, report);
	check_configs(check, options, report);
	check_rights(check, options, report);
}

void check_kafka(struct check *check, const struct kafka_options *options)
{
	struct fault fault = { 0 };
	const struct kafka_topology_report *report;
	const int wakeup_fd = loop_wakeup_new();
	/* One report is enough: the next would come after an hour. */
	struct kafka_topology *topology =
		wakeup_fd < 0 ? NULL : kafka_topology_new(options, 0, 3600 * USEC_PER_SEC, wakeup_fd, &fault);
	if (!topology)
		check_say(check, CHECK_FAIL, "topics", "", "not asked: %s",
			  wakeup_fd < 0 ? strerror(-wakeup_fd) : fault.message);
	else if (kafka_topology_wait(topology, TOPICS_TIME, &report) < 0)
		check_say(check, CHECK_FAIL, "topics", "", "the brokers did not tell in time; start it again");
	else
		judge(check, options, report);
	if (topology)
		kafka_topology_free(topology);
	if (wakeup_fd >= 0)
		close(wakeup_fd);
}
