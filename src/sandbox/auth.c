#include "sandbox/auth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "sandbox/raw.h"

/* A token is "sbx", the place in the table (4 hex digits), the secret, and as many dots as its size asks for. */
enum {
	PREFIX = 3,
	SLOT_DIGITS = 4,
	SECRET_DIGITS = 2 * AUTH_TOKEN_BYTES,
	TOKEN_MIN = PREFIX + SLOT_DIGITS + SECRET_DIGITS
};

static const char *const scope_names[] = { "session:write", "flow:execute", "telephony:transfer" };
enum { SCOPE_SESSION_WRITE = 1, SCOPE_FLOW_EXECUTE = 2, SCOPE_TELEPHONY_TRANSFER = 4 };

static const unsigned needed[STAGE_COUNT] = {
	[STAGE_UPDATE] = SCOPE_SESSION_WRITE,
	[STAGE_TRIGGER] = SCOPE_FLOW_EXECUTE | SCOPE_TELEPHONY_TRANSFER,
};

void auth_init(struct auth *auth)
{
	*auth = (struct auth){ .client_id = "sandbox",
			       .client_secret = "sandbox-secret",
			       .scope = "session:write flow:execute telephony:transfer",
			       .life = 3600 * USEC_PER_SEC,
			       .size = TOKEN_MIN };
}

void auth_revoke(struct auth *auth)
{
	for (size_t i = 0; i < AUTH_TOKENS; i++)
		auth->tokens[i].expires = 0;
}

bool auth_accepts(const struct auth *auth, const char *client_id, const char *client_secret)
{
	return strcmp(auth->client_id, client_id) == 0 && strcmp(auth->client_secret, client_secret) == 0;
}

static unsigned scopes_in(const char *text)
{
	unsigned scopes = 0;
	while (*text) {
		const size_t n = strcspn(text, " ");
		for (unsigned i = 0; i < ARRAY_SIZE(scope_names); i++)
			if (strlen(scope_names[i]) == n && strncmp(scope_names[i], text, n) == 0)
				scopes |= 1U << i;
		text += n;
		text += strspn(text, " ");
	}
	return scopes;
}

static void add_hex(struct buf *out, const unsigned char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		buf_add_char(out, "0123456789abcdef"[bytes[i] >> 4]);
		buf_add_char(out, "0123456789abcdef"[bytes[i] & 15]);
	}
}

void auth_issue(struct auth *auth, usec_t now, struct buf *out)
{
	const size_t slot = auth->next++ % AUTH_TOKENS;
	struct auth_token *token = &auth->tokens[slot];
	if (getrandom(token->secret, sizeof(token->secret), 0) < 0)
		memcpy(token->secret, &now, sizeof(now)); /* guessable, and good enough for a sandbox */
	token->expires = now + auth->life;
	token->scopes = scopes_in(auth->scope);
	buf_add_format(out, "{\"access_token\":\"sbx%04zx", slot);
	add_hex(out, token->secret, sizeof(token->secret));
	for (int64_t i = TOKEN_MIN; i < auth->size; i++)
		buf_add_char(out, '.');
	buf_add_text(out, "\",\"token_type\":\"Bearer\"");
	if (auth->expires_in[0] == '\0')
		buf_add_format(out, ",\"expires_in\":%lld", (long long)(auth->life / USEC_PER_SEC));
	else if (strcmp(auth->expires_in, "missing") != 0)
		buf_add_format(out, ",\"expires_in\":%s", auth->expires_in);
	buf_add_text(out, ",\"scope\":");
	raw_add_string(out, span_of(auth->scope));
	buf_add_char(out, '}');
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool secret_matches(const struct auth_token *token, const char *hex)
{
	for (size_t i = 0; i < AUTH_TOKEN_BYTES; i++)
		if (hex_digit(hex[2 * i]) != token->secret[i] >> 4 ||
		    hex_digit(hex[2 * i + 1]) != (token->secret[i] & 15))
			return false;
	return true;
}

/* The token's place in the table, or NULL. */
static const struct auth_token *find(const struct auth *auth, const char *text)
{
	size_t slot = 0;
	if (strlen(text) < TOKEN_MIN || strncmp(text, "sbx", PREFIX) != 0)
		return NULL;
	for (size_t i = PREFIX; i < PREFIX + SLOT_DIGITS; i++) {
		if (hex_digit(text[i]) < 0)
			return NULL;
		slot = slot * 16 + (size_t)hex_digit(text[i]);
	}
	text += PREFIX + SLOT_DIGITS;
	if (slot >= AUTH_TOKENS || auth->tokens[slot].expires == 0 || !secret_matches(&auth->tokens[slot], text))
		return NULL;
	text += SECRET_DIGITS;
	return text[strspn(text, ".")] == '\0' ? &auth->tokens[slot] : NULL;
}

enum auth_verdict auth_check(const struct auth *auth, const char *authorization, enum stage stage, usec_t now,
			     const char **ret_scope)
{
	static const char scheme[] = "Bearer ";
	if (!authorization)
		return AUTH_MISSING;
	if (strncmp(authorization, scheme, strlen(scheme)) != 0)
		return AUTH_UNKNOWN;
	const struct auth_token *token = find(auth, authorization + strlen(scheme));
	if (!token)
		return AUTH_UNKNOWN;
	if (now >= token->expires)
		return AUTH_EXPIRED;
	const unsigned missing = needed[stage] & ~token->scopes;
	for (unsigned i = 0; i < ARRAY_SIZE(scope_names); i++)
		if (missing & 1U << i) {
			*ret_scope = scope_names[i];
			return AUTH_FORBIDDEN;
		}
	return AUTH_OK;
}
