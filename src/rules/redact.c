/*
 * Error bodies are often cut or no JSON at all, so nothing here depends on the whole being well-formed: wherever a
 * quoted key and a colon stand, what follows is masked, to the end of the text if need be.
 *
 * JSON within a JSON string is found by the backslashes before its quotes, its level: 0 at the top, 1 in a string, 3
 * in a string of that. A quote ends a string of level k when the run of backslashes before it is k, or k and whole
 * pairs of escaped backslashes: run % (2 (k + 1)) == k.
 */
#include "rules/redact.h"

#include <stdint.h>
#include <strings.h>

#include "base/text.h"
#include "handoff/macros.h"
#include "json/escape.h"

#define MASK        "***"
#define DIGITS_MIN  7
#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */
#define NOT_FOUND   SIZE_MAX
#define LEVEL_MAX   15

/* Bytes from..to are not shown; a mask stands in their place. */
struct hidden {
	size_t from;
	size_t to;
	bool quoted; /* the mask is a JSON string of that level */
	size_t level;
};

static size_t backslashes_at(struct span s, size_t at)
{
	size_t n = 0;
	while (at + n < s.n && s.p[at + n] == '\\')
		n++;
	return n;
}

static size_t backslashes_before(struct span s, size_t at)
{
	size_t n = 0;
	while (n < at && n <= LEVEL_MAX && s.p[at - n - 1] == '\\')
		n++;
	return n;
}

static size_t skip_blanks(struct span s, size_t at)
{
	while (at < s.n && strchr(" \t\r\n", s.p[at]) && s.p[at])
		at++;
	return at;
}

/* Behind the closing quote of the key that begins at `at`, or NOT_FOUND when another key stands there. */
static size_t match_key(struct span s, size_t at, size_t level, const char *key)
{
	while (at < s.n) {
		const size_t run = backslashes_at(s, at);
		if (at + run < s.n && s.p[at + run] == '"')
			return run == level && *key == '\0' ? at + run + 1 : NOT_FOUND;
		struct escape e = { .length = 1, .n = 1, .utf8 = { s.p[at] } };
		if (run > 0) {
			const struct span sequence = { s.p + at + level, s.n - at - level };
			if (run != level + 1 || escape_read(sequence, &e) < 0)
				return NOT_FOUND;
			e.length += level;
		}
		if (e.utf8[0] == '\0' || strncasecmp(key, e.utf8, e.n) != 0)
			return NOT_FOUND;
		key += e.n;
		at += e.length;
	}
	return NOT_FOUND;
}

/* Behind the string whose content begins at `at`; a quote of an outer level ends it too. */
static size_t string_end(struct span s, size_t at, size_t level)
{
	while (at < s.n) {
		const size_t run = backslashes_at(s, at);
		const size_t next = at + run;
		if (next < s.n && s.p[next] == '"') {
			if (run < level)
				return at;
			if (run % (2 * (level + 1)) == level)
				return next + 1;
		}
		at = next + 1;
	}
	return s.n;
}

static size_t container_end(struct span s, size_t at, size_t level)
{
	size_t depth = 0;
	while (at < s.n) {
		const size_t run = backslashes_at(s, at);
		const size_t next = at + run;
		const char c = next < s.n ? s.p[next] : '\0';
		if (c == '"' && run < level)
			return at;
		if (c == '{' || c == '[')
			depth++;
		if ((c == '}' || c == ']') && --depth == 0)
			return next + 1;
		at = c == '"' ? string_end(s, next + 1, level) : next + 1;
	}
	return s.n;
}

static size_t value_end(struct span s, size_t at, size_t level)
{
	const size_t run = backslashes_at(s, at);
	if (at + run < s.n && s.p[at + run] == '"' && run == level)
		return string_end(s, at + run + 1, level);
	if (at < s.n && (s.p[at] == '{' || s.p[at] == '['))
		return container_end(s, at, level);
	/* No string and no container: up to what ends a word. A backslash does so only where it belongs to a quote. */
	while (at < s.n && (s.p[at] == '\0' || !strchr(",}] \t\r\n\"", s.p[at]))) {
		const size_t slashes = backslashes_at(s, at);
		if (slashes > 0 && at + slashes < s.n && s.p[at + slashes] == '"')
			break;
		at += slashes > 0 ? slashes : 1;
	}
	return at;
}

/* What we were let in by, thrown back by a gateway that tells what it was asked. */
static const char *const CREDENTIALS[] = { "authorization", "x-api-key", "client_secret", "access_token", "urlToken" };

/* At a quote: does it open a key whose value nobody may see? */
static bool find_named_value(struct span s, size_t at, const char *const *keys, size_t key_count, struct hidden *ret)
{
	const size_t level = backslashes_before(s, at);
	if (level > LEVEL_MAX || (level & (level + 1)) != 0)
		return false;
	for (size_t i = 0; i < key_count + ARRAY_SIZE(CREDENTIALS); i++) {
		const char *key = i < key_count ? keys[i] : CREDENTIALS[i - key_count];
		size_t behind = match_key(s, at + 1, level, key);
		if (behind == NOT_FOUND)
			continue;
		behind = skip_blanks(s, behind);
		if (behind == s.n || s.p[behind] != ':')
			return false;
		const size_t from = skip_blanks(s, behind + 1);
		*ret = (struct hidden){ from, value_end(s, from, level), true, level };
		return ret->to > from;
	}
	return false;
}

/* A plus, also as JSON (\u002b) or a URL (%2B) writes it: its length, or 0. */
static size_t plus_at(struct span s, size_t at)
{
	static const struct span spellings[] = { { "+", 1 }, { "\\u002b", 6 }, { "%2b", 3 } };
	for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++)
		if (s.n - at >= spellings[i].n && strncasecmp(s.p + at, spellings[i].p, spellings[i].n) == 0)
			return spellings[i].n;
	return 0;
}

/* The end of the number's last digit, or NOT_FOUND when there are fewer digits than `min`. */
static size_t number_end(struct span s, size_t at, int min)
{
	size_t end = at;
	int digits = 0;
	for (; at < s.n; at++) {
		if (s.p[at] >= '0' && s.p[at] <= '9') {
			digits += digits < min;
			end = at + 1;
		} else if (s.p[at] == '\0' || !strchr(" \t.-()[]", s.p[at])) {
			break;
		}
	}
	return digits >= min ? end : NOT_FOUND;
}

static bool is_letter(char c)
{
	return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static bool tel_at(struct span s, size_t at)
{
	return s.n - at > 4 && strncasecmp(s.p + at, "tel:", 4) == 0 && (at == 0 || !is_letter(s.p[at - 1]));
}

static bool find_number(struct span s, size_t at, struct hidden *ret)
{
	const size_t plus = plus_at(s, at);
	*ret = (struct hidden){ .from = at };
	if (plus > 0) {
		ret->to = number_end(s, at + plus, DIGITS_MIN);
	} else if (tel_at(s, at)) {
		ret->from = skip_blanks(s, at + 4);
		ret->to = number_end(s, ret->from + plus_at(s, ret->from), 1);
	} else {
		return false;
	}
	return ret->to != NOT_FOUND;
}

/* Appends all of the bytes, or none when they would pass `end`. */
static bool put(struct buf *out, const char *bytes, size_t n, size_t end)
{
	if (n > end - out->len)
		return false;
	buf_add(out, bytes, n);
	return buf_ok(out);
}

static bool put_mask(struct buf *out, const struct hidden *h, size_t end)
{
	char mask[2 * (LEVEL_MAX + 1) + sizeof(MASK)];
	size_t n = 0;
	for (int side = 0; side < 2; side++) {
		for (size_t i = 0; h->quoted && i < h->level; i++)
			mask[n++] = '\\';
		if (h->quoted)
			mask[n++] = '"';
		for (const char *c = MASK; side == 0 && *c; c++)
			mask[n++] = *c;
	}
	return put(out, mask, n, end);
}

/* One character; a NUL is no more text than invalid bytes are. */
static bool put_character(struct buf *out, struct span s, size_t *at, size_t end)
{
	const size_t n = s.p[*at] ? text_utf8_next((struct span){ s.p + *at, s.n - *at }) : 0;
	const bool fits = n > 0 ? put(out, s.p + *at, n, end) : put(out, REPLACEMENT, strlen(REPLACEMENT), end);
	*at += n > 0 ? n : 1;
	return fits;
}

bool redact_text(struct buf *out, struct span text, const char *const *keys, size_t key_count, size_t max)
{
	const size_t end = max < SIZE_MAX - out->len ? out->len + max : SIZE_MAX;
	struct hidden next = { .from = NOT_FOUND };
	bool fits = true;
	for (size_t at = 0; at < text.n && fits;) {
		if (next.from == NOT_FOUND && !find_number(text, at, &next) &&
		    !(text.p[at] == '"' && find_named_value(text, at, keys, key_count, &next)))
			next.from = NOT_FOUND;
		if (at == next.from) {
			fits = put_mask(out, &next, end);
			at = next.to;
			next.from = NOT_FOUND;
		} else {
			fits = put_character(out, text, &at, end);
		}
	}
	return !fits;
}

void redact_word(char *text, const char *word)
{
	const size_t n = strlen(word);
	if (n < REDACT_WORD_MIN)
		return;
	for (char *at = strstr(text, word); at; at = strstr(at + n, word))
		memset(at, '*', n);
	/* The text may have been cut within it. */
	const size_t length = strlen(text);
	for (size_t part = n - 1; part >= REDACT_WORD_MIN; part--)
		if (part <= length && memcmp(text + length - part, word, part) == 0)
			memset(text + length - part, '*', part);
}
