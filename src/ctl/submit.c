/* submit - a file of requests into their topic, and, if asked for, what became of them */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "ctl/batch.h"
#include "ctl/commands.h"
#include "ctl/connection.h"
#include "ctl/input.h"
#include "ctl/progress.h"
#include "ctl/sender.h"
#include "ctl/tally.h"
#include "ctl/topic_check.h"
#include "doors/kafka_reader.h"
#include "doors/settings_form.h"
#include "json/write.h"

#define BROKER_TIMEOUT (10 * USEC_PER_SEC)
#define OUTCOME_WAIT   (USEC_PER_SEC / 50) /* how long a look for outcomes may hold up the sending */
#define FOLLOW_SECONDS 900

struct submit {
	struct connection connection;
	const char *topic;
	const char *batch_id;
	bool csv;
	bool follow;
	bool dry_run;
	double rate;
	double timeout; /* seconds */
	char random_id[37];
	const char *file;
	struct batch batch;
	struct sender sender;
	struct tally tally;
	struct kafka_reader *reader; /* with --follow */
	struct progress_bar bar;
	usec_t began;
};

static const struct option OPTIONS[] = {
	CONNECTION_OPTIONS,
	{ "topic", "TOPIC", "where to (default: the last of kafka.requests)", offsetof(struct submit, topic),
	  OPTION_TEXT, 't',
	  "The last of kafka.requests is the one of lowest priority, so a batch does not go before live calls." },
	{ "csv", NULL, "the file is CSV with a header line, not NDJSON", offsetof(struct submit, csv), OPTION_FLAG,
	  '\0',
	  "As RFC 4180 has it. Its columns are fields of the request (sessionId, queueId, userId, urlToken, handoffId, "
	  "tenant, priority, deadline, ttlMs, batchId, type), target.type (queue, sip or tel) and target.value for "
	  "where the "
	  "caller is to go, and metadata.NAME for its metadata; an empty cell is an absent field." },
	{ "batch", "ID", "handoffId ID-LINE and batchId ID where a line has none (default: a random one)",
	  offsetof(struct submit, batch_id), OPTION_TEXT, '\0',
	  "When the same file is sent again with the same ID, no caller is handed over twice: what was sent before "
	  "ends "
	  "as request.duplicate, which --follow counts as clean. The random one is printed." },
	{ "rate", "N", "send at most N a second", offsetof(struct submit, rate), OPTION_NUMBER, '\0', NULL },
	{ "follow", NULL, "wait for the outcomes, end with a table", offsetof(struct submit, follow), OPTION_FLAG, '\0',
	  "Shows the progress on stderr and ends with tables on stdout: by status and reason, the slowest, and what "
	  "failed. Outcomes are listened for from before the first request is sent." },
	{ "timeout", "S", "with --follow: wait S seconds after the last was sent (default 900)",
	  offsetof(struct submit, timeout), OPTION_NUMBER, '\0', NULL },
	{ "dry-run", NULL, "only print what would be sent, a line each", offsetof(struct submit, dry_run), OPTION_FLAG,
	  '\0', "Asks no broker." },
};

/* --- the file --- */

static int read_batch(struct submit *s, const struct buf *text)
{
	struct buf complaints;
	buf_init(&complaints, (size_t)1 << 20);
	const struct batch_source source = { .file = strcmp(s->file, "-") ? s->file : "stdin",
					     .text = buf_span(text),
					     .csv = s->csv,
					     .topic = s->topic,
					     .batch_id = s->batch_id,
					     .settings = &s->connection.settings,
					     .limits = connection_limits(&s->connection),
					     .knows_tenants = s->connection.config != NULL };
	const int r = batch_read(&s->batch, &source, &complaints);
	int code = EXIT_CLEAN;
	if (r == -EINVAL) {
		fputs(buf_text(&complaints), stderr);
		code = command_fail(EXIT_WRONG,
				    "nothing was sent: %zu of %zu lines are not valid; mend them and run it again",
				    s->batch.refused, s->batch.refused + s->batch.count);
	} else if (r < 0) {
		code = command_fail(EXIT_FAILED, "out of memory; nothing was sent");
	}
	buf_fini(&complaints);
	return code;
}

static int read_file(struct submit *s)
{
	struct buf text;
	struct fault fault = { 0 };
	buf_init(&text, INPUT_MAX_BYTES);
	int code = EXIT_CLEAN;
	if (input_read(s->file, &text, &fault) < 0)
		code = command_fail(EXIT_WRONG, "%s", fault.message);
	else
		code = read_batch(s, &text);
	buf_fini(&text);
	return code;
}

static int print_batch(const struct submit *s)
{
	for (size_t i = 0; i < s->batch.count; i++) {
		const struct span value = s->batch.items[i].record->value;
		fwrite(value.p, 1, value.n, stdout);
		putchar('\n');
	}
	return EXIT_CLEAN;
}

/* --- sending and following --- */

static void show(struct submit *s, usec_t now)
{
	progress_bar_show(&s->bar, now, s->batch.count, s->sender.sent, s->tally.awaited, s->tally.seen);
}

static void end_bar(struct submit *s)
{
	progress_bar_end(&s->bar, s->batch.count, s->sender.sent, s->tally.awaited, s->tally.seen);
}

/* Reads outcomes until `until`, or until all are there. 0 or -EPIPE. */
static int take_outcomes(struct submit *s, usec_t until, struct fault *fault)
{
	usec_t now = clock_read().mono;
	do {
		struct record *record = NULL;
		const usec_t left = until > now ? until - now : 0;
		const int r = kafka_reader_next(s->reader, left, &record, fault);
		if (r < 0)
			return r;
		if (r > 0)
			tally_take(&s->tally, record);
		record_free(record);
		now = clock_read().mono;
	} while (now < until && s->tally.seen < s->tally.awaited);
	return 0;
}

static int send_all(struct submit *s)
{
	struct fault fault = { 0 };
	for (;;) {
		const usec_t now = clock_read().mono;
		int r = sender_turn(&s->sender, now, &fault);
		if (r > 0)
			return EXIT_CLEAN;
		show(s, now);
		if (r == 0 && s->reader)
			r = take_outcomes(s, now + OUTCOME_WAIT, &fault);
		else if (r == 0)
			sender_wait(&s->sender, USEC_PER_SEC / 10);
		if (r < 0) {
			end_bar(s);
			return command_fail(EXIT_FAILED,
					    "%s; %zu of %zu requests were acknowledged; to send the rest, run it again "
					    "with --batch %s: none is handed over twice",
					    fault.message, s->sender.sent, s->batch.count, s->batch_id);
		}
	}
}

static int follow(struct submit *s)
{
	struct fault fault = { 0 };
	const usec_t deadline = clock_read().mono + (usec_t)(s->timeout * (double)USEC_PER_SEC);
	for (usec_t now = clock_read().mono; s->tally.seen < s->tally.awaited && now < deadline;
	     now = clock_read().mono) {
		const usec_t turn = now + USEC_PER_SEC / 10;
		show(s, now);
		if (take_outcomes(s, turn < deadline ? turn : deadline, &fault) < 0) {
			end_bar(s);
			return command_fail_kafka("the outcomes cannot be read on: ", &fault);
		}
	}
	return EXIT_CLEAN;
}

/* --- the result --- */

static void print_json(const struct submit *s)
{
	struct buf json;
	buf_init(&json, (size_t)1 << 20);
	write_object_begin(&json, NULL);
	write_text(&json, "batchId", s->batch_id);
	write_text(&json, "topic", s->topic);
	write_int(&json, "submitted", (int64_t)s->sender.sent);
	if (s->follow)
		tally_write(&s->tally, &json);
	write_int(&json, "elapsedMs", (clock_read().mono - s->began) / USEC_PER_MSEC);
	write_object_end(&json);
	puts(buf_text(&json));
	buf_fini(&json);
}

static void print_result(const struct submit *s)
{
	const double seconds = (double)(clock_read().mono - s->began) / USEC_PER_SEC;
	if (s->connection.json) {
		print_json(s);
		return;
	}
	if (s->follow)
		tally_print(&s->tally, command_has_colours(), stdout);
	printf("%zu requests submitted to %s as batch %s in %.1f s\n", s->sender.sent, s->topic, s->batch_id, seconds);
}

static int judge(const struct submit *s)
{
	const size_t missing = s->tally.awaited - s->tally.seen;
	if (missing > 0)
		return command_fail(
			EXIT_FAILED,
			"%zu of %zu requests had no outcome %g s after the last was sent; handoffctl verify "
			"tells whether workers are at it, explain ID where one is",
			missing, s->tally.awaited, s->timeout);
	return tally_is_clean(&s->tally) ? EXIT_CLEAN : EXIT_UNCLEAN;
}

static int open_kafka(struct submit *s)
{
	struct kafka_options *options = &s->connection.options;
	struct fault fault = { 0 };
	options->requests = &s->topic;
	options->request_count = 1;
	if (topic_check(options, s->follow, BROKER_TIMEOUT, &fault) < 0)
		return command_fail_kafka("", &fault);
	if (s->follow) {
		if (tally_init(&s->tally, &s->batch) < 0)
			return command_fail(EXIT_FAILED, "out of memory");
		/* Before the first request is sent: no outcome can come earlier. */
		s->reader =
			kafka_reader_new(options, &options->outcomes, 1, KAFKA_READER_LATEST, BROKER_TIMEOUT, &fault);
		if (!s->reader)
			return command_fail_kafka("", &fault);
	}
	if (sender_init(&s->sender, options, &s->batch, "the request of line", s->rate, &fault) < 0)
		return command_fail_kafka("", &fault);
	return EXIT_CLEAN;
}

static int send_and_follow(struct submit *s)
{
	int code = open_kafka(s);
	progress_bar_init(&s->bar, s->connection.json, "sent");
	if (code == EXIT_CLEAN)
		code = send_all(s);
	if (code == EXIT_CLEAN && s->follow)
		code = follow(s);
	if (code != EXIT_CLEAN)
		return code;
	end_bar(s);
	print_result(s);
	return s->follow ? judge(s) : EXIT_CLEAN;
}

/* --- from the command line to the exit code --- */

static int prepare(struct submit *s)
{
	const struct settings_list *topics = &s->connection.settings.kafka.requests;
	if (!s->topic)
		s->topic = topics->items[topics->count - 1];
	if (!s->batch_id) {
		text_uuid4(s->random_id);
		s->batch_id = s->random_id;
	}
	struct fault why = { 0 };
	if (form_topic(s->topic, &why) < 0)
		return command_fail(EXIT_WRONG, "--topic %s", why.message);
	/* "-LINE" must fit into the 128 bytes of a handoffId. */
	if (strlen(s->batch_id) > 112 || !text_is_printable_ascii(span_of(s->batch_id)) || strpbrk(s->batch_id, "\"\\"))
		return command_fail(EXIT_WRONG,
				    "--batch takes at most 112 printable ASCII characters, no \" and no \\");
	return EXIT_CLEAN;
}

static int run(void *self, int count, char **words)
{
	struct submit *s = self;
	s->began = clock_read().mono;
	s->file = count == 1 ? words[0] : "-";
	int code = prepare(s);
	if (code == EXIT_CLEAN)
		code = read_file(s);
	if (code != EXIT_CLEAN || s->dry_run)
		return code != EXIT_CLEAN ? code : print_batch(s);
	if (s->batch.count > 0)
		return send_and_follow(s);
	print_result(s);
	return EXIT_CLEAN;
}

static void close_all(void *self)
{
	struct submit *s = self;
	sender_fini(&s->sender);
	kafka_reader_free(s->reader);
	tally_fini(&s->tally);
	batch_fini(&s->batch);
}

const struct command submit_command = {
	.name = "submit",
	.words = " [FILE | -]",
	.summary = "send the requests of a file; with --follow wait for their outcomes",
	.text = "Sends each line of FILE, a JSON request, to the topic of the requests. Every line is checked before "
		"any is\n"
		"sent. Without FILE, or with -, the lines are read from standard input.\n\n",
	.options = OPTIONS,
	.option_count = ARRAY_SIZE(OPTIONS),
	.size = sizeof(struct submit),
	.initial = &(const struct submit){ .timeout = FOLLOW_SECONDS, .sender = { .wakeup_fd = -1 } },
	.words_max = 1,
	.word = "file",
	.run = run,
	.close = close_all,
};
