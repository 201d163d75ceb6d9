/*
 * Two header values, one a line. Whatever a server sends, the wait is within its bounds and never negative.
 *
 * libFuzzer: -max_len=128
 */
#include "fuzz_check.h"
#include "rules/retry_after.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int64_t clocks[] = { 0, INT64_C(1700000000000), INT64_C(4102444799999) };
	const char *text = size > 0 ? (const char *)data : "";
	const char *newline = memchr(text, '\n', size);
	const size_t n = newline ? (size_t)(newline - text) : size;
	const struct span retry_after = { text, n };
	const struct span date = newline ? (struct span){ newline + 1, size - n - 1 } : SPAN_NONE;
	for (size_t i = 0; i < ARRAY_SIZE(clocks); i++) {
		const int64_t ms = retry_after_ms(retry_after, date, clocks[i]);
		int64_t at;
		CHECK(ms >= -1 && ms <= RETRY_AFTER_MAX_MS);
		if (http_date_read(retry_after, clocks[i], &at) == 0)
			CHECK(at >= INT64_C(-62167219200000) && at <= INT64_C(253402300800000));
	}
	return 0;
}
