/*
 * Anybody may write to a request topic. Whatever a record says: it is accepted, and then holds what a handoff needs,
 * or refused with a sentence; either way there are an outcome and a dead letter for it, and the outcome is JSON.
 * The first byte chooses the topic.
 */
#include "base/text.h"
#include "fuzz_record.h"
#include "rules/outcome.h"
#include "rules/request.h"
#include "rules/trace_context.h"
#include "json/scan.h"

#define NOW INT64_C(1700000000000)

static void check_request(const struct request *request, const struct history *history, int r,
			  const struct fault *fault)
{
	CHECK(request->handoff_id && request->handoff_id[0] && strlen(request->handoff_id) <= 320);
	CHECK(text_is_printable_ascii(span_of(request->handoff_id)));
	CHECK(!request->session_id || (strlen(request->session_id) >= 1 && strlen(request->session_id) <= 256));
	CHECK(!request->session_id || !text_has_control(span_of(request->session_id)));
	CHECK(!request->queue_id || text_is_uuid(span_of(request->queue_id)));
	CHECK(!request->traceparent.p || traceparent_is_valid(request->traceparent));
	CHECK(!request->tracestate.p || tracestate_is_valid(request->tracestate));
	CHECK(request->metadata.n <= REQUEST_METADATA_BYTES_MAX);
	CHECK(history->deadline_ms >= 0 && history->deadline_ms <= HISTORY_TIME_MAX);
	if (r == 0)
		CHECK(request->session_id && (request->queue_id || request->is_cancel));
	else
		CHECK(fault->kind == FAULT_PERMANENT && fault->message[0]);
}

static void check_records(const struct record *record, const struct request *request, const struct history *history)
{
	const struct outcome outcome = { .status = STATUS_REJECTED,
					 .reason = REASON_INVALID,
					 .finished_at_ms = NOW,
					 .stage_ms = { -1, -1, -1, -1 },
					 .default_tenant = "default",
					 .source = "/s",
					 .instance = "i",
					 .version = "v",
					 .event_id = "e" };
	struct scan_value value;
	struct record *out = outcome_record("o", record, request, history, &outcome);
	struct record *letter = dead_letter_record("d", record, request, history, &outcome);
	CHECK(out && letter);
	CHECK(scan_check(out->value, &value, NULL) == 0);
	CHECK(span_eq(letter->value, record->value));
	struct record *rest = record_truncated(letter);
	CHECK(rest && !rest->value.p);
	record_free(out);
	record_free(letter);
	record_free(rest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct request_limits limits = { 4096, 900000, "handoff.retry" };
	if (size == 0)
		return 0;
	struct fuzz_record fuzzed;
	fuzz_record_init(&fuzzed, data + 1, size - 1);
	fuzzed.record.topic = data[0] == 'r' ? "handoff.retry" : "handoff.requests";
	fuzzed.record.timestamp_ms = data[0] == 't' ? -1 : NOW - 5;
	struct request request;
	struct history history;
	struct fault fault = { .kind = FAULT_NONE };
	const int r = request_read(&fuzzed.record, &limits, NOW, &request, &history, &fault);
	check_request(&request, &history, r, &fault);
	check_records(&fuzzed.record, &request, &history);
	request_fini(&request);
	history_fini(&history);
	fuzz_record_fini(&fuzzed);
	return 0;
}
