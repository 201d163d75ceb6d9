/*
 * Anybody may write to the retry topic. Whatever its headers say, they are read within their bounds, and what was
 * read is written so that it reads the same: a history neither grows nor changes on its way through the topic.
 */
#include "fuzz_record.h"
#include "rules/history.h"

static void check_bounds(const struct history *h)
{
	CHECK(h->attempt >= 1 && h->attempt <= 1000000);
	CHECK(h->not_before_ms >= 0 && h->not_before_ms <= HISTORY_TIME_MAX);
	CHECK(h->deadline_ms >= 0 && h->deadline_ms <= HISTORY_TIME_MAX);
	CHECK(h->resume < RESUME_COUNT && h->reason <= REASON_COUNT);
	CHECK(h->origin.partition >= 0 && h->origin.offset >= 0);
	CHECK(strlen(h->origin.topic) <= HISTORY_TOPIC_MAX);
	CHECK(!h->progress.call_id || strlen(h->progress.call_id) <= HISTORY_ID_MAX);
	CHECK(!h->progress.transfer_id || strlen(h->progress.transfer_id) <= HISTORY_ID_MAX);
	for (int b = 0; b < BUDGET_COUNT; b++)
		CHECK(h->failures[b] >= 0 && h->failures[b] <= 1000000);
}

static void check_same(const struct record *a, const struct record *b)
{
	CHECK(a->header_count == b->header_count);
	CHECK(span_eq(a->value, b->value));
	for (size_t i = 0; i < a->header_count; i++) {
		CHECK(strcmp(a->headers[i].name, b->headers[i].name) == 0);
		CHECK(span_eq(a->headers[i].value, b->headers[i].value));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct history fresh = { .attempt = 1, .reason = REASON_COUNT, .origin = { .topic = "t" } };
	struct fuzz_record fuzzed;
	struct fault fault = { .kind = FAULT_NONE };
	fuzz_record_init(&fuzzed, data, size);
	struct history first = fresh, second = fresh;
	const int r = history_read(&fuzzed.record, &first, &fault);
	CHECK((r == 0) == (fault.kind == FAULT_NONE));
	check_bounds(&first);
	struct record *once = history_retry_record(&fuzzed.record, "retry", "id", NULL, &first);
	CHECK(once && history_is_in(once));
	CHECK(history_read(once, &second, NULL) == 0);
	struct record *twice = history_retry_record(once, "retry", "id", NULL, &second);
	CHECK(twice);
	check_same(once, twice);
	record_free(once);
	record_free(twice);
	history_fini(&first);
	history_fini(&second);
	fuzz_record_fini(&fuzzed);
	return 0;
}
