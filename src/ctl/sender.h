/*
 * sender - write a batch to its topic, as fast as it may, and know what was acknowledged
 *
 *   due by --rate ──> a slice of the batch ──> kafka_producer ──> all of it acknowledged ──> the next slice
 *
 * Nothing here waits: sender_turn() is called again and again, sender_wait() says when. One thread.
 */
#ifndef HANDOFF_SENDER_H
#define HANDOFF_SENDER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"
#include "base/fault.h"
#include "ctl/batch.h"
#include "ctl/progress.h"
#include "doors/kafka_options.h"
#include "doors/kafka_producer.h"
#include "handoff/macros.h"

struct sender {
	const struct batch *batch;
	const char *what; /* a record is, in a sentence that ends with its line: "the request of line" */
	struct kafka_producer *producer;
	struct kafka_batch_record *records; /* one for each item */
	struct kafka_batch slice;           /* with the producer while `busy` */
	bool busy;
	size_t sent;    /* acknowledged */
	double rate;    /* records a second; 0: as fast as it goes */
	usec_t started; /* 0: not yet */
	usec_t moved;   /* when something was acknowledged last, or it began */
	usec_t again;   /* a refused slice rests until then */
	int wakeup_fd;
};

/* `options`, `batch` and `what` are borrowed. 0, or -errno with one sentence in `fault`; sender_fini() in any case. */
int sender_init(struct sender *sender, const struct kafka_options *options, const struct batch *batch, const char *what,
		double rate, struct fault *fault) MUST_CHECK;
void sender_fini(struct sender *sender);

/* 1 when everything is acknowledged; 0 while it goes on; -EIO with the sentence in `fault` when it cannot: a record is
 * too large for the topic, or nothing was acknowledged for a minute. */
int sender_turn(struct sender *sender, usec_t now, struct fault *fault) MUST_CHECK;
/* Waits for an answer, or until a new slice is due; at most `most`. */
void sender_wait(struct sender *sender, usec_t most);

/* All of it, with a bar: 0 when everything is acknowledged, or as sender_turn(). */
int sender_run(struct sender *sender, struct progress_bar *bar, struct fault *fault) MUST_CHECK;

#endif
