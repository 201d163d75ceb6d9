#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "doors/http_internal.h"

#define LINES_LIMIT 65536         /* bytes of all header lines of one request */
#define EXPECT_FROM (1024 * 1024) /* from this size of a body on libcurl asks "Expect: 100-continue" */

/* What is the same for every call, set once: a handle is never reset (+4 %, and its TLS session would be lost). */
static const struct {
	CURLoption option;
	long value;
} fixed[] = {
	{ CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1 }, /* HTTP/2 loses replies in 7.88 */
	{ CURLOPT_NOSIGNAL, 1 },
	{ CURLOPT_QUICK_EXIT, 1 },    /* else a time-out in a slow lookup blocks the loop until the lookup returns */
	{ CURLOPT_BUFFERSIZE, 1024 }, /* one for each call in flight; a longer reply only comes in more pieces */
	{ CURLOPT_UPLOAD_BUFFERSIZE, 16384 },
	{ CURLOPT_FOLLOWLOCATION, 0 },
	{ CURLOPT_PATH_AS_IS, 1 },
	{ CURLOPT_DISALLOW_USERNAME_IN_URL, 1 },
	{ CURLOPT_HTTP09_ALLOWED, 0 },
	{ CURLOPT_NETRC, CURL_NETRC_IGNORED },
	{ CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2 },
	{ CURLOPT_SSL_VERIFYPEER, 1 },
	{ CURLOPT_SSL_VERIFYHOST, 2 },
	/* Whole seconds, "idle for more than": reused within 4 s. Node and Apache close after 5 s, and a request on a
	 * connection that is being closed is ambiguous; a new connection costs a round trip. */
	{ CURLOPT_MAXAGE_CONN, 3 },
	{ CURLOPT_MAXLIFETIME_CONN, 300 }, /* so that a moved address is noticed under load, too */
};

static CURLcode set_fixed(CURL *easy)
{
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++) {
		const CURLcode r = curl_easy_setopt(easy, fixed[i].option, fixed[i].value);
		if (r != CURLE_OK)
			return r;
	}
	return CURLE_OK;
}

static CURLcode set_texts(CURL *easy, const struct http *http)
{
	const struct {
		CURLoption option;
		const char *value;
	} texts[] = {
		{ CURLOPT_PROTOCOLS_STR, "http,https" },
		{ CURLOPT_PROXY, "" }, /* not from the environment */
		{ CURLOPT_USERAGENT, http->user_agent },
		{ CURLOPT_CAINFO, http->ca_file },
		{ CURLOPT_CAPATH, NULL }, /* with it no CA store is cached: 29 ms for each new TLS connection */
		{ CURLOPT_SSLCERT, http->client_cert },
		{ CURLOPT_SSLKEY, http->client_key },
	};
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		const CURLcode r = curl_easy_setopt(easy, texts[i].option, texts[i].value);
		if (r != CURLE_OK)
			return r;
	}
	return CURLE_OK;
}

/* Called before each hand-over of the request to the network, also before libcurl's silent resend after a reused
 * connection died without a reply (any method, POST included; as long as there are idle connections, up to five times).
 */
static int on_issue(void *arg, char *peer_ip, char *local_ip, int peer_port, int local_port)
{
	struct http_call *call = arg;
	(void)peer_ip;
	(void)local_ip;
	(void)peer_port;
	(void)local_port;
	const unsigned allowed = call->once ? 1 : 2;
	return call->issued++ < allowed ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

static bool set_callbacks(struct http_call *call)
{
	CURL *easy = call->easy;
	struct http_shard *shard = call->shard;
	return curl_easy_setopt(easy, CURLOPT_PRIVATE, call) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_SHARE, shard->http->share) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->error) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_issue) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_PREREQDATA, call) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, http_on_header) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_HEADERDATA, call) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, http_on_body) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_WRITEDATA, call) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, http_socket_open) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, shard) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, http_socket_close) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, shard) == CURLE_OK;
}

/* libcurl takes time-outs in milliseconds, and 0 for "none". */
static long milliseconds(usec_t timeout)
{
	const usec_t ms = timeout > 0 ? (timeout - 1) / USEC_PER_MSEC + 1 : 1;
	return ms < INT_MAX ? (long)ms : INT_MAX;
}

int http_call_make(struct http_call *call)
{
	const struct http *http = call->shard->http;
	call->easy = curl_easy_init();
	if (!call->easy)
		return -ENOMEM;
	if (http_url_init(&call->url) < 0 || set_fixed(call->easy) != CURLE_OK ||
	    set_texts(call->easy, http) != CURLE_OK || !set_callbacks(call) ||
	    curl_easy_setopt(call->easy, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(http->connect_timeout)) != CURLE_OK ||
	    curl_easy_setopt(call->easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)http->max_body_bytes) != CURLE_OK) {
		http_call_fini(call);
		return -ENOMEM;
	}
	buf_init(&call->lines, LINES_LIMIT);
	buf_init(&call->capture.body, http->max_body_bytes);
	return 0;
}

void http_call_fini(struct http_call *call)
{
	curl_easy_cleanup(call->easy);
	call->easy = NULL;
	http_url_fini(&call->url);
	buf_fini(&call->lines);
	buf_fini(&call->capture.body);
}

static const char *refuse_header(const char *line)
{
	const char *colon = strchr(line, ':');
	if (!colon || colon == line)
		return "a header line without a name";
	/* libcurl would send them as they are: one header could smuggle in others, or a second request. */
	if (strpbrk(line, "\r\n"))
		return "a header line with a line break in it";
	return NULL;
}

/* Why the request cannot be made; NULL when it can. */
static const char *refuse(const struct http_request *request)
{
	const bool get = strcmp(request->method, "GET") == 0;
	if (!get && strcmp(request->method, "PUT") != 0 && strcmp(request->method, "POST") != 0)
		return "a method other than GET, PUT and POST";
	if (get && request->body.p)
		return "a GET with a body";
	if (request->header_count > HTTP_MAX_HEADERS)
		return "too many header lines";
	size_t bytes = 0;
	for (size_t i = 0; i < request->header_count; i++) {
		const char *reason = refuse_header(request->headers[i]);
		if (reason)
			return reason;
		bytes += strlen(request->headers[i]) + 1;
	}
	return bytes > LINES_LIMIT / 2 ? "header lines too long" : NULL;
}

static bool has_content_type(const struct http_request *request)
{
	for (size_t i = 0; i < request->header_count; i++)
		if (strncasecmp(request->headers[i], "Content-Type:", 13) == 0)
			return true;
	return false;
}

static void add_line(struct http_call *call, const char *line)
{
	buf_add(&call->lines, line, strlen(line) + 1);
}

/* The list is of our own nodes over one buffer that the slot keeps: no allocation a call. libcurl only reads it. */
static int prepare_headers(struct http_call *call, const struct http_request *request)
{
	buf_reset(&call->lines);
	size_t count = request->header_count;
	for (size_t i = 0; i < request->header_count; i++)
		add_line(call, request->headers[i]);
	if (strcmp(request->method, "GET") != 0 && !has_content_type(request)) {
		add_line(call, "Content-Type:"); /* not libcurl's own, which is that of a form */
		count++;
	}
	if (request->body.n >= EXPECT_FROM) {
		add_line(call, "Expect:");
		count++;
	}
	if (!buf_ok(&call->lines))
		return -ENOMEM;
	char *line = call->lines.data;
	for (size_t i = 0; i < count; i++, line += strlen(line) + 1)
		call->headers[i] = (struct curl_slist){ line, i + 1 < count ? &call->headers[i + 1] : NULL };
	struct curl_slist *list = count > 0 ? call->headers : NULL;
	return curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, list) == CURLE_OK ? 0 : -ENOMEM;
}

/* PUT is a POST by another name: READFUNCTION would split header and body into two sends. A GET leaves the last
 * POSTFIELDS where it was; libcurl does not look at it then. */
static bool prepare_body(struct http_call *call, const struct http_request *request)
{
	CURL *easy = call->easy;
	const bool put = strcmp(request->method, "PUT") == 0;
	if (curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, put ? "PUT" : NULL) != CURLE_OK)
		return false;
	if (strcmp(request->method, "GET") == 0)
		return curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L) == CURLE_OK;
	return curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.n) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body.p ? request->body.p : "") == CURLE_OK;
}

int http_call_prepare(struct http_call *call, const struct http_request *request)
{
	call->once = request->once;
	call->issued = 0;
	call->result = CURLE_OK;
	call->error[0] = '\0';
	http_capture_reset(&call->capture);
	call->refused = refuse(request);
	if (call->refused)
		return -EINVAL;
	if (prepare_headers(call, request) < 0 || !prepare_body(call, request) ||
	    http_url_set(&call->url, call->easy, request->url) < 0 ||
	    curl_easy_setopt(call->easy, CURLOPT_TIMEOUT_MS, milliseconds(request->timeout)) != CURLE_OK)
		return -ENOMEM;
	return 0;
}
