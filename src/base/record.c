#include "handoff/record.h"

#include <stdlib.h>

/* Where the next piece goes in the one allocation behind the struct. */
static struct span place(char **at, struct span from)
{
	if (!from.p)
		return SPAN_NONE;
	const struct span copy = { *at, from.n };
	if (from.n > 0)
		memcpy(*at, from.p, from.n);
	*at += from.n;
	return copy;
}

static size_t memory_of(const struct record *from)
{
	size_t bytes = sizeof(*from) + from->header_count * sizeof(struct header) + from->key.n + from->value.n;
	for (size_t i = 0; i < from->header_count; i++)
		bytes += strlen(from->headers[i].name) + 1 + from->headers[i].value.n;
	return bytes;
}

struct record *record_new(const struct record *from)
{
	const size_t memory = memory_of(from);
	struct record *record = malloc(memory);
	if (!record)
		return NULL;
	*record = *from;
	record->memory = memory;
	record->headers = (struct header *)(record + 1);
	char *at = (char *)(record->headers + from->header_count);
	record->key = place(&at, from->key);
	record->value = place(&at, from->value);
	for (size_t i = 0; i < from->header_count; i++) {
		const struct span name = { from->headers[i].name, strlen(from->headers[i].name) + 1 };
		record->headers[i].name = place(&at, name).p;
		record->headers[i].value = place(&at, from->headers[i].value);
	}
	return record;
}

struct record *record_free(struct record *record)
{
	free(record);
	return NULL;
}

struct span record_header(const struct record *record, const char *name)
{
	for (size_t i = record->header_count; i > 0; i--)
		if (strcmp(record->headers[i - 1].name, name) == 0)
			return record->headers[i - 1].value;
	return SPAN_NONE;
}
