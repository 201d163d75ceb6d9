/*
 * verdict - which promise was broken, if any
 *
 * The first one counts, and the history ends with it.
 */
#ifndef SIM_VERDICT_H
#define SIM_VERDICT_H

#include <stdbool.h>

#include "handoff/macros.h"

void verdict_begin(void);
void verdict_give(const char *format, ...) PRINTF_LIKE(1, 2);
bool verdict_is_given(void);
const char *verdict_text(void);

#endif
