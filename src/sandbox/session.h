/*
 * session - what state is each session in, and what was done to it?
 *
 * One entry per session id that any call or script line has named: the caller's session (once it `exists`) and the
 * judge's ledger beside it. At most SESSIONS_MAX; beyond that the oldest entry nobody is calling makes room.
 * The table owns its sessions; pointers stay good until sessions_clear() or, without an open call, until the next
 * sessions_need(). One thread.
 */
#ifndef SANDBOX_SESSION_H
#define SANDBOX_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "handoff/contract.h"
#include "handoff/macros.h"
#include "handoff/span.h"

enum { SESSIONS_MAX = 1000000, SESSION_ID_MAX = 256, SESSION_WORD = 24, SESSION_EXECUTIONS = 8 };

/* How a lock shows. */
enum lock_style {
	LOCK_CONFLICT,   /* every call gets 409 */
	LOCK_PROCESSING, /* a fetch shows `processing`, update and trigger get 409 */
	LOCK_STYLES
};

/* A trigger that was executed: the same key gets the same result again. The newest SESSION_EXECUTIONS are kept. */
struct execution {
	struct execution *next;
	uint64_t number;
	char *target; /* the queue it went to; NULL when none was set */
	char key[];
};

struct session {
	struct session *chain; /* of the hash table */
	struct session *newer; /* in the order of creation */
	char *id;
	uint64_t number; /* names the call and the user */

	bool exists;
	char status[SESSION_WORD];
	char telephony[SESSION_WORD]; /* "": no transfer yet */
	char *channel;                /* NULL: voice */
	char *user_id;                /* NULL: user_NUMBER */
	char *call_id;                /* NULL: genesys_call_NUMBER */
	char *variables;              /* JSON object, exactly as given; NULL: session_default_variables */
	size_t variables_len;
	char *note;           /* the data of the newest message that was injected, or NULL */
	char *target;         /* variables.transferTarget of the last update, or NULL */
	uint64_t transfer_id; /* 0: none */
	struct execution *executions;

	usec_t lock_pending; /* a lock that begins with the next call */
	usec_t locked_until;
	enum lock_style lock_style;

	/* the ledger */
	uint32_t open;   /* calls being served whose client is still there */
	uint32_t ghosts; /* calls being served whose client has gone */
	uint32_t most_open;
	uint32_t most_with_ghosts;
	uint32_t sent[STAGE_COUNT];
	uint32_t executed[STAGE_COUNT];
	uint32_t replayed; /* triggers answered with an earlier result */
	uint32_t vanished;
	uint32_t locked;  /* 409s for a lock */
	uint32_t limited; /* 429s with a Retry-After or without */
	uint32_t early;   /* calls before the Retry-After of a 429 for this very session had passed */
	usec_t closed_until;
};

struct sessions {
	struct session **buckets;
	size_t bucket_count;
	size_t count;
	size_t limit; /* 0: SESSIONS_MAX */
	size_t existing;
	struct session *oldest, *newest;
	uint64_t numbered;
	uint64_t born;   /* sessions that came to exist by a call */
	uint64_t forgot; /* entries that had to make room */
};

extern const char session_default_variables[];

void sessions_clear(struct sessions *sessions);
/* The entry, or NULL. */
struct session *sessions_find(const struct sessions *sessions, struct span id);
/* The entry, made when it is not there. NULL when out of memory. The id must not hold a NUL. */
struct session *sessions_need(struct sessions *sessions, struct span id) MUST_CHECK;

/* From now on a fetch finds it: active, voice, the default variables. */
void session_create(struct sessions *sessions, struct session *session);
/* Replaces a string member. `text` is copied; NULL gives the default back. -ENOMEM: unchanged. */
int session_set_text(char **member, const char *text) MUST_CHECK;
/* Replaces the variables; `text` is copied as it is. */
int session_set_variables(struct session *session, struct span text) MUST_CHECK;
struct span session_variables(const struct session *session);
/* Cuts `text` down to what fits a status. */
void session_set_word(char word[SESSION_WORD], const char *text);

/* Is a lock on at `now`? Starts the one that waits for its first call. */
bool session_locked(struct session *session, usec_t now);
/* What was executed under that key, or NULL. */
const struct execution *session_execution(const struct session *session, const char *key);
/* Remembers an execution; NULL when out of memory. */
const struct execution *session_add_execution(struct session *session, const char *key, uint64_t number) MUST_CHECK;

#endif
