#include "rules/jwt.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "json/scan.h"

#define LAST_SECOND 253402300799.0 /* of the year 9999; beyond it librdkafka could not count */

/* Cuts the token at its dots. */
static bool split(struct span token, struct span parts[3])
{
	for (size_t i = 0; i < 3; i++) {
		const char *dot = i < 2 ? memchr(token.p, '.', token.n) : token.p + token.n;
		if (!dot || dot == token.p)
			return false;
		parts[i] = (struct span){ token.p, (size_t)(dot - token.p) };
		token = i < 2 ? (struct span){ dot + 1, token.n - parts[i].n - 1 } : token;
	}
	return true;
}

static bool is_base64url(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		const char c = s.p[i];
		if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
		      c == '_'))
			return false;
	}
	return true;
}

/* The alphabet for URLs has two other signs and no padding. */
static int decode(struct buf *out, struct span part)
{
	struct buf standard;
	buf_init(&standard, JWT_MAX + 4);
	for (size_t i = 0; i < part.n; i++)
		buf_add_char(&standard, part.p[i] == '-' ? '+' : part.p[i] == '_' ? '/' : part.p[i]);
	while (standard.len % 4 != 0 && buf_ok(&standard))
		buf_add_char(&standard, '=');
	const int r = buf_ok(&standard) ? text_base64_decode(out, buf_span(&standard)) : -EINVAL;
	buf_wipe(&standard);
	return r;
}

static void read_subject(struct scan_value claims, struct jwt *ret)
{
	struct scan_value subject;
	struct buf text;
	buf_init_on(&text, ret->subject, sizeof(ret->subject));
	if (scan_find(claims, "sub", &subject) && subject.type == SCAN_STRING)
		scan_decode_string(&text, subject.text);
	if (!buf_ok(&text) || memchr(ret->subject, '\0', text.len))
		ret->subject[0] = '\0';
}

static const char *read_claims(struct span json, struct jwt *ret)
{
	struct scan_value claims, expires;
	double seconds = 0;
	if (scan_check(json, &claims, NULL) < 0 || claims.type != SCAN_OBJECT)
		return "holds no JSON Web Token: its claims are no JSON object";
	if (!scan_find(claims, "exp", &expires))
		return "holds a token that does not say when it expires (the claim exp)";
	if (scan_double(expires, &seconds) < 0 || !(seconds >= 0 && seconds <= LAST_SECOND))
		return "holds a token whose claim exp is no time";
	ret->expires_ms = (int64_t)(seconds * 1000);
	read_subject(claims, ret);
	return NULL;
}

int jwt_read(struct span token, struct jwt *ret, const char **ret_why)
{
	struct span parts[3];
	struct buf claims;
	const char *why = "holds no JSON Web Token: three parts with dots between them were expected";
	*ret = (struct jwt){ 0 };
	buf_init(&claims, JWT_MAX);
	if (token.n <= JWT_MAX && split(token, parts)) {
		why = "holds no JSON Web Token: a part of it is not base64url";
		if (is_base64url(parts[0]) && is_base64url(parts[1]) && is_base64url(parts[2]) &&
		    decode(&claims, parts[1]) == 0)
			why = read_claims(buf_span(&claims), ret);
	}
	buf_wipe(&claims);
	*ret_why = why;
	return why ? -EINVAL : 0;
}
