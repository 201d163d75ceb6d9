/* done_map: what is written comes back, and whatever else comes is ignored */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "dice.h"
#include "rules/done_map.h"
#include "torture.h"

#define TOPIC     "handoff.requests"
#define PARTITION 3
#define WINDOW    1000000

static struct buf text;

static int set_up(void **state)
{
	(void)state;
	buf_init(&text, 1 << 20);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	buf_fini(&text);
	return 0;
}

/* ---- what is written comes back ---- */

/* Opens [base, base + n) and finishes those whose pattern byte is not 0. */
static struct offsets *build(int64_t base, const char *done, size_t n)
{
	struct offsets *o = offsets_new(base, WINDOW);
	assert_non_null(o);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(offsets_open(o, base + (int64_t)i), 0);
	for (size_t i = 0; i < n; i++)
		if (done[i])
			offsets_done(o, base + (int64_t)i);
	return o;
}

static void assert_same(const struct offsets *a, const struct offsets *b)
{
	assert_int_equal(offsets_base(a), offsets_base(b));
	const int64_t end = offsets_limit(a) > offsets_limit(b) ? offsets_limit(a) : offsets_limit(b);
	for (int64_t i = offsets_base(a); i < end; i++)
		if (offsets_is_done(a, i) != offsets_is_done(b, i))
			fail_msg("offset %lld differs", (long long)i);
}

static void assert_round_trip(const struct offsets *o)
{
	buf_reset(&text);
	assert_int_equal(done_map_write(&text, TOPIC, PARTITION, o), 0);
	assert_true(text.len <= DONE_MAP_MAX);
	struct offsets *copy = offsets_new(offsets_base(o), WINDOW);
	assert_int_equal(done_map_read(buf_span(&text), TOPIC, PARTITION, copy), text.len > 0 ? 0 : -ENOENT);
	assert_int_equal(offsets_next(copy), offsets_base(o));
	assert_same(o, copy);
	/* What was read says the same when it is written again, before anything was delivered. */
	struct buf again;
	buf_init(&again, 1 << 20);
	assert_int_equal(done_map_write(&again, TOPIC, PARTITION, copy), 0);
	assert_true(span_eq(buf_span(&text), buf_span(&again)));
	buf_fini(&again);
	offsets_free(copy);
}

/* The expected texts come from another implementation of the format (zlib and base64 of Python). */
static void test_documented_examples(void **state)
{
	(void)state;
	struct offsets *o = build(1041, "\0\0\1\1\1\0", 6);
	assert_int_equal(done_map_write(&text, TOPIC, PARTITION, o), 0);
	assert_string_equal(buf_text(&text), "hd1.AQJlZxj/AAAAAAAABBEAAAAFHA==");
	offsets_free(o);

	o = offsets_new(7, 400);
	assert_int_equal(offsets_open(o, 7), 0);
	assert_int_equal(offsets_reach(o, 308), 0);
	buf_reset(&text);
	assert_int_equal(done_map_write(&text, "handoff.retry", 0, o), 0);
	assert_string_equal(buf_text(&text), "hd1.AQHFCz0ZAAAAAAAAAAcAAAEtAawC");
	offsets_free(o);
}

static void test_nothing_done_writes_nothing(void **state)
{
	(void)state;
	struct offsets *o = build(5, "\0\0\0", 3);
	assert_int_equal(done_map_write(&text, TOPIC, PARTITION, o), 0);
	assert_int_equal(text.len, 0);
	assert_int_equal(done_map_read(buf_span(&text), TOPIC, PARTITION, o), -ENOENT);
	offsets_free(o);
}

enum shape { ALTERNATING, ALL_BUT_THE_BASE, ONE_HOLE, ONE_DONE, LONG_RUNS, PAIRS, BYTES, SHAPE_COUNT };

static bool shape_bit(enum shape shape, size_t i, size_t n)
{
	switch (shape) {
	case ALTERNATING:
		return i % 2 == 1;
	case ALL_BUT_THE_BASE:
		return i > 0;
	case ONE_HOLE:
		return i > 0 && i != n / 2;
	case ONE_DONE:
		return i == n - 1 && i > 0;
	case LONG_RUNS:
		return i / 5000 % 2 == 1;
	case PAIRS:
		return i / 2 % 2 == 1;
	case BYTES:
		return i / 8 % 2 == 1;
	case SHAPE_COUNT:
		break;
	}
	return false;
}

static void test_shapes(void **state)
{
	(void)state;
	static const size_t sizes[] = { 1, 2, 7, 8, 9, 63, 64, 65, 127, 128, 129, 1000, DONE_MAP_SPAN_ALWAYS };
	static char done[DONE_MAP_SPAN_ALWAYS];
	for (int shape = 0; shape < SHAPE_COUNT; shape++)
		for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
			for (size_t i = 0; i < sizes[k]; i++)
				done[i] = shape_bit((enum shape)shape, i, sizes[k]);
			struct offsets *o = build((int64_t)k * 1000003, done, sizes[k]);
			assert_round_trip(o);
			offsets_free(o);
		}
}

static void test_random_patterns(void **state)
{
	(void)state;
	static char done[DONE_MAP_SPAN_ALWAYS];
	struct dice dice = { 77 };
	for (int round = 0; round < 400; round++) {
		const size_t n = (size_t)(1 + dice_below(&dice, round % 10 == 0 ? DONE_MAP_SPAN_ALWAYS : 500));
		const int percent = (int)dice_below(&dice, 101);
		const int stick = (int)dice_below(&dice, 100);
		for (size_t i = 0; i < n; i++)
			done[i] = i > 0 && dice_chance(&dice, stick) ? done[i - 1] : (char)dice_chance(&dice, percent);
		struct offsets *o = build(dice_below(&dice, INT64_C(1) << 50), done, n);
		assert_round_trip(o);
		offsets_free(o);
	}
}

/* A preloaded run may begin at the base itself: nothing below it was delivered yet. */
static void test_done_from_the_base_on(void **state)
{
	(void)state;
	struct offsets *o = offsets_new(50, 1000);
	assert_int_equal(offsets_preload(o, 50, 60), 0);
	assert_round_trip(o);
	assert_int_equal(offsets_preload(o, 200, 600), 0);
	assert_round_trip(o);
	offsets_free(o);
}

static void test_the_limit(void **state)
{
	(void)state;
	static char done[DONE_MAP_SPAN_ALWAYS + 2];
	for (size_t i = 0; i < sizeof(done); i++)
		done[i] = i % 2 == 1;
	struct offsets *o = build(0, done, sizeof(done));
	buf_add_text(&text, "before");
	assert_int_equal(done_map_write(&text, TOPIC, PARTITION, o), -E2BIG);
	assert_string_equal(buf_text(&text), "before");
	assert_false(done_map_fits(o, 0));
	offsets_done(o, 0); /* the base moves by two, and it fits to the last byte */
	assert_true(done_map_fits(o, 0));
	assert_round_trip(o);
	assert_int_equal(text.len, DONE_MAP_MAX);
	offsets_free(o);

	/* A wide span fits as long as it has few runs. */
	o = offsets_new(0, WINDOW);
	assert_int_equal(offsets_open(o, 0), 0);
	assert_int_equal(offsets_reach(o, WINDOW), 0);
	assert_round_trip(o);
	assert_true(text.len < 50);
	offsets_free(o);
}

static void test_a_full_buffer_and_no_memory(void **state)
{
	(void)state;
	struct offsets *o = build(1041, "\0\0\1\1\1\0", 6);
	struct buf small;
	buf_init(&small, 10);
	assert_int_equal(done_map_write(&small, TOPIC, PARTITION, o), -ENOMEM);
	assert_int_equal(small.len, 0);
	buf_fini(&small);
	offsets_free(o);
	if (!torture_works())
		return;
	o = offsets_new(7, 100000);
	assert_int_equal(offsets_open(o, 7), 0);
	assert_int_equal(offsets_open(o, 20), 0);
	assert_int_equal(offsets_reach(o, 90000), 0);
	assert_int_equal(done_map_write(&text, TOPIC, PARTITION, o), 0);
	offsets_free(o);
	o = offsets_new(7, 100000);
	for (long n = 0;; n++) {
		torture_after(n);
		const int r = done_map_read(buf_span(&text), TOPIC, PARTITION, o);
		if (!torture_end()) {
			assert_int_equal(r, 0);
			break;
		}
		assert_int_equal(r, -ENOMEM);
		assert_int_equal(offsets_limit(o), 7);
	}
	offsets_free(o);
}

/* ---- whatever else comes is ignored ---- */

static void assert_ignored(struct span what, const char *topic, int32_t partition, int64_t base, const char *why)
{
	struct offsets *o = offsets_new(base, WINDOW);
	const int r = done_map_read(what, topic, partition, o);
	if (r != -EINVAL || offsets_limit(o) != base || offsets_base(o) != base)
		fail_msg("%s: %d, limit %lld", why, r, (long long)offsets_limit(o));
	offsets_free(o);
}

static void test_another_place_is_ignored(void **state)
{
	(void)state;
	struct offsets *o = build(1041, "\0\0\1\1\1\0", 6);
	assert_int_equal(done_map_write(&text, TOPIC, PARTITION, o), 0);
	offsets_free(o);
	assert_ignored(buf_span(&text), "handoff.request", PARTITION, 1041, "topic");
	assert_ignored(buf_span(&text), TOPIC, 2, 1041, "partition");
	assert_ignored(buf_span(&text), TOPIC, PARTITION, 1040, "base");
	assert_ignored(SPAN("{\"v\":1}"), TOPIC, PARTITION, 1041, "somebody else's metadata");
	assert_ignored(SPAN("hd1."), TOPIC, PARTITION, 1041, "nothing but the magic");
	assert_ignored(SPAN("hd1"), TOPIC, PARTITION, 1041, "not even the magic");

	o = offsets_new(1041, 4);
	assert_int_equal(done_map_read(buf_span(&text), TOPIC, PARTITION, o), -EINVAL);
	assert_int_equal(offsets_limit(o), 1041);
	offsets_free(o);
}

/* Every cut, every addition, and every single changed bit. */
static void assert_damage_ignored(int64_t base)
{
	const size_t len = text.len;
	char *damaged = malloc(len + 4);
	for (size_t cut = 1; cut < len; cut++) {
		memcpy(damaged, text.data, cut); /* a copy, so that a sanitizer sees a read beyond */
		assert_ignored((struct span){ damaged, cut }, TOPIC, PARTITION, base, "cut short");
		assert_ignored((struct span){ text.data + cut, len - cut }, TOPIC, PARTITION, base, "begun late");
	}
	memcpy(damaged, text.data, len);
	memcpy(damaged + len, "AAAA", 4);
	for (size_t more = 1; more <= 4; more++)
		assert_ignored((struct span){ damaged, len + more }, TOPIC, PARTITION, base, "bytes behind");
	for (size_t i = 0; i < len; i++)
		for (int bit = 0; bit < 8; bit++) {
			damaged[i] = (char)(text.data[i] ^ 1 << bit);
			assert_ignored((struct span){ damaged, len }, TOPIC, PARTITION, base, "a bit flipped");
			damaged[i] = text.data[i];
		}
	free(damaged);
}

static void test_damage_is_ignored(void **state)
{
	(void)state;
	static char done[4000];
	struct dice dice = { 5 };
	for (size_t n = 20; n <= sizeof(done); n *= 14) {
		for (size_t i = 1; i < n; i++)
			done[i] = (char)dice_chance(&dice, 50);
		struct offsets *o = build(99, done, n);
		buf_reset(&text);
		assert_int_equal(done_map_write(&text, TOPIC, PARTITION, o), 0);
		assert_damage_ignored(offsets_base(o));
		offsets_free(o);
	}
	/* Run lengths, and every character instead of every bit. */
	struct offsets *o = build(99, "\0\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1", 18);
	buf_reset(&text);
	assert_int_equal(done_map_write(&text, TOPIC, PARTITION, o), 0);
	assert_damage_ignored(99);
	for (size_t i = 0; i < text.len; i++) {
		const char right = text.data[i];
		for (int c = 0; c < 256; c++) {
			text.data[i] = (char)c;
			if ((char)c != right)
				assert_ignored(buf_span(&text), TOPIC, PARTITION, 99, "another character");
		}
		text.data[i] = right;
	}
	offsets_free(o);
}

/* Bit by bit: another implementation than the one under test. */
static uint32_t plain_crc32(const uint8_t *p, size_t n)
{
	uint32_t crc = UINT32_MAX;
	for (size_t i = 0; i < n; i++) {
		crc ^= p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ UINT32_C(0xedb88320) : crc >> 1;
	}
	return ~crc;
}

/* Writes a map whose CRC is right, whatever its fields say. */
static void forge(uint8_t version, uint8_t form, uint64_t base, uint32_t span, const uint8_t *body, size_t n)
{
	uint8_t covered[128] = TOPIC; /* topic, NUL, partition, version, form, base, span, body */
	size_t at = sizeof(TOPIC);
	const uint8_t partition[4] = { 0, 0, 0, PARTITION };
	memcpy(covered + at, partition, sizeof(partition));
	at += sizeof(partition);
	const size_t version_at = at;
	covered[at++] = version;
	covered[at++] = form;
	for (int shift = 56; shift >= 0; shift -= 8)
		covered[at++] = (uint8_t)(base >> shift);
	for (int shift = 24; shift >= 0; shift -= 8)
		covered[at++] = (uint8_t)(span >> shift);
	memcpy(covered + at, body, n);
	at += n;
	const uint32_t crc = plain_crc32(covered, at);
	uint8_t raw[128] = { version,     form, (uint8_t)(crc >> 24), (uint8_t)(crc >> 16), (uint8_t)(crc >> 8),
			     (uint8_t)crc };
	memcpy(raw + 6, covered + version_at + 2, at - version_at - 2);
	buf_reset(&text);
	buf_add_text(&text, "hd1.");
	text_base64_encode(&text, (struct span){ (const char *)raw, at - version_at + 4 });
}

struct forgery {
	const char *name;
	uint8_t version, form;
	uint64_t base;
	uint32_t span;
	uint8_t body[16];
	size_t n;
	int result;
};

static const struct forgery forgeries[] = {
	{ "runs as they should be", 1, 1, 9, 5, { 2, 3 }, 2, 0 },
	{ "bits as they should be", 1, 2, 9, 5, { 0x1c }, 1, 0 },
	{ "runs where bits would be shorter", 1, 1, 9, 5, { 1, 1, 1, 2 }, 4, 0 },
	{ "an empty open run at the base", 1, 1, 9, 5, { 0, 2, 1, 2 }, 4, 0 },
	{ "version", 2, 1, 9, 5, { 2, 3 }, 2, -EINVAL },
	{ "form 0", 1, 0, 9, 5, { 2, 3 }, 2, -EINVAL },
	{ "form 3", 1, 3, 9, 5, { 2, 3 }, 2, -EINVAL },
	{ "base", 1, 1, 10, 5, { 2, 3 }, 2, -EINVAL },
	{ "base, negative", 1, 1, UINT64_MAX, 5, { 2, 3 }, 2, -EINVAL },
	{ "no span, runs", 1, 1, 9, 0, { 0, 0 }, 2, -EINVAL },
	{ "no span, bits", 1, 2, 9, 0, { 0 }, 1, -EINVAL },
	{ "no body, runs", 1, 1, 9, 5, { 0 }, 0, -EINVAL },
	{ "no body, bits", 1, 2, 9, 5, { 0 }, 0, -EINVAL },
	{ "runs short of the span", 1, 1, 9, 6, { 2, 3 }, 2, -EINVAL },
	{ "runs beyond the span", 1, 1, 9, 4, { 2, 3 }, 2, -EINVAL },
	{ "a byte behind the runs", 1, 1, 9, 5, { 2, 3, 0 }, 3, -EINVAL },
	{ "the last run is open", 1, 1, 9, 6, { 2, 3, 1 }, 3, -EINVAL },
	{ "an empty run in the middle", 1, 1, 9, 5, { 2, 0, 0, 3 }, 4, -EINVAL },
	{ "an empty run, twice", 1, 1, 9, 5, { 0, 0, 0, 5 }, 4, -EINVAL },
	{ "a number longer than it need be", 1, 1, 9, 5, { 0x82, 0, 3 }, 3, -EINVAL },
	{ "a number cut short", 1, 1, 9, 5, { 2, 0x83 }, 2, -EINVAL },
	{ "a number over 32 bits", 1, 1, 9, 5, { 2, 0x83, 0x80, 0x80, 0x80, 0x80, 0x80, 1 }, 8, -EINVAL },
	{ "a run that would wrap around", 1, 1, 9, 5, { 2, 0xff, 0xff, 0xff, 0xff, 0x7f }, 6, -EINVAL },
	{ "too few bits", 1, 2, 9, 9, { 0xfc }, 1, -EINVAL },
	{ "too many bits", 1, 2, 9, 5, { 0x1c, 0 }, 2, -EINVAL },
	{ "too many bits, the last one set", 1, 2, 9, 5, { 0x1c, 0x10 }, 2, -EINVAL },
	{ "a bit behind the span", 1, 2, 9, 5, { 0x3c }, 1, -EINVAL },
	{ "the last bit is open", 1, 2, 9, 6, { 0x1c }, 1, -EINVAL },
	{ "a span beyond the window", 1, 1, 9, WINDOW + 1, { 1, 0xc0, 0x84, 0x3d }, 4, -EINVAL },
};

static void test_forgeries_are_ignored(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(forgeries) / sizeof(forgeries[0]); i++) {
		const struct forgery *f = &forgeries[i];
		forge(f->version, f->form, f->base, f->span, f->body, f->n);
		if (f->result < 0) {
			assert_ignored(buf_span(&text), TOPIC, PARTITION, 9, f->name);
			continue;
		}
		struct offsets *o = offsets_new(9, WINDOW);
		if (done_map_read(buf_span(&text), TOPIC, PARTITION, o) != 0 || offsets_limit(o) != 14)
			fail_msg("%s", f->name);
		offsets_free(o);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_documented_examples, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nothing_done_writes_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_shapes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_random_patterns, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_done_from_the_base_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_limit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_full_buffer_and_no_memory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_another_place_is_ignored, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_damage_is_ignored, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_forgeries_are_ignored, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
