/*
 * trace_context - may this trace be passed on?
 *
 * The format checks of W3C Trace Context, level 1: what passes is safe in an HTTP header. A trace that is not
 * well-formed is dropped by the caller, and nothing else happens to its request. Pure.
 */
#ifndef HANDOFF_TRACE_CONTEXT_H
#define HANDOFF_TRACE_CONTEXT_H

#include <stdbool.h>

#include "handoff/span.h"

#define TRACESTATE_MAX 512 /* bytes; what every party must be able to pass on */

/* version-traceid-parentid-flags in lower-case hex, neither id all zeros; a later version may carry more behind it. */
bool traceparent_is_valid(struct span s);
/* 1..TRACESTATE_MAX printable ASCII characters; its members are not looked at. */
bool tracestate_is_valid(struct span s);

#endif
