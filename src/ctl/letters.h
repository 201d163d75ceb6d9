/*
 * letters - which dead letters are there, and which of them may be sent again?
 *
 *   letters_take()    every dead letter that is asked for, kept whole
 *   letters_replay()  every request that is a replay: its letter has been sent again already
 *   letters_judge()   then: one fate for each
 *
 * A replay carries its letter's key and id, and one more in handoff-replay. So a letter was replayed when there is such
 * a request, or a later letter of the same handoff; where retention has removed requests younger than the letter,
 * nobody can tell. Kafka is the only memory: two who replay at the same moment do not see each other.
 */
#ifndef HANDOFF_LETTERS_H
#define HANDOFF_LETTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/pair_map.h"
#include "handoff/contract.h"
#include "handoff/macros.h"
#include "handoff/record.h"

#define LETTERS_MAX_BYTES ((size_t)1 << 30)

enum letter_fate {
	LETTER_OPEN,      /* may be sent again */
	LETTER_REPLAYED,  /* was already */
	LETTER_UNSURE,    /* may have been: the requests of its time were removed */
	LETTER_TOO_OFTEN, /* was replayed as often as is allowed */
	LETTER_TRUNCATED, /* its value was too large for the topic of the dead letters: there is nothing to send */
	LETTER_FATE_COUNT
};

struct letter {
	struct record *record;
	enum reason reason;   /* REASON_COUNT: none that this version knows */
	int32_t replay;       /* of the record that failed */
	int32_t replayed_as;  /* the highest number seen of its handoff; -1: none */
	int64_t failed_at_ms; /* 0: it does not say */
	size_t next;          /* another letter of the same handoff; SIZE_MAX: none */
	enum letter_fate fate;
};

struct letters {
	struct letter *items;
	size_t count;
	size_t capacity;
	size_t memory;
	size_t seen;            /* all that were read, asked for or not */
	struct pair_map chains; /* id and key -> the newest letter in `items` */
};

struct letters_filter {
	const char *id;     /* NULL: any */
	enum reason reason; /* REASON_COUNT: any */
};

struct letters_rule {
	int64_t most;              /* replays of one handoff */
	bool again;                /* also what was, or may have been, replayed */
	int64_t removed_before_ms; /* requests older than this may be gone; 0: none is */
};

/* Keeps a copy of the letter if it is asked for. 0; -ENOMEM; -EFBIG beyond LETTERS_MAX_BYTES. */
int letters_take(struct letters *letters, const struct letters_filter *filter, const struct record *record) MUST_CHECK;
/* A record of a topic of requests; nothing happens when it is no replay. */
void letters_replay(struct letters *letters, const struct record *request);
void letters_judge(struct letters *letters, const struct letters_rule *rule);
void letters_fini(struct letters *letters);

const char *letter_fate_name(enum letter_fate fate);

#endif
