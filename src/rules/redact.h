/*
 * redact - take personal values out of text that will be stored
 *
 * In JSON, the values of the named keys (any depth, any spelling of the key, case ignored) become "***", and so do
 * credentials under the names that everybody gives them; in every text, `tel:` numbers and a `+` with seven or more
 * digits (blanks, dots, dashes and brackets between them) become
 * "***". Pure.
 */
#ifndef HANDOFF_REDACT_H
#define HANDOFF_REDACT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "handoff/span.h"

/* Appends `text`, masked and cut to at most `max` bytes on a UTF-8 boundary; invalid UTF-8 becomes U+FFFD. Masking
 * comes before cutting, so no half of a number remains. Returns true when something was cut off. */
bool redact_text(struct buf *out, struct span text, const char *const *keys, size_t key_count, size_t max);

/* Overwrites the word, and what a cut has left of it at the end, wherever it stands. Words and rests that are shorter
 * than REDACT_WORD_MIN bytes stay: they could be anything. */
#define REDACT_WORD_MIN 6
void redact_word(char *text, const char *word);

#endif
