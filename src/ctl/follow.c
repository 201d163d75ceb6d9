/* follow - the outcomes as they come, one line each */
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "ctl/body.h"
#include "ctl/commands.h"
#include "ctl/connection.h"
#include "doors/kafka_reader.h"
#include "handoff/contract.h"

#define BROKER_TIMEOUT (10 * USEC_PER_SEC)

struct follow {
	struct connection connection;
	const char *id;
	const char *batch;
	const char *status;
	const char *reason;
	int64_t count;  /* 0: no end */
	double timeout; /* seconds; 0: no end */
	bool from_start;
	struct kafka_reader *reader;
	bool colour;
	int64_t printed;
};

static const struct option OPTIONS[] = {
	CONNECTION_OPTIONS,
	{ "id", "ID", "only the outcomes of this handoffId", offsetof(struct follow, id), OPTION_TEXT, '\0', NULL },
	{ "batch", "ID", "only the outcomes of this batch", offsetof(struct follow, batch), OPTION_TEXT, '\0', NULL },
	{ "status", "S", "only outcomes of this status", offsetof(struct follow, status), OPTION_TEXT, '\0',
	  "One of completed, initiated, failed, expired, cancelled, duplicate and rejected." },
	{ "reason", "R", "only outcomes of this reason", offsetof(struct follow, reason), OPTION_TEXT, '\0',
	  "For example session.locked." },
	{ "count", "N", "end after N outcomes", offsetof(struct follow, count), OPTION_WHOLE, '\0', NULL },
	{ "timeout", "S", "end after S seconds", offsetof(struct follow, timeout), OPTION_NUMBER, '\0',
	  "With --count it is a failure when fewer came." },
	{ "from-start", NULL, "begin with the oldest outcome instead of the next", offsetof(struct follow, from_start),
	  OPTION_FLAG, '\0', NULL },
};

/* --- one outcome --- */

static bool header_is(const struct record *record, const char *name, const char *wanted)
{
	return !wanted || span_is(record_header(record, name), wanted);
}

static bool is_wanted(const struct follow *f, const struct record *record)
{
	return header_is(record, HDR_ID, f->id) && header_is(record, HDR_BATCH, f->batch) &&
	       header_is(record, HDR_STATUS, f->status) && header_is(record, HDR_REASON, f->reason);
}

static void print_member(struct json_object *object, const char *key)
{
	struct json_object *member = body_member(object, key);
	body_print_text(member ? json_object_get_string(member) : NULL, stdout);
}

static const char *tint(const struct follow *f, const struct record *record)
{
	if (!f->colour)
		return "";
	return header_is(record, HDR_STATUS, "completed") || header_is(record, HDR_STATUS, "initiated") ? "\033[32m"
													: "\033[31m";
}

static void print_line(const struct follow *f, const struct record *record, struct json_object *body)
{
	struct json_object *timing = body_member(body, "timing");
	print_member(timing, "finishedAt");
	printf("  %s", tint(f, record));
	print_member(body, "status");
	putchar('/');
	print_member(body, "reason");
	printf("%s  ", f->colour ? "\033[0m" : "");
	print_member(body, "handoffId");
	printf("  ");
	print_member(body, "sessionId");
	printf("  ");
	print_member(timing, "totalMs");
	printf(" ms  attempts ");
	print_member(body, "attempts");
	putchar('\n');
}

/* One line whatever is in it: a line end between two tokens means as much as a blank. */
static void print_json(const struct record *record)
{
	for (size_t i = 0; i < record->value.n; i++)
		putchar(record->value.p[i] == '\n' ? ' ' : record->value.p[i]);
	putchar('\n');
}

static void print_outcome(struct follow *f, const struct record *record)
{
	if (!is_wanted(f, record))
		return;
	struct json_object *body = body_parse(record);
	if (!json_object_is_type(body, json_type_object))
		fprintf(stderr, "handoffctl: %s/%d/%lld is no outcome: its value is no JSON object\n", record->topic,
			(int)record->partition, (long long)record->offset);
	else if (f->connection.json)
		print_json(record);
	else
		print_line(f, record, body);
	f->printed += json_object_is_type(body, json_type_object);
	json_object_put(body);
	fflush(stdout);
}

/* --- all of them --- */

static int judge(const struct follow *f)
{
	if (f->count > f->printed)
		return command_fail(EXIT_FAILED,
				    "%lld of %lld outcomes came in %g s; a longer --timeout waits for the others",
				    (long long)f->printed, (long long)f->count, f->timeout);
	return EXIT_CLEAN;
}

static int read_on(struct follow *f)
{
	struct fault fault = { 0 };
	const usec_t began = clock_read().mono;
	const usec_t deadline = f->timeout > 0 ? began + (usec_t)(f->timeout * (double)USEC_PER_SEC) : USEC_NEVER;
	for (usec_t now = began; now < deadline && !(f->count > 0 && f->printed >= f->count); now = clock_read().mono) {
		struct record *record = NULL;
		const usec_t left = deadline - now;
		const int r = kafka_reader_next(f->reader, left < USEC_PER_SEC ? left : USEC_PER_SEC, &record, &fault);
		if (r < 0)
			return command_fail_kafka("the outcomes cannot be read on: ", &fault);
		if (r > 0)
			print_outcome(f, record);
		record_free(record);
		if (ferror(stdout))
			return EXIT_FAILED;
	}
	return judge(f);
}

static int open_reader(struct follow *f)
{
	const struct kafka_options *options = &f->connection.options;
	struct fault fault = { 0 };
	f->reader =
		kafka_reader_new(options, &options->outcomes, 1,
				 f->from_start ? KAFKA_READER_EARLIEST : KAFKA_READER_LATEST, BROKER_TIMEOUT, &fault);
	return f->reader ? EXIT_CLEAN : command_fail_kafka("", &fault);
}

static int run(void *self, int count, char **words)
{
	struct follow *f = self;
	(void)count;
	(void)words;
	if (f->status && status_by_name(f->status) == STATUS_COUNT)
		return command_fail(EXIT_WRONG,
				    "follow: there is no status \"%.64s\"; handoffctl(1) lists them under --status",
				    f->status);
	if (f->reason && reason_by_name(f->reason) == REASON_COUNT)
		return command_fail(EXIT_WRONG,
				    "follow: there is no reason \"%.64s\"; handoffctl(1) lists them under REASONS",
				    f->reason);
	f->colour = command_has_colours();
	const int code = open_reader(f);
	return code == EXIT_CLEAN ? read_on(f) : code;
}

static void close_all(void *self)
{
	struct follow *f = self;
	kafka_reader_free(f->reader);
}

const struct command follow_command = {
	.name = "follow",
	.words = "",
	.summary = "print the outcomes as they come",
	.text = "Prints each outcome as it comes, until it is interrupted: time, status/reason, handoffId, sessionId,\n"
		"milliseconds from request to end, attempts.\n\n",
	.options = OPTIONS,
	.option_count = ARRAY_SIZE(OPTIONS),
	.size = sizeof(struct follow),
	.initial = &(const struct follow){ .count = 0 },
	.run = run,
	.close = close_all,
};
