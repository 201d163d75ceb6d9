#include "ctl/sender.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doors/loop.h"

#define SLICE_MAX     ((size_t)2000)
#define SILENCE_LIMIT (60 * USEC_PER_SEC)
#define REST          (USEC_PER_SEC / 2)
#define RATE_PERIOD   (USEC_PER_SEC / 20) /* under a rate, a slice each */

int sender_init(struct sender *sender, const struct kafka_options *options, const struct batch *batch, const char *what,
		double rate, struct fault *fault)
{
	*sender = (struct sender){ .batch = batch, .what = what, .rate = rate, .wakeup_fd = loop_wakeup_new() };
	if (sender->wakeup_fd < 0)
		return fault_set(fault, sender->wakeup_fd, FAULT_OURS, "eventfd: %s", strerror(-sender->wakeup_fd));
	sender->records = calloc(batch->count + 1, sizeof(*sender->records));
	if (!sender->records)
		return fault_set(fault, -ENOMEM, FAULT_OURS, "out of memory");
	for (size_t i = 0; i < batch->count; i++)
		sender->records[i].record = batch->items[i].record;
	sender->producer = kafka_producer_new(options, NULL, sender->wakeup_fd, fault);
	return sender->producer ? 0 : -EIO;
}

void sender_fini(struct sender *sender)
{
	if (sender->producer)
		kafka_producer_free(sender->producer);
	if (sender->wakeup_fd >= 0)
		close(sender->wakeup_fd);
	free(sender->records);
	*sender = (struct sender){ .wakeup_fd = -1 };
}

static int check_sizes(const struct sender *sender, struct fault *fault)
{
	for (size_t i = 0; i < sender->slice.record_count; i++)
		if (sender->slice.records[i].too_large)
			return fault_set(fault, -EIO, FAULT_PERMANENT,
					 "%s %zu is larger than the topic accepts (max.message.bytes)", sender->what,
					 sender->batch->items[sender->sent + i].line);
	return 0;
}

static int take_answer(struct sender *sender, usec_t now, struct fault *fault)
{
	struct kafka_answer answer;
	if (!kafka_producer_answer(sender->producer, &answer))
		return 0;
	sender->busy = false;
	if (answer.verdict == KAFKA_COMMITTED) {
		sender->sent += sender->slice.record_count;
		sender->slice.record_count = 0;
		sender->moved = now;
		return 0;
	}
	sender->again = now + REST;
	return check_sizes(sender, fault);
}

/* Nothing acknowledged for too long: with the reason, if one was heard. */
static int check_silence(struct sender *sender, usec_t now, struct fault *fault)
{
	struct fault heard = { 0 };
	if (!(sender->busy || sender->slice.record_count > 0) || now - sender->moved < SILENCE_LIMIT)
		return 0;
	kafka_producer_trouble(sender->producer, &heard);
	return fault_set(fault, -EIO, FAULT_DEPENDENCY_DOWN, "nothing was acknowledged for 60 s%s%.160s",
			 *heard.message ? ": " : "", heard.message);
}

/* How many records may be sent by now, in all. */
static size_t due(const struct sender *sender, usec_t now)
{
	const double most = (double)sender->batch->count;
	const double by_now =
		sender->rate > 0 ? 1 + (double)(now - sender->started) / USEC_PER_SEC * sender->rate : most;
	return by_now < most ? (size_t)by_now : sender->batch->count;
}

static int submit(struct sender *sender, usec_t now, struct fault *fault)
{
	if (now < sender->again)
		return 0;
	if (sender->slice.record_count == 0) {
		const size_t ready = due(sender, now) - sender->sent;
		sender->slice.records = sender->records + sender->sent;
		sender->slice.record_count = ready < SLICE_MAX ? ready : SLICE_MAX;
		sender->moved = now;
	}
	if (sender->slice.record_count == 0)
		return 0;
	if (kafka_producer_submit(sender->producer, &sender->slice) < 0)
		return fault_set(fault, -EIO, FAULT_OURS, "the producer takes no batch");
	sender->busy = true;
	return 0;
}

int sender_turn(struct sender *sender, usec_t now, struct fault *fault)
{
	if (sender->started == 0)
		sender->started = sender->moved = now;
	int r = sender->busy ? take_answer(sender, now, fault) : 0;
	if (r == 0)
		r = check_silence(sender, now, fault);
	if (r == 0 && !sender->busy && sender->sent < sender->batch->count)
		r = submit(sender, now, fault);
	if (r < 0)
		return r;
	return sender->sent == sender->batch->count;
}

void sender_wait(struct sender *sender, usec_t most)
{
	const usec_t wait = !sender->busy && most > RATE_PERIOD ? RATE_PERIOD : most;
	struct pollfd fd = { .fd = sender->wakeup_fd, .events = POLLIN };
	if (poll(&fd, 1, (int)((wait + USEC_PER_MSEC - 1) / USEC_PER_MSEC)) > 0)
		loop_wakeup_clear(sender->wakeup_fd);
}

int sender_run(struct sender *sender, struct progress_bar *bar, struct fault *fault)
{
	int r = 0;
	while (r == 0) {
		const usec_t now = clock_read().mono;
		r = sender_turn(sender, now, fault);
		progress_bar_show(bar, now, sender->batch->count, sender->sent, 0, 0);
		if (r == 0)
			sender_wait(sender, USEC_PER_SEC / 10);
	}
	progress_bar_end(bar, sender->batch->count, sender->sent, 0, 0);
	return r < 0 ? r : 0;
}
