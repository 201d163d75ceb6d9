/* input - a whole file, or standard input, in memory */
#ifndef HANDOFF_INPUT_H
#define HANDOFF_INPUT_H

#include "base/buf.h"
#include "base/fault.h"
#include "handoff/macros.h"

#define INPUT_MAX_BYTES ((size_t)256 << 20)

/* Appends what `file` holds ("-": standard input). 0, or -errno with "FILE: SENTENCE" in `fault`. */
int input_read(const char *file, struct buf *ret, struct fault *fault) MUST_CHECK;

#endif
