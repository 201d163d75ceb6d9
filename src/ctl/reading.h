/*
 * reading - read topics up to the ends they had when the reader was made, and show how far it is
 *
 * Blocking. Reading that stands still for a minute, because brokers are silent or a transaction stays open, is given
 * up with a sentence that says where.
 */
#ifndef HANDOFF_READING_H
#define HANDOFF_READING_H

#include <stdbool.h>

#include "ctl/progress.h"
#include "doors/kafka_reader.h"
#include "handoff/macros.h"
#include "handoff/record.h"

/* How long the brokers may take to answer a first question. */
#define READING_BROKER_TIMEOUT (10 * USEC_PER_SEC)

/* An exit code: EXIT_CLEAN goes on; else that is the end, and it has said why. The record lives for the call. */
typedef int reading_take(void *arg, const struct record *record);

/* A bar for a terminal; nothing elsewhere: who asks for a result does not want to hear how it was read. */
void reading_bar_init(struct progress_bar *bar, bool json);

/* EXIT_CLEAN, or the exit code of what went wrong, which was said. */
int reading_run(struct kafka_reader *reader, struct progress_bar *bar, reading_take *take, void *arg) MUST_CHECK;

#endif
