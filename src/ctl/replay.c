/*
 * replay - dead letters once more as requests
 *
 *   the dead letters ─┐                         ┌─ --dry-run: a table, and that is all
 *                     ├─> letters: a fate each ─┤
 *   the requests    ──┘                         └─ the open ones, at --rate, to the topic and partition they came from
 *
 * What stops a loop: a letter is sent once (letters.h), and a handoff --max times in all.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctl/batch.h"
#include "ctl/commands.h"
#include "ctl/connection.h"
#include "ctl/letters.h"
#include "ctl/reading.h"
#include "ctl/sender.h"
#include "rules/history.h"
#include "rules/sent_record.h"
#include "json/write.h"

#define MOST_DEFAULT 3
#define JSON_MAX     ((size_t)1 << 20)

struct replay {
	struct connection connection;
	const char *id;
	const char *reason;
	bool dry_run;
	bool again;
	double rate;
	int64_t most;
	struct letters_filter filter;
	struct letters letters;
	struct kafka_reader *reader; /* of the requests */
	int64_t removed_before_ms;
	struct batch batch;
	struct sender sender;
	struct progress_bar bar;
	struct instant began;
};

static const struct option OPTIONS[] = {
	CONNECTION_OPTIONS,
	{ "reason", "R", "only letters of this reason", offsetof(struct replay, reason), OPTION_TEXT, '\0',
	  "For example upstream.server_error." },
	{ "id", "ID", "only letters of this handoffId", offsetof(struct replay, id), OPTION_TEXT, '\0', NULL },
	{ "dry-run", NULL, "only tell how many letters there are, by reason, and what would be sent",
	  offsetof(struct replay, dry_run), OPTION_FLAG, '\0', NULL },
	{ "rate", "N", "send at most N a second", offsetof(struct replay, rate), OPTION_NUMBER, '\0', NULL },
	{ "max", "N", "replay no handoff more than N times in all (default 3)", offsetof(struct replay, most),
	  OPTION_WHOLE, '\0', NULL },
	{ "again", NULL, "also what was replayed before, or may have been", offsetof(struct replay, again), OPTION_FLAG,
	  '\0', NULL },
};

/* --- reading --- */

static int take_letter(void *arg, const struct record *record)
{
	struct replay *r = arg;
	switch (letters_take(&r->letters, &r->filter, record)) {
	case 0:
		return EXIT_CLEAN;
	case -EFBIG:
		return command_fail(EXIT_FAILED,
				    "the dead letters are too many to be replayed in one go; choose with --reason or "
				    "--id");
	default:
		return command_fail(EXIT_FAILED, "out of memory; choose fewer letters with --reason or --id");
	}
}

static int read_letters(struct replay *r)
{
	const struct kafka_options *options = &r->connection.options;
	struct fault fault = { 0 };
	struct kafka_reader *reader = kafka_reader_new(options, &options->dead_letters, 1, KAFKA_READER_EARLIEST,
						       READING_BROKER_TIMEOUT, &fault);
	if (!reader)
		return command_fail_kafka("", &fault);
	const int code = reading_run(reader, &r->bar, take_letter, r);
	kafka_reader_free(reader);
	return code;
}

/* The first record that a cut partition still has: what is older may be gone. */
static void note_removal(struct replay *r, const struct record *record)
{
	struct kafka_reader_part part;
	for (size_t i = 0; kafka_reader_part(r->reader, i, &part); i++)
		if (part.start > 0 && part.start == record->offset && part.partition == record->partition &&
		    !strcmp(part.topic, record->topic) && record->timestamp_ms > r->removed_before_ms)
			r->removed_before_ms = record->timestamp_ms;
}

static int take_request(void *arg, const struct record *record)
{
	struct replay *r = arg;
	letters_replay(&r->letters, record);
	if (record->offset > 0)
		note_removal(r, record);
	return EXIT_CLEAN;
}

static int read_requests(struct replay *r)
{
	const struct kafka_options *options = &r->connection.options;
	struct kafka_reader_part part;
	struct fault fault = { 0 };
	r->reader = kafka_reader_new(options, options->requests, options->request_count, KAFKA_READER_EARLIEST,
				     READING_BROKER_TIMEOUT, &fault);
	if (!r->reader)
		return command_fail_kafka("", &fault);
	for (size_t i = 0; kafka_reader_part(r->reader, i, &part); i++)
		if (part.start > 0 && part.start == part.end)
			r->removed_before_ms = r->began.unix_ms;
	return reading_run(r->reader, &r->bar, take_request, r);
}

/* --- sending --- */

static bool has_partition(const struct replay *r, const char *topic, int32_t number)
{
	struct kafka_reader_part part;
	for (size_t i = 0; kafka_reader_part(r->reader, i, &part); i++)
		if (part.partition == number && !strcmp(part.topic, topic))
			return true;
	return false;
}

/* The topic that it came from, if that is one of the workers' requests; else the one of lowest priority. */
static const char *topic_of(const struct replay *r, const struct record *letter)
{
	const struct kafka_options *options = &r->connection.options;
	struct origin origin;
	if (origin_read(record_header(letter, HDR_ORIGIN), &origin) == 0)
		for (size_t i = 0; i < options->request_count; i++)
			if (!strcmp(options->requests[i], origin.topic))
				return options->requests[i];
	return options->requests[options->request_count - 1];
}

/* When the `count`-th is sent, and how long it may take from then on. */
static int64_t deadline_of(const struct replay *r, size_t count)
{
	const double pause_ms = r->rate > 0 ? (double)count * 1000.0 / r->rate : 0;
	return r->began.unix_ms + (int64_t)pause_ms + r->connection.settings.retry.max_age_ms;
}

static int plan(struct replay *r)
{
	for (size_t i = 0; i < r->letters.count; i++) {
		const struct letter *letter = &r->letters.items[i];
		if (letter->fate != LETTER_OPEN)
			continue;
		struct record *record =
			sent_replay(letter->record, topic_of(r, letter->record), deadline_of(r, r->batch.count));
		/* A topic that was made anew with fewer partitions than it had. */
		if (record && record->partition >= 0 && !has_partition(r, record->topic, record->partition))
			record->partition = -1;
		if (!batch_add(&r->batch, record))
			return command_fail(EXIT_FAILED, "out of memory; nothing was sent");
	}
	return EXIT_CLEAN;
}

static int send_all(struct replay *r)
{
	struct fault fault = { 0 };
	if (sender_init(&r->sender, &r->connection.options, &r->batch, "the replay", r->rate, &fault) == 0) {
		progress_bar_init(&r->bar, r->connection.json, "replayed");
		if (sender_run(&r->sender, &r->bar, &fault) == 0)
			return EXIT_CLEAN;
	}
	return command_fail(EXIT_FAILED,
			    "%s; %zu of %zu dead letters were replayed; run it again for the rest: none is sent twice",
			    fault.message, r->sender.sent, r->batch.count);
}

/* --- telling --- */

struct counts {
	size_t by_fate[LETTER_FATE_COUNT];
	size_t all;
};

static struct counts count(const struct replay *r, enum reason reason)
{
	struct counts counts = { 0 };
	for (size_t i = 0; i < r->letters.count; i++)
		if (r->letters.items[i].reason == reason) {
			counts.by_fate[r->letters.items[i].fate]++;
			counts.all++;
		}
	return counts;
}

static void print_table(const struct replay *r)
{
	printf("%-26s %9s %9s %9s %9s %9s %9s\n", "REASON", "LETTERS", "TO REPLAY", "REPLAYED", "UNSURE", "TOO OFTEN",
	       "TRUNCATED");
	for (size_t reason = 0; reason <= REASON_COUNT; reason++) {
		const struct counts counts = count(r, (enum reason)reason);
		const char *name = reason < REASON_COUNT ? reason_name((enum reason)reason) : "?";
		if (counts.all == 0)
			continue;
		printf("%-26s %9zu", name, counts.all);
		for (size_t fate = 0; fate < LETTER_FATE_COUNT; fate++)
			printf(" %9zu", counts.by_fate[fate]);
		putchar('\n');
	}
}

static void write_reasons(const struct replay *r, struct buf *json)
{
	write_array_begin(json, "reasons");
	for (size_t reason = 0; reason <= REASON_COUNT; reason++) {
		const struct counts counts = count(r, (enum reason)reason);
		if (counts.all == 0)
			continue;
		write_object_begin(json, NULL);
		write_text(json, "reason", reason < REASON_COUNT ? reason_name((enum reason)reason) : NULL);
		write_int(json, "letters", (int64_t)counts.all);
		for (size_t fate = 0; fate < LETTER_FATE_COUNT; fate++)
			write_int(json, letter_fate_name((enum letter_fate)fate), (int64_t)counts.by_fate[fate]);
		write_object_end(json);
	}
	write_array_end(json);
}

static void print_json(const struct replay *r)
{
	struct buf json;
	buf_init(&json, JSON_MAX);
	write_object_begin(&json, NULL);
	write_bool(&json, "dryRun", r->dry_run);
	write_int(&json, "letters", (int64_t)r->letters.count);
	write_int(&json, "replayed", (int64_t)r->sender.sent);
	write_reasons(r, &json);
	write_int(&json, "elapsedMs", (clock_read().mono - r->began.mono) / USEC_PER_MSEC);
	write_object_end(&json);
	puts(buf_text(&json));
	buf_fini(&json);
}

static void tell(const struct replay *r)
{
	if (r->connection.json) {
		print_json(r);
		return;
	}
	if (r->letters.count > 0)
		print_table(r);
	if (r->dry_run)
		printf("%zu of %zu dead letters would be replayed; nothing was sent\n", r->batch.count,
		       r->letters.count);
	else
		printf("%zu of %zu dead letters replayed\n", r->sender.sent, r->letters.count);
}

/* --- from the settings to the exit code --- */

static int choose(struct replay *r)
{
	r->filter = (struct letters_filter){ .id = r->id, .reason = REASON_COUNT };
	if (!r->reason)
		return EXIT_CLEAN;
	r->filter.reason = reason_by_name(r->reason);
	if (r->filter.reason == REASON_COUNT)
		return command_fail(EXIT_WRONG,
				    "replay: there is no reason \"%.64s\"; handoffctl(1) lists them under REASONS",
				    r->reason);
	if (!reason_is_dead_letter(r->filter.reason))
		return command_fail(EXIT_WRONG,
				    "replay: handoffs that ended as %s have no dead letter, so there is nothing to "
				    "replay; send the requests again with handoffctl submit",
				    r->reason);
	return EXIT_CLEAN;
}

static int look(struct replay *r)
{
	int code = read_letters(r);
	if (code == EXIT_CLEAN && r->id && r->letters.count == 0)
		return command_fail(EXIT_FAILED,
				    "there is no dead letter of \"%.128s\"; handoffctl explain tells what became of it",
				    r->id);
	if (code == EXIT_CLEAN)
		code = read_requests(r);
	if (code != EXIT_CLEAN)
		return code;
	const struct letters_rule rule = { .most = r->most,
					   .again = r->again,
					   .removed_before_ms = r->removed_before_ms };
	letters_judge(&r->letters, &rule);
	return plan(r);
}

static int run(void *self, int words_count, char **words)
{
	struct replay *r = self;
	(void)words_count;
	(void)words;
	r->began = clock_read();
	reading_bar_init(&r->bar, r->connection.json);
	int code = choose(r);
	if (code == EXIT_CLEAN)
		code = look(r);
	if (code == EXIT_CLEAN && !r->dry_run && r->batch.count > 0)
		code = send_all(r);
	if (code == EXIT_CLEAN)
		tell(r);
	return code;
}

static void close_all(void *self)
{
	struct replay *r = self;
	sender_fini(&r->sender);
	batch_fini(&r->batch);
	kafka_reader_free(r->reader);
	letters_fini(&r->letters);
}

const struct command replay_command = {
	.name = "replay",
	.words = "",
	.summary = "send dead letters once more as requests",
	.text = "Sends dead letters back to where their requests came from, with key, value and id as they were, a "
		"count\n"
		"in handoff-replay and a fresh deadline. Each letter once, and no handoff more than --max times.\n\n",
	.options = OPTIONS,
	.option_count = ARRAY_SIZE(OPTIONS),
	.size = sizeof(struct replay),
	.initial = &(const struct replay){ .most = MOST_DEFAULT, .sender = { .wakeup_fd = -1 } },
	.run = run,
	.close = close_all,
};
