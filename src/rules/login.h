/*
 * login - what did the token endpoint give, and for how long is it good?
 *
 * Reads the reply of `POST …/auth/login` (contract, section 3). Spans point into the body that was read. Pure.
 */
#ifndef HANDOFF_LOGIN_H
#define HANDOFF_LOGIN_H

#include "base/buf.h"
#include "base/clock.h"
#include "handoff/macros.h"
#include "handoff/span.h"

#define LOGIN_TOKEN_MAX 16000 /* bytes; what is longer is no token */

struct login_reply {
	struct span access_token; /* a JSON string with its quotes, whose content is fit for a header line */
	struct span scope;        /* likewise, of any content; p == NULL when absent */
	usec_t life;              /* how long the token may be used from now on */
};

/* 0, or -EINVAL when the body is not one complete JSON object with a usable `access_token`. */
int login_reply_read(struct span body, struct login_reply *ret) MUST_CHECK;

/* How long a token may be used whose `expires_in` says this many seconds: until 300 s before its end, half its life
 * when it lives <= 600 s. 0 or less: it was not said (an hour counts). */
usec_t login_token_life(double expires_in_s);

/* Writes the scopes that a handoff needs and `scope` (a JSON string, or p == NULL: not said) does not grant, separated
 * by blanks; nothing when none is missing or it was not said. */
void login_missing_scopes(struct buf *out, struct span scope);

#endif
