/*
 * script - the lines by which a test or a demo tells the simulator how to behave
 *
 * One line, one setting; handoff-sandbox(1) lists them all. Applied all or nothing: every line is checked before the
 * first takes effect.
 */
#ifndef SANDBOX_SCRIPT_H
#define SANDBOX_SCRIPT_H

#include "base/fault.h"
#include "handoff/macros.h"
#include "handoff/span.h"
#include "sandbox/world.h"

enum { SCRIPT_MAX = 1024 * 1024 };

/* 0; or -errno with "NAME:LINE: sentence" in `fault` and the world as it was. Out of memory and one rule too many are
 * noticed half-way only: the lines before the one named have taken effect then. */
int script_apply(struct world *world, const char *name, struct span text, struct fault *fault) MUST_CHECK;
/* The same with a file's contents. */
int script_apply_file(struct world *world, const char *path, struct fault *fault) MUST_CHECK;

#endif
