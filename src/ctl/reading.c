#include "ctl/reading.h"

#include <unistd.h>

#include "base/clock.h"
#include "ctl/commands.h"

/* A frozen worker's transaction stands in the way until transaction.timeout.ms (20 s) has passed. */
#define STILL_TIMEOUT (60 * USEC_PER_SEC)
#define SHOW_EVERY    256 /* records */

/* Offsets between the topics' starts and ends: all of them, and those behind us. */
static void measure(const struct kafka_reader *reader, size_t *ret_all, size_t *ret_read)
{
	struct kafka_reader_part part;
	*ret_all = *ret_read = 0;
	for (size_t i = 0; kafka_reader_part(reader, i, &part); i++) {
		*ret_all += (size_t)(part.end - part.start);
		*ret_read += (size_t)(part.at - part.start);
	}
}

static int complain_of_standstill(const struct kafka_reader *reader)
{
	struct kafka_reader_part part;
	for (size_t i = 0; kafka_reader_part(reader, i, &part); i++)
		if (part.at < part.end)
			return command_fail(EXIT_FAILED,
					    "%s/%d cannot be read beyond offset %lld (its end is %lld): the brokers do "
					    "not answer, or a transaction stays open; see whether they are up, and try "
					    "again in a minute",
					    part.topic, (int)part.partition, (long long)part.at, (long long)part.end);
	return EXIT_FAILED;
}

void reading_bar_init(struct progress_bar *bar, bool json)
{
	progress_bar_init(bar, json || !isatty(STDERR_FILENO), "offsets read");
}

int reading_run(struct kafka_reader *reader, struct progress_bar *bar, reading_take *take, void *arg)
{
	struct fault fault = { 0 };
	size_t all, read, before = 0;
	int code = EXIT_CLEAN;
	usec_t moved = clock_read().mono;
	for (size_t n = 0; code == EXIT_CLEAN && !kafka_reader_caught_up(reader); n++) {
		struct record *record = NULL;
		const int r = kafka_reader_next(reader, USEC_PER_SEC / 5, &record, &fault);
		if (r < 0)
			return command_fail_kafka("the topics cannot be read on: ", &fault);
		if (r > 0)
			code = take(arg, record);
		record_free(record);
		if (r > 0 && n % SHOW_EVERY > 0)
			continue;
		const usec_t now = clock_read().mono;
		measure(reader, &all, &read);
		progress_bar_show(bar, now, all, read, 0, 0);
		moved = read > before ? now : moved;
		before = read;
		if (now - moved > STILL_TIMEOUT)
			code = complain_of_standstill(reader);
	}
	measure(reader, &all, &read);
	progress_bar_end(bar, all, read, 0, 0);
	return code;
}
