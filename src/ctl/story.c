#include "ctl/story.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct story_event *new_event(struct story *story, const struct record *record)
{
	if (story->count == story->capacity) {
		const size_t capacity = story->capacity ? story->capacity * 2 : 16;
		struct story_event *events = realloc(story->events, capacity * sizeof(*events));
		if (!events)
			return NULL;
		story->events = events;
		story->capacity = capacity;
	}
	struct story_event *event = &story->events[story->count];
	*event = (struct story_event){ .record = record_new(record),
				       .at_ms = record->timestamp_ms,
				       .step = STAGE_COUNT };
	if (!event->record)
		return NULL;
	story->count++;
	return event;
}

static void drop_last(struct story *story)
{
	struct story_event *event = &story->events[--story->count];
	request_fini(&event->request);
	history_fini(&event->history);
	record_free(event->record);
}

/* --- taking --- */

/* An outcome or a dead letter: its headers say whose it is. */
static int take_end(struct story *story, enum story_kind kind, const struct record *record)
{
	if (!span_is(record_header(record, HDR_ID), story->id))
		return 0;
	struct story_event *event = new_event(story, record);
	if (!event)
		return -ENOMEM;
	event->kind = kind;
	if (origin_read(record_header(record, HDR_ORIGIN), &event->origin) < 0)
		drop_last(story);
	return 0;
}

/* Every cancel is kept at first: whose session it is about is only known at the end. One that is kept in the retry
 * topic was told by its first record. */
static bool is_wanted(const struct story *story, const struct story_event *event, bool is_retry)
{
	if (event->request.is_cancel)
		return !is_retry;
	return event->request.handoff_id && !strcmp(event->request.handoff_id, story->id);
}

static int take_request(struct story *story, const struct record *record)
{
	const bool is_retry = history_is_in(record) && !strcmp(record->topic, story->limits.retry_topic);
	struct fault fault;
	struct story_event *event = new_event(story, record);
	if (!event)
		return -ENOMEM;
	/* From the copy: the request's spans point into it. One that cannot be read has a story, too. */
	const int r =
		request_read(event->record, &story->limits, story->now_ms, &event->request, &event->history, &fault);
	event->kind = event->request.is_cancel ? STORY_CANCEL : is_retry ? STORY_PARKED : STORY_REQUEST;
	event->origin = event->history.origin;
	if (r == -ENOMEM || !is_wanted(story, event, is_retry))
		drop_last(story);
	return r == -ENOMEM ? r : 0;
}

int story_take(struct story *story, enum story_topic topic, const struct record *record)
{
	switch (topic) {
	case STORY_OF_OUTCOMES:
		return take_end(story, STORY_ENDED, record);
	case STORY_OF_DEAD_LETTERS:
		return take_end(story, STORY_DEAD, record);
	default:
		return take_request(story, record);
	}
}

/* --- settling --- */

static bool same_origin(const struct origin *a, const struct origin *b)
{
	return a->offset == b->offset && a->partition == b->partition && !strcmp(a->topic, b->topic);
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

/* Does the cancel mean the handoff of this source event? */
static bool is_meant(const struct story_event *cancel, const struct story_event *source)
{
	const struct request *c = &cancel->request;
	const struct request *r = &source->request;
	return source->kind == STORY_REQUEST && same_text(c->session_id, r->session_id) &&
	       same_text(c->tenant, r->tenant) && (!c->handoff_id_given || same_text(c->handoff_id, r->handoff_id));
}

/* A cancel belongs to the newest request of its session that was there when it came, else to the first one after it. */
static const struct story_event *meant_by(const struct story *story, const struct story_event *cancel)
{
	const struct story_event *found = NULL;
	for (size_t i = 0; i < story->count; i++) {
		const struct story_event *e = &story->events[i];
		if (!is_meant(cancel, e))
			continue;
		const bool before = e->at_ms <= cancel->at_ms;
		if (!found || (before && e->at_ms >= found->at_ms) ||
		    (!before && found->at_ms > cancel->at_ms && e->at_ms < found->at_ms))
			found = e;
	}
	return found;
}

static void settle_cancels(struct story *story)
{
	for (size_t i = 0; i < story->count; i++) {
		struct story_event *e = &story->events[i];
		const struct story_event *meant = e->kind == STORY_CANCEL ? meant_by(story, e) : NULL;
		if (meant)
			e->origin = meant->origin;
		if (e->kind != STORY_CANCEL || meant)
			continue;
		/* Another session's: the last takes its place. */
		request_fini(&e->request);
		history_fini(&e->history);
		record_free(e->record);
		*e = story->events[--story->count];
		i--;
	}
}

static int by_origin_and_time(const void *left, const void *right)
{
	const struct story_event *a = left;
	const struct story_event *b = right;
	int order = strcmp(a->origin.topic, b->origin.topic);
	if (order == 0)
		order = (a->origin.partition > b->origin.partition) - (a->origin.partition < b->origin.partition);
	if (order == 0)
		order = (a->origin.offset > b->origin.offset) - (a->origin.offset < b->origin.offset);
	if (order == 0)
		order = (a->at_ms > b->at_ms) - (a->at_ms < b->at_ms);
	if (order == 0)
		order = (a->kind > b->kind) - (a->kind < b->kind);
	return order ? order : (a->record->offset > b->record->offset) - (a->record->offset < b->record->offset);
}

/* The furthest step that was called since `before` was written. */
static enum stage last_step(const struct history *before, const struct history *after)
{
	for (int stage = STAGE_TRIGGER; stage >= STAGE_FETCH; stage--)
		if (after->progress.calls[stage] > (before ? before->progress.calls[stage] : 0))
			return (enum stage)stage;
	return STAGE_COUNT;
}

static void tell_steps(struct story_event *events, size_t count)
{
	const struct history *before = NULL;
	for (size_t i = 0; i < count; i++) {
		struct story_event *e = &events[i];
		if (e->kind != STORY_PARKED)
			continue;
		e->step = last_step(before, &e->history);
		if (before && before->attempt == e->history.attempt)
			e->kind = STORY_MOVED;
		before = &e->history;
	}
}

static enum story_state judge(const struct story *story, const struct story_event *newest, story_is_done *is_done,
			      void *arg)
{
	if (newest->kind == STORY_ENDED || newest->kind == STORY_DEAD)
		return STORY_OVER;
	if (is_done(arg, newest->record->topic, newest->record->partition, newest->record->offset))
		return STORY_LOST;
	if (newest->kind == STORY_REQUEST)
		return STORY_UNREAD;
	return newest->history.not_before_ms > story->now_ms ? STORY_WAITING : STORY_DUE;
}

static void settle_chapter(const struct story *story, struct story_chapter *chapter, story_is_done *is_done, void *arg)
{
	struct story_event *events = story->events + chapter->first;
	tell_steps(events, chapter->count);
	size_t newest = SIZE_MAX;
	for (size_t i = 0; i < chapter->count; i++) {
		const struct story_event *e = &events[i];
		if (e->kind == STORY_CANCEL)
			continue;
		/* An outcome decides, whatever else is there. */
		if (newest == SIZE_MAX || (events[newest].kind != STORY_ENDED))
			newest = i;
		if (e->kind == STORY_REQUEST || e->kind == STORY_PARKED || e->kind == STORY_MOVED)
			chapter->deadline_ms = e->history.deadline_ms;
	}
	chapter->newest = chapter->first + newest;
	chapter->due_ms = events[newest].history.not_before_ms;
	chapter->state = judge(story, &events[newest], is_done, arg);
}

int story_settle(struct story *story, story_is_done *is_done, void *arg)
{
	settle_cancels(story);
	if (story->count == 0)
		return 0;
	qsort(story->events, story->count, sizeof(*story->events), by_origin_and_time);
	story->chapters = calloc(story->count, sizeof(*story->chapters));
	if (!story->chapters)
		return -ENOMEM;
	for (size_t i = 0; i < story->count; i++) {
		if (i == 0 || !same_origin(&story->events[i].origin, &story->events[i - 1].origin))
			story->chapters[story->chapter_count++].first = i;
		story->chapters[story->chapter_count - 1].count++;
	}
	for (size_t i = 0; i < story->chapter_count; i++)
		settle_chapter(story, &story->chapters[i], is_done, arg);
	return 0;
}

void story_fini(struct story *story)
{
	while (story->count > 0)
		drop_last(story);
	free(story->events);
	free(story->chapters);
	*story = (struct story){ 0 };
}

const char *story_kind_name(enum story_kind kind)
{
	static const char *const names[] = {
		[STORY_REQUEST] = "requested", [STORY_CANCEL] = "cancelled", [STORY_PARKED] = "parked",
		[STORY_MOVED] = "moved",       [STORY_ENDED] = "ended",      [STORY_DEAD] = "dead-letter",
	};
	return names[kind];
}

const char *story_state_name(enum story_state state)
{
	static const char *const names[] = {
		[STORY_OVER] = "ended",  [STORY_WAITING] = "waiting", [STORY_DUE] = "due",
		[STORY_UNREAD] = "open", [STORY_LOST] = "lost",
	};
	return names[state];
}
