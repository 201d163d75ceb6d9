/*
 * words - what does one script line say?
 *
 *   on trigger session=s-1 reply 500 body={"error":"no line"} times=2
 *   '-------- words -'     'words-' '----------- options ----------'
 *
 * A line is cut at blanks. `name=value` (a name of letters, `-` and `_`) is an option, anything else a word.
 * A value, or a word, may be bare, in '…' (verbatim), in "…" (with \" and \\), or begin with { or [ and end with its
 * partner, as JSON does. A `#` at the start of a word begins a comment.
 * Whoever reads a line takes what he knows; words_end() complains of the rest, so nothing is ever ignored.
 */
#ifndef SANDBOX_WORDS_H
#define SANDBOX_WORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/fault.h"
#include "handoff/macros.h"
#include "handoff/span.h"

enum { WORDS_MAX = 32 };

struct word {
	char *name; /* of an option; NULL for a word */
	char *value;
	bool taken;
};

struct words {
	char *text;
	struct word items[WORDS_MAX];
	size_t count;
};

/* 0, or -EINVAL/-ENOMEM with the reason in `fault`; words_fini() afterwards in either case. */
int words_cut(struct words *words, struct span line, struct fault *fault) MUST_CHECK;
void words_fini(struct words *words);

/* The next word not yet taken, or NULL. Strings live as long as `words`. */
const char *words_next(struct words *words);
/* The same, but only if it is `word`: is this word here? */
bool words_accept(struct words *words, const char *word);
/* The next option of that name not yet taken, or NULL. */
const char *words_option(struct words *words, const char *name);
/* 0, or -EINVAL naming the first word or option that nobody took. */
int words_end(const struct words *words, struct fault *fault) MUST_CHECK;

/* Each of these leaves `*ret` as it is when the option is absent; -EINVAL with a sentence when it is wrong. */
int words_duration(struct words *words, const char *name, usec_t *ret, struct fault *fault) MUST_CHECK;
int words_number(struct words *words, const char *name, int64_t min, int64_t max, int64_t *ret,
		 struct fault *fault) MUST_CHECK;
int words_choice(struct words *words, const char *name, const char *const names[], size_t count, size_t *ret,
		 struct fault *fault) MUST_CHECK;

/* "3s", "200ms", "2m", "1h", "3" (seconds). -EINVAL when it is none, or longer than a year. */
int duration_parse(const char *text, usec_t *ret) MUST_CHECK;

#endif
