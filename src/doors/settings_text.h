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

/* Appends a file's bytes. 0, or -errno: -EISDIR, -ENOTSUP when it is no regular file (nor a pipe, where `pipe_too`
 * lets one pass, as the shell's <(...) is), -EFBIG when it does not fit into `ret`. */
int settings_slurp(const char *file, bool pipe_too, struct buf *ret) MUST_CHECK;
/* What is the matter, for people. */
const char *settings_slurp_fault(int r);
/* buf_fini() for what may hold a secret. */
void settings_wipe(struct buf *b);

#endif
