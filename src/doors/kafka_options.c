#include "doors/kafka_options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doors/kafka_internal.h"
#include "handoff/span.h"

#define ANY_CLIENT (KAFKA_CLIENT_CONSUMER | KAFKA_CLIENT_PRODUCER | KAFKA_CLIENT_ADMIN | KAFKA_CLIENT_READER)
#define READERS    (KAFKA_CLIENT_CONSUMER | KAFKA_CLIENT_READER)

/* What we choose and the user may change. */
static const struct {
	const char *key;
	const char *value;
	unsigned clients;
} our_choice[] = {
	{ "socket.nagle.disable", "true", ANY_CLIENT },
	{ "socket.keepalive.enable", "true", ANY_CLIENT },
	/* With the library's 10 s a broker that is back stays unused for 10 s. */
	{ "reconnect.backoff.ms", "100", ANY_CLIENT },
	{ "reconnect.backoff.max.ms", "500", ANY_CLIENT },
	{ "topic.metadata.refresh.fast.interval.ms", "100", ANY_CLIENT },
	/* With the library's 5 min a grown topic's new partitions stay unread that long. */
	{ "topic.metadata.refresh.interval.ms", "15000", ANY_CLIENT },
	/* Above the 9 s in which KRaft notices a dead broker: below it, each one costs an assignment. */
	{ "session.timeout.ms", "15000", KAFKA_CLIENT_CONSUMER },
	{ "fetch.wait.max.ms", "100", READERS },
	{ "fetch.min.bytes", "1", READERS },
	{ "fetch.error.backoff.ms", "100", READERS },
	/* Per partition, since every partition has its queue; one that is full is looked at again after a fetch of
	 * another one, so it must hold what is worked off in 100 ms. The bytes count keys and values alone, and a
	 * retry is mostly headers: the number is what bounds the memory (KAFKA_FETCHED_AHEAD). */
	{ "fetch.message.max.bytes", "262144", READERS },
	{ "queued.min.messages", "1000", KAFKA_CLIENT_CONSUMER },
	{ "queued.max.messages.kbytes", "2048", READERS },
	/* Whole topics are read as fast as they come: with a low mark the library pauses at each fetch. */
	{ "queued.min.messages", "100000", KAFKA_CLIENT_READER },
	{ "linger.ms", "5", KAFKA_CLIENT_PRODUCER },
	{ "max.in.flight.requests.per.connection", "5", KAFKA_CLIENT_PRODUCER },
};

/* What a promise rests on; the user may not change it. */
static const struct {
	const char *key;
	const char *value;
	unsigned clients;
} our_law[] = {
	{ "allow.auto.create.topics", "false", ANY_CLIENT },
	{ "enable.auto.commit", "false", READERS },
	{ "enable.auto.offset.store", "false", READERS },
	{ "isolation.level", "read_committed", READERS },
	{ "enable.partition.eof", "true", READERS },
	/* Every start is explicit, so a reset can only mean that records are gone; kafka_assignment.c notices it. */
	{ "auto.offset.reset", "earliest", READERS },
	{ "partition.assignment.strategy", "range", KAFKA_CLIENT_CONSUMER },
	{ "enable.idempotence", "true", KAFKA_CLIENT_PRODUCER },
	{ "acks", "all", KAFKA_CLIENT_PRODUCER },
	{ "partitioner", "murmur2_random", KAFKA_CLIENT_PRODUCER },
};

/* Other names of what is in our_law, and what is said by a setting of ours or would undo one. */
static const char *const forbidden[] = {
	"auto.commit.enable",
	"auto.commit.interval.ms",
	"request.required.acks",
	"delivery.report.only.error",
	"bootstrap.servers",
	"metadata.broker.list",
	"group.id",
	"group.instance.id",
	"transactional.id",
	"enable.gapless.guarantee",
	"group.protocol",
	"offset.store.method",
	"offset.store.path",
	"offset.store.sync.interval.ms",
	"queuing.strategy",
	"log.queue",
};

static bool is_forbidden(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(our_law); i++)
		if (strcmp(our_law[i].key, key) == 0)
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(forbidden); i++)
		if (strcmp(forbidden[i], key) == 0)
			return true;
	return false;
}

static int set(rd_kafka_conf_t *conf, const char *key, const char *value, struct fault *fault)
{
	char ignored[8]; /* the library's sentence may quote the value, which may be a secret */
	switch (rd_kafka_conf_set(conf, key, value, ignored, sizeof(ignored))) {
	case RD_KAFKA_CONF_OK:
		return 0;
	case RD_KAFKA_CONF_UNKNOWN:
		return fault_set(fault, -EINVAL, FAULT_PERMANENT,
				 "kafka property \"%s\" is unknown to librdkafka %s; its CONFIGURATION.md lists them",
				 key, rd_kafka_version_str());
	default:
		return fault_set(fault, -EINVAL, FAULT_PERMANENT,
				 "kafka property \"%s\": librdkafka %s does not accept its value; its CONFIGURATION.md "
				 "says what it takes",
				 key, rd_kafka_version_str());
	}
}

/* Cuts "key=value" at its first `=`; the key is a copy of the caller's to free. */
static int split(const char *key_value, char **ret_key, const char **ret_value, struct fault *fault)
{
	const char *equals = strchr(key_value, '=');
	/* Nothing of it is repeated in the sentence: without the sign nobody can tell the key from a secret. */
	if (!equals || equals == key_value)
		return fault_set(fault, -EINVAL, FAULT_PERMANENT, "a kafka property is not of the form key=value");
	*ret_key = strndup(key_value, (size_t)(equals - key_value));
	*ret_value = equals + 1;
	return *ret_key ? 0 : fault_set(fault, -ENOMEM, FAULT_OURS, "out of memory");
}

static int apply_property(rd_kafka_conf_t *conf, const char *key_value, struct fault *fault)
{
	char *key = NULL;
	const char *value = NULL;
	int r = split(key_value, &key, &value, fault);
	if (r < 0)
		return r;
	if (is_forbidden(key))
		r = fault_set(fault, -EINVAL, FAULT_PERMANENT,
			      "kafka property \"%s\" may not be set: the worker's promises rest on it, or a setting of "
			      "its own says it; leave it out",
			      key);
	else
		r = set(conf, key, value, fault);
	free(key);
	return r;
}

int kafka_check_property(const char *key_value, struct fault *fault)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	const int r = apply_property(conf, key_value, fault);
	rd_kafka_conf_destroy(conf);
	return r;
}

static bool user_sets(const struct kafka_options *options, const char *key)
{
	const size_t n = strlen(key);
	for (size_t i = 0; i < options->property_count; i++)
		if (strncmp(options->properties[i], key, n) == 0 && options->properties[i][n] == '=')
			return true;
	return false;
}

static long get_number(const rd_kafka_conf_t *conf, const char *key)
{
	char text[32] = "";
	size_t n = sizeof(text);
	return rd_kafka_conf_get(conf, key, text, &n) == RD_KAFKA_CONF_OK ? strtol(text, NULL, 10) : 0;
}

static int set_number(rd_kafka_conf_t *conf, const char *key, long value, struct fault *fault)
{
	char text[32];
	snprintf(text, sizeof(text), "%ld", value);
	return set(conf, key, text, fault);
}

/* Three heartbeats at least must fit into a session, and a session into the time allowed between two polls; a user who
 * changes one of them means all three. */
static int fit_to_session(rd_kafka_conf_t *conf, const struct kafka_options *options, struct fault *fault)
{
	const long session = get_number(conf, "session.timeout.ms");
	const long heartbeat = session / 3 < 1000 ? session / 3 : 1000;
	int r = 0;
	if (!user_sets(options, "heartbeat.interval.ms"))
		r = set_number(conf, "heartbeat.interval.ms", heartbeat > 0 ? heartbeat : 1, fault);
	if (r == 0 && !user_sets(options, "max.poll.interval.ms"))
		r = set_number(conf, "max.poll.interval.ms", session > 60000 ? session : 60000, fault);
	return r;
}

static int identify(rd_kafka_conf_t *conf, const struct kafka_options *options, enum kafka_client client,
		    struct fault *fault)
{
	char name[512];
	int r = options->brokers ? set(conf, "bootstrap.servers", options->brokers, fault) : 0;
	if (r < 0)
		return r;
	if (client == KAFKA_CLIENT_CONSUMER) {
		r = set(conf, "group.id", options->group, fault);
		if (r == 0 && options->static_membership)
			r = set(conf, "group.instance.id", options->instance, fault);
	}
	if (r == 0 && client == KAFKA_CLIENT_PRODUCER && options->exactly_once) {
		snprintf(name, sizeof(name), "%s-%s", options->group, options->instance);
		r = set(conf, "transactional.id", name, fault);
	}
	return r;
}

/* Before the user's properties, so that these can override. */
static int apply_choices(rd_kafka_conf_t *conf, const struct kafka_options *options, enum kafka_client client,
			 struct fault *fault)
{
	char name[512];
	snprintf(name, sizeof(name), "handoff%s%s", options->instance ? "-" : "",
		 options->instance ? options->instance : "");
	int r = set(conf, "client.id", name, fault);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(our_choice); i++)
		if (our_choice[i].clients & (unsigned)client)
			r = set(conf, our_choice[i].key, our_choice[i].value, fault);
	if (r < 0 || client != KAFKA_CLIENT_PRODUCER)
		return r;
	/* Transactions: the library caps message.timeout.ms by transaction.timeout.ms. Else an outage of any length is
	 * waited out: 0 is for ever. */
	return options->exactly_once ? set(conf, "transaction.timeout.ms", "20000", fault)
				     : set(conf, "message.timeout.ms", "0", fault);
}

rd_kafka_conf_t *kafka_conf_new(const struct kafka_options *options, enum kafka_client client, struct fault *fault)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	int r = apply_choices(conf, options, client, fault);
	for (size_t i = 0; r == 0 && i < options->property_count; i++)
		r = apply_property(conf, options->properties[i], fault);
	if (r == 0 && client != KAFKA_CLIENT_PRODUCER)
		r = fit_to_session(conf, options, fault);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(our_law); i++)
		if (our_law[i].clients & (unsigned)client)
			r = set(conf, our_law[i].key, our_law[i].value, fault);
	if (r == 0)
		r = identify(conf, options, client, fault);
	if (r == 0) {
		kafka_conf_take_token(conf);
		return conf;
	}
	rd_kafka_conf_destroy(conf);
	return NULL;
}
