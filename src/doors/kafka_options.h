/*
 * kafka_options - what every Kafka client of ours is told, and what it may not be told
 *
 * The struct is borrowed by the doors while they live. Properties are librdkafka's, as "key=value"; the few that
 * would break a promise (enable.auto.commit and its like) are refused. Bounds and defaults are the settings' matter.
 */
#ifndef HANDOFF_KAFKA_OPTIONS_H
#define HANDOFF_KAFKA_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/fault.h"
#include "handoff/macros.h"

struct kafka_options {
	const char *brokers;  /* NULL: none, for a client that shall only be made */
	const char *group;    /* NULL for clients without one */
	const char *instance; /* transactional.id is "<group>-<instance>"; client.id contains it */
	bool static_membership;
	bool exactly_once;
	const char *const *requests; /* highest priority first */
	size_t request_count;
	const char *retry;
	const char *outcomes;
	const char *dead_letters;
	const char *const *properties; /* "key=value" */
	size_t property_count;
};

/* Would every client of ours accept this property? 0, or -EINVAL with one sentence in `fault` that names the key
 * (never the value: it may be a password). Connects to nothing. */
int kafka_check_property(const char *key_value, struct fault *fault) MUST_CHECK;

/* What sasl.oauthbearer.config says where the tokens of sasl.mechanism OAUTHBEARER come from: the path follows.
 * Something else renews the file; it is read before the first connection and when four fifths of a token's life are
 * over. */
#define KAFKA_TOKEN_FILE "token_file="

/* Do these properties, each of them accepted, tell all that TLS and a login need, and are the files there? 0, or
 * -EINVAL with the sentence. Connects to nothing. */
int kafka_check_login(const char *const *properties, size_t count, struct fault *fault) MUST_CHECK;

#endif
