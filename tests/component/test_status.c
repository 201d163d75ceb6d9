/* status and survey: what waits is told with its cause, what is due with its time, and what is not committed is not
 * called done. */
#include <json-c/json.h>

#include "component/worker_world.h"
#include "worker/status.h"

/* The document as it is now; put it back with json_object_put(). */
static json_object *status(void)
{
	struct buf text;
	buf_init(&text, (size_t)1 << 20);
	status_write(&world.worker, &text);
	assert_true(buf_ok(&text));
	json_object *document = json_tokener_parse(buf_text(&text));
	assert_non_null(document);
	buf_fini(&text);
	return document;
}

/* "work.waits.gate" of an object; array members by their number. */
static json_object *at(json_object *from, const char *path)
{
	char copy[128];
	snprintf(copy, sizeof(copy), "%s", path);
	for (char *save = NULL, *name = strtok_r(copy, ".", &save); name; name = strtok_r(NULL, ".", &save)) {
		if (json_object_is_type(from, json_type_array))
			from = json_object_array_get_idx(from, strtoul(name, NULL, 10));
		else if (!json_object_object_get_ex(from, name, &from))
			fail_msg("there is no %s", path);
	}
	return from;
}

static int64_t count(const char *path)
{
	json_object *document = status();
	const int64_t value = json_object_get_int64(at(document, path));
	json_object_put(document);
	return value;
}

static double real(const char *path)
{
	json_object *document = status();
	const double value = json_object_get_double(at(document, path));
	json_object_put(document);
	return value;
}

static void expect_text(const char *path, const char *expected)
{
	json_object *document = status();
	json_object *value = at(document, path);
	if (expected)
		assert_string_equal(json_object_get_string(value), expected);
	else
		assert_null(value);
	json_object_put(document);
}

static double gauge(enum metric metric)
{
	figures_take(&world.worker);
	return metric_value(metrics_plain(world.worker.metrics, metric));
}

static void test_nothing_is_here(void **state)
{
	(void)state;
	begin_work();
	expect_text("work.oldest", NULL);
	expect_text("retries.nextInSeconds", NULL);
	expect_text("tenants.0.waitsFor", NULL);
	assert_int_equal(count("work.inFlight"), 0);
	assert_int_equal(count("ready"), 1);
	assert_int_equal(count("partitions.1.readToEnd"), 1);
}

static void test_not_ready_before_the_group_is_joined(void **state)
{
	(void)state;
	assert_int_equal(count("ready"), 0);
	expect_text("tenants.0.waitsFor", "worker");
	expect_text("tenants.0.token.present", "false");
}

static void test_calls_are_counted_by_step(void **state)
{
	(void)state;
	begin_work();
	request("h", "s", 60000);
	bring_to(STAGE_UPDATE);
	assert_int_equal(count("work.calls.update"), 1);
	assert_int_equal(count("work.inFlight"), 1);
	turn(3 * USEC_PER_SEC);
	expect_text("work.oldest.handoffId", "h");
	expect_text("work.oldest.origin", "requests/0/0");
	expect_text("work.oldest.state", "calling");
	assert_true(real("work.oldest.seconds") >= 3.0);
	assert_true(gauge(METRIC_OLDEST_INCOMPLETE_SECONDS) >= 3.0);
	assert_true(gauge(METRIC_IN_FLIGHT) == 1);
}

static void test_waits_for_its_session(void **state)
{
	(void)state;
	begin_work();
	request("first", "s", 60000);
	request("second", "s", 60000);
	turn(0);
	assert_int_equal(count("work.waits.session"), 1);
	assert_int_equal(count("work.waiting"), 1);
	assert_int_equal(count("tenants.0.waiting"), 1);
	expect_text("tenants.0.waitsFor", NULL);
}

static void test_waits_for_the_gate(void **state)
{
	struct tenant *t = &world.worker.tenants[0];
	(void)state;
	begin_work();
	gate_close(&t->gate, world.now + 7 * USEC_PER_SEC, world.now);
	request("h", "s", 60000);
	turn(USEC_PER_SEC);
	assert_int_equal(count("work.waits.gate"), 1);
	expect_text("tenants.0.waitsFor", "gate");
	assert_int_equal(count("tenants.0.gate.closed"), 1);
	assert_true(real("tenants.0.gate.opensInSeconds") == 6.0);
}

static void test_waits_for_the_breaker_and_the_token(void **state)
{
	struct tenant *t = &world.worker.tenants[0];
	(void)state;
	begin_work();
	for (int i = 0; i < 5; i++)
		breaker_failed(&t->breaker, world.now, world.now);
	request("h", "s", 60000);
	turn(USEC_PER_SEC);
	assert_int_equal(count("work.waits.breaker"), 1);
	expect_text("tenants.0.breaker.state", "open");
	assert_true(real("tenants.0.breaker.triesInSeconds") == 4.0);
	token_cache_refuse(t->token, 1);
	assert_int_equal(count("work.waits.token"), 1);
	expect_text("tenants.0.waitsFor", "token");
}

static void test_waits_for_rate_and_slots(void **state)
{
	struct tenant *t = &world.worker.tenants[0];
	(void)state;
	begin_work();
	limiter_init(&t->limiter, false, world.now);
	request("h", "s", 60000);
	turn(0);
	assert_int_equal(count("work.waits.rate"), 1);
	limiter_init(&t->limiter, true, world.now);
	concurrency_init(&t->concurrency, 1, true);
	turn(0);
	request("other", "s2", 60000);
	turn(0);
	assert_int_equal(count("work.waits.slots"), 1);
}

static void test_retries_by_due_time_and_reason(void **state)
{
	(void)state;
	begin_work();
	retry("soon", "s1", 15000, 0);
	retry("late", "s2", 299000, 0);
	retry("beyond", "s3", 400000, 0);
	turn(0);
	assert_int_equal(count("retries.due.1"), 1);
	assert_int_equal(count("retries.due.29"), 1);
	assert_int_equal(count("retries.dueLater"), 1);
	assert_int_equal(count("work.parked"), 3);
	assert_true(real("retries.nextInSeconds") == 15.0);
	assert_int_equal(count("retries.reasons.0.count"), 3);
	turn(14 * USEC_PER_SEC);
	assert_int_equal(count("retries.due.0"), 1);
	assert_true(gauge(METRIC_PARKED) == 3);
}

/* A cancel that waits for its request is no work that is late. */
static void test_cancels_are_no_retries(void **state)
{
	static const char *const headers[] = { HDR_ATTEMPT, "1", HDR_NOT_BEFORE, "99999999999999", NULL };
	(void)state;
	begin_work();
	put(RETRY, "{\"sessionId\":\"s\",\"type\":\"cancel\",\"ttlMs\":60000}", headers);
	turn(0);
	turn(10 * USEC_PER_SEC);
	assert_int_equal(count("work.cancels"), 1);
	assert_int_equal(count("work.parked"), 0);
	expect_text("work.oldest", NULL);
	assert_true(gauge(METRIC_OLDEST_INCOMPLETE_SECONDS) == 0);
}

/* An outcome that Kafka does not take keeps the handoff incomplete. */
static void test_uncommitted_is_not_done(void **state)
{
	(void)state;
	begin_work();
	world.commits = false;
	request("h", "s", 60000);
	bring_to(STAGE_TRIGGER);
	serve(open_call(STAGE_TRIGGER));
	turn(0);
	turn(9 * USEC_PER_SEC);
	assert_int_equal(count("work.inFlight"), 0);
	assert_int_equal(count("work.uncommitted"), 1);
	assert_true(gauge(METRIC_OLDEST_INCOMPLETE_SECONDS) >= 9);
	commit_batch();
	verdict(KAFKA_COMMITTED);
	turn(0);
	assert_int_equal(count("work.uncommitted"), 0);
	assert_true(gauge(METRIC_OLDEST_INCOMPLETE_SECONDS) == 0);
}

static void test_what_ended_lately(void **state)
{
	(void)state;
	begin_work();
	request("h", "s", 60000);
	bring_to(STAGE_TRIGGER);
	serve(open_call(STAGE_TRIGGER));
	turn(0);
	turn(10 * USEC_PER_SEC);
	expect_text("outcomes.0.reason", "ok");
	assert_int_equal(count("outcomes.0.count"), 1);
	assert_int_equal(count("outcomes.0.lately"), 1);
	assert_true(real("throughput.endedPerSecond") == 0.1);
	assert_true(real("throughput.arrivedPerSecond") == 0.1);
	turn(600 * USEC_PER_SEC);
	assert_int_equal(count("outcomes.0.count"), 1);
	assert_int_equal(count("outcomes.0.lately"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_nothing_is_here),           TEST(test_not_ready_before_the_group_is_joined),
		TEST(test_calls_are_counted_by_step), TEST(test_waits_for_its_session),
		TEST(test_waits_for_the_gate),        TEST(test_waits_for_the_breaker_and_the_token),
		TEST(test_waits_for_rate_and_slots),  TEST(test_retries_by_due_time_and_reason),
		TEST(test_cancels_are_no_retries),    TEST(test_uncommitted_is_not_done),
		TEST(test_what_ended_lately),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
