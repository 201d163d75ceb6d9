/*
 * connection - which brokers and topics does this command talk to, and how?
 *
 * What all commands have in common: -b, -c, -X, --json and --help. The worker's own file, the environment and the
 * command line, in this order; the last word counts. A command's struct begins with this one.
 */
#ifndef HANDOFF_CONNECTION_H
#define HANDOFF_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/options.h"
#include "doors/kafka_options.h"
#include "doors/settings.h"
#include "handoff/macros.h"
#include "rules/request.h"

struct connection {
	/* As given: */
	const char *brokers;
	const char *config;
	struct option_texts properties;
	bool json;
	const char *help; /* NULL: not asked for; else in which form */
	/* Of connection_open(): */
	struct settings settings;
	struct kafka_options options; /* at-least-once, no group */
	const char **merged;
};

/* The first rows of every command's table of options. */
#define CONNECTION_OPTION_COUNT 5
#define CONNECTION_OPTIONS                                                                                             \
	{ "brokers",                                                                                                   \
	  "HOST:PORT,...",                                                                                             \
	  "the brokers to ask first",                                                                                  \
	  offsetof(struct connection, brokers),                                                                        \
	  OPTION_TEXT,                                                                                                 \
	  'b',                                                                                                         \
	  NULL },                                                                                                      \
		{ "config",                                                                                            \
		  "FILE",                                                                                              \
		  "the worker's own file: brokers, topics, security",                                                  \
		  offsetof(struct connection, config),                                                                 \
		  OPTION_TEXT,                                                                                         \
		  'c',                                                                                                 \
		  "Credentials for Cognigy are not needed and not read." },                                            \
		{ "property",                                                                                          \
		  "KEY=VALUE",                                                                                         \
		  "any librdkafka property; may be given again",                                                       \
		  offsetof(struct connection, properties),                                                             \
		  OPTION_TEXTS,                                                                                        \
		  'X',                                                                                                 \
		  "For example security.protocol=SASL_SSL. Overrules the file. Others on the machine can see what "    \
		  "stands "                                                                                            \
		  "here: passwords belong into the file." },                                                           \
		{ "json",      NULL, "print JSON, for machines",       offsetof(struct connection, json),              \
		  OPTION_FLAG, '\0', "No bars, no tables, no colours." },                                              \
	{                                                                                                              \
		"help", NULL, "print this", offsetof(struct connection, help), OPTION_FORM, 'h', NULL                  \
	}

/* Reads the settings. 0, or -EINVAL with one sentence in `error`. connection_close() in any case. */
int connection_open(struct connection *connection, struct buf *error) MUST_CHECK;
/* How records are read here: as the worker with these settings reads them. Borrows the connection's names. */
struct request_limits connection_limits(const struct connection *connection);
void connection_close(struct connection *connection);

#endif
