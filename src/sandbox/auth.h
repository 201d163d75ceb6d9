/*
 * auth - who may do what, and until when?
 *
 * Credentials, opaque random tokens with a life and scopes. The newest AUTH_TOKENS tokens are known; older ones are
 * refused as if they had expired. One thread; time is passed in.
 */
#ifndef SANDBOX_AUTH_H
#define SANDBOX_AUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "handoff/contract.h"
#include "handoff/macros.h"

enum { AUTH_TOKENS = 1024, AUTH_TOKEN_BYTES = 16, AUTH_TOKEN_SIZE_MAX = 4096 };

struct auth_token {
	unsigned char secret[AUTH_TOKEN_BYTES];
	usec_t expires; /* 0: never issued, or revoked */
	unsigned scopes;
};

struct auth {
	char client_id[128];
	char client_secret[128];
	char scope[256];
	char expires_in[128]; /* JSON text to report instead of the life; "": the life; "missing": leave it out */
	usec_t life;
	int64_t size; /* bytes of a token; a real one of a vendor's is around 1,000 */
	struct auth_token tokens[AUTH_TOKENS];
	size_t next;
};

void auth_init(struct auth *auth);
/* Every token issued so far is refused from now on. */
void auth_revoke(struct auth *auth);

bool auth_accepts(const struct auth *auth, const char *client_id, const char *client_secret);
/* Issues a token and appends the login's reply. */
void auth_issue(struct auth *auth, usec_t now, struct buf *out);

enum auth_verdict { AUTH_OK, AUTH_UNKNOWN, AUTH_EXPIRED, AUTH_MISSING, AUTH_FORBIDDEN };
/* `authorization` is the header or NULL. With AUTH_FORBIDDEN `*ret_scope` names the first scope that is missing. */
enum auth_verdict auth_check(const struct auth *auth, const char *authorization, enum stage stage, usec_t now,
			     const char **ret_scope);

#endif
