#include "rules/trace_context.h"

#include "base/text.h"

#define TRACEPARENT_LEN 55 /* of version 00: "00-" 32 "-" 16 "-" 2 */

static bool hex_at(struct span s, size_t at, size_t n)
{
	for (size_t i = at; i < at + n; i++)
		if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f')))
			return false;
	return true;
}

static bool zero_at(struct span s, size_t at, size_t n)
{
	for (size_t i = at; i < at + n; i++)
		if (s.p[i] != '0')
			return false;
	return true;
}

static bool version_fits(struct span s)
{
	if (!hex_at(s, 0, 2) || memcmp(s.p, "ff", 2) == 0)
		return false;
	if (s.n == TRACEPARENT_LEN)
		return true;
	return memcmp(s.p, "00", 2) != 0 && s.p[TRACEPARENT_LEN] == '-' && s.n <= TRACESTATE_MAX &&
	       text_is_printable_ascii(s);
}

bool traceparent_is_valid(struct span s)
{
	return s.n >= TRACEPARENT_LEN && version_fits(s) && s.p[2] == '-' && s.p[35] == '-' && s.p[52] == '-' &&
	       hex_at(s, 3, 32) && hex_at(s, 36, 16) && hex_at(s, 53, 2) && !zero_at(s, 3, 32) && !zero_at(s, 36, 16);
}

bool tracestate_is_valid(struct span s)
{
	return s.n > 0 && s.n <= TRACESTATE_MAX && text_is_printable_ascii(s);
}
