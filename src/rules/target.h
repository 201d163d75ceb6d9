/*
 * target - where is the caller to go?
 *
 * A Genesys Cloud queue, a SIP URI or a telephone number (E.164). Pure.
 */
#ifndef HANDOFF_TARGET_H
#define HANDOFF_TARGET_H

#include <stdbool.h>

#include "handoff/span.h"

#define TARGET_VALUE_MAX 256

enum target_type { TARGET_QUEUE, TARGET_SIP, TARGET_TEL, TARGET_TYPES };

/* "queue", "sip", "tel" */
const char *target_type_name(enum target_type type);
/* TARGET_TYPES when nothing is called so. */
enum target_type target_type_by_name(struct span name);
bool target_fits(enum target_type type, struct span value);
/* What a value of that type must be, as the end of a sentence. */
const char *target_wanted(enum target_type type);

#endif
