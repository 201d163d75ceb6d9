/*
 * dedupe - was this request seen on a request topic before?
 *
 * A memory of (tenant, session, handoff id) -> origin, for `max_age`, at most `capacity` ids, oldest forgotten first.
 * The same origin again (a redelivery) is no duplicate. Age counts from the first sight. Strings are copied, about 200
 * bytes an id; NULL counts as "". Pure apart from its allocations, one thread. A look-up costs O(log n).
 */
#ifndef HANDOFF_DEDUPE_H
#define HANDOFF_DEDUPE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"
#include "handoff/macros.h"
#include "rules/history.h"

struct dedupe;

struct dedupe *dedupe_new(size_t capacity, usec_t max_age) MUST_CHECK;
/* Takes NULL, returns NULL. */
struct dedupe *dedupe_free(struct dedupe *d);
/* True when this id is known from another origin; else remembers it (best effort: out of memory remembers nothing). */
bool dedupe_seen(struct dedupe *d, const char *tenant, const char *session_id, const char *handoff_id,
		 const struct origin *origin, usec_t now);
size_t dedupe_count(const struct dedupe *d);

#endif
