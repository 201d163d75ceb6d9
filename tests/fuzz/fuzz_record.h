/*
 * fuzz_record - a record made of a fuzzer's bytes
 *
 *   name: value      headers, one a line, up to an empty line; a name without a colon has no value
 *                    then the record's value, whatever it is
 */
#ifndef HANDOFF_FUZZ_RECORD_H
#define HANDOFF_FUZZ_RECORD_H

#include <stdlib.h>
#include <string.h>

#include "fuzz_check.h"
#include "fuzz_line.h"
#include "handoff/record.h"

#define FUZZ_HEADERS_MAX 32

struct fuzz_record {
	struct record record;
	struct header headers[FUZZ_HEADERS_MAX];
	char *names[FUZZ_HEADERS_MAX];
};

static inline void fuzz_record_init(struct fuzz_record *ret, const uint8_t *data, size_t size)
{
	struct span rest = fuzz_input(data, size);
	*ret = (struct fuzz_record){ .record = { .topic = "handoff.requests", .headers = ret->headers } };
	size_t count = 0;
	for (struct span line = fuzz_take_line(&rest); line.n > 0; line = fuzz_take_line(&rest)) {
		if (count == FUZZ_HEADERS_MAX)
			continue;
		const char *colon = memmem(line.p, line.n, ": ", 2);
		const size_t n = colon ? (size_t)(colon - line.p) : line.n;
		ret->names[count] = strndup(line.p, n);
		CHECK(ret->names[count]);
		ret->headers[count].name = ret->names[count];
		if (colon)
			ret->headers[count].value = (struct span){ colon + 2, line.n - n - 2 };
		count++;
	}
	ret->record.header_count = count;
	ret->record.value = rest;
}

static inline void fuzz_record_fini(struct fuzz_record *fuzzed)
{
	for (size_t i = 0; i < fuzzed->record.header_count; i++)
		free(fuzzed->names[i]);
}

#endif
