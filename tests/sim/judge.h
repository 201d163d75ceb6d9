/*
 * judge - is every promise kept, at every step?
 *
 * Knows what the workers cannot know: every record as it was written, every call as it was made, executed and heard,
 * who owns what. The first broken promise is the verdict, and the history ends there.
 *
 *  at each call      by an owner, while it owns; not before its time, not after its deadline; not while the tenant has
 *                    asked to be left alone; one call at a time for a session among owners; one trigger an attempt; no
 *                    second one where `retrigger = "never"`; always under the handoff's own key (profile cognigy-ai: of
 *                    its own caller, by his own endpoint)
 *  at each commit    a record is done if, and only if, its outcome or its retry stands in the same transaction; done
 *                    stays done; nothing unread is done; a retry says at least what the record before it said
 *  at each turn      nothing held beyond its bounds; no loop without sleep
 *  at the end        one outcome for each request, every retry done, every worker stops cleanly
 */
#ifndef SIM_JUDGE_H
#define SIM_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "handoff/contract.h"
#include "handoff/macros.h"
#include "rules/history.h"
#include "sim/broker.h"
#include "sim/call.h"

enum source_kind { SOURCE_HANDOFF, SOURCE_CANCEL, SOURCE_INVALID };

/* One record of a request topic, and what was heard of it since. */
struct source {
	enum source_kind kind;
	struct entry *entry;
	int tenant;
	char session[32];
	char id[128];  /* "": the worker makes one of the record's place */
	char key[160]; /* its Idempotency-Key; "" until it was seen */
	int replay;
	int64_t deadline_ms;
	int64_t written_ms;
	bool has_twin;            /* another record has its id */
	bool may_cancel;          /* a cancel was written that means it */
	bool is_alone;            /* nobody else's handoff is in its session, and it was not transferring before */
	int outcomes;             /* visible ones */
	bool was_worked;          /* its outcome is another one than `duplicate` */
	struct entry **published; /* every retry and outcome of it, visible or not */
	size_t published_count, published_cap;
	int32_t calls[STAGE_COUNT]; /* sent */
	int unclear;                /* of them: sent, and nobody can say what became of it */
	bool is_disturbed;          /* somebody died or was expelled since it was written */
	bool is_moved;     /* partitions have changed hands: the calls of an attempt that waits are forgotten */
	bool may_have_run; /* a trigger of it, as its sender has heard */
	bool is_hidden;    /* after that, another handoff has put its marker into the session in place of this one's */
	int unheard;       /* triggers whose end nobody has heard, perhaps never will */
	int shown;         /* how many of the session's executions the last fetch that was heard may have shown */
	/* of the triggers of one attempt by one owner: */
	const struct entry *attempt;
	const struct membership *owner;
	bool attempt_may_have_run;
	bool attempt_is_open;
	struct source *next;
};

void judge_begin(void);

/* A record that the story has written. */
struct source *judge_add(struct entry *entry, enum source_kind kind);
/* Where the worker says that it comes from; NULL when that is nowhere. */
struct source *judge_source_of(const struct record *record);
struct source *judge_sources(void);

/* Is everything done that was asked for? With `insist` it is a verdict if not. */
bool judge_all_done(bool insist);

#endif
