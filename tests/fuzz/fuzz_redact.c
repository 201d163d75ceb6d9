/*
 * An error body is whatever a connector sent. What is stored of it is valid UTF-8, within its bound, and holds no
 * number behind a plus; and masking what is masked changes nothing.
 */
#include "base/text.h"
#include "fuzz_check.h"
#include "rules/redact.h"

static bool shows_a_number(struct span s)
{
	for (size_t i = 0; i + 8 <= s.n; i++) {
		size_t digits = 0;
		while (s.p[i] == '+' && digits < 7 && s.p[i + 1 + digits] >= '0' && s.p[i + 1 + digits] <= '9')
			digits++;
		if (digits == 7)
			return true;
	}
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const keys[] = { "phone", "userId" };
	const struct span text = { size > 0 ? (const char *)data : "", size };
	const size_t max = size > 0 ? data[0] : 0;
	struct buf cut, once, twice;
	buf_init(&cut, SIZE_MAX);
	buf_init(&once, SIZE_MAX);
	buf_init(&twice, SIZE_MAX);
	const bool was_cut = redact_text(&cut, text, keys, 2, max);
	CHECK(!redact_text(&once, text, keys, 2, SIZE_MAX));
	CHECK(!redact_text(&twice, buf_span(&once), keys, 2, SIZE_MAX));
	CHECK(buf_ok(&cut) && buf_ok(&once) && buf_ok(&twice));
	CHECK(cut.len <= max && was_cut == (cut.len < once.len));
	CHECK(cut.len == 0 || memcmp(cut.data, once.data, cut.len) == 0);
	CHECK(text_is_utf8(buf_span(&cut)) && text_is_utf8(buf_span(&once)));
	CHECK(!shows_a_number(buf_span(&once)));
	CHECK(span_eq(buf_span(&once), buf_span(&twice)));
	buf_fini(&cut);
	buf_fini(&once);
	buf_fini(&twice);
	return 0;
}
