/*
 * story - what do the topics hold of one handoffId, in the order in which it happened?
 *
 *   story_take()    records of all four topics, in any order; what bears the id is kept
 *   story_settle()  then: a chapter for each source record (the id may have come twice, or been replayed), its events
 * in order, the cancels of its session among them, and where it stands
 *
 * Pure: what the group has done, and the time, come in.
 */
#ifndef HANDOFF_STORY_H
#define HANDOFF_STORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "handoff/contract.h"
#include "handoff/macros.h"
#include "handoff/record.h"
#include "rules/history.h"
#include "rules/request.h"

enum story_kind {
	STORY_REQUEST, /* also a replay: its history says so */
	STORY_CANCEL,  /* of its session */
	STORY_PARKED,  /* a retry record */
	STORY_MOVED,   /* the same retry once more, at the tail of its topic */
	STORY_ENDED,   /* an outcome */
	STORY_DEAD,    /* a dead letter */
	STORY_KIND_COUNT
};

/* Which of the topics was it read from? */
enum story_topic { STORY_OF_REQUESTS, STORY_OF_RETRIES, STORY_OF_OUTCOMES, STORY_OF_DEAD_LETTERS };

struct story_event {
	enum story_kind kind;
	struct record *record;
	struct origin origin;   /* of its source record */
	int64_t at_ms;          /* when it was written; -1: it does not say */
	struct request request; /* of a request, a cancel or a retry, as far as it can be read */
	struct history history; /* likewise; of others the origin alone */
	enum stage step;        /* of a retry: the last step of the attempt before; STAGE_COUNT: none was made */
};

enum story_state {
	STORY_OVER,    /* it has its outcome */
	STORY_WAITING, /* parked, and not due yet */
	STORY_DUE,     /* parked, due, and not done in the group */
	STORY_UNREAD,  /* its request is not done in the group: unread, waiting for its turn, or running */
	STORY_LOST,    /* done in the group, and no trace of it */
	STORY_STATE_COUNT
};

/* One source record and what came of it: events [first, first + count). */
struct story_chapter {
	size_t first;
	size_t count;
	enum story_state state;
	int64_t due_ms;      /* of its newest retry; 0: none, or at once */
	int64_t deadline_ms; /* 0: not known */
	size_t newest;       /* the event that decides its state */
};

struct story {
	const char *id;
	struct request_limits limits;
	int64_t now_ms;
	struct story_event *events;
	size_t count;
	size_t capacity;
	struct story_chapter *chapters;
	size_t chapter_count;
};

/* Is the record at this place done in the group? */
typedef bool story_is_done(void *arg, const char *topic, int32_t partition, int64_t offset);

/* 0 or -ENOMEM. */
int story_take(struct story *story, enum story_topic topic, const struct record *record) MUST_CHECK;
int story_settle(struct story *story, story_is_done *is_done, void *arg) MUST_CHECK;
void story_fini(struct story *story);

const char *story_kind_name(enum story_kind kind);
const char *story_state_name(enum story_state state);

#endif
