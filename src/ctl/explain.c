/*
 * explain - the story of one handoff, out of all topics, and what it waits for now
 *
 * The group's offsets come first, as in verify: what they call done has left its trace in a topic before. A worker is
 * asked for its gate, breaker and rate, if one can be reached; that is no more than a look at this moment.
 */
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/commands.h"
#include "ctl/connection.h"
#include "ctl/done.h"
#include "ctl/explain_text.h"
#include "ctl/glimpse.h"
#include "ctl/reading.h"
#include "ctl/story.h"
#include "doors/kafka_group.h"

#define GROUP_PATIENCE  (60 * USEC_PER_SEC)
#define GLIMPSE_TIMEOUT (2 * USEC_PER_SEC)
#define STATUS_MAX      ((size_t)16 << 20)
#define PAGE_MAX        ((size_t)16 << 20)

struct explain {
	struct connection connection;
	const char *group_name;
	const char *admin;
	const char **topics; /* requests, retry, outcomes, dead letters */
	size_t topic_count;
	struct kafka_group *group;
	struct kafka_reader *reader;
	struct progress_bar bar;
	struct story story;
	struct worker_view view;
};

static const struct option OPTIONS[] = {
	CONNECTION_OPTIONS,
	{ "group", "GROUP", "the workers' consumer group (default: kafka.group)", offsetof(struct explain, group_name),
	  OPTION_TEXT, 'g', NULL },
	{ "admin", "HOST:PORT", "the worker to ask what it waits for (default: admin.listen)",
	  offsetof(struct explain, admin), OPTION_TEXT, '\0', NULL },
};

/* --- reading --- */

static int list_topics(struct explain *e)
{
	const struct kafka_options *options = &e->connection.options;
	e->topics = calloc(options->request_count + 3, sizeof(*e->topics));
	if (!e->topics)
		return command_fail(EXIT_FAILED, "out of memory");
	for (size_t i = 0; i < options->request_count; i++)
		e->topics[e->topic_count++] = options->requests[i];
	e->topics[e->topic_count++] = options->retry;
	e->topics[e->topic_count++] = options->outcomes;
	e->topics[e->topic_count++] = options->dead_letters;
	return EXIT_CLEAN;
}

static int open_topics(struct explain *e)
{
	const struct kafka_options *options = &e->connection.options;
	struct fault fault = { 0 };
	e->group = kafka_group_new(options, e->group_name, e->topics, options->request_count + 1,
				   READING_BROKER_TIMEOUT, GROUP_PATIENCE, &fault);
	if (e->group)
		e->reader = kafka_reader_new(options, e->topics, e->topic_count, KAFKA_READER_WRITTEN,
					     READING_BROKER_TIMEOUT, &fault);
	return e->reader ? EXIT_CLEAN : command_fail_kafka("", &fault);
}

static enum story_topic topic_of(const struct explain *e, const struct record *record)
{
	const struct kafka_options *options = &e->connection.options;
	if (!strcmp(record->topic, options->outcomes))
		return STORY_OF_OUTCOMES;
	if (!strcmp(record->topic, options->dead_letters))
		return STORY_OF_DEAD_LETTERS;
	return strcmp(record->topic, options->retry) ? STORY_OF_REQUESTS : STORY_OF_RETRIES;
}

static int take(void *arg, const struct record *record)
{
	struct explain *e = arg;
	return story_take(&e->story, topic_of(e, record), record) < 0 ? command_fail(EXIT_FAILED, "out of memory")
								      : EXIT_CLEAN;
}

static bool is_done(void *arg, const char *topic, int32_t partition, int64_t offset)
{
	const struct explain *e = arg;
	const struct kafka_group_offset committed = kafka_group_offset(e->group, topic, partition);
	struct offsets *done;
	/* Out of memory: then the base alone tells. */
	const bool knows = done_read(&committed, topic, partition, &done) == 0 && done;
	const bool is = knows ? offsets_is_done(done, offset) : offset < committed.offset;
	offsets_free(done);
	return is;
}

/* --- what the worker says --- */

static bool is_over(const struct explain *e)
{
	for (size_t i = 0; i < e->story.chapter_count; i++)
		if (e->story.chapters[i].state != STORY_OVER)
			return false;
	return true;
}

static bool has_address(const char *listen)
{
	const char *colon = strrchr(listen, ':');
	return colon && strcmp(colon, ":0") != 0;
}

static void look_at_worker(struct explain *e)
{
	struct buf text;
	struct fault fault = { 0 };
	e->view.address = e->admin ? e->admin : e->connection.settings.admin_listen;
	if (is_over(e) || !has_address(e->view.address))
		return;
	buf_init(&text, STATUS_MAX);
	if (glimpse_take(e->view.address, GLIMPSE_TIMEOUT, &text, &fault) == 0)
		e->view.status = json_tokener_parse(buf_text(&text));
	else
		snprintf(e->view.trouble, sizeof(e->view.trouble), "%.120s", fault.message);
	buf_fini(&text);
}

/* --- the whole --- */

static int tell(const struct explain *e)
{
	struct buf page;
	buf_init(&page, PAGE_MAX);
	if (e->connection.json)
		explain_write_json(&e->story, &e->view, &page);
	else
		explain_write_text(&e->story, &e->view, &page);
	const int code = command_print(&page);
	buf_fini(&page);
	return code;
}

static int run(void *self, int count, char **words)
{
	struct explain *e = self;
	(void)count;
	if (!e->group_name)
		e->group_name = e->connection.settings.kafka.group;
	e->story.id = words[0];
	e->story.limits = connection_limits(&e->connection);
	e->story.now_ms = clock_read().unix_ms;
	reading_bar_init(&e->bar, e->connection.json);
	int code = list_topics(e);
	if (code == EXIT_CLEAN)
		code = open_topics(e);
	if (code == EXIT_CLEAN)
		code = reading_run(e->reader, &e->bar, take, e);
	if (code != EXIT_CLEAN)
		return code;
	if (story_settle(&e->story, is_done, e) < 0)
		return command_fail(EXIT_FAILED, "out of memory");
	if (e->story.chapter_count == 0)
		return command_fail(
			EXIT_FAILED,
			"no request, retry, outcome or dead letter has the id \"%.128s\"; handoffctl follow "
			"prints the ids of outcomes as they come",
			words[0]);
	look_at_worker(e);
	return tell(e);
}

static void close_all(void *self)
{
	struct explain *e = self;
	json_object_put(e->view.status);
	story_fini(&e->story);
	kafka_reader_free(e->reader);
	kafka_group_free(e->group);
	free(e->topics);
}

const struct command explain_command = {
	.name = "explain",
	.words = " ID",
	.summary = "tell the story of one handoff, and what it waits for",
	.text = "Reads all topics for the handoffId ID and tells what happened to it when, and what it waits for "
		"now.\n\n",
	.options = OPTIONS,
	.option_count = ARRAY_SIZE(OPTIONS),
	.size = sizeof(struct explain),
	.initial = &(const struct explain){ .group_name = NULL },
	.words_min = 1,
	.words_max = 1,
	.word = "handoffId",
	.run = run,
	.close = close_all,
};
