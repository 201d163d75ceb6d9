/* A tenant that is down, for minutes or for an hour: nothing is lost, poured out or burnt, deadlines run on, and the
 * end of it is no stampede. Virtual time. */
#include "base/text.h"
#include "component/worker_world.h"

/* How many records were written to this topic with this status ("" for a retry). */
static size_t written(const char *topic, const char *status)
{
	size_t count = 0;
	for (size_t i = 0; i < world.end_count; i++)
		count += strcmp(world.ends[i].topic, topic) == 0 && strcmp(world.ends[i].status, status) == 0;
	return count;
}

static void many(const char *prefix, int from, int count, int64_t ttl_ms)
{
	for (int i = from; i < from + count; i++) {
		char id[16];
		snprintf(id, sizeof(id), "%s%d", prefix, i);
		request(id, id, ttl_ms);
	}
}

/* ---- the breaker ---- */

static void test_an_hour_of_outage(void **state)
{
	enum { ROUNDS = 120, EACH = 10 }; /* every 30 s for an hour */
	(void)state;
	begin_work();
	struct tenant *t = &world.worker.tenants[0];
	world.refuses = true;
	world.calls_started = 0;
	for (int round = 0; round < ROUNDS; round++) {
		many("short", round * EACH, EACH, 60000);
		many("long", round * EACH, EACH, 7200000);
		turns_within(30 * USEC_PER_SEC);
	}
	assert_int_equal(t->breaker.state, BREAKER_OPEN);
	/* One real request tries every five seconds; no more than that, but for those that opened it. */
	assert_in_range(world.calls_started, 3600 / 5 - 20, 3600 / 5 + 20);
	assert_int_equal(world.read_first[REQUESTS], world.read_count[REQUESTS]); /* it goes on reading */
	assert_int_equal(world.end_count, written("outcomes", "expired"));
	assert_in_range(world.end_count, (ROUNDS - 4) * EACH, ROUNDS * EACH);
	world.refuses = false;
	world.serves = true;
	turns_within(60 * USEC_PER_SEC);
	assert_int_equal(written("outcomes", "completed") + written("outcomes", "expired"), 2 * ROUNDS * EACH);
	assert_true(written("outcomes", "completed") >= ROUNDS * EACH);
	assert_int_equal(written("retry", ""), 0);
	assert_int_equal(written("dlq", ""), 0);
}

/* A backlog behind the breaker comes back in doublings, not all at once. */
static void test_the_backlog_is_no_stampede(void **state)
{
	(void)state;
	begin_work();
	many("h", 0, 1000, 600000);
	world.refuses = true;
	turns_within(12 * USEC_PER_SEC);
	world.refuses = false;
	while (world.in_flight == 0)
		turn(USEC_PER_SEC / 10);
	assert_int_equal(world.in_flight, 1);
	world.most_at_once = 0;
	for (size_t round = 1, before = 1; round <= 12; round++) {
		world.serves = true;
		turn(20 * USEC_PER_MSEC);
		world.serves = false;
		turn(0);
		assert_true(world.in_flight <= 2 * before + 2);
		assert_true(world.in_flight > before || world.in_flight == 256);
		before = world.in_flight;
	}
	assert_int_equal(world.most_at_once, 256);
	world.serves = true;
	turns_within(5 * USEC_PER_SEC);
	assert_int_equal(written("outcomes", "completed"), 1000);
}

/* Only logins have failed, they succeed again, and no request is there to try: nothing is in the way any more. */
static void test_a_login_closes_what_logins_opened(void **state)
{
	(void)state;
	world.refuses = true;
	say_topics_fit();
	assign();
	put_end(REQUESTS);
	put_end(RETRY);
	turns_within(40 * USEC_PER_SEC);
	struct tenant *t = &world.worker.tenants[0];
	assert_int_equal(t->breaker.state, BREAKER_OPEN);
	world.refuses = false;
	world.serves = true;
	turns_within(10 * USEC_PER_SEC);
	assert_null(tenant_obstacle(t, world.now));
}

/* ---- what opens too late ---- */

static void test_login_that_may_not_be_tried_in_time(void **state)
{
	(void)state;
	begin_work();
	token_cache_refuse(world.worker.tenants[0].token, 1);
	turn(0);
	struct http_call *login = open_call(STAGE_LOGIN);
	request("hopeless", "s-1", 30000);
	request("patient", "s-2", 90000);
	turn(0);
	answer(login, 429, "");
	login->reply.retry_after = SPAN("60");
	turn(0);
	turn(100 * USEC_PER_MSEC);
	assert_string_equal(end_of("outcomes", "hopeless")->reason, "deadline.unreachable");
	assert_int_equal(world.end_count, 1);
	world.serves = true;
	turns_within(59 * USEC_PER_SEC);
	assert_int_equal(world.end_count, 1);
	turns_within(3 * USEC_PER_SEC);
	assert_string_equal(end_of("outcomes", "patient")->status, "completed");
}

/* Parked in the middle of the wait, and read while the gate is closed already. */
static void test_parked_behind_a_gate_that_opens_too_late(void **state)
{
	(void)state;
	begin_work();
	retry("parked", "s-1", 5000, 0); /* deadline: 600 s from now */
	turn(0);
	struct tenant *t = &world.worker.tenants[0];
	gate_close(&t->gate, world.now + 599 * USEC_PER_SEC, world.now);
	turn(USEC_PER_SEC);
	turn(100 * USEC_PER_MSEC);
	assert_int_equal(world.end_count, 0);
	gate_close(&t->gate, world.now + 601 * USEC_PER_SEC, world.now);
	retry("read", "s-2", 5000, 0);
	turn(USEC_PER_SEC);
	turn(100 * USEC_PER_MSEC);
	assert_string_equal(end_of("outcomes", "parked")->reason, "deadline.unreachable");
	gate_close(&t->gate, world.now + 700 * USEC_PER_SEC, world.now);
	retry("late", "s-3", 5000, 0);
	turn(0);
	turn(100 * USEC_PER_MSEC);
	assert_string_equal(end_of("outcomes", "late")->reason, "deadline.unreachable");
}

/* ---- several tenants ---- */

static int set_up_two(void **state)
{
	static struct settings_tenant two[2];
	struct fault fault;
	set_up(state);
	worker_fini(&world.worker);
	two[0] = two[1] = world.tenant;
	two[0].name = "closed";
	two[1].name = "open";
	world.settings.tenants = two;
	world.settings.tenant_count = 2;
	world.settings.worker.window = 100;
	return worker_init(&world.worker, &world.settings, &world.signals, &fault);
}

static void put_of(size_t partition, const char *tenant, int number, const char *const *headers)
{
	char value[256];
	snprintf(value, sizeof(value),
		 "{\"sessionId\":\"%s%d\",\"queueId\":\"" QUEUE "\",\"handoffId\":\"%s%d\",\"tenant\":\"%s\"}", tenant,
		 number, tenant, number, tenant);
	put(partition, value, headers);
}

static void request_of(const char *tenant, int number)
{
	put_of(REQUESTS, tenant, number, NULL);
}

/* A full window of one tenant's requests, and behind them another's. */
static void test_closed_tenant_makes_way(void **state)
{
	(void)state;
	begin_work();
	struct tenant *closed = &world.worker.tenants[0];
	gate_close(&closed->gate, world.now + 30 * USEC_PER_SEC, world.now);
	for (int i = 0; i < 100; i++)
		request_of("closed", i);
	request_of("open", 0);
	world.serves = true;
	turns_within(USEC_PER_SEC);
	assert_string_equal(end_of("outcomes", "open0")->status, "completed");
	assert_int_equal(written("retry", ""), 50);
	for (int i = 0; i < 100; i++) { /* the oldest, untried */
		char id[16];
		snprintf(id, sizeof(id), "closed%d", i);
		const struct written *moved = end_of("retry", id);
		assert_int_equal(moved != NULL, i < 50);
		if (moved)
			assert_string_equal(moved->attempt, "1");
	}
	turns_within(28 * USEC_PER_SEC);
	assert_int_equal(written("outcomes", "completed"), 1); /* not early */
}

/* It answers, but far slower than its requests come: its calls are all open, and its window is full. */
static void test_slow_tenant_makes_way(void **state)
{
	(void)state;
	begin_work();
	concurrency_init(&world.worker.tenants[0].concurrency, 2, true);
	for (int i = 0; i < 100; i++)
		request_of("closed", i);
	request_of("open", 0);
	turns_within(USEC_PER_SEC);
	assert_int_equal(world.in_flight, 3);
	for (size_t c = 0; c < CALLS_MAX; c++)
		if (world.calls[c].open && strcmp(world.calls[c].session, "open0") == 0)
			serve(&world.calls[c]);
	turns_within(USEC_PER_SEC);
	const size_t moved = written("retry", "");
	assert_in_range(moved, 48, 50);
	for (size_t i = 0; i < world.end_count; i++)
		assert_string_equal(world.ends[i].attempt, "1"); /* untried */
	turns_within(3 * USEC_PER_SEC);
	assert_int_equal(written("retry", ""), moved); /* not again and again */
}

/* Its login is refused, or hangs: nothing of it can be called, though no call has failed. */
static void test_tenant_without_a_token_makes_way(void **state)
{
	(void)state;
	begin_work();
	token_cache_refuse(world.worker.tenants[0].token, 1);
	for (int i = 0; i < 100; i++)
		request_of("closed", i);
	request_of("open", 0);
	turns_within(USEC_PER_SEC - 200 * USEC_PER_MSEC);
	assert_int_equal(world.end_count, 0); /* a login may take a while */
	turns_within(USEC_PER_SEC);
	assert_int_equal(written("retry", ""), 50);
	assert_int_equal(world.in_flight, 2); /* the login, and the other tenant's fetch */
}

static void retry_of(const char *tenant, int number, int64_t due_ms)
{
	char due[32];
	const char *const headers[] = { HDR_ATTEMPT, "2", HDR_NOT_BEFORE, due, NULL };
	snprintf(due, sizeof(due), "%lld", (long long)due_ms);
	put_of(RETRY, tenant, number, headers);
}

/* They are due when the wall clock is set back: what is written of them must not be due before they were. */
static void test_who_makes_way_is_not_due_earlier(void **state)
{
	(void)state;
	begin_work();
	gate_close(&world.worker.tenants[0].gate, world.now + 10 * USEC_PER_SEC, world.now);
	const int64_t due_ms = __wrap_clock_read().unix_ms + 2000;
	for (int i = 0; i < 50; i++)
		retry_of("closed", i, due_ms);
	turns_within(3 * USEC_PER_SEC);
	assert_int_equal(world.end_count, 0);
	world.set_back_ms = 60000;
	for (int i = 50; i < 100; i++)
		retry_of("closed", i, due_ms - 60000);
	turns_within(USEC_PER_SEC);
	assert_int_equal(written("retry", ""), 50);
	assert_non_null(end_of("retry", "closed0"));
	int64_t moved_ms;
	assert_int_equal(text_parse_int64(record_header(world.last_retry, HDR_NOT_BEFORE), &moved_ms), 0);
	assert_true(moved_ms >= due_ms);
}

/* Alone it is in nobody's way, and half a window is not too much. */
static void test_closed_tenant_stays_where_it_harms_nobody(void **state)
{
	(void)state;
	begin_work();
	gate_close(&world.worker.tenants[0].gate, world.now + 30 * USEC_PER_SEC, world.now);
	for (int i = 0; i < 50; i++)
		request_of("closed", i);
	turns_within(USEC_PER_SEC);
	assert_int_equal(world.end_count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_an_hour_of_outage),
		TEST(test_the_backlog_is_no_stampede),
		TEST(test_a_login_closes_what_logins_opened),
		TEST(test_login_that_may_not_be_tried_in_time),
		TEST(test_parked_behind_a_gate_that_opens_too_late),
		cmocka_unit_test_setup_teardown(test_closed_tenant_makes_way, set_up_two, tear_down),
		cmocka_unit_test_setup_teardown(test_slow_tenant_makes_way, set_up_two, tear_down),
		cmocka_unit_test_setup_teardown(test_tenant_without_a_token_makes_way, set_up_two, tear_down),
		cmocka_unit_test_setup_teardown(test_who_makes_way_is_not_due_earlier, set_up_two, tear_down),
		cmocka_unit_test_setup_teardown(test_closed_tenant_stays_where_it_harms_nobody, set_up_two, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
