/* The table of reply_table.h, cell by cell, and what holds for every row of it. */
#include "handoff_story.h"
#include "reply_table.h"

static const char *const good[] = {
	[STAGE_LOGIN] = "{\"access_token\":\"t\",\"expires_in\":3600}",
	[STAGE_FETCH] = ACTIVE,
	[STAGE_UPDATE] = UPDATED,
	[STAGE_TRIGGER] = BRIDGED,
};

static struct reply_facts facts_of(const struct row *row, enum stage stage)
{
	return (struct reply_facts){
		.step = profile_step(PROFILE_SEED_V1, CREDENTIAL_LOGIN, stage),
		.stage = stage,
		.complete = row->as.how == WHOLE,
		.sent = row->as.how != UNSENT,
		.timed_out = row->as.how == LATE,
		.status = row->as.status,
		.body = span_of(row->as.body ? row->as.body : good[stage]),
		.retry_after = span_of(row->as.retry_after),
		.date = span_of(row->as.date),
		.trouble = "trouble",
	};
}

static void read_cell(const struct row *row, const struct handoff *h, enum stage stage, struct reply *ret)
{
	const struct reply_facts facts = facts_of(row, stage);
	const struct session_reader reader = {
		.handoff_id = ID, .history = &h->history, .queue_id = QUEUE, .marker_variable = "handoffdId"
	};
	reply_read(&facts, &reader, NOW_MS, ret);
}

/* ---- a cell in words ---- */

static void write_login(struct buf *out, const struct reply *reply)
{
	buf_add_format(out, "%s %s", fault_name(reply->kind), reply->kind == FAULT_NONE ? "serve" : "wait");
	if (reply->retry_after_ms >= 0)
		buf_add_format(out, " %lld", (long long)reply->retry_after_ms);
	assert_int_equal(reply->budget, BUDGET_COUNT);
}

static const char *order_name(struct handoff_order order)
{
	static const char *const names[] = {
		[ORDER_NOTHING] = "nothing", [ORDER_FETCH] = "fetch", [ORDER_UPDATE] = "update",
		[ORDER_TRIGGER] = "trigger", [ORDER_WAIT] = "wait",   [ORDER_PARK] = "park",
		[ORDER_FINISH] = "end"
	};
	return order.fresh_token ? "again" : names[order.kind];
}

static void write_cell(struct buf *out, const struct reply *reply, struct handoff_order order, const struct handoff *h)
{
	buf_add_format(out, "%s %s", fault_name(reply->kind), order_name(order));
	if (order.kind == ORDER_FINISH)
		buf_add_format(out, " %s", reason_name(h->reason));
	if (order.kind == ORDER_PARK)
		buf_add_format(out, " %lld %s", (long long)(h->history.not_before_ms - NOW_MS),
			       reason_name(h->history.reason));
	for (int b = 0; b < BUDGET_COUNT; b++)
		if (h->history.failures[b] > 0 && order.kind == ORDER_PARK)
			buf_add_format(out, " %s", budget_name((enum budget)b));
	buf_add_format(out, " resume=%s", resume_name(h->history.resume));
}

/* Feeds the row's reply to a handoff whose call of `stage` is open. */
static struct handoff_order feed_row(struct handoff *h, const struct row *row, enum stage stage, struct reply *ret)
{
	if (strcmp(row->reply, SECOND_401) == 0)
		h->relogged[stage] = true;
	read_cell(row, h, stage, ret);
	const struct handoff_event event = { .kind = HANDOFF_REPLY, .reply = ret, .missing_scopes = "" };
	return handoff_feed(h, &event, &policy, &now, 0);
}

static void test_the_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const struct row *row = &table[i];
		const char *const cells[] = { row->login, row->fetch, row->update, row->trigger };
		for (enum stage stage = STAGE_LOGIN; stage <= STAGE_TRIGGER; stage++) {
			const struct history history = fresh();
			struct handoff h;
			struct reply reply;
			struct buf cell;
			buf_init(&cell, 512);
			if (stage == STAGE_LOGIN) {
				handoff_init(&h, &history);
				read_cell(row, &h, stage, &reply);
				write_login(&cell, &reply);
			} else {
				bring_to(&h, stage, &history);
				const struct handoff_order order = feed_row(&h, row, stage, &reply);
				write_cell(&cell, &reply, order, &h);
			}
			if (strcmp(buf_text(&cell), cells[stage]) != 0)
				fail_msg("%s: %s\n   is     %s\n   wanted %s", row->reply, stage_name(stage),
					 buf_text(&cell), cells[stage]);
			buf_fini(&cell);
			handoff_fini(&h);
		}
	}
}

/* ---- what holds for every row ---- */

static void for_all(const struct history *history,
		    void (*check)(const struct row *, enum stage, const struct handoff *, struct handoff_order))
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		for (enum stage stage = STAGE_FETCH; stage <= STAGE_TRIGGER; stage++) {
			struct handoff h;
			struct reply reply;
			bring_to(&h, stage, history);
			const struct handoff_order order = feed_row(&h, &table[i], stage, &reply);
			print_message("%s: %s\n", table[i].reply, stage_name(stage));
			check(&table[i], stage, &h, order);
			handoff_fini(&h);
		}
}

/* `error` says what stood in the way of whoever failed or expired, and nothing of anybody else. */
static void check_error(const struct row *row, enum stage stage, const struct handoff *h, struct handoff_order order)
{
	(void)row;
	if (order.kind != ORDER_FINISH)
		return;
	const bool is_trouble = h->status == STATUS_FAILED || h->status == STATUS_EXPIRED;
	assert_int_equal(h->error.present, is_trouble);
	if (is_trouble)
		assert_int_equal(h->error.stage, stage);
}

static void test_error_says_what_stood_in_the_way(void **state)
{
	const struct history history = fresh();
	(void)state;
	for_all(&history, check_error);
}

/* Once a trigger went unanswered nothing ends as failed or expired, what stood in the way is told, and nothing takes
 * the resume back. */
static void check_unanswered(const struct row *row, enum stage stage, const struct handoff *h,
			     struct handoff_order order)
{
	assert_int_equal(h->history.resume, RESUME_VERIFY);
	assert_true(h->history.progress.unanswered);
	if (order.kind != ORDER_FINISH)
		return;
	assert_true(h->status == STATUS_COMPLETED || h->status == STATUS_INITIATED);
	assert_false(h->retryable);
	if (row->as.status >= 300)
		assert_true(h->error.present && h->error.stage == stage);
}

static void test_unanswered_is_never_a_failure(void **state)
{
	struct history history = fresh();
	(void)state;
	history.resume = RESUME_VERIFY;
	history.progress.unanswered = true;
	for_all(&history, check_unanswered);
}

/* The last of a budget ends it with the budget's own reason (an unanswered trigger is never a failure); whatever
 * another class does, burns nothing of it. */
static void check_last(const struct row *row, enum stage stage, const struct handoff *h, struct handoff_order order)
{
	static const enum reason reasons[] = { [BUDGET_RATE_LIMITED] = REASON_RATE_LIMITED,
					       [BUDGET_LOCKED] = REASON_LOCKED,
					       [BUDGET_SERVER] = REASON_SERVER_ERROR,
					       [BUDGET_TIMEOUT] = REASON_TIMEOUT };
	int burnt = 0;
	(void)row;
	(void)stage;
	assert_int_not_equal(order.kind, ORDER_PARK);
	for (int b = 0; b < BUDGET_COUNT; b++) {
		if (h->history.failures[b] < policy.budgets[b])
			continue;
		burnt++;
		assert_int_equal(order.kind, ORDER_FINISH);
		assert_true(h->error.present);
		if (h->history.progress.unanswered) {
			assert_int_equal(h->status, STATUS_INITIATED);
			continue;
		}
		assert_true(h->reason == reasons[b] || (b == BUDGET_SERVER && h->reason == REASON_BAD_RESPONSE));
		assert_int_equal(h->status, STATUS_FAILED);
		assert_true(h->retryable);
	}
	assert_true(burnt <= 1);
}

static void test_last_of_a_budget(void **state)
{
	struct history history = fresh();
	(void)state;
	for (int b = 0; b < BUDGET_COUNT; b++)
		history.failures[b] = policy.budgets[b] - 1;
	for_all(&history, check_last);
}

/* Whoever has a minute less than the wait is told at once. */
static void check_no_parking(const struct row *row, enum stage stage, const struct handoff *h,
			     struct handoff_order order)
{
	(void)stage;
	assert_int_not_equal(order.kind, ORDER_PARK);
	if (order.kind == ORDER_FINISH && reason_status(h->reason) == STATUS_EXPIRED)
		assert_int_equal(h->reason, REASON_DEADLINE_UNREACHABLE);
	if (row->as.status == 503)
		assert_int_equal(h->reason, REASON_DEADLINE_UNREACHABLE);
}

static void test_no_parking_to_the_deadline_or_beyond(void **state)
{
	struct history history = fresh();
	(void)state;
	history.deadline_ms = NOW_MS + 1000; /* the shortest wait of the table */
	for_all(&history, check_no_parking);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_table),
		cmocka_unit_test(test_error_says_what_stood_in_the_way),
		cmocka_unit_test(test_unanswered_is_never_a_failure),
		cmocka_unit_test(test_last_of_a_budget),
		cmocka_unit_test(test_no_parking_to_the_deadline_or_beyond),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
