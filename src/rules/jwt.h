/*
 * jwt - whose token is this, and until when is it good?
 *
 * Reads the claims of a JSON Web Token (RFC 7519) in its compact form, HEADER.CLAIMS.SIGNATURE, without checking the
 * signature: that is for whom it is shown to. Pure.
 */
#ifndef HANDOFF_JWT_H
#define HANDOFF_JWT_H

#include <stdint.h>

#include "handoff/macros.h"
#include "handoff/span.h"

#define JWT_MAX 16384 /* bytes; what is longer is no token */

struct jwt {
	int64_t expires_ms; /* Unix time, of the claim `exp` */
	char subject[256];  /* of `sub`; "" when there is none, or none that fits */
};

/* 0; or -EINVAL with what is wrong in *ret_why, as the end of a sentence that begins with where the token stands. */
int jwt_read(struct span token, struct jwt *ret, const char **ret_why) MUST_CHECK;

#endif
