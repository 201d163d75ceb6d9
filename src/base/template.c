#include "base/template.h"

/* The name of the hole that begins at `brace`; SPAN_NONE: it is a brace. */
static struct span hole_at(const char *brace)
{
	const char *p = brace + 1;
	while ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z'))
		p++;
	return p > brace + 1 && *p == '}' ? (struct span){ brace + 1, (size_t)(p - brace - 1) } : SPAN_NONE;
}

int template_write(struct buf *out, const char *text, template_fill *fill, const void *arg)
{
	const char *from = text;
	for (const char *brace = strchr(text, '{'); brace; brace = strchr(brace, '{')) {
		const struct span name = hole_at(brace);
		if (!name.p) {
			brace++;
			continue;
		}
		buf_add(out, from, (size_t)(brace - from));
		const int r = fill(arg, name, out);
		if (r < 0)
			return r;
		from = brace = name.p + name.n + 1;
	}
	buf_add_text(out, from);
	return 0;
}
