/*
 * settings_check - do the settings fit together, and is everything there that is needed?
 *
 * Each value has been found good by itself; here are the demands that more than one setting, or a file's content, has
 * a part in. The refusal names the one of them that was given. Internal to the settings door.
 */
#ifndef HANDOFF_SETTINGS_CHECK_H
#define HANDOFF_SETTINGS_CHECK_H

#include "doors/settings_store.h"
#include "handoff/macros.h"

/* 0, or -EINVAL with the sentence in the reader's `error`. */
int settings_check(struct settings_reader *reader) MUST_CHECK;

#endif
