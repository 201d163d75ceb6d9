/*
 * Commit metadata is written by whoever may commit to the group. Whatever it says, it is read within its bounds, and
 * what is accepted is a map: inside the window, and the same when it is written again.
 *
 * The first byte chooses how the rest is used: as the text; as form, span and body of a map whose CRC is made right
 * (else no input would ever get past it); or as runs of done and open offsets that have to survive a round trip.
 *
 * libFuzzer: -max_len=4200
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "rules/done_map.h"

#define TOPIC     "handoff.requests"
#define PARTITION 3
#define BASE      1041
#define WINDOW    30000
#define RUNS_MAX  80

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static struct offsets *fresh(void)
{
	struct offsets *o = offsets_new(BASE, WINDOW);
	demand(o != NULL);
	return o;
}

static void demand_same(const struct offsets *a, const struct offsets *b)
{
	bool done_a, done_b;
	int64_t at = BASE;
	const int64_t end = offsets_limit(b);
	while (at < end) {
		const int64_t run_a = offsets_run(a, at, &done_a), run_b = offsets_run(b, at, &done_b);
		demand(done_a == done_b && (run_a == run_b || (run_b == end && run_a >= end)));
		at = run_b;
	}
	/* Behind the map's end nothing is done. */
	if (offsets_limit(a) > end)
		demand(offsets_run(a, end, &done_a) == offsets_limit(a) && !done_a);
}

/* Writes `o`, which says what `text` of length `most` said or would say, and reads that back. */
static void demand_round_trip(const struct offsets *o, size_t most)
{
	struct buf text;
	buf_init(&text, 1 << 20);
	const int r = done_map_write(&text, TOPIC, PARTITION, o);
	demand(r == 0 || (r == -E2BIG && !done_map_fits(o, 0) && text.len == 0));
	if (r == 0) {
		demand(text.len <= most);
		struct offsets *copy = fresh();
		demand(done_map_read(buf_span(&text), TOPIC, PARTITION, copy) == (text.len > 0 ? 0 : -ENOENT));
		demand_same(o, copy);
		offsets_free(copy);
	}
	buf_fini(&text);
}

static void read_text(struct span text)
{
	struct offsets *o = fresh();
	const int r = done_map_read(text, TOPIC, PARTITION, o);
	demand(offsets_base(o) == BASE && offsets_next(o) == BASE && offsets_open_count(o) == 0);
	if (r == 0) {
		demand(offsets_limit(o) > BASE && offsets_limit(o) <= BASE + WINDOW);
		demand_round_trip(o, text.n);
	} else {
		demand(r == (text.n == 0 ? -ENOENT : -EINVAL) && offsets_limit(o) == BASE);
	}
	offsets_free(o);
}

/* What eight steps make of each byte. */
static const uint32_t *crc32_table(void)
{
	static uint32_t table[256];
	for (uint32_t i = 0; i < 256 && table[255] == 0; i++) {
		table[i] = i;
		for (int bit = 0; bit < 8; bit++)
			table[i] = table[i] & 1 ? table[i] >> 1 ^ UINT32_C(0xedb88320) : table[i] >> 1;
	}
	return table;
}

static uint32_t crc32_on(uint32_t crc, const void *bytes, size_t n)
{
	const uint32_t *table = crc32_table();
	const uint8_t *p = bytes;
	crc = ~crc;
	for (size_t i = 0; i < n; i++)
		crc = crc >> 8 ^ table[(crc ^ p[i]) & 0xff];
	return ~crc;
}

/* data: form(1) span(4) body */
static void read_forged(const uint8_t *data, size_t size)
{
	static const uint8_t partition[4] = { 0, 0, 0, PARTITION };
	uint8_t raw[4096] = { 1, data[0] };
	const size_t body = size - 5 < sizeof(raw) - 18 ? size - 5 : sizeof(raw) - 18;
	raw[12] = BASE >> 8;
	raw[13] = BASE & 0xff;
	memcpy(raw + 14, data + 1, 4);
	memcpy(raw + 18, data + 5, body);
	uint32_t crc = crc32_on(0, TOPIC, sizeof(TOPIC));
	crc = crc32_on(crc, partition, sizeof(partition));
	crc = crc32_on(crc, raw, 2);
	crc = crc32_on(crc, raw + 6, 12 + body);
	for (int i = 0; i < 4; i++)
		raw[2 + i] = (uint8_t)(crc >> (24 - 8 * i));
	struct buf text;
	buf_init(&text, 8192);
	buf_add_text(&text, "hd1.");
	text_base64_encode(&text, (struct span){ (const char *)raw, 18 + body });
	read_text(buf_span(&text));
	buf_fini(&text);
}

/* Opens `at`, and finishes it where `done`. */
static void take(struct offsets *o, int64_t at, bool done)
{
	demand(offsets_open(o, at) == 0);
	if (done)
		offsets_done(o, at);
}

/* Each byte is a run: its lowest bits say of what, the next five how long, the highest makes it 16 times as long. So a
 * few bytes are more than a map can hold. */
static void write_and_read(const uint8_t *data, size_t size)
{
	enum { OPEN, DONE, GAP, BY_TURNS };
	struct offsets *o = fresh();
	const int64_t end = BASE + WINDOW;
	int64_t at = BASE;
	take(o, at++, false); /* the base stays where it is */
	for (size_t i = 0; i < size && i < RUNS_MAX && at < end; i++) {
		const int of = data[i] & 3, run = (data[i] >> 2 & 0x1f) * (data[i] & 0x80 ? 16 : 1);
		const int64_t to = at + run < end ? at + run : end;
		if (of == GAP)
			demand(offsets_reach(o, to) == 0);
		for (; of != GAP && at < to; at++)
			take(o, at, of == DONE || (of == BY_TURNS && at % 2 == 0));
		at = to;
	}
	demand_round_trip(o, DONE_MAP_MAX);
	offsets_free(o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0 || data[0] % 3 == 0)
		read_text((struct span){ (const char *)data + (size > 0), size > 0 ? size - 1 : 0 });
	else if (data[0] % 3 == 2)
		write_and_read(data + 1, size - 1);
	else if (size > 6)
		read_forged(data + 1, size - 1);
	return 0;
}
