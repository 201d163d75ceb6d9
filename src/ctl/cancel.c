/*
 * cancel - the caller hung up: a cancel to where the session's handoff is
 *
 * Only the worker that owns a request's partition can end it, and which partition that is was decided by whoever sent
 * it: producers may have other partitioners than ours. So the session's newest request is looked for, and the cancel
 * goes to its partition. Where there is none to be seen, the key decides, as it does for `submit`; the cancel is kept
 * until its deadline then, in case that the request is still to come.
 */
#include <stdio.h>
#include <string.h>

#include "ctl/batch.h"
#include "ctl/commands.h"
#include "ctl/connection.h"
#include "ctl/reading.h"
#include "ctl/sender.h"
#include "rules/request.h"
#include "rules/sent_record.h"
#include "json/write.h"

/* How far back at least a request is looked for that may still be open. */
#define LOOK_BACK_MS INT64_C(3600000)

struct cancel {
	struct connection connection;
	const char *session;
	const char *id;
	const char *tenant;
	struct request_limits limits;
	struct kafka_reader *reader;
	struct batch batch;
	struct sender sender;
	struct progress_bar bar;
	int64_t now_ms;
	const char *topic;  /* where it goes */
	int32_t partition;  /* -1: by the key */
	int64_t request_ms; /* when the newest request of the session was sent; -1: none was found */
};

static const struct option OPTIONS[] = {
	CONNECTION_OPTIONS,
	{ "session", "S", "the session whose caller hung up", offsetof(struct cancel, session), OPTION_TEXT, '\0',
	  "Required." },
	{ "id", "ID", "only the handoff of this handoffId (default: all of the session)", offsetof(struct cancel, id),
	  OPTION_TEXT, '\0', NULL },
	{ "tenant", "T", "the tenant of the session; required where there are several", offsetof(struct cancel, tenant),
	  OPTION_TEXT, '\0', NULL },
};

/* --- where is the session's request? --- */

static int take(void *arg, const struct record *record)
{
	struct cancel *c = arg;
	struct request request;
	struct history history;
	struct fault fault;
	const int r = request_read(record, &c->limits, c->now_ms, &request, &history, &fault);
	const bool is_it = r == 0 && !request.is_cancel && !strcmp(request.session_id, c->session) &&
			   (!c->id || !strcmp(request.handoff_id, c->id));
	if (is_it && record->timestamp_ms >= c->request_ms) {
		c->request_ms = record->timestamp_ms;
		c->topic = record->topic;
		c->partition = record->partition;
	}
	request_fini(&request);
	history_fini(&history);
	return EXIT_CLEAN;
}

static int find_request(struct cancel *c)
{
	const struct kafka_options *options = &c->connection.options;
	const int64_t back = c->limits.max_age_ms > LOOK_BACK_MS ? c->limits.max_age_ms : LOOK_BACK_MS;
	struct fault fault = { 0 };
	c->reader = kafka_reader_new_since(options, options->requests, options->request_count, c->now_ms - back,
					   READING_BROKER_TIMEOUT, &fault);
	if (!c->reader)
		return command_fail_kafka("no cancel was sent: ", &fault);
	return reading_run(c->reader, &c->bar, take, c);
}

/* --- sending it --- */

/* As the worker will read it: what it would reject is told now. */
static int check(const struct cancel *c, const struct record *record)
{
	struct request request;
	struct history history;
	struct fault fault;
	struct record received = *record;
	received.timestamp_ms = c->now_ms;
	received.partition = 0;
	received.offset = 0;
	const int r = request_read(&received, &c->limits, c->now_ms, &request, &history, &fault);
	request_fini(&request);
	history_fini(&history);
	return r < 0 ? command_fail(EXIT_WRONG, "cancel: %s", fault.message) : EXIT_CLEAN;
}

static int build(struct cancel *c)
{
	struct record *record = sent_cancel(c->topic, c->partition, c->session, c->id, c->tenant);
	const struct batch_item *item = batch_add(&c->batch, record);
	return item ? check(c, item->record) : command_fail(EXIT_FAILED, "out of memory; no cancel was sent");
}

static int send(struct cancel *c)
{
	struct fault fault = { 0 };
	struct progress_bar bar;
	progress_bar_init(&bar, true, "sent");
	if (sender_init(&c->sender, &c->connection.options, &c->batch, "the cancel", 0, &fault) == 0 &&
	    sender_run(&c->sender, &bar, &fault) == 0)
		return EXIT_CLEAN;
	return command_fail(EXIT_FAILED, "%s; whether the cancel was written is not known: it may be sent again",
			    fault.message);
}

static void print_json(const struct cancel *c)
{
	struct buf json;
	buf_init(&json, 8192);
	write_object_begin(&json, NULL);
	write_text(&json, "sessionId", c->session);
	write_text(&json, "handoffId", c->id);
	write_text(&json, "topic", c->topic);
	if (c->partition >= 0)
		write_int(&json, "partition", c->partition);
	else
		write_null(&json, "partition");
	write_bool(&json, "requestFound", c->request_ms >= 0);
	write_object_end(&json);
	puts(buf_text(&json));
	buf_fini(&json);
}

static void tell(const struct cancel *c)
{
	if (c->connection.json)
		print_json(c);
	else if (c->request_ms >= 0)
		printf("cancel sent to %s/%d, where the session's newest request is\n", c->topic, (int)c->partition);
	else
		printf("cancel sent to %s; no open request of the session was found, so it waits for one until its "
		       "deadline\n",
		       c->topic);
}

static bool knows_tenant(const struct settings *settings, const char *name)
{
	for (size_t i = 0; i < settings->tenant_count; i++)
		if (!strcmp(settings->tenants[i].name, name))
			return true;
	return false;
}

static int check_words(const struct cancel *c)
{
	const struct settings *settings = &c->connection.settings;
	if (!c->session)
		return command_fail(EXIT_WRONG,
				    "cancel: --session is missing: whose call is it? See handoffctl cancel --help");
	if (!c->connection.config)
		return EXIT_CLEAN; /* the tenants are not known here */
	if (!c->tenant && settings->tenant_count > 1)
		return command_fail(EXIT_WRONG, "cancel: --tenant is missing: the configuration has several tenants");
	if (c->tenant && !knows_tenant(settings, c->tenant))
		return command_fail(EXIT_WRONG,
				    "cancel: the configuration has no tenant \"%.64s\"; handoffd --print-config lists "
				    "them",
				    c->tenant);
	return EXIT_CLEAN;
}

static int run(void *self, int count, char **words)
{
	struct cancel *c = self;
	(void)count;
	(void)words;
	int code = check_words(c);
	if (code != EXIT_CLEAN)
		return code;
	c->now_ms = clock_read().unix_ms;
	c->limits = connection_limits(&c->connection);
	c->topic = c->connection.options.requests[0];
	reading_bar_init(&c->bar, c->connection.json);
	/* Once before anybody is asked: a mistake is told at once. */
	code = build(c);
	batch_fini(&c->batch);
	if (code == EXIT_CLEAN)
		code = find_request(c);
	if (code == EXIT_CLEAN)
		code = build(c);
	if (code == EXIT_CLEAN)
		code = send(c);
	if (code == EXIT_CLEAN)
		tell(c);
	return code;
}

static void close_all(void *self)
{
	struct cancel *c = self;
	sender_fini(&c->sender);
	kafka_reader_free(c->reader);
	batch_fini(&c->batch);
}

const struct command cancel_command = {
	.name = "cancel",
	.words = " --session S",
	.summary = "the caller hung up: end the session's handoff",
	.text = "Sends a cancel to the worker of the session. A handoff that waits or is parked ends as `cancelled`; "
		"one "
		"whose\n"
		"trigger was sent goes on, and its outcome says \"cancelRequested\":true.\n\n",
	.options = OPTIONS,
	.option_count = ARRAY_SIZE(OPTIONS),
	.size = sizeof(struct cancel),
	.initial = &(const struct cancel){ .sender = { .wakeup_fd = -1 }, .partition = -1, .request_ms = -1 },
	.run = run,
	.close = close_all,
};
