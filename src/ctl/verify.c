/*
 * verify - has every request its one outcome?
 *
 * The group, the requests, the retries and the outcomes cannot be read at one moment, and workers go on meanwhile. So
 * that nobody is called lost or doubled only because we looked at different moments:
 *
 *   1. The group's offsets and done maps come first, as no open transaction can change them any more.
 *   2. Then the end of every topic is asked for, and every topic is read up to there.
 *
 * What the group says is done at (1) has left its outcome or its retry in a topic before that: with the offset in one
 * transaction (exactly-once), or acknowledged before it (at-least-once). So that record lies below the ends of (2). It
 * may not be readable yet: a transaction's end reaches the partitions one by one, the group's perhaps before the
 * outcomes'. Hence the ends of (2) are where the partitions really end, not where read_committed stands at the moment,
 * and reading waits until every transaction below them has ended. From there on:
 *
 *   lost        done at (1), yet the topics up to (2) hold neither an outcome nor a retry that was open at (1):
 *               nothing that happens later can repair it
 *   doubled     both outcomes are committed: no matter when
 *   pending     not done at (1). Whatever the workers have done since can only be more: an outcome makes it done, a
 *               newer retry lies above all that was done at (1), so it is pending still
 *   not judged  requests above the ends of (2), and outcomes of such: for the next run
 *
 * The order in which the topics are read makes no difference, nor does the moment at which the one or the other
 * partition's offset was taken: every step of a record is written before the one before it counts as done. What is
 * overdue is measured at (1), however long reading takes. Where retention removes outcomes meanwhile, the topic's start
 * is asked for last.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "ctl/commands.h"
#include "ctl/connection.h"
#include "ctl/evidence.h"
#include "ctl/findings.h"
#include "ctl/monitor.h"
#include "ctl/progress.h"
#include "ctl/reading.h"
#include "doors/kafka_group.h"
#include "doors/kafka_reader.h"
#include "json/write.h"

#define BROKER_TIMEOUT (10 * USEC_PER_SEC)
/* A frozen worker's transaction stands in the way until transaction.timeout.ms (20 s) has passed. */
#define STILL_TIMEOUT (60 * USEC_PER_SEC)
#define ID_TIMEOUT    (3 * USEC_PER_SEC)
#define WAIT_SECONDS  5
#define EVERY_SECONDS 60
#define LISTEN_AT     "127.0.0.1:9465"
#define JSON_MAX      ((size_t)1 << 20)

struct verify {
	struct connection connection;
	const char *group;
	bool wait;
	bool watch;
	double every; /* seconds */
	const char *listen;
	struct monitor *monitor;
	const char **topics; /* requests, the retry topic, outcomes */
	size_t topic_count;
	struct kafka_group *offsets;
	struct kafka_reader *reader;
	struct instant asked; /* when the group was */
	struct evidence evidence;
	struct findings findings;
	struct progress_bar bar;
};

static const struct option OPTIONS[] = {
	CONNECTION_OPTIONS,
	{ "group", "GROUP", "the workers' consumer group (default: kafka.group)", offsetof(struct verify, group),
	  OPTION_TEXT, 'g', NULL },
	{ "wait", NULL, "look again every 5 s until nothing is pending, or something is lost or doubled",
	  offsetof(struct verify, wait), OPTION_FLAG, '\0', "Prints a line in between." },
	{ "watch", NULL, "look again and again until SIGTERM, and show what was found as metrics",
	  offsetof(struct verify, watch), OPTION_FLAG, '\0',
	  "Prints a line for each look, and names what is newly broken. Brokers that do not answer are waited for." },
	{ "every", "S", "with --watch: begin a look every S seconds (default 60)", offsetof(struct verify, every),
	  OPTION_NUMBER, '\0', "Each look reads the topics from their beginning." },
	{ "listen", "HOST:PORT", "with --watch: where /metrics and /healthz are (default 127.0.0.1:9465)",
	  offsetof(struct verify, listen), OPTION_TEXT, '\0', "Port 0 takes a free one, which is told on stderr." },
};

/* --- looking: the group first, then the topics --- */

static int list_topics(struct verify *v)
{
	const struct kafka_options *options = &v->connection.options;
	v->topics = calloc(options->request_count + 2, sizeof(*v->topics));
	if (!v->topics)
		return command_fail(EXIT_FAILED, "out of memory");
	for (size_t i = 0; i < options->request_count; i++)
		v->topics[v->topic_count++] = options->requests[i];
	v->topics[v->topic_count++] = options->retry;
	v->topics[v->topic_count++] = options->outcomes;
	return EXIT_CLEAN;
}

static int look(struct verify *v)
{
	const struct kafka_options *options = &v->connection.options;
	struct fault fault = { 0 };
	int code = list_topics(v);
	if (code != EXIT_CLEAN)
		return code;
	v->asked = clock_read();
	v->offsets = kafka_group_new(options, v->group, v->topics, v->topic_count - 1, BROKER_TIMEOUT, STILL_TIMEOUT,
				     &fault);
	if (v->offsets)
		v->reader = kafka_reader_new(options, v->topics, v->topic_count, KAFKA_READER_WRITTEN, BROKER_TIMEOUT,
					     &fault);
	return v->reader ? EXIT_CLEAN : command_fail_kafka("", &fault);
}

static enum evidence_kind kind_of(const struct verify *v, const char *topic)
{
	const struct kafka_options *options = &v->connection.options;
	if (!strcmp(topic, options->outcomes))
		return EVIDENCE_OUTCOMES;
	return strcmp(topic, options->retry) ? EVIDENCE_REQUESTS : EVIDENCE_RETRIES;
}

static int open_evidence(struct verify *v)
{
	const struct request_limits limits = connection_limits(&v->connection);
	struct kafka_reader_part part;
	evidence_init(&v->evidence, &limits);
	for (size_t i = 0; kafka_reader_part(v->reader, i, &part); i++) {
		const struct kafka_group_offset committed = kafka_group_offset(v->offsets, part.topic, part.partition);
		if (evidence_add_part(&v->evidence, kind_of(v, part.topic), &part, &committed) < 0)
			return command_fail(EXIT_FAILED, "out of memory: %s/%d holds %lld records", part.topic,
					    (int)part.partition, (long long)(part.end - part.start));
	}
	return EXIT_CLEAN;
}

/* --- reading --- */

static int take(void *arg, const struct record *record)
{
	struct verify *v = arg;
	const int r = evidence_take(&v->evidence, record, v->asked.unix_ms);
	if (r == -ENOMEM)
		command_fail(EXIT_FAILED, "out of memory");
	else if (r < 0)
		command_fail(EXIT_FAILED, "%s/%d holds more retries than can be told apart", record->topic,
			     (int)record->partition);
	return r < 0 ? EXIT_FAILED : EXIT_CLEAN;
}

static int find_removed(struct verify *v)
{
	struct fault fault = { 0 };
	for (size_t i = 0; i < v->evidence.count; i++) {
		const struct evidence_part *part = &v->evidence.parts[i];
		int64_t low = 0;
		if (part->kind != EVIDENCE_OUTCOMES)
			continue;
		if (kafka_reader_low(v->reader, i, BROKER_TIMEOUT, &low, &fault) < 0)
			return command_fail_kafka("", &fault);
		if (low > 0)
			evidence_outcomes_removed(&v->evidence, part, v->asked.unix_ms / 1000);
	}
	return EXIT_CLEAN;
}

/* --- judging and telling --- */

static void judge(struct verify *v)
{
	for (size_t i = 0; i < v->evidence.count; i++) {
		const struct evidence_part *part = &v->evidence.parts[i];
		for (int64_t offset = part->start; part->entries && offset < part->end; offset++) {
			const enum verdict verdict =
				evidence_judge(&v->evidence, part, offset, v->asked.unix_ms / 1000);
			if (verdict < VERDICT_COUNT)
				findings_add(&v->findings, verdict, part->topic, part->partition, offset);
		}
	}
}

/* By reading the record again: to keep every id would cost more than all the rest. False when it is not to be had. */
static bool name_one(struct verify *v, struct finding *finding)
{
	struct record *record =
		kafka_reader_get(v->reader, finding->topic, finding->partition, finding->offset, ID_TIMEOUT);
	struct request request;
	struct history history;
	struct fault fault;
	if (!record)
		return false;
	if (request_read(record, &v->evidence.limits, v->asked.unix_ms, &request, &history, &fault) != -ENOMEM) {
		finding->handoff_id = request.handoff_id;
		request.handoff_id = NULL;
	}
	request_fini(&request);
	history_fini(&history);
	record_free(record);
	return true;
}

static void name_all(struct verify *v)
{
	/* Where one is not to be had, the brokers have gone or retention was faster: the verdicts stand all the same.
	 */
	for (size_t i = 0; i < v->findings.named_count; i++)
		if (!name_one(v, &v->findings.named[i]))
			break;
}

static void print_json(const struct verify *v)
{
	struct buf json;
	buf_init(&json, JSON_MAX);
	write_object_begin(&json, NULL);
	write_text(&json, "group", v->group);
	write_bool(&json, "clean", findings_broken(&v->findings) == 0);
	findings_write(&v->findings, &json);
	write_int(&json, "cancels", (int64_t)v->evidence.cancels);
	write_int(&json, "elapsedMs", (clock_read().mono - v->asked.mono) / USEC_PER_MSEC);
	write_object_end(&json);
	puts(buf_ok(&json) ? buf_text(&json) : "{}");
	buf_fini(&json);
}

static int tell(const struct verify *v)
{
	if (v->connection.json)
		print_json(v);
	else
		findings_print(&v->findings, command_has_colours(), stdout);
	return findings_broken(&v->findings) > 0 ? EXIT_UNCLEAN : EXIT_CLEAN;
}

static int look_once(struct verify *v)
{
	int code = look(v);
	progress_bar_init(&v->bar, v->connection.json, "offsets read");
	if (code == EXIT_CLEAN)
		code = open_evidence(v);
	if (code == EXIT_CLEAN)
		code = reading_run(v->reader, &v->bar, take, v);
	if (code == EXIT_CLEAN)
		code = find_removed(v);
	if (code != EXIT_CLEAN)
		return code;
	judge(v);
	name_all(v);
	return EXIT_CLEAN;
}

static void forget(struct verify *v)
{
	findings_fini(&v->findings);
	evidence_fini(&v->evidence);
	v->reader = kafka_reader_free(v->reader);
	v->offsets = kafka_group_free(v->offsets);
	free(v->topics);
	v->topics = NULL;
	v->topic_count = 0;
}

/* Is there nothing left to wait for? What is overdue may be done in the end; what is lost or doubled stays so. */
static bool is_settled(const struct findings *f)
{
	return f->counts[VERDICT_PENDING] + f->counts[VERDICT_OVERDUE] == 0 ||
	       findings_broken(f) > f->counts[VERDICT_OVERDUE];
}

static void tell_between(const struct verify *v)
{
	if (v->connection.json)
		print_json(v);
	else
		findings_print_line(&v->findings, stdout);
	fflush(stdout);
}

static int wait_until_settled(struct verify *v)
{
	int code = look_once(v);
	while (code == EXIT_CLEAN && !is_settled(&v->findings)) {
		tell_between(v);
		forget(v);
		nanosleep(&(struct timespec){ .tv_sec = WAIT_SECONDS }, NULL);
		code = look_once(v);
	}
	return code == EXIT_CLEAN ? tell(v) : code;
}

/* --- watching: until somebody ends it --- */

static volatile sig_atomic_t is_over;

static void on_signal(int number)
{
	(void)number;
	is_over = 1;
}

/* Sleeps in slices, so that a signal between two looks is heard at once. */
static void pause_until(usec_t next)
{
	while (!is_over && clock_read().mono < next)
		nanosleep(&(struct timespec){ .tv_nsec = 100 * 1000 * 1000 }, NULL);
}

/* A line when something has changed, and what is broken by name. */
static void tell_look(const struct verify *v, size_t before)
{
	if (v->connection.json)
		print_json(v);
	else if (findings_broken(&v->findings) > before)
		findings_print(&v->findings, command_has_colours(), stdout);
	else
		findings_print_line(&v->findings, stdout);
	fflush(stdout);
}

static int watch(struct verify *v)
{
	struct fault fault = { 0 };
	size_t broken = 0;
	v->monitor = monitor_new(v->listen, v->group, &fault);
	if (!v->monitor)
		return command_fail(EXIT_FAILED, "%s; --listen HOST:PORT names another address", fault.message);
	fprintf(stderr, "metrics at port %u of %.*s, /metrics\n", monitor_port(v->monitor),
		(int)strcspn(v->listen, ":"), v->listen);
	while (!is_over) {
		const usec_t began = clock_read().mono;
		const bool ok = look_once(v) == EXIT_CLEAN;
		monitor_tell(v->monitor, ok ? &v->findings : NULL, clock_read().mono - began, v->asked.unix_ms);
		if (ok) {
			tell_look(v, broken);
			broken = findings_broken(&v->findings);
		}
		forget(v);
		pause_until(began + (usec_t)(v->every * (double)USEC_PER_SEC));
	}
	return broken > 0 ? EXIT_UNCLEAN : EXIT_CLEAN;
}

static int run(void *self, int count, char **words)
{
	struct verify *v = self;
	(void)count;
	(void)words;
	if (!v->group)
		v->group = v->connection.settings.kafka.group;
	if (v->watch) {
		signal(SIGTERM, on_signal);
		signal(SIGINT, on_signal);
		return watch(v);
	}
	if (v->wait)
		return wait_until_settled(v);
	const int code = look_once(v);
	return code == EXIT_CLEAN ? tell(v) : code;
}

static void close_all(void *self)
{
	struct verify *v = self;
	v->monitor = monitor_free(v->monitor);
	forget(v);
}

const struct command verify_command = {
	.name = "verify",
	.words = "",
	.summary = "tell whether every request has its one outcome",
	.text = "Reads the requests, retries and outcomes and the group's offsets, and tells how many requests are "
		"done,\n"
		"pending, overdue, lost, doubled, contradictory or unknown. Names those that break a promise.\n"
		"Exit status 0: none does; 3: some do.\n\n",
	.options = OPTIONS,
	.option_count = ARRAY_SIZE(OPTIONS),
	.size = sizeof(struct verify),
	.initial = &(const struct verify){ .every = EVERY_SECONDS, .listen = LISTEN_AT },
	.run = run,
	.close = close_all,
};
