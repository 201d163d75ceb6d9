/*
 * token_cache - the tenant's bearer token, fetched once and ahead of time
 *
 * Single flight: at most one login is open. A token serves until `expires_in` - 300 s (half its life when it lives
 * <= 600 s; 3600 s when the reply does not say); the next login starts while the old one still serves. A failed login
 * of any kind is "dependency down": it says so and goes on trying, nothing burns a budget (contract, section 3).
 * Monotonic clock. One thread. Secrets are read from the settings (or their file) before each login and wiped after.
 */
#ifndef HANDOFF_TOKEN_CACHE_H
#define HANDOFF_TOKEN_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fault.h"
#include "doors/http.h"
#include "doors/settings.h"
#include "handoff/macros.h"

struct token_cache;

/* Told of the end of each login, or of why it could not begin. */
typedef void token_cache_heard(void *arg, bool ok, const struct fault *fault, usec_t now);

/* Borrows both. NULL when out of memory. */
struct token_cache *token_cache_new(struct http *http, const struct settings_tenant *settings, token_cache_heard *heard,
				    void *arg) MUST_CHECK;
struct token_cache *token_cache_free(struct token_cache *cache);

/* Starts a login when one is due. Call once a loop turn. */
void token_cache_run(struct token_cache *cache, const struct instant *now);
usec_t token_cache_wait(const struct token_cache *cache, usec_t now);

/* "Authorization: Bearer …", or NULL when there is no token that may be used now. `ret_serial` names it. */
const char *token_cache_header(const struct token_cache *cache, usec_t now, uint64_t *ret_serial);
/* There is no token before this: the last login was rate-limited until then. `now` or earlier: there is one, or a login
 * may bring it (after another failure the wait is our own choice). */
usec_t token_cache_earliest(const struct token_cache *cache, usec_t now);
/* When the present token ends serving; in the past or 0: there is none. */
usec_t token_cache_serves_until(const struct token_cache *cache);
/* The token of that serial was refused: it is not used again. A newer one stays. */
void token_cache_refuse(struct token_cache *cache, uint64_t serial);
/* The scopes a handoff needs and the token was not given, separated by blanks; "" when none is missing or the login
 * did not say. */
const char *token_cache_missing_scopes(const struct token_cache *cache);
/* Why there is no token: the last login's fault; class FAULT_NONE when all is well. */
const struct fault *token_cache_trouble(const struct token_cache *cache);
/* By how much the other side's clock was ahead of ours (below 0: behind) when it last answered a login, to about a
 * second. False: nobody has told. */
bool token_cache_clock_ahead(const struct token_cache *cache, int64_t *ret_ms);

#endif
