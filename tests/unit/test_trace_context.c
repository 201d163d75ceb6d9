/* trace_context: which traces a request takes along */
#include "reading.h"

static void test_malformed_traces_are_dropped_and_nothing_else(void **state)
{
	(void)state;
	static const struct {
		const char *traceparent;
		bool kept;
	} table[] = {
		{ TRACE, true },
		{ "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-later", true },
		{ "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01later", false },
		{ TRACE "-more", false },
		{ "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", false },
		{ "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false },
		{ "00-00000000000000000000000000000000-00f067aa0ba902b7-01", false },
		{ "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false },
		{ "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0", false },
		{ "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false },
		{ "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-\r\nX: y", false },
		{ "", false },
		{ "hello", false },
	};
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct header headers[] = { { "traceparent", span_of(table[i].traceparent) },
					    { "tracestate", SPAN("a=b") } };
		struct reading in = read_text(MINIMAL, headers, ARRAY_SIZE(headers));
		assert_accepted(&in);
		assert_span(in.request.traceparent, table[i].kept ? table[i].traceparent : NULL);
		assert_span(in.request.tracestate, "a=b");
		request_fini(&in.request);
	}
}

static void test_a_trace_state_is_bounded(void **state)
{
	(void)state;
	static const char *const dropped[] = { "", "a=b\r\nX: y", "a=\xc3\xa9", BYTES_256 BYTES_256 "x" };
	for (size_t i = 0; i < ARRAY_SIZE(dropped); i++) {
		struct header headers[] = { { "traceparent", SPAN(TRACE) }, { "tracestate", span_of(dropped[i]) } };
		struct reading in = read_text(MINIMAL, headers, ARRAY_SIZE(headers));
		assert_accepted(&in);
		assert_span(in.request.traceparent, TRACE);
		assert_null(in.request.tracestate.p);
		request_fini(&in.request);
	}
	struct header headers[] = { { "tracestate", SPAN(BYTES_256 BYTES_256) } };
	struct reading in = read_text(MINIMAL, headers, 1);
	assert_int_equal(in.request.tracestate.n, 512);
	request_fini(&in.request);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_malformed_traces_are_dropped_and_nothing_else),
		cmocka_unit_test(test_a_trace_state_is_bounded),
	};
	return cmocka_run_group_tests_name("trace_context", tests, NULL, NULL);
}
