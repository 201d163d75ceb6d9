/*
 * roster - whose turn is it? never two of one session
 *
 *   roster_add ─> ready (by lane, priority, deadline, arrival) ─ roster_take ─> running (its session is locked)
 *                   ^                     │ session locked                          │
 *                   │                     v                                         │
 *                   └── unlocked ── behind its session  <───── roster_release ──────┘
 *
 * After ROSTER_OLDEST_TURN - 1 turns in a row that have passed over the one who has waited longest for somebody of a
 * more urgent class, the next is his: the most urgent ones, however many, leave the others a small share, and nobody
 * waits for ever. (Within a class everybody's deadline becomes the earliest some day.)
 *
 * One roster per tenant. A session is locked from roster_take() to roster_release() of the entry that took it, whatever
 * happens to partitions meanwhile: a lock is released by the end of the running attempt only. Entries behind a locked
 * session come back in their own order. Intrusive; entries and their strings are the owner's. Pure, one thread.
 * Every step costs O(log n), also with many of one session; whatever makes an entry leave or move on needs no memory.
 */
#ifndef HANDOFF_ROSTER_H
#define HANDOFF_ROSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/heap.h"
#include "handoff/contract.h"
#include "handoff/macros.h"

#define ROSTER_OLDEST_TURN 16

struct roster;
struct roster_session;

struct roster_entry {
	const char *session_id; /* set by the owner before roster_add(), valid until the entry has left */
	int32_t lane;           /* 0 is the highest: the request topic's place in the list; at most 8191 counts */
	enum priority priority;
	int64_t deadline_ms;
	/* the roster's own, all zero before the first roster_add(): */
	struct heap_link turn;
	struct heap_link age;
	struct heap_link expiry;
	struct roster_session *session;
	uint64_t arrival;
	enum { ROSTER_OUT, ROSTER_READY, ROSTER_BEHIND, ROSTER_RUNNING } place;
};

struct roster *roster_new(void) MUST_CHECK;
/* Takes NULL, returns NULL. Entries still inside are forgotten, not touched. */
struct roster *roster_free(struct roster *roster);

/* The entry waits for its turn. 0 or -ENOMEM with nothing changed. Must be ROSTER_OUT. */
int roster_add(struct roster *roster, struct roster_entry *entry) MUST_CHECK;
/* The next one whose session is free, now running and holding its session's lock; NULL when there is none. */
struct roster_entry *roster_take(struct roster *roster);
/* The class (lane and priority, the smaller the sooner) of the one that roster_take() would give; INT64_MAX: nobody. */
int64_t roster_next_urgency(const struct roster *roster);
int64_t roster_urgency(const struct roster_entry *entry);
/* Its attempt is over: unlocks the session. The entry is ROSTER_OUT then and may be added again. */
void roster_release(struct roster *roster, struct roster_entry *entry);
/* A waiting entry leaves without having run (expired, cancelled, revoked). */
void roster_remove(struct roster *roster, struct roster_entry *entry);

/* The waiting entry with the earliest deadline, if that is <= `deadline_ms`; stays in. */
struct roster_entry *roster_expired(const struct roster *roster, int64_t deadline_ms);
/* The earliest deadline of all that wait; UNIX_MS_NEVER (INT64_MAX) when nobody waits. */
int64_t roster_next_deadline(const struct roster *roster);

size_t roster_waiting(const struct roster *roster); /* ready or behind a session */
size_t roster_running(const struct roster *roster);

#endif
