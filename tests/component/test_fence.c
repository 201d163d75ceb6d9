/* The group takes a static member for another process of its name: whether that is believed depends on what came
 * before. Virtual time. */
#include "component/worker_world.h"

static void fence(void)
{
	event(KAFKA_FATAL)->fenced = true;
	turn(0);
}

/* The group took our own next membership for another's: a new client joins, and work goes on. */
static void test_fenced_behind_a_loss_joins_anew(void **state)
{
	(void)state;
	begin_work();
	event(KAFKA_LOST);
	turn(0);
	turn(USEC_PER_SEC);
	fence();
	assert_int_equal(world.renewed, 1);
	assert_int_equal(world.subscribed, 2);
	assign();
	put_end(RETRY);
	turn(0);
	world.serves = true;
	request("again", "s-1", 600000);
	turns_within(2 * USEC_PER_SEC);
	assert_string_equal(end_of("outcomes", "again")->status, "completed");
	assert_false(world.worker.finished);
	fence();
	assert_true(world.worker.finished); /* so soon again: there is somebody */
	assert_int_equal(world.worker.exit_code, 1);
}

/* The group knows us under an older id, as after its coordinator's death: that is no twin, however often. */
static void test_fenced_by_ourselves_joins_anew(void **state)
{
	(void)state;
	begin_work();
	for (int i = 1; i <= 3; i++) {
		event(KAFKA_LOST);
		struct kafka_consumer_event *e = event(KAFKA_FATAL);
		e->fenced = e->by_ourselves = true;
		turn(0);
		turn(USEC_PER_SEC);
		assert_int_equal(world.renewed, i);
		assign();
		put_end(RETRY);
		turn(0);
	}
	assert_false(world.worker.finished);
}

/* Who leaves anyway leaves cleanly. */
static void test_fenced_by_ourselves_while_stopping(void **state)
{
	(void)state;
	begin_work();
	world.worker.stopping = true;
	struct kafka_consumer_event *e = event(KAFKA_FATAL);
	e->fenced = e->by_ourselves = true;
	turn(0);
	turn(USEC_PER_SEC);
	assert_int_equal(world.renewed, 0);
	assert_int_equal(world.worker.partition_count, 0);
	assert_int_equal(world.worker.exit_code, 0);
}

static void test_fenced_while_all_is_well_ends(void **state)
{
	(void)state;
	begin_work();
	event(KAFKA_LOST);
	turn(0);
	assign();
	put_end(RETRY);
	turn(61 * USEC_PER_SEC);
	event(KAFKA_LOST); /* what the fence itself brings along */
	fence();
	assert_true(world.worker.finished);
	assert_int_equal(world.worker.exit_code, 1);
	assert_int_equal(world.renewed, 0);
}

/* Assigned anew already, with a batch on its way: the client stays until the batch is back, nothing of it counts. */
static void test_fenced_with_a_batch_in_flight(void **state)
{
	(void)state;
	begin_work();
	event(KAFKA_LOST);
	turn(0);
	assign();
	put_end(RETRY);
	turn(0);
	world.commits = false;
	world.serves = true;
	request("done", "s-1", 600000);
	for (int i = 0; i < 5; i++)
		turn(USEC_PER_SEC);
	assert_non_null(world.batch);
	fence();
	assert_int_equal(world.renewed, 0);
	event(KAFKA_REVOKED); /* the old client's last word */
	turn(0);
	assert_int_equal(world.renewed, 0);
	verdict(KAFKA_REVOKED_UNDER_US);
	turn(0);
	turn(0);
	assert_int_equal(world.renewed, 1);
	assert_int_equal(world.worker.partition_count, 0);
	assert_false(world.worker.finished);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_fenced_behind_a_loss_joins_anew),    TEST(test_fenced_by_ourselves_joins_anew),
		TEST(test_fenced_by_ourselves_while_stopping), TEST(test_fenced_while_all_is_well_ends),
		TEST(test_fenced_with_a_batch_in_flight),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
