/*
 * Taking a URL apart is a sixth of the instructions that libcurl needs for a call, and a slot's next call goes to the
 * same server nearly always. So a slot keeps the parts of its last URL, and a plain path is put into them. What is
 * plain is told here, so that no byte gets past libcurl's own judgement of URLs: visible ASCII, no query, no fragment,
 * and no escape (libcurl would change its letters' case). Everything else is left to libcurl as before.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "doors/http_internal.h"

int http_url_init(struct http_url *url)
{
	*url = (struct http_url){ .parts = curl_url() };
	return url->parts ? 0 : -ENOMEM;
}

void http_url_fini(struct http_url *url)
{
	curl_url_cleanup(url->parts);
	free(url->server);
	*url = (struct http_url){ .parts = NULL };
}

static const char *path_of(const char *text)
{
	const char *host = strstr(text, "://");
	return host ? strchr(host + 3, '/') : NULL;
}

static bool is_plain(const char *path)
{
	for (; *path; path++)
		if (*path <= ' ' || *path > '~' || strchr("?#%", *path))
			return false;
	return true;
}

/* The whole of it; false when libcurl does not take it for a URL, and must say why in its own way. */
static bool take_apart(struct http_url *url, const char *text, size_t server_length)
{
	free(url->server);
	url->server = NULL;
	if (curl_url_set(url->parts, CURLUPART_URL, text,
			 CURLU_NON_SUPPORT_SCHEME | CURLU_PATH_AS_IS | CURLU_DISALLOW_USER) != CURLUE_OK)
		return false;
	url->server = strndup(text, server_length); /* without it the next call is taken apart again */
	return true;
}

static bool put_into_parts(struct http_url *url, const char *text)
{
	const char *path = path_of(text);
	if (!path || !is_plain(path))
		return false;
	const struct span server = { text, (size_t)(path - text) };
	if (url->server && span_is(server, url->server))
		return curl_url_set(url->parts, CURLUPART_PATH, path, 0) == CURLUE_OK;
	return take_apart(url, text, server.n);
}

int http_url_set(struct http_url *url, CURL *easy, const char *text)
{
	CURLU *parts = put_into_parts(url, text) ? url->parts : NULL;
	return curl_easy_setopt(easy, CURLOPT_URL, text) == CURLE_OK &&
			       curl_easy_setopt(easy, CURLOPT_CURLU, parts) == CURLE_OK
		       ? 0
		       : -ENOMEM;
}
