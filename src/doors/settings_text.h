/*
 * settings_text - the configuration file, made safe for libconfig 1.5
 *
 * The library ends the process when it is given a folder or an include of one, stops reading at a NUL, and wraps whole
 * numbers beyond 32 bits silently. So the file is read here, bounded, and its numbers are given the suffix that they
 * need; what cannot be made safe is refused. Line numbers stay what they are. Internal to the settings door.
 */
#ifndef HANDOFF_SETTINGS_TEXT_H
#define HANDOFF_SETTINGS_TEXT_H

#include "base/buf.h"
#include "handoff/macros.h"

/* Appends the prepared text of `file` to `ret`. 0, or -errno with "FILE[:LINE]: SENTENCE" in `error`. */
int settings_text_read(const char *file, struct buf *ret, struct buf *error) MUST_CHECK;
/* The second half of it: `from` is what `file` holds. */
int settings_text_prepare(const char *file, const struct buf *from, struct buf *ret, struct buf *error) MUST_CHECK;

#endif
