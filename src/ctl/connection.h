/*
 * connection - which brokers and topics does this command talk to, and how?
 *
 * What all commands have in common: -b, -c, -X, --json and --help. The worker's own file, the environment and the
 * command line, in this order; the last word counts.
 */
#ifndef HANDOFF_CONNECTION_H
#define HANDOFF_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "ctl/options.h"
#include "doors/kafka_options.h"
#include "doors/settings.h"
#include "handoff/macros.h"

struct connection {
	/* As given: */
	const char *brokers;
	const char *config;
	struct option_texts properties;
	bool json;
	bool help;
	/* Of connection_open(): */
	struct settings settings;
	struct kafka_options options; /* at-least-once, no group */
	const char **merged;
};

#define CONNECTION_OPTIONS 5

/* The first CONNECTION_OPTIONS of a command's options. `room` has a place for each word of the command line. */
void connection_list(struct connection *connection, struct option options[CONNECTION_OPTIONS], const char **room);
/* Reads the settings. 0, or -EINVAL with one sentence in `error`. connection_close() in any case. */
int connection_open(struct connection *connection, struct buf *error) MUST_CHECK;
void connection_close(struct connection *connection);

#endif
