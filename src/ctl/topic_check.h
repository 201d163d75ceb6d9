/* topic_check - do the brokers answer, and do they know the topics that this command needs? */
#ifndef HANDOFF_TOPIC_CHECK_H
#define HANDOFF_TOPIC_CHECK_H

#include <stdbool.h>

#include "base/clock.h"
#include "base/fault.h"
#include "doors/kafka_options.h"
#include "handoff/macros.h"

/* Asks for the request topics of `options`, and for the outcomes if told to. 0, or -EIO with one sentence in `fault`
 * after at most `timeout` (and what ending a client takes). */
int topic_check(const struct kafka_options *options, bool outcomes, usec_t timeout, struct fault *fault) MUST_CHECK;

#endif
