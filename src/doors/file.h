/*
 * file - what does this small file hold?
 *
 * For configurations, certificates and secrets. Reads the whole of it at once; what was read is the caller's, who ends
 * it with buf_wipe(). Any thread.
 */
#ifndef HANDOFF_FILE_H
#define HANDOFF_FILE_H

#include <stdbool.h>

#include "base/buf.h"
#include "handoff/macros.h"

/* Appends the file's bytes. 0, or -errno: -EISDIR, -ENOTSUP when it is no regular file (nor a pipe, where `pipe_too`
 * lets one pass, as the shell's <(...) is), -EFBIG when it does not fit into `ret`. */
int file_read(const char *file, bool pipe_too, struct buf *ret) MUST_CHECK;
/* What is the matter, for people. */
const char *file_fault(int r);

/* Appends the secret that the file holds: its content without white space at the end. 0, or -errno with one sentence in
 * `error` that names the file and tells nothing of its content. */
int file_read_secret(const char *file, struct buf *ret, struct buf *error) MUST_CHECK;

#endif
