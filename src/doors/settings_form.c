#include "doors/settings_form.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "handoff/contract.h"
#include "handoff/span.h"

#define NAME_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
#define SESSION_ID "{sessionId}"

static int no(struct fault *why, const char *what)
{
	return fault_set(why, -EINVAL, FAULT_PERMANENT, "%s", what);
}

/* Printable ASCII without blanks. */
static bool is_graphic(const char *text)
{
	return text_is_printable_ascii(span_of(text)) && !strchr(text, ' ');
}

static bool is_port(struct span digits, int64_t least)
{
	int64_t port;
	return text_parse_int64(digits, &port) == 0 && port >= least && port <= 65535;
}

/* HOST, HOST:PORT or [ADDRESS]:PORT, at least one byte of host. */
static bool is_address(struct span address, bool need_port, int64_t least_port)
{
	const char *colon = memrchr(address.p, ':', address.n);
	const char *bracket = memrchr(address.p, ']', address.n);
	if (address.n > 0 && address.p[0] == '[') {
		if (!bracket || bracket == address.p + 1)
			return false;
		if (colon && colon < bracket)
			colon = NULL;
		if (bracket + 1 != (colon ? colon : address.p + address.n))
			return false;
	} else if (bracket || (colon && memchr(address.p, ':', (size_t)(colon - address.p)))) {
		return false;
	}
	if (!colon)
		return !need_port && address.n > 0;
	const char *port = colon + 1;
	return colon > address.p && is_port((struct span){ port, (size_t)(address.p + address.n - port) }, least_port);
}

int form_brokers(const char *text, struct fault *why)
{
	if (!is_graphic(text))
		return no(why, "must be HOST:PORT, comma-separated, without blanks");
	for (const char *p = text;;) {
		const size_t n = strcspn(p, ",");
		struct span broker = { p, n };
		const char *scheme = memmem(p, n, "://", 3);
		if (scheme)
			broker = (struct span){ scheme + 3, n - (size_t)(scheme + 3 - p) };
		if (broker.n == 0 || !is_address(broker, false, 1))
			return fault_set(why, -EINVAL, FAULT_PERMANENT,
					 "must be HOST:PORT, comma-separated; \"%.*s\" is not one",
					 (int)(n < 100 ? n : 100), p);
		if (!p[n])
			return 0;
		p += n + 1;
	}
}

static bool is_name(const char *text, size_t most)
{
	const size_t n = strlen(text);
	return n > 0 && n <= most && strspn(text, NAME_CHARS) == n && strcmp(text, ".") != 0 && strcmp(text, "..") != 0;
}

int form_topic(const char *text, struct fault *why)
{
	return is_name(text, 249)
		       ? 0
		       : no(why, "must be a topic's name: 1 to 249 of A-Z a-z 0-9 . _ - and neither \".\" nor \"..\"");
}

int form_instance(const char *text, struct fault *why)
{
	return !*text || is_name(text, 200) ? 0 : no(why, "must consist of A-Z a-z 0-9 . _ -");
}

int form_group(const char *text, struct fault *why)
{
	return is_graphic(text) ? 0 : no(why, "must be printable ASCII without blanks");
}

int form_tenant(const char *text, struct fault *why)
{
	return is_name(text, 64) ? 0 : no(why, "must be 1 to 64 of A-Z a-z 0-9 . _ -");
}

int form_base_url(const char *text, struct fault *why)
{
	if (!*text)
		return 0;
	if (strpbrk(text, "{}"))
		return no(why, "still holds a placeholder in braces: put the tenant's own name there");
	const bool https = strncmp(text, "https://", 8) == 0;
	if (!https && strncmp(text, "http://", 7) != 0)
		return no(why, "must begin with https:// or http://");
	const char *host = text + (https ? 8 : 7);
	if (!is_graphic(host) || strpbrk(host, "\"<>\\^`|"))
		return no(why, "must not contain blanks, non-ASCII or any of \" < > \\ ^ ` |");
	if (strpbrk(host, "?#"))
		return no(why, "must not have a query or a fragment");
	const struct span authority = { host, strcspn(host, "/") };
	if (memchr(authority.p, '@', authority.n))
		return no(why, "must not contain a user name: client_id and client_secret are settings of their own");
	if (!is_address(authority, false, 1))
		return no(why, "must name a host, and a port from 1 to 65535 if any");
	return 0;
}

int form_path(const char *text, struct fault *why)
{
	if (*text != '/')
		return no(why, "must begin with a slash");
	if (!is_graphic(text) || strpbrk(text, "#{}"))
		return no(why, "must not contain blanks, non-ASCII, #, { or }");
	return 0;
}

int form_session_path(const char *text, struct fault *why)
{
	const char *id = strstr(text, SESSION_ID);
	if (*text != '/')
		return no(why, "must begin with a slash");
	if (!id || strstr(id + 1, SESSION_ID))
		return no(why, "must contain " SESSION_ID " once");
	if (!is_graphic(text) || strchr(text, '#') || strcspn(text, "{}") != (size_t)(id - text) ||
	    strpbrk(id + strlen(SESSION_ID), "{}"))
		return no(why, "must not contain blanks, non-ASCII, # or other braces than " SESSION_ID);
	return 0;
}

int form_update_path(const char *text, struct fault *why)
{
	return *text ? form_session_path(text, why) : 0;
}

int form_flow_path(const char *text, struct fault *why)
{
	static const char *const HOLES[] = { SESSION_ID, "{userId}", "{urlToken}" };
	if (*text != '/')
		return no(why, "must begin with a slash");
	if (!is_graphic(text) || strchr(text, '#'))
		return no(why, "must not contain blanks, non-ASCII or #");
	for (const char *brace = strpbrk(text, "{}"); brace; brace = strpbrk(brace, "{}")) {
		size_t n = 0;
		for (size_t i = 0; i < sizeof(HOLES) / sizeof(HOLES[0]); i++)
			if (strncmp(brace, HOLES[i], strlen(HOLES[i])) == 0)
				n = strlen(HOLES[i]);
		if (n == 0)
			return no(why, "must have no other braces than " SESSION_ID ", {userId} and {urlToken}");
		brace += n;
	}
	return 0;
}

int form_variable(const char *text, struct fault *why)
{
	static const char *const RESERVED[] = { VAR_TRANSFER_TARGET, VAR_TRANSFER_TYPE, VAR_HANDOFF_TRIGGER,
						VAR_TELEPHONY_ACTION };
	for (size_t i = 0; i < sizeof(RESERVED) / sizeof(RESERVED[0]); i++)
		if (!strcmp(text, RESERVED[i]))
			return fault_set(why, -EINVAL, FAULT_PERMANENT,
					 "must not be \"%s\", which every handoff sets itself", text);
	return 0;
}

int form_listen(const char *text, struct fault *why)
{
	if (!*text)
		return 0;
	if (!is_graphic(text) || !is_address(span_of(text), true, 0))
		return no(why, "must be HOST:PORT (port 0: a free one), or \"\" for none");
	return 0;
}
