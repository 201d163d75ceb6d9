/*
 * check - would a worker with these settings work here, now? (handoffd --check)
 *
 * Tries everything live and prints a line each to stdout, as it goes: `ok`, `warn` (it works, but look at it) or `FAIL`
 * (it will not work), what was looked at, what was found, and what to do next. Nothing is changed anywhere, and a
 * worker that runs is not disturbed (doors/kafka_trial.h). Every question has its time, so that it ends within a minute
 * and a half whoever is silent. No secret in any line. Blocking, one thread.
 *
 *   check.c          the order of things: brokers, then what they know, then the tenants
 *   check_kafka.c    topics and rights
 *   check_cognigy.c  all tenants at once; what is said of each
 *   check_trial.c    a tenant: login, first call, endpoint
 */
#ifndef HANDOFF_CHECK_H
#define HANDOFF_CHECK_H

#include <stdbool.h>

#include "doors/kafka_options.h"
#include "doors/settings.h"
#include "handoff/macros.h"

enum check_mark { CHECK_OK, CHECK_WARN, CHECK_FAIL };

struct check {
	const struct settings *settings;
	bool failed; /* a line said FAIL */
};

/* The exit code: 0, or 1 when a line said FAIL or could not be written. */
int check_run(const struct settings *settings);

/* One line: "MARK  SUBJECT NAME: SENTENCE"; `name` may be empty. */
void check_say(struct check *check, enum check_mark mark, const char *subject, const char *name, const char *format,
	       ...) PRINTF_LIKE(5, 6);

void check_kafka(struct check *check, const struct kafka_options *options);
void check_cognigy(struct check *check);

#endif
