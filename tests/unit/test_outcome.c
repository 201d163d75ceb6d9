/* outcome: the record that says what became of a request, byte for byte */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "rules/outcome.h"
#include "json/scan.h"

#define QUEUE "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
#define TRACE "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
#define AT    INT64_C(1763978400000) /* 2025-11-24T10:00:00.000Z */

static char session[] = "s1", queue[] = QUEUE, id[] = "h1", batch[] = "b1", tenant[] = "acme";

static const struct record original = {
	.topic = "handoff.requests", .partition = 3, .offset = 1041, .key = { "k", 1 }
};

static struct request plain_request(void)
{
	return (struct request){ .session_id = session, .queue_id = queue, .handoff_id = id };
}

static struct history plain_history(void)
{
	static char call_id[] = "genesys_call_887766", transfer_id[] = "genesys_xfer_998877";
	return (struct history){ .attempt = 1,
				 .origin = { "handoff.requests", 3, 1041 },
				 .progress = {
					 .requested_at_ms = AT,
					 .started_at_ms = AT + 12,
					 .call_id = call_id,
					 .transfer_id = transfer_id,
					 .calls = { [STAGE_FETCH] = 1, [STAGE_UPDATE] = 1, [STAGE_TRIGGER] = 1 } } };
}

static struct outcome plain_outcome(enum reason reason)
{
	return (struct outcome){
		.status = reason_status(reason),
		.reason = reason,
		.retryable = reason_is_retryable(reason),
		.finished_at_ms = AT + 49,
		.stage_ms = { [STAGE_LOGIN] = -1, [STAGE_FETCH] = 8, [STAGE_UPDATE] = 9, [STAGE_TRIGGER] = 20 },
		.default_tenant = "default",
		.source = "/handoffd/handoffd/handoffd-0",
		.instance = "handoffd-0",
		.version = "0.1.0",
		.event_id = "event"
	};
}

static struct record *write_outcome(const struct request *request, const struct history *history,
				    const struct outcome *outcome)
{
	struct record *record = outcome_record("handoff.outcomes", &original, request, history, outcome);
	assert_non_null(record);
	struct scan_value value;
	assert_int_equal(scan_check(record->value, &value, NULL), 0);
	return record;
}

static void assert_span(struct span s, const char *text)
{
	if (text ? !span_is(s, text) : s.p != NULL)
		fail_msg("is\n%.*s, not\n%s", SPAN_FMT(s), text ? text : "(absent)");
}

/* The member's text, found by a path like "timing.queuedMs". */
static void assert_member(const struct record *record, const char *path, const char *json)
{
	struct scan_value value;
	assert_int_equal(scan_check(record->value, &value, NULL), 0);
	while (*path) {
		char key[64];
		const size_t n = strcspn(path, ".");
		memcpy(key, path, n);
		key[n] = '\0';
		assert_int_equal(value.type, SCAN_OBJECT);
		assert_true(scan_find(value, key, &value));
		path += path[n] ? n + 1 : n;
	}
	assert_span(value.text, json);
}

static void test_the_contract_s_example(void **state)
{
	(void)state;
	char execution[] = "exec_7f8e9d6c5b4a3210", status[] = "completed", action[] = "transfer_to_genesis";
	char media[] = "bridged", wait[] = "2.4";
	const struct transfer transfer = { execution, status, action, media, wait };
	const struct request request = plain_request();
	const struct history history = plain_history();
	struct outcome outcome = plain_outcome(REASON_OK);
	outcome.transfer = &transfer;
	struct record *record = write_outcome(&request, &history, &outcome);
	assert_span(
		record->value,
		"{\"handoffId\":\"h1\",\"batchId\":null,\"sessionId\":\"s1\",\"tenant\":\"default\","
		"\"status\":\"completed\",\"reason\":\"ok\",\"retryable\":false,\"queueId\":\"" QUEUE "\","
		"\"transfer\":{\"callId\":\"genesys_call_887766\",\"transferId\":\"genesys_xfer_998877\","
		"\"flowExecutionId\":\"exec_7f8e9d6c5b4a3210\",\"flowStatus\":\"completed\","
		"\"action\":\"transfer_to_genesis\",\"mediaStreamStatus\":\"bridged\",\"agentWaitTime\":2.4},"
		"\"attempts\":1,\"calls\":{\"fetch\":1,\"update\":1,\"trigger\":1},"
		"\"timing\":{\"requestedAt\":\"2025-11-24T10:00:00.000Z\",\"startedAt\":\"2025-11-24T10:00:00.012Z\","
		"\"finishedAt\":\"2025-11-24T10:00:00.049Z\",\"queuedMs\":12,\"fetchMs\":8,\"updateMs\":9,"
		"\"triggerMs\":20,\"parkedMs\":0,\"totalMs\":49},\"error\":null,"
		"\"source\":{\"topic\":\"handoff.requests\",\"partition\":3,\"offset\":1041},"
		"\"worker\":{\"instance\":\"handoffd-0\",\"version\":\"0.1.0\"}}");
	assert_span(record->key, "s1");
	assert_string_equal(record->topic, "handoff.outcomes");
	assert_int_equal(record->partition, -1);
	assert_int_equal(record->timestamp_ms, -1);
	record_free(record);
}

static void test_headers_stand_in_the_contract_s_order(void **state)
{
	(void)state;
	struct request request = plain_request();
	request.batch_id = batch;
	request.traceparent = SPAN(TRACE);
	request.tracestate = SPAN("a=b");
	const struct history history = plain_history();
	const struct outcome outcome = plain_outcome(REASON_OK);
	static const struct {
		const char *name;
		const char *value;
	} table[] = {
		{ "ce_specversion", "1.0" },
		{ "ce_id", "event" },
		{ "ce_source", "/handoffd/handoffd/handoffd-0" },
		{ "ce_type", "voice.handoff.outcome.v1" },
		{ "ce_time", "2025-11-24T10:00:00.049Z" },
		{ "ce_subject", "s1" },
		{ "handoff-id", "h1" },
		{ "handoff-status", "completed" },
		{ "handoff-reason", "ok" },
		{ "handoff-origin", "handoff.requests/3/1041" },
		{ "handoff-batch", "b1" },
		{ "content-type", "application/json" },
		{ "traceparent", TRACE },
		{ "tracestate", "a=b" },
	};
	struct record *record = write_outcome(&request, &history, &outcome);
	assert_int_equal(record->header_count, ARRAY_SIZE(table));
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		assert_string_equal(record->headers[i].name, table[i].name);
		assert_span(record->headers[i].value, table[i].value);
	}
	assert_member(record, "batchId", "\"b1\"");
	record_free(record);
}

static void test_what_is_not_known_is_null(void **state)
{
	(void)state;
	const struct request request = { .handoff_id = id };
	struct history history = plain_history();
	history.progress = (struct progress){ .requested_at_ms = AT };
	struct outcome outcome = plain_outcome(REASON_INVALID);
	for (int s = 0; s < STAGE_COUNT; s++)
		outcome.stage_ms[s] = -1;
	static char code[] = "request.invalid", message[] = "sessionId is missing";
	const struct outcome_error error = { .present = true, .stage = STAGE_COUNT, .code = code, .message = message };
	outcome.error = &error;
	struct record *record = write_outcome(&request, &history, &outcome);
	static const char *const nulls[] = { "batchId",
					     "sessionId",
					     "queueId",
					     "transfer.callId",
					     "transfer.transferId",
					     "transfer.flowExecutionId",
					     "transfer.flowStatus",
					     "transfer.action",
					     "transfer.mediaStreamStatus",
					     "transfer.agentWaitTime",
					     "timing.startedAt",
					     "timing.fetchMs",
					     "timing.updateMs",
					     "timing.triggerMs" };
	for (size_t i = 0; i < ARRAY_SIZE(nulls); i++)
		assert_member(record, nulls[i], "null");
	assert_member(record, "status", "\"rejected\"");
	assert_member(record, "attempts", "0");
	assert_member(record, "timing.queuedMs", "49");
	assert_member(record, "timing.totalMs", "49");
	assert_member(record, "error",
		      "{\"stage\":null,\"httpStatus\":null,\"code\":\"request.invalid\","
		      "\"message\":\"sessionId is missing\",\"body\":null,\"bodyTruncated\":false}");
	assert_span(record->key, "k");
	assert_null(record_header(record, "ce_subject").p);
	assert_null(record_header(record, "handoff-batch").p);
	assert_null(record_header(record, "traceparent").p);
	record_free(record);
}

static void test_what_stood_in_the_way(void **state)
{
	(void)state;
	struct request request = plain_request();
	request.tenant = tenant;
	struct history history = plain_history();
	history.attempt = 3;
	history.progress.parked_ms = 3000;
	history.progress.calls[STAGE_FETCH] = 3;
	struct outcome outcome = plain_outcome(REASON_SERVER_ERROR);
	outcome.stage_ms[STAGE_TRIGGER] = -1;
	outcome.cancel_requested = true;
	char body[] = "{\"error\":\"down\"}", code[] = "E1", message[] = "the update was answered 503";
	const struct outcome_error error = { .present = true,
					     .stage = STAGE_UPDATE,
					     .http_status = 503,
					     .code = code,
					     .message = message,
					     .body = body,
					     .body_truncated = true };
	outcome.error = &error;
	struct record *record = write_outcome(&request, &history, &outcome);
	assert_member(record, "tenant", "\"acme\"");
	assert_member(record, "status", "\"failed\"");
	assert_member(record, "reason", "\"upstream.server_error\"");
	assert_member(record, "retryable", "true");
	assert_member(record, "attempts", "3");
	assert_member(record, "calls", "{\"fetch\":3,\"update\":1,\"trigger\":1}");
	assert_member(record, "timing.triggerMs", "null");
	assert_member(record, "timing.parkedMs", "3000");
	assert_member(record, "error",
		      "{\"stage\":\"update\",\"httpStatus\":503,\"code\":\"E1\",\"message\":\"the update was answered "
		      "503\",\"body\":\"{\\\"error\\\":\\\"down\\\"}\",\"bodyTruncated\":true}");
	assert_member(record, "cancelRequested", "true");
	record_free(record);
}

/* A request that ends while it waits for its third attempt has had two. */
static void test_attempts_that_were_begun(void **state)
{
	(void)state;
	struct history history = { .attempt = 3 };
	struct outcome outcome = { .stage_ms = { -1, -1, -1, -1 } };
	assert_int_equal(outcome_attempts(&history, &outcome), 2);
	outcome.stage_ms[STAGE_FETCH] = 0;
	assert_int_equal(outcome_attempts(&history, &outcome), 3);
}

static void test_clocks_that_disagree_make_no_negative_durations(void **state)
{
	(void)state;
	const struct request request = plain_request();
	struct history history = plain_history();
	history.progress.requested_at_ms = AT + 4000;
	const struct outcome outcome = plain_outcome(REASON_OK);
	struct record *record = write_outcome(&request, &history, &outcome);
	assert_member(record, "timing.queuedMs", "0");
	assert_member(record, "timing.totalMs", "0");
	record_free(record);
}

static void test_upstream_texts_are_bounded(void **state)
{
	(void)state;
	static char longer[HISTORY_ID_MAX + 100], number[OUTCOME_NUMBER_MAX + 2];
	memset(longer, 'x', sizeof(longer) - 1);
	memset(number, '1', sizeof(number) - 1);
	const struct transfer transfer = { .action = longer, .agent_wait_time = number };
	const struct request request = plain_request();
	const struct history history = plain_history();
	struct outcome outcome = plain_outcome(REASON_OK);
	outcome.transfer = &transfer;
	struct record *record = write_outcome(&request, &history, &outcome);
	struct scan_value value, action;
	assert_int_equal(scan_check(record->value, &value, NULL), 0);
	assert_true(scan_find(value, "transfer", &value) && scan_find(value, "action", &action));
	assert_int_equal(action.text.n, HISTORY_ID_MAX + 2);
	assert_member(record, "transfer.agentWaitTime", "null");
	record_free(record);
}

static void test_fini_frees_what_it_owns(void **state)
{
	(void)state;
	struct transfer transfer = { .action = strdup("a"), .agent_wait_time = strdup("1") };
	transfer_fini(&transfer);
	assert_null(transfer.action);
	struct outcome_error error = { .present = true, .stage = STAGE_FETCH, .body = strdup("b") };
	outcome_error_fini(&error);
	assert_false(error.present);
	assert_int_equal(error.stage, STAGE_COUNT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_contract_s_example),
		cmocka_unit_test(test_headers_stand_in_the_contract_s_order),
		cmocka_unit_test(test_what_is_not_known_is_null),
		cmocka_unit_test(test_what_stood_in_the_way),
		cmocka_unit_test(test_attempts_that_were_begun),
		cmocka_unit_test(test_clocks_that_disagree_make_no_negative_durations),
		cmocka_unit_test(test_upstream_texts_are_bounded),
		cmocka_unit_test(test_fini_frees_what_it_owns),
	};
	return cmocka_run_group_tests_name("outcome", tests, NULL, NULL);
}
