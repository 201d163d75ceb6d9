/* roster: in turn, and never two of one session */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "dice.h"
#include "rules/roster.h"
#include "torture.h"

static void add(struct roster *r, struct roster_entry *e, const char *session, int32_t lane, enum priority priority,
		int64_t deadline_ms)
{
	*e = (struct roster_entry){
		.session_id = session, .lane = lane, .priority = priority, .deadline_ms = deadline_ms
	};
	assert_int_equal(roster_add(r, e), 0);
}

static void test_order(void **state)
{
	(void)state;
	/* In the order in which they are to be taken: lane, priority, deadline, arrival. */
	static const struct {
		int32_t lane;
		enum priority priority;
		int64_t deadline_ms;
	} turns[] = {
		{ 0, PRIORITY_HIGH, -7 },
		{ 0, PRIORITY_HIGH, 5 },
		{ 0, PRIORITY_HIGH, 1893456000000 },
		{ 0, PRIORITY_HIGH, 253402300799999 },
		{ 0, PRIORITY_HIGH, UNIX_MS_NEVER },
		{ 0, PRIORITY_NORMAL, 1 },
		{ 0, PRIORITY_LOW, 0 },
		{ 1, PRIORITY_HIGH, 5 },
		{ 1, PRIORITY_LOW, 5 },
		{ 2, PRIORITY_NORMAL, 3 },
		{ 8191, PRIORITY_NORMAL, 3 },
		{ INT32_MAX, PRIORITY_NORMAL, 4 },
	};
	enum { N = sizeof(turns) / sizeof(turns[0]) };
	for (size_t first = 0; first < N; first++) {
		struct roster *r = roster_new();
		struct roster_entry e[N];
		char names[N][8];
		for (size_t k = 0; k < N; k++) {
			const size_t i = (first + k * 5) % N; /* N and 5 have no common divisor: each once */
			snprintf(names[i], sizeof(names[i]), "s%zu", i);
			add(r, &e[i], names[i], turns[i].lane, turns[i].priority, turns[i].deadline_ms);
		}
		for (size_t i = 0; i < N; i++)
			assert_ptr_equal(roster_take(r), &e[i]);
		assert_null(roster_take(r));
		assert_int_equal(roster_running(r), (size_t)N);
		for (size_t i = 0; i < N; i++)
			roster_release(r, &e[i]);
		roster_free(r);
	}
}

/* However many urgent ones come, one turn of ROSTER_OLDEST_TURN is for who has waited longest. */
static void test_nobody_waits_for_ever(void **state)
{
	enum { LIVE = 200, BULK = 10 };
	struct roster *r = roster_new();
	struct roster_entry live[LIVE], bulk[BULK];
	char names[LIVE + BULK][8];
	int served = 0;
	(void)state;
	for (int i = 0; i < LIVE + BULK; i++)
		snprintf(names[i], sizeof(names[i]), "s%d", i);
	for (int i = 0; i < BULK; i++)
		add(r, &bulk[i], names[i], 1, PRIORITY_LOW, i);
	for (int i = 0; i < LIVE; i++) { /* always one more than can be taken */
		add(r, &live[i], names[BULK + i], 0, PRIORITY_HIGH, 0);
		if (i == 0)
			continue;
		struct roster_entry *e = roster_take(r);
		if (e->lane == 1) {
			assert_ptr_equal(e, &bulk[served]);
			served++;
		}
	}
	assert_int_equal(served, BULK);
	roster_free(r);
}

static void test_equals_in_order_of_arrival(void **state)
{
	(void)state;
	struct roster *r = roster_new();
	struct roster_entry e[4];
	add(r, &e[2], "c", 0, PRIORITY_NORMAL, 9);
	add(r, &e[0], "a", 0, PRIORITY_NORMAL, 9);
	add(r, &e[1], "b", 0, PRIORITY_NORMAL, 9);
	add(r, &e[3], "a", 0, PRIORITY_NORMAL, 9); /* of one session, too */
	assert_ptr_equal(roster_take(r), &e[2]);
	assert_ptr_equal(roster_take(r), &e[0]);
	assert_ptr_equal(roster_take(r), &e[1]);
	assert_null(roster_take(r));
	roster_release(r, &e[0]);
	assert_ptr_equal(roster_take(r), &e[3]);
	roster_free(r);
}

static void test_a_locked_session_waits_and_others_pass(void **state)
{
	(void)state;
	struct roster *r = roster_new();
	struct roster_entry a1, a2, a3, b;
	add(r, &a1, "a", 0, PRIORITY_NORMAL, 10);
	add(r, &a2, "a", 0, PRIORITY_NORMAL, 11);
	add(r, &b, "b", 0, PRIORITY_LOW, 12);
	assert_ptr_equal(roster_take(r), &a1);
	assert_int_equal(a1.place, ROSTER_RUNNING);
	assert_int_equal(a2.place, ROSTER_BEHIND);
	/* A more urgent one of the same session comes while it runs: it is next, not now. */
	add(r, &a3, "a", 0, PRIORITY_HIGH, 99);
	assert_ptr_equal(roster_take(r), &b);
	assert_null(roster_take(r));
	roster_release(r, &a1);
	assert_int_equal(a1.place, ROSTER_OUT);
	assert_ptr_equal(roster_take(r), &a3);
	assert_null(roster_take(r));
	roster_release(r, &a3);
	assert_ptr_equal(roster_take(r), &a2);
	roster_release(r, &a2);
	roster_release(r, &b);
	assert_null(roster_take(r));
	assert_int_equal(roster_waiting(r) + roster_running(r), 0);
	/* And once more with the same entry: it was OUT. */
	assert_int_equal(roster_add(r, &a1), 0);
	assert_ptr_equal(roster_take(r), &a1);
	roster_free(r);
}

static void test_removal_in_each_place(void **state)
{
	(void)state;
	struct roster *r = roster_new();
	struct roster_entry first, second, third, late;
	add(r, &second, "s", 0, PRIORITY_NORMAL, 20);
	add(r, &first, "s", 0, PRIORITY_HIGH, 30);
	add(r, &third, "s", 0, PRIORITY_LOW, 10);
	assert_int_equal(first.place, ROSTER_READY);
	assert_int_equal(second.place, ROSTER_BEHIND);
	roster_remove(r, &first); /* ready, with others behind it */
	assert_int_equal(first.place, ROSTER_OUT);
	assert_int_equal(second.place, ROSTER_READY);
	roster_remove(r, &third); /* behind one that is ready */
	assert_int_equal(roster_waiting(r), 1);
	roster_remove(r, &second); /* ready, the last of its session */
	assert_int_equal(roster_waiting(r), 0);
	assert_null(roster_take(r));

	add(r, &first, "s", 0, PRIORITY_NORMAL, 1);
	add(r, &late, "s", 0, PRIORITY_NORMAL, 2);
	assert_ptr_equal(roster_take(r), &first);
	roster_remove(r, &late); /* behind one that runs */
	roster_release(r, &first);
	assert_null(roster_take(r));
	assert_int_equal(roster_next_deadline(r), UNIX_MS_NEVER);
	roster_free(r);
}

static void test_deadlines(void **state)
{
	(void)state;
	struct roster *r = roster_new();
	struct roster_entry a, b, c;
	assert_null(roster_expired(r, UNIX_MS_NEVER));
	add(r, &a, "s", 0, PRIORITY_HIGH, 300);
	add(r, &b, "s", 0, PRIORITY_NORMAL, 100);
	add(r, &c, "t", 1, PRIORITY_LOW, 200);
	assert_int_equal(roster_next_deadline(r), 100);
	assert_null(roster_expired(r, 99));
	assert_ptr_equal(roster_expired(r, 100), &b); /* though it is behind another */
	assert_ptr_equal(roster_expired(r, 100), &b);
	roster_remove(r, &b);
	assert_ptr_equal(roster_expired(r, 1000), &c);
	assert_ptr_equal(roster_take(r), &a);
	assert_ptr_equal(roster_take(r), &c);
	assert_null(roster_expired(r, UNIX_MS_NEVER)); /* who runs does not wait */
	roster_free(r);
}

/* A batch job sends 20,000 for one session: neither adding nor releasing may look at all of them. */
static void test_a_hot_session(void **state)
{
	(void)state;
	enum { N = 20000 };
	static struct roster_entry e[N];
	struct roster *r = roster_new();
	for (int i = 0; i < N; i++)
		add(r, &e[i], "hot", 0, PRIORITY_NORMAL, N - i);
	for (int i = N - 1; i >= 0; i--) {
		assert_ptr_equal(roster_take(r), &e[i]);
		assert_null(roster_take(r));
		roster_release(r, &e[i]);
	}
	roster_free(r);
}

/* By the C library's own count; 0 under a sanitizer. */
static size_t memory_in_use(void)
{
	const struct mallinfo2 info = mallinfo2();
	return info.uordblks + info.hblkhd;
}

/* Sessions come by the million in a worker's life: what has left must leave nothing. */
static void test_sessions_that_left_take_no_memory(void **state)
{
	(void)state;
	struct roster *r = roster_new();
	const size_t before = memory_in_use();
	for (int i = 0; i < 50000; i++) {
		struct roster_entry taken, removed;
		char name[2][16];
		snprintf(name[0], sizeof(name[0]), "t%d", i);
		snprintf(name[1], sizeof(name[1]), "r%d", i);
		add(r, &taken, name[0], 0, PRIORITY_HIGH, 1);
		add(r, &removed, name[1], 0, PRIORITY_LOW, 1);
		assert_ptr_equal(roster_take(r), &taken);
		roster_release(r, &taken);
		roster_remove(r, &removed);
	}
	assert_true(memory_in_use() < before + 10000);
	roster_free(r);
}

static void test_free_forgets_whoever_is_in(void **state)
{
	(void)state;
	struct roster *r = roster_new();
	struct roster_entry e[5];
	add(r, &e[0], "a", 0, PRIORITY_NORMAL, 1);
	add(r, &e[1], "a", 0, PRIORITY_NORMAL, 1);
	add(r, &e[2], "b", 0, PRIORITY_NORMAL, 1);
	add(r, &e[3], "b", 0, PRIORITY_NORMAL, 1);
	assert_non_null(roster_take(r));
	assert_null(roster_free(r));
	assert_null(roster_free(NULL));
}

/* ---- the model: every entry looked at, every time ---- */

#define ENTRIES  120
#define SESSIONS 25

struct person {
	struct roster_entry entry;
	int session;
	uint64_t arrival;
};

static struct person people[ENTRIES];
static char session_names[SESSIONS][16];

static bool waits(const struct person *p)
{
	return p->entry.place == ROSTER_READY || p->entry.place == ROSTER_BEHIND;
}

static bool session_runs(int session)
{
	int running = 0;
	for (size_t i = 0; i < ENTRIES; i++)
		running += people[i].session == session && people[i].entry.place == ROSTER_RUNNING;
	assert_true(running <= 1);
	return running == 1;
}

static bool model_before(const struct person *a, const struct person *b)
{
	if (a->entry.lane != b->entry.lane)
		return a->entry.lane < b->entry.lane;
	if (a->entry.priority != b->entry.priority)
		return a->entry.priority < b->entry.priority;
	if (a->entry.deadline_ms != b->entry.deadline_ms)
		return a->entry.deadline_ms < b->entry.deadline_ms;
	return a->arrival < b->arrival;
}

static struct person *model_first_of(int session)
{
	struct person *first = NULL;
	for (size_t i = 0; i < ENTRIES; i++) {
		struct person *p = &people[i];
		if (p->session == session && waits(p) && (!first || model_before(p, first)))
			first = p;
	}
	return first;
}

static int model_passed_over;

static struct person *model_best(bool oldest)
{
	struct person *best = NULL;
	for (int session = 0; session < SESSIONS; session++) {
		struct person *p = session_runs(session) ? NULL : model_first_of(session);
		if (p && (!best || (oldest ? p->arrival < best->arrival : model_before(p, best))))
			best = p;
	}
	return best;
}

static struct person *model_next(void)
{
	return model_best(model_passed_over >= ROSTER_OLDEST_TURN - 1);
}

static void model_take(const struct person *next)
{
	const bool passes = next && roster_urgency(&next->entry) < roster_urgency(&model_best(true)->entry);
	if (next)
		model_passed_over = passes ? model_passed_over + 1 : 0;
}

static void check_counts(const struct roster *r)
{
	size_t waiting = 0, running = 0;
	int64_t deadline = UNIX_MS_NEVER;
	for (size_t i = 0; i < ENTRIES; i++) {
		waiting += waits(&people[i]);
		running += people[i].entry.place == ROSTER_RUNNING;
		if (waits(&people[i]) && people[i].entry.deadline_ms < deadline)
			deadline = people[i].entry.deadline_ms;
	}
	assert_int_equal(roster_waiting(r), waiting);
	assert_int_equal(roster_running(r), running);
	assert_int_equal(roster_next_deadline(r), deadline);
}

static void random_add(struct dice *dice, struct roster *r, struct person *p, uint64_t arrival)
{
	p->session = (int)(dice_chance(dice, 30) ? 0 : dice_below(dice, SESSIONS));
	p->arrival = arrival;
	add(r, &p->entry, session_names[p->session], (int32_t)dice_below(dice, 3),
	    (enum priority)dice_below(dice, PRIORITY_COUNT), dice_below(dice, 5));
}

static void random_step(struct dice *dice, struct roster *r, uint64_t n)
{
	struct person *p = &people[dice_below(dice, ENTRIES)];
	/* What frees a place must never need memory. */
	if (dice_chance(dice, 40)) {
		struct person *next = model_next();
		assert_int_equal(roster_next_urgency(r), next ? roster_urgency(&next->entry) : INT64_MAX);
		model_take(next);
		torture_after(0);
		struct roster_entry *taken = roster_take(r);
		assert_false(torture_end());
		assert_ptr_equal(taken, next ? &next->entry : NULL);
	} else if (p->entry.place == ROSTER_OUT) {
		random_add(dice, r, p, n);
	} else if (p->entry.place == ROSTER_RUNNING) {
		torture_after(0);
		roster_release(r, &p->entry);
		assert_false(torture_end());
	} else if (dice_chance(dice, 20)) {
		torture_after(0);
		roster_remove(r, &p->entry);
		assert_false(torture_end());
	}
}

static void test_model(void **state)
{
	(void)state;
	struct dice dice = { 4711 };
	struct roster *r = roster_new();
	for (int i = 0; i < SESSIONS; i++)
		snprintf(session_names[i], sizeof(session_names[i]), "session-%d", i);
	for (uint64_t n = 0; n < 40000; n++) {
		random_step(&dice, r, n);
		check_counts(r);
	}
	roster_free(r);
}

static void test_out_of_memory_changes_nothing(void **state)
{
	(void)state;
	if (!torture_works())
		skip();
	/* Add to an empty roster; behind a ready one; before a ready one. */
	for (int which = 0; which < 3; which++)
		for (long n = 0;; n++) {
			struct roster *r = roster_new();
			struct roster_entry old;
			struct roster_entry entry = { .session_id = "s", .deadline_ms = which == 1 ? 9 : 1 };
			if (which > 0)
				add(r, &old, "s", 0, PRIORITY_HIGH, 5);
			torture_after(n);
			const int result = roster_add(r, &entry);
			const bool struck = torture_end();
			assert_int_equal(result, struck ? -ENOMEM : 0);
			assert_int_equal(entry.place == ROSTER_OUT, struck);
			assert_int_equal(roster_waiting(r), (which > 0 ? 1 : 0) + (struck ? 0 : 1));
			if (struck && which == 0)
				assert_int_equal(roster_add(r, &entry), 0);
			assert_ptr_equal(roster_take(r), which == 1 || (struck && which == 2) ? &old : &entry);
			roster_free(r);
			if (!struck)
				break;
			assert_true(n < 8);
		}
	torture_after(0);
	assert_null(roster_new());
	torture_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_nobody_waits_for_ever),
		cmocka_unit_test(test_equals_in_order_of_arrival),
		cmocka_unit_test(test_a_locked_session_waits_and_others_pass),
		cmocka_unit_test(test_removal_in_each_place),
		cmocka_unit_test(test_deadlines),
		cmocka_unit_test(test_a_hot_session),
		cmocka_unit_test(test_sessions_that_left_take_no_memory),
		cmocka_unit_test(test_free_forgets_whoever_is_in),
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_out_of_memory_changes_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
