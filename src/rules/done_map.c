#include "rules/done_map.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <zlib.h>

#include "base/text.h"

#define MAGIC       "hd1."
#define MAGIC_SIZE  (sizeof(MAGIC) - 1)
#define VERSION     1
#define CRC_AT      2
#define BASE_AT     6
#define SPAN_AT     14
#define HEADER_SIZE 18
#define RAW_MAX     ((DONE_MAP_MAX - MAGIC_SIZE) / 4 * 3)
#define BODY_MAX    (RAW_MAX - HEADER_SIZE)
#define LEB128_MAX  5 /* bytes of a 32-bit number */

static_assert(BODY_MAX * 8 == DONE_MAP_SPAN_ALWAYS, "a bitmap of the span that always fits fills the body");

enum form { FORM_RUNS = 1, FORM_BITS = 2 };

static void put_big_endian(uint8_t *to, uint64_t value, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		to[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
}

static uint64_t get_big_endian(const uint8_t *from, size_t bytes)
{
	uint64_t value = 0;
	for (size_t i = 0; i < bytes; i++)
		value = value << 8 | from[i];
	return value;
}

/* Over the topic with its NUL, the partition, and all of `raw` but the CRC itself. */
static uint32_t checksum(const char *topic, int32_t partition, const uint8_t *raw, size_t size)
{
	uint8_t number[4];
	put_big_endian(number, (uint32_t)partition, sizeof(number));
	uLong crc = crc32_z(0, (const Bytef *)topic, strlen(topic) + 1);
	crc = crc32_z(crc, number, sizeof(number));
	crc = crc32_z(crc, raw, CRC_AT);
	crc = crc32_z(crc, raw + BASE_AT, size - BASE_AT);
	return (uint32_t)crc;
}

static size_t leb128_size(uint64_t value)
{
	size_t bytes = 1;
	while (value >>= 7)
		bytes++;
	return bytes;
}

static size_t leb128_put(uint8_t *to, uint64_t value)
{
	size_t n = 0;
	for (; value >= 0x80; value >>= 7)
		to[n++] = (uint8_t)(value | 0x80);
	to[n++] = (uint8_t)value;
	return n;
}

/* How much there is to say, in either form. What is open behind the last done offset need not be said. */
struct extent {
	int64_t end;      /* one past the last done offset; the base when nothing is done */
	size_t run_bytes; /* or just more than bit_bytes: then they are not counted to the end */
	size_t bit_bytes;
};

static int64_t end_of_done(const struct offsets *o)
{
	const int64_t base = offsets_base(o);
	for (int64_t at = offsets_limit(o); at > base;) {
		at = at - base > 64 ? at - 64 : base;
		const uint64_t bits = offsets_bits(o, at);
		if (bits)
			return at + 64 - __builtin_clzll(bits);
	}
	return base;
}

static struct extent measure(const struct offsets *o)
{
	const int64_t base = offsets_base(o), last = end_of_done(o);
	struct extent extent = { .end = last, .bit_bytes = (size_t)(last - base + 7) / 8 };
	bool done;
	for (int64_t at = base, end; at < last && extent.run_bytes <= extent.bit_bytes; at = end) {
		end = offsets_run(o, at, &done);
		if (at == base && done)
			extent.run_bytes++; /* an empty open run */
		extent.run_bytes += leb128_size((uint64_t)(end - at));
	}
	return extent;
}

static size_t body_size(const struct extent *extent)
{
	return extent->run_bytes <= extent->bit_bytes ? extent->run_bytes : extent->bit_bytes;
}

/* A done mark in the middle of an open run takes a number for itself and one for the rest of the run. */
#define BYTES_PER_MARK 4
static_assert(DONE_MAP_SPAN_MAX < 1 << 21, "no run is longer than three bytes can say");

bool done_map_fits(const struct offsets *o, int64_t end)
{
	const int64_t base = offsets_base(o), limit = offsets_limit(o);
	const size_t marks = offsets_open_count(o) + 1;
	bool done;
	if (offsets_open_count(o) == 0 || (end > limit ? end : limit) - base <= DONE_MAP_SPAN_ALWAYS)
		return true;
	/* A bitmap is out of the question. */
	size_t bytes = 1 + (end > limit ? leb128_size((uint64_t)(end - limit)) : 0);
	for (int64_t at = base, next; at < limit && bytes + marks * BYTES_PER_MARK <= BODY_MAX; at = next) {
		next = offsets_run(o, at, &done);
		bytes += leb128_size((uint64_t)(next - at));
	}
	return bytes + marks * BYTES_PER_MARK <= BODY_MAX;
}

static void put_runs(uint8_t *body, const struct offsets *o, int64_t to)
{
	const int64_t base = offsets_base(o);
	bool done;
	for (int64_t at = base, end; at < to; at = end) {
		end = offsets_run(o, at, &done);
		if (at == base && done)
			*body++ = 0;
		body += leb128_put(body, (uint64_t)(end - at));
	}
}

/* The bitmap's first bit, the base's, is the lowest of the first byte. */
static void put_bits(uint8_t *body, const struct offsets *o, size_t size)
{
	uint64_t bits = 0;
	for (size_t i = 0; i < size; i++, bits >>= 8) {
		if (i % 8 == 0)
			bits = offsets_bits(o, offsets_base(o) + (int64_t)i * 8);
		body[i] = (uint8_t)bits;
	}
}

int done_map_write(struct buf *out, const char *topic, int32_t partition, const struct offsets *o)
{
	const int64_t base = offsets_base(o);
	const struct extent extent = measure(o);
	if (extent.end == base)
		return 0;
	const size_t size = HEADER_SIZE + body_size(&extent);
	if (size > RAW_MAX || extent.end - base > UINT32_MAX)
		return -E2BIG;
	uint8_t raw[RAW_MAX] = { VERSION, extent.run_bytes <= extent.bit_bytes ? FORM_RUNS : FORM_BITS };
	put_big_endian(raw + BASE_AT, (uint64_t)base, 8);
	put_big_endian(raw + SPAN_AT, (uint64_t)(extent.end - base), 4);
	if (raw[1] == FORM_RUNS)
		put_runs(raw + HEADER_SIZE, o, extent.end);
	else
		put_bits(raw + HEADER_SIZE, o, extent.bit_bytes);
	put_big_endian(raw + CRC_AT, checksum(topic, partition, raw, size), 4);

	const size_t len = out->len;
	buf_add_text(out, MAGIC);
	text_base64_encode(out, (struct span){ (const char *)raw, size });
	if (buf_ok(out))
		return 0;
	buf_cut(out, len);
	return -ENOMEM;
}

/* Walks a body, whichever its form, in runs. */
struct reader {
	enum form form;
	const uint8_t *body;
	size_t size;
	uint64_t span;
	size_t byte; /* FORM_RUNS: the next byte */
	uint64_t at; /* where the next run begins, from the base */
	bool done;   /* FORM_RUNS: what the next run is */
};

/* The next number, or 0 with nothing read when there is none: cut short, over 32 bits, or longer than it need be. */
static size_t leb128_get(const uint8_t *from, size_t size, uint64_t *ret)
{
	uint64_t value = 0;
	for (size_t n = 0; n < size && n < LEB128_MAX; n++) {
		value |= (uint64_t)(from[n] & 0x7f) << (7 * n);
		if (from[n] & 0x80)
			continue;
		*ret = value;
		return leb128_size(value) == n + 1 ? n + 1 : 0;
	}
	return 0;
}

static bool bit_of(const struct reader *r, uint64_t i)
{
	return r->body[i / 8] >> i % 8 & 1;
}

/* False when the body is not what its form demands. Call while at < span. */
static bool next_run(struct reader *r, uint64_t *ret_from, bool *ret_done)
{
	*ret_from = r->at;
	if (r->form == FORM_BITS) {
		*ret_done = bit_of(r, r->at);
		while (r->at < r->span && bit_of(r, r->at) == *ret_done)
			r->at++;
		return true;
	}
	uint64_t run;
	const size_t n = leb128_get(r->body + r->byte, r->size - r->byte, &run);
	const bool first = r->byte == 0;
	if (n == 0 || (run == 0 && !first) || run > r->span - r->at)
		return false;
	*ret_done = r->done;
	r->byte += n;
	r->at += run;
	r->done = !r->done;
	return true;
}

/* Is the body exactly a map of `span` offsets, the last of them done, and nothing behind it? (So no span is 0.) */
static bool is_sound(struct reader r)
{
	if (r.form == FORM_BITS && (r.size != (r.span + 7) / 8 || r.body[r.size - 1] >> ((r.span - 1) % 8) != 1))
		return false;
	uint64_t from;
	bool done = false;
	while (r.at < r.span)
		if (!next_run(&r, &from, &done))
			return false;
	return done && (r.form == FORM_BITS || r.byte == r.size);
}

static int preload(struct reader r, struct offsets *o)
{
	const int64_t base = offsets_base(o);
	/* The last offset first: what can fail fails here, before anything was changed. */
	const int64_t end = base + (int64_t)r.span;
	int result = offsets_preload(o, end - 1, end);
	while (result == 0 && r.at < r.span) {
		uint64_t from;
		bool done;
		if (next_run(&r, &from, &done) && done)
			result = offsets_preload(o, base + (int64_t)from, base + (int64_t)r.at);
	}
	return result == -E2BIG ? -EINVAL : result;
}

/* Checks the header and finds the body; false when the map must be ignored. */
static bool open_reader(struct reader *r, struct span raw, const char *topic, int32_t partition, int64_t base)
{
	const uint8_t *p = (const uint8_t *)raw.p;
	if (raw.n <= HEADER_SIZE || p[0] != VERSION || (p[1] != FORM_RUNS && p[1] != FORM_BITS))
		return false;
	if (get_big_endian(p + CRC_AT, 4) != checksum(topic, partition, p, raw.n) ||
	    get_big_endian(p + BASE_AT, 8) != (uint64_t)base)
		return false;
	*r = (struct reader){ .form = (enum form)p[1],
			      .body = p + HEADER_SIZE,
			      .size = raw.n - HEADER_SIZE,
			      .span = get_big_endian(p + SPAN_AT, 4) };
	return r->span <= (uint64_t)(INT64_MAX - base) && is_sound(*r);
}

int done_map_read(struct span text, const char *topic, int32_t partition, struct offsets *o)
{
	if (text.n == 0)
		return -ENOENT;
	if (text.n > DONE_MAP_MAX || text.n < MAGIC_SIZE || memcmp(text.p, MAGIC, MAGIC_SIZE) != 0)
		return -EINVAL;
	struct buf raw;
	struct reader reader;
	buf_init(&raw, RAW_MAX);
	int r = text_base64_decode(&raw, (struct span){ text.p + MAGIC_SIZE, text.n - MAGIC_SIZE });
	if (r == 0 && !buf_ok(&raw))
		r = -ENOMEM;
	if (r == 0)
		r = open_reader(&reader, buf_span(&raw), topic, partition, offsets_base(o)) ? preload(reader, o)
											    : -EINVAL;
	buf_fini(&raw);
	return r;
}
