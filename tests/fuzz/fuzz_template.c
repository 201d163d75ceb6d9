/*
 * fuzz_template - is every hole filled, in order, and everything else left as it is?
 *
 * Input: the template. What comes out is compared with what regexec(3) makes of it.
 *
 * libFuzzer: -max_len=512
 */
#include <regex.h>
#include <string.h>

#include "base/template.h"
#include "fuzz_check.h"
#include "fuzz_line.h"

/* "<name>": longer than its hole or, as part of a longer one, a hole itself: what was filled in is not looked at. */
static int fill(const void *arg, struct span name, struct buf *out)
{
	const char *refused = arg;
	if (span_is(name, refused))
		return -1;
	buf_add_text(out, "{x}<");
	buf_add_span(out, name);
	buf_add_char(out, '>');
	return 0;
}

/* Does every hole have another name than `refused`? */
static bool fill_again(struct buf *out, const char *text, const char *refused)
{
	static regex_t hole;
	regmatch_t at[2];
	if (hole.re_nsub == 0)
		CHECK(regcomp(&hole, "\\{([A-Za-z]+)\\}", REG_EXTENDED) == 0);
	while (regexec(&hole, text, 2, at, 0) == 0) {
		const struct span name = { text + at[1].rm_so, (size_t)(at[1].rm_eo - at[1].rm_so) };
		buf_add(out, text, (size_t)at[0].rm_so);
		if (fill(refused, name, out) < 0)
			return false;
		text += at[0].rm_eo;
	}
	buf_add_text(out, text);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct span input = fuzz_input(data, size);
	struct buf out, wanted;
	buf_init(&out, 1 << 20);
	buf_init(&wanted, 1 << 20);
	char *text = strndup(input.p, input.n);
	CHECK(text);
	const bool is_filled = fill_again(&wanted, text, "none");
	CHECK((template_write(&out, text, fill, "none") == 0) == is_filled);
	CHECK(span_eq(buf_span(&out), buf_span(&wanted)));
	free(text);
	buf_fini(&out);
	buf_fini(&wanted);
	return 0;
}
