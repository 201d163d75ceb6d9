/* rebalance: wherever a handoff is when its partition goes, nothing is lost, nothing is said twice, nothing waits for
 * ever, and the loop does not spin meanwhile. */
#include "component/worker_world.h"

enum { CALM = 40 }; /* turns within a second that are no spinning */

static void revoke_all(void)
{
	event(KAFKA_REVOKED);
	turn(0);
}

/* No deadline is looked at while partitions are given back; it must not make the loop turn without a pause. */
static void test_deadlines_that_pass_during_a_revoke(void **state)
{
	(void)state;
	begin_work();
	world.serves = false;
	request("runs", "s-1", 60000);
	turn(0);
	request("waits", "s-1", 1000); /* behind its session */
	turn(0);
	(void)open_call(STAGE_FETCH);
	revoke_all();
	assert_true(turns_within(3 * USEC_PER_SEC) < 3 * CALM);
	serve(open_call(STAGE_FETCH));
	turns_within(USEC_PER_SEC);
	assert_int_equal(world.released, 1);
	assert_string_equal(end_of("retry", "runs")->resume, "fetch");
	assert_null(end_of("outcomes", "waits")); /* the next owner's */
}

/* What has no call open does not keep the group waiting. */
static void test_a_held_handoff_is_parked_at_once(void **state)
{
	(void)state;
	begin_work();
	request("held", "s-1", 600000);
	bring_to(STAGE_TRIGGER);
	answer(open_call(STAGE_TRIGGER), 0, ""); /* refused: surely not sent */
	world.worker.tenants[0].breaker.state = BREAKER_OPEN;
	world.worker.tenants[0].breaker.retry_at = USEC_NEVER;
	turn(0);
	assert_int_equal(dispatch_busy(&world.worker), 1); /* its session stays locked */
	revoke_all();
	turn(0);
	assert_int_equal(world.released, 1);
	const struct written *end = end_of("retry", "held");
	assert_string_equal(end->resume, "update");
	assert_string_equal(end->attempt, "2");
}

static void test_every_place_at_a_revoke(void **state)
{
	static const struct {
		enum stage open;
		const char *resume;
	} cases[] = { { STAGE_FETCH, "fetch" }, { STAGE_UPDATE, "update" }, { STAGE_TRIGGER, "verify" } };
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		tear_down(state);
		set_up(state);
		begin_work();
		request("open", "s-1", 600000);
		bring_to(cases[i].open);
		retry("parked", "s-2", 60000, 0);
		turn(0);
		revoke_all();
		turn(4 * USEC_PER_SEC);
		assert_int_equal(world.released, 0); /* the call may end until revoke_ms */
		turns_within(2 * USEC_PER_SEC);
		assert_int_equal(world.released, 1);
		assert_string_equal(end_of("retry", "open")->resume, cases[i].resume);
		assert_null(end_of("retry", "parked")); /* it stands in its topic already */
		assert_int_equal(world.in_flight, 0);
		assert_int_equal(world.worker.job_memory, 0);
	}
}

/* The group expelled us while we were giving back: the refused commit is all that ever tells. */
static void test_offsets_refused_during_a_revoke(void **state)
{
	(void)state;
	begin_work();
	world.commits = false;
	request("done", "s-1", 600000);
	world.serves = true;
	for (int i = 0; i < 5; i++)
		turn(USEC_PER_SEC);
	assert_non_null(world.batch);
	request("new", "s-2", 600000);
	turn(0);
	event(KAFKA_REVOKED);
	verdict(KAFKA_REVOKED_UNDER_US);
	turn(0);
	turn(0);
	assert_int_equal(world.released, 1);
	assert_null(world.batch);
	assert_int_equal(world.worker.leaving, LEAVING_NOT);
}

/* Refused, and the group has not said why yet: nobody is called any more. */
static void test_offsets_refused_stops_dispatch(void **state)
{
	(void)state;
	begin_work();
	world.commits = false;
	request("done", "s-1", 600000);
	world.serves = true;
	for (int i = 0; i < 5; i++)
		turn(USEC_PER_SEC);
	world.serves = false;
	request("new", "s-2", 600000);
	verdict(KAFKA_REVOKED_UNDER_US);
	turn(0);
	turn(USEC_PER_SEC);
	assert_int_equal(world.in_flight, 0);
	event(KAFKA_LOST);
	turn(0);
	assert_int_equal(world.released, 1);
	assign();
	put_end(RETRY);
	world.commits = true;
	turn(0);
	request("again", "s-2", 600000);
	turn(0);
	(void)open_call(STAGE_FETCH);
}

/* Lost while a call is open: it publishes nothing, but its session stays locked until it ends (promise 8). */
static void test_an_orphan_keeps_its_session(void **state)
{
	(void)state;
	begin_work();
	request("first", "s-1", 600000);
	bring_to(STAGE_UPDATE);
	event(KAFKA_LOST);
	turn(0);
	assert_int_equal(world.released, 1);
	assert_int_equal(world.worker.orphan_count, 1);
	assert_int_equal(dispatch_busy(&world.worker), 0);
	world.next_offset[REQUESTS] = 0;
	assign();
	turn(0);
	request("first", "s-1", 600000); /* the same record again: no duplicate, it waits for its own past */
	put_end(RETRY);
	turn(0);
	turn(0);
	assert_int_equal(world.in_flight, 1);
	serve(open_call(STAGE_UPDATE));
	turn(0);
	assert_int_equal(world.worker.orphan_count, 0);
	(void)open_call(STAGE_FETCH);
	world.serves = true;
	for (int i = 0; i < 5; i++)
		turn(USEC_PER_SEC);
	assert_string_equal(end_of("outcomes", "first")->status, "completed");
}

static void test_lost_while_a_batch_is_in_flight(void **state)
{
	(void)state;
	begin_work();
	world.commits = false;
	request("in-flight", "s-1", 600000);
	world.serves = true;
	for (int i = 0; i < 5; i++)
		turn(USEC_PER_SEC);
	assert_non_null(world.batch);
	event(KAFKA_LOST);
	turn(0);
	assert_int_equal(world.released, 0); /* its answer is due first (promise 6) */
	assert_true(turns_within(3 * USEC_PER_SEC) < 3 * CALM);
	verdict(KAFKA_ABORTED);
	turn(0);
	assert_int_equal(world.released, 1);
	turn(USEC_PER_SEC);
	assert_null(world.batch);
}

/* A question that nobody answered dies with its assignment. */
static void test_a_late_answer_about_offsets(void **state)
{
	(void)state;
	begin_work();
	world.commits = false;
	request("asked-for", "s-1", 600000);
	world.serves = true;
	for (int i = 0; i < 5; i++)
		turn(USEC_PER_SEC);
	verdict(KAFKA_UNKNOWN);
	turn(0);
	assert_int_equal(world.asked, 1);
	event(KAFKA_OFFSETS)->fault.kind = FAULT_DEPENDENCY_DOWN;
	turn(0);
	turn(USEC_PER_SEC);
	assert_int_equal(world.asked, 2); /* until there is an answer */
	event(KAFKA_OFFSETS)->fault.kind = FAULT_DEPENDENCY_DOWN;
	turn(0);
	event(KAFKA_LOST);
	turn(0);
	world.next_offset[REQUESTS] = 0;
	assign();
	put_end(RETRY);
	turn(0);
	request("next", "s-2", 600000);
	for (int i = 0; i < 5; i++)
		turn(USEC_PER_SEC);
	assert_int_equal(world.asked, 2);
	assert_non_null(world.batch);
	struct kafka_consumer_event *e = event(KAFKA_OFFSETS);
	struct kafka_partition told = { .topic = "requests", .committed = 100, .metadata = "" };
	e->partitions = &told;
	e->count = 1;
	turn(0);
	verdict(KAFKA_COMMITTED); /* the batch is still what it was */
	turn(0);
	assert_non_null(end_of("outcomes", "next"));
}

static void test_fate_is_asked_by_name(void **state)
{
	(void)state;
	begin_work();
	world.commits = false;
	request("unknown", "s-1", 600000);
	world.serves = true;
	for (int i = 0; i < 5; i++)
		turn(USEC_PER_SEC);
	verdict(KAFKA_UNKNOWN);
	turn(0);
	/* The brokers answer in their order, not in ours; nothing took effect. */
	struct kafka_partition told[] = { { .topic = "retry", .committed = 50, .metadata = "" },
					  { .topic = "requests", .committed = KAFKA_OFFSET_NONE, .metadata = "" } };
	struct kafka_consumer_event *e = event(KAFKA_OFFSETS);
	e->partitions = told;
	e->count = 2;
	turn(0);
	turn(0);
	assert_non_null(world.batch); /* again */
	verdict(KAFKA_COMMITTED);
	turn(0);
	assert_non_null(end_of("outcomes", "unknown"));
}

/* ---- the process stands still ---- */

static void test_no_call_after_a_pause_before_a_commit(void **state)
{
	(void)state;
	begin_work();
	world.commits = false;
	request("frozen", "s-1", 600000);
	request("waits", "s-1", 600000);
	bring_to(STAGE_UPDATE);
	serve(open_call(STAGE_UPDATE)); /* it came while we were frozen */
	turn(10 * USEC_PER_SEC);
	assert_int_equal(world.in_flight, 0); /* the next owner may be at it: no trigger */
	assert_non_null(world.batch);
	verdict(KAFKA_COMMITTED);
	turn(0);
	(void)open_call(STAGE_TRIGGER);
}

/* It stood still between the assignment and the word of it. */
static void test_a_pause_before_an_assignment(void **state)
{
	(void)state;
	world.serves = true;
	say_topics_fit();
	turn(0);
	turn(0);
	world.serves = world.commits = false;
	turn(20 * USEC_PER_SEC);
	assign();
	put_end(RETRY);
	request("h", "s-1", 600000);
	turn(0);
	turn(USEC_PER_MSEC);
	assert_int_equal(world.in_flight, 0);
	verdict(KAFKA_COMMITTED);
	turn(USEC_PER_MSEC);
	turn(USEC_PER_MSEC);
	assert_int_equal(open_call(STAGE_FETCH)->stage, STAGE_FETCH);
}

static void test_a_pause_within_a_turn(void **state)
{
	(void)state;
	begin_work();
	world.commits = false;
	request("frozen", "s-1", 600000);
	bring_to(STAGE_UPDATE);
	serve(open_call(STAGE_UPDATE));
	/* As if the clock jumped after the turn had read it: only the reply's own reading sees it. */
	world.worker.now = __wrap_clock_read();
	world.now += 10 * USEC_PER_SEC;
	http_run(world.worker.tenants[0].http, world.now);
	assert_true(world.worker.unproven);
	assert_int_equal(world.in_flight, 0);
}

/* What a pause may be taken for depends on the session time-out, which a property may change. */
static void test_the_session_timeout_decides_what_a_pause_is(void **state)
{
	static const struct {
		const char *property;
		usec_t pause;
		bool noticed;
	} cases[] = {
		{ NULL, 7 * USEC_PER_SEC, false },
		{ NULL, 8 * USEC_PER_SEC, true },
		{ "session.timeout.ms=6000", 4 * USEC_PER_SEC, true },
		{ "session.timeout.ms=6000", 2 * USEC_PER_SEC, false },
		{ "session.timeout.ms=45000", 20 * USEC_PER_SEC, false },
		{ "session.timeout.ms=1000", 0, false }, /* nor is the loop's own sleep one */
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *properties[] = { cases[i].property };
		struct fault fault = { 0 };
		tear_down(state);
		set_up(state);
		worker_fini(&world.worker);
		world.settings.kafka.properties = (struct settings_list){ properties, properties[0] ? 1 : 0 };
		assert_int_equal(worker_init(&world.worker, &world.settings, &world.signals, &fault), 0);
		begin_work();
		turns_within(5 * USEC_PER_SEC);
		turn(0);
		world.commits = false; /* or the proof would be there at once */
		turn(cases[i].pause);
		if (world.worker.unproven != cases[i].noticed)
			fail_msg("case %zu", i);
	}
}

/* ---- stopping ---- */

static void stop(void)
{
	world.signals.stop = 1;
	turn(0);
}

static void test_stop_before_anything_is_known(void **state)
{
	(void)state;
	turn(0);
	stop();
	assert_true(world.worker.finished);
	assert_int_equal(world.worker.exit_code, 0);
}

static void test_stop_while_no_broker_answers(void **state)
{
	(void)state;
	world.topology = (struct kafka_topology_report){ .answered = false };
	world.topology_news = true;
	turn(0);
	stop();
	assert_int_equal(world.worker.exit_code, 1);
}

static void test_stop_before_the_group_was_joined(void **state)
{
	(void)state;
	say_topics_fit();
	turn(0);
	stop();
	turn(0);
	assert_true(world.worker.finished);
	assert_int_equal(world.worker.exit_code, 0);
}

static void test_stop_lets_calls_end_and_parks_the_rest(void **state)
{
	(void)state;
	begin_work();
	request("finishes", "s-1", 600000);
	request("never-ends", "s-2", 600000);
	turn(0);
	stop();
	struct http_call *const never = &world.calls[strcmp(world.calls[0].session, "s-2") == 0 ? 0 : 1];
	for (int i = 0; i < 3; i++) {
		for (size_t c = 0; c < CALLS_MAX; c++)
			if (world.calls[c].open && &world.calls[c] != never)
				serve(&world.calls[c]);
		turn(USEC_PER_SEC);
	}
	assert_false(world.worker.finished);
	turns_within(20 * USEC_PER_SEC);
	assert_true(world.worker.finished);
	assert_int_equal(world.worker.exit_code, 0);
	assert_string_equal(end_of("outcomes", "finishes")->status, "completed");
	assert_string_equal(end_of("retry", "never-ends")->resume, "fetch");
}

static void test_stop_during_a_revoke(void **state)
{
	(void)state;
	begin_work();
	request("open", "s-1", 600000);
	bring_to(STAGE_UPDATE);
	revoke_all();
	world.closed = 0;
	stop();
	serve(open_call(STAGE_UPDATE));
	turns_within(2 * USEC_PER_SEC);
	assert_true(world.worker.finished);
	assert_int_equal(world.worker.exit_code, 0);
	assert_string_equal(end_of("retry", "open")->resume, "update");
}

/* Calls of orphans and of running handoffs are open at the end: nothing may be left behind (a sanitizer looks). */
static void test_second_signal_with_calls_open(void **state)
{
	(void)state;
	begin_work();
	request("orphan", "s-1", 600000);
	turn(0);
	event(KAFKA_LOST);
	turn(0);
	assign();
	put_end(RETRY);
	turn(0);
	request("running", "s-2", 600000);
	turn(0);
	assert_int_equal(world.in_flight, 2);
	world.signals.stop = 2;
	turn(0);
	assert_int_equal(world.worker.exit_code, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_deadlines_that_pass_during_a_revoke),
		TEST(test_a_held_handoff_is_parked_at_once),
		TEST(test_every_place_at_a_revoke),
		TEST(test_offsets_refused_during_a_revoke),
		TEST(test_offsets_refused_stops_dispatch),
		TEST(test_an_orphan_keeps_its_session),
		TEST(test_lost_while_a_batch_is_in_flight),
		TEST(test_a_late_answer_about_offsets),
		TEST(test_fate_is_asked_by_name),
		TEST(test_no_call_after_a_pause_before_a_commit),
		TEST(test_a_pause_within_a_turn),
		TEST(test_a_pause_before_an_assignment),
		TEST(test_the_session_timeout_decides_what_a_pause_is),
		TEST(test_stop_before_anything_is_known),
		TEST(test_stop_while_no_broker_answers),
		TEST(test_stop_before_the_group_was_joined),
		TEST(test_stop_lets_calls_end_and_parks_the_rest),
		TEST(test_stop_during_a_revoke),
		TEST(test_second_signal_with_calls_open),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
