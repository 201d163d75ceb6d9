#include "rules/login.h"

#include <errno.h>

#include "base/text.h"
#include "json/scan.h"

#define DEFAULT_LIFE_S 3600.0
#define LONGEST_LIFE_S 31536000.0
#define MARGIN_S       300.0
#define SHORT_LIFE_S   600.0
/* A token that dies at once must not make us log in again and again. */
#define SHORTEST_LIFE (250 * USEC_PER_MSEC)

#define SCOPES_MAX 4096

usec_t login_token_life(double expires_in_s)
{
	if (!(expires_in_s > 0))
		expires_in_s = DEFAULT_LIFE_S;
	if (expires_in_s > LONGEST_LIFE_S)
		expires_in_s = LONGEST_LIFE_S;
	const double life_s = expires_in_s <= SHORT_LIFE_S ? expires_in_s / 2 : expires_in_s - MARGIN_S;
	const usec_t life = (usec_t)(life_s * (double)USEC_PER_SEC);
	return life > SHORTEST_LIFE ? life : SHORTEST_LIFE;
}

/* A header line must hold nothing that could end it. */
static bool token_is_clean(struct span json_string)
{
	struct buf token;
	buf_init(&token, LOGIN_TOKEN_MAX);
	scan_decode_string(&token, json_string);
	const struct span text = buf_span(&token);
	const bool clean =
		buf_ok(&token) && text.n > 0 && text_is_printable_ascii(text) && !memchr(text.p, ' ', text.n);
	buf_wipe(&token);
	return clean;
}

int login_reply_read(struct span body, struct login_reply *ret)
{
	struct scan_value top, token, value;
	double expires_in = 0;
	*ret = (struct login_reply){ 0 };
	if (scan_check(body, &top, NULL) < 0 || top.type != SCAN_OBJECT || !scan_find(top, "access_token", &token) ||
	    token.type != SCAN_STRING || !token_is_clean(token.text))
		return -EINVAL;
	ret->access_token = token.text;
	if (scan_find(top, "expires_in", &value) && scan_double(value, &expires_in) < 0)
		expires_in = 0;
	ret->life = login_token_life(expires_in);
	if (scan_find(top, "scope", &value) && value.type == SCAN_STRING)
		ret->scope = value.text;
	return 0;
}

/* Is `word` one of the blank-separated words of `list`? */
static bool has_word(struct span list, const char *word)
{
	const size_t n = strlen(word);
	for (size_t i = 0; i + n <= list.n; i++) {
		const bool begins = i == 0 || list.p[i - 1] == ' ';
		const bool ends = i + n == list.n || list.p[i + n] == ' ';
		if (begins && ends && memcmp(list.p + i, word, n) == 0)
			return true;
	}
	return false;
}

void login_missing_scopes(struct buf *out, struct span scope)
{
	static const char *const needed[] = { "session:write", "flow:execute", "telephony:transfer" };
	struct buf granted;
	if (!scope.p)
		return;
	buf_init(&granted, SCOPES_MAX);
	scan_decode_string(&granted, scope);
	for (size_t i = 0; i < ARRAY_SIZE(needed) && buf_ok(&granted); i++)
		if (!has_word(buf_span(&granted), needed[i]))
			buf_add_format(out, "%s%s", out->len > 0 ? " " : "", needed[i]);
	buf_fini(&granted);
}
