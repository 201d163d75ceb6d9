#include "rules/roster.h"

#include <assert.h>
#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/*
 * Of a session that is not running, exactly one waiting entry, its first, stands in `ready`; the others stand behind
 * it. Of a session that is running, all do. So the end of an attempt moves one entry, however many wait, and a heap
 * for those behind is made only where somebody is.
 *
 *  - `ready` has room for one entry of every session, reserved when the session comes: unlocking needs no memory.
 *  - A session lives as long as one entry of it is in the roster.
 */
struct roster_session {
	struct roster_entry *front; /* in `ready`, or running */
	struct heap behind;
	const char *id; /* a copy, behind the struct */
};

struct roster {
	struct heap ready;
	struct heap ages;   /* the same entries by arrival */
	struct heap expiry; /* all that wait, by deadline */
	void *sessions;     /* tsearch(3) tree, by id */
	size_t session_count;
	size_t running;
	uint64_t arrivals;
	int passed_over; /* turns in a row that went to somebody of a more urgent class than the one's who waits longest
			  */
};

/* The order of the turns fits into one key: lane, then priority, then deadline up to the year 10889. */
#define DEADLINE_BITS 48
#define PRIORITY_BITS 2
#define LANE_BITS     13

static_assert(PRIORITY_COUNT <= 1 << PRIORITY_BITS, "a priority fits into its bits");
static_assert(DEADLINE_BITS + PRIORITY_BITS + LANE_BITS == 63, "the key is not negative");

static int64_t clamp(int64_t value, int bits)
{
	const int64_t most = (INT64_C(1) << bits) - 1;
	return value < 0 ? 0 : value > most ? most : value;
}

static int64_t turn_key(const struct roster_entry *e)
{
	return clamp(e->lane, LANE_BITS) << (PRIORITY_BITS + DEADLINE_BITS) |
	       clamp(e->priority, PRIORITY_BITS) << DEADLINE_BITS | clamp(e->deadline_ms, DEADLINE_BITS);
}

int64_t roster_urgency(const struct roster_entry *entry)
{
	return turn_key(entry) >> DEADLINE_BITS;
}

static struct roster_entry *by_age(struct heap_link *link)
{
	return link ? CONTAINER_OF(link, struct roster_entry, age) : NULL;
}

static struct roster_entry *by_turn(struct heap_link *link)
{
	return link ? CONTAINER_OF(link, struct roster_entry, turn) : NULL;
}

static struct roster_entry *by_expiry(struct heap_link *link)
{
	return link ? CONTAINER_OF(link, struct roster_entry, expiry) : NULL;
}

static int compare_ids(const void *a, const void *b)
{
	const struct roster_session *left = a, *right = b;
	return strcmp(left->id, right->id);
}

struct roster *roster_new(void)
{
	return calloc(1, sizeof(struct roster));
}

static void free_session(void *session)
{
	struct roster_session *s = session;
	heap_fini(&s->behind);
	free(s);
}

struct roster *roster_free(struct roster *roster)
{
	if (!roster)
		return NULL;
	tdestroy(roster->sessions, free_session);
	heap_fini(&roster->ready);
	heap_fini(&roster->ages);
	heap_fini(&roster->expiry);
	free(roster);
	return NULL;
}

static struct roster_session *find_session(struct roster *roster, const char *id)
{
	const struct roster_session key = { .id = id };
	struct roster_session *const *node = tfind(&key, &roster->sessions, compare_ids);
	return node ? *node : NULL;
}

static struct roster_session *new_session(struct roster *roster, const char *id)
{
	if (heap_reserve(&roster->ready, roster->session_count + 1) < 0 ||
	    heap_reserve(&roster->ages, roster->session_count + 1) < 0)
		return NULL;
	const size_t size = strlen(id) + 1;
	struct roster_session *s = malloc(sizeof(*s) + size);
	if (!s)
		return NULL;
	*s = (struct roster_session){ .id = memcpy(s + 1, id, size) };
	heap_init(&s->behind);
	if (!tsearch(s, &roster->sessions, compare_ids)) {
		free(s);
		return NULL;
	}
	roster->session_count++;
	return s;
}

static void end_session(struct roster *roster, struct roster_session *s)
{
	tdelete(s, &roster->sessions, compare_ids);
	roster->session_count--;
	free_session(s);
}

static void put_in_front(struct roster *roster, struct roster_session *s, struct roster_entry *entry)
{
	int r = heap_push(&roster->ready, &entry->turn, turn_key(entry), entry->arrival);
	assert(r == 0); /* there is room for one of every session */
	r = heap_push(&roster->ages, &entry->age, 0, entry->arrival);
	assert(r == 0);
	(void)r;
	entry->place = ROSTER_READY;
	s->front = entry;
}

static void take_from_front(struct roster *roster, struct roster_entry *entry)
{
	heap_remove(&roster->ready, &entry->turn);
	heap_remove(&roster->ages, &entry->age);
}

static int put_behind(struct roster_session *s, struct roster_entry *entry)
{
	const int r = heap_push(&s->behind, &entry->turn, turn_key(entry), entry->arrival);
	if (r == 0)
		entry->place = ROSTER_BEHIND;
	return r;
}

/* The front has left: whoever is first behind it moves up; without any, the session ends. */
static void move_up(struct roster *roster, struct roster_session *s)
{
	struct roster_entry *next = by_turn(heap_pop(&s->behind));
	if (next)
		put_in_front(roster, s, next);
	else
		end_session(roster, s);
}

/* Finds the entry its place within its session. 0, or -ENOMEM with nothing changed. */
static int enter_session(struct roster *roster, struct roster_session *s, struct roster_entry *entry)
{
	struct roster_entry *front = s->front;
	if (!front) {
		put_in_front(roster, s, entry);
		return 0;
	}
	/* It came later, so it passes only one that is less urgent. */
	if (front->place == ROSTER_RUNNING || turn_key(entry) >= turn_key(front))
		return put_behind(s, entry);
	take_from_front(roster, front);
	if (put_behind(s, front) < 0) {
		put_in_front(roster, s, front);
		return -ENOMEM;
	}
	put_in_front(roster, s, entry);
	return 0;
}

int roster_add(struct roster *roster, struct roster_entry *entry)
{
	assert(entry->place == ROSTER_OUT && entry->session_id);
	entry->arrival = roster->arrivals++;
	if (heap_push(&roster->expiry, &entry->expiry, entry->deadline_ms, entry->arrival) < 0)
		return -ENOMEM;
	struct roster_session *s = find_session(roster, entry->session_id);
	if (!s)
		s = new_session(roster, entry->session_id);
	/* A session found has a front, and a new one needs no memory for it: what fails here leaves no empty session.
	 */
	if (!s || enter_session(roster, s, entry) < 0) {
		heap_remove(&roster->expiry, &entry->expiry);
		return -ENOMEM;
	}
	entry->session = s;
	return 0;
}

static struct roster_entry *next_of(const struct roster *roster)
{
	const bool is_turn_of_oldest = roster->passed_over >= ROSTER_OLDEST_TURN - 1;
	return is_turn_of_oldest ? by_age(heap_top(&roster->ages)) : by_turn(heap_top(&roster->ready));
}

int64_t roster_next_urgency(const struct roster *roster)
{
	const struct roster_entry *next = next_of(roster);
	return next ? roster_urgency(next) : INT64_MAX;
}

struct roster_entry *roster_take(struct roster *roster)
{
	struct roster_entry *entry = next_of(roster);
	if (!entry)
		return NULL;
	const bool passes = roster_urgency(entry) < roster_urgency(by_age(heap_top(&roster->ages)));
	roster->passed_over = passes ? roster->passed_over + 1 : 0;
	take_from_front(roster, entry);
	assert(entry->session->front == entry);
	heap_remove(&roster->expiry, &entry->expiry);
	entry->place = ROSTER_RUNNING;
	roster->running++;
	return entry;
}

static void leave(struct roster_entry *entry)
{
	entry->place = ROSTER_OUT;
	entry->session = NULL;
}

void roster_release(struct roster *roster, struct roster_entry *entry)
{
	assert(entry->place == ROSTER_RUNNING && entry->session->front == entry);
	roster->running--;
	move_up(roster, entry->session);
	leave(entry);
}

void roster_remove(struct roster *roster, struct roster_entry *entry)
{
	assert(entry->place == ROSTER_READY || entry->place == ROSTER_BEHIND);
	heap_remove(&roster->expiry, &entry->expiry);
	if (entry->place == ROSTER_READY) {
		take_from_front(roster, entry);
		move_up(roster, entry->session);
	} else {
		heap_remove(&entry->session->behind, &entry->turn);
	}
	leave(entry);
}

struct roster_entry *roster_expired(const struct roster *roster, int64_t deadline_ms)
{
	struct roster_entry *first = by_expiry(heap_top(&roster->expiry));
	return first && first->expiry.key <= deadline_ms ? first : NULL;
}

int64_t roster_next_deadline(const struct roster *roster)
{
	const struct heap_link *top = heap_top(&roster->expiry);
	return top ? top->key : UNIX_MS_NEVER;
}

size_t roster_waiting(const struct roster *roster)
{
	return roster->expiry.count;
}

size_t roster_running(const struct roster *roster)
{
	return roster->running;
}
