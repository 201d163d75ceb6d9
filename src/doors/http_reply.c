#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "doors/http_internal.h"

static void forget_headers(struct http_capture *capture)
{
	capture->retry_after.present = false;
	capture->date.present = false;
}

void http_capture_reset(struct http_capture *capture)
{
	buf_reset(&capture->body);
	forget_headers(capture);
	capture->in_headers = false;
	capture->too_large = false;
}

static struct span trimmed(struct span s)
{
	while (s.n > 0 && isspace((unsigned char)s.p[s.n - 1]))
		s.n--;
	while (s.n > 0 && isspace((unsigned char)*s.p)) {
		s.p++;
		s.n--;
	}
	return s;
}

/* Takes the value if the line is the header `name` ("Date:"). A later one replaces an earlier one. */
static void keep_if(struct http_field *field, struct span name, struct span line)
{
	if (line.n < name.n || strncasecmp(line.p, name.p, name.n) != 0)
		return;
	const struct span value = trimmed((struct span){ line.p + name.n, line.n - name.n });
	field->present = true;
	field->n = value.n <= sizeof(field->text) ? value.n : 0;
	memcpy(field->text, value.p, field->n);
}

size_t http_on_header(char *bytes, size_t size, size_t count, void *arg)
{
	struct http_capture *capture = &((struct http_call *)arg)->capture;
	const struct span line = { bytes, size * count };
	if (line.n >= 5 && memcmp(line.p, "HTTP/", 5) == 0) {
		forget_headers(capture); /* those of an interim reply (1xx) say nothing about the final one */
		capture->in_headers = true;
	} else if (capture->in_headers) {
		if (trimmed(line).n == 0)
			capture->in_headers = false;
		keep_if(&capture->retry_after, SPAN("Retry-After:"), line);
		keep_if(&capture->date, SPAN("Date:"), line);
	}
	return line.n;
}

size_t http_on_body(char *bytes, size_t size, size_t count, void *arg)
{
	struct http_capture *capture = &((struct http_call *)arg)->capture;
	const size_t n = size * count;
	capture->too_large = n > capture->body.limit - capture->body.len;
	if (capture->too_large)
		return 0;
	buf_add(&capture->body, bytes, n);
	return buf_ok(&capture->body) ? n : 0;
}

static struct span field_span(const struct http_field *field)
{
	return field->present ? (struct span){ field->text, field->n } : SPAN_NONE;
}

/* The final status; an interim one (1xx) is none. */
static int status_of(const struct http_call *call)
{
	long status = 0;
	if (call->issued > 0) /* else the handle still tells of its previous call */
		curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	return status >= 200 && status <= 999 ? (int)status : 0;
}

static enum http_error unsent_error(CURLcode result)
{
	switch (result) {
	case CURLE_OPERATION_TIMEDOUT:
		return HTTP_TIMEOUT;
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_URL_MALFORMAT:
	case CURLE_LOGIN_DENIED: /* a user name in the URL */
	case CURLE_FAILED_INIT:
	case CURLE_OUT_OF_MEMORY:
	case CURLE_BAD_FUNCTION_ARGUMENT:
		return HTTP_LOCAL;
	default:
		return HTTP_CONNECT;
	}
}

static enum http_error error_of(const struct http_call *call, int status)
{
	if (call->issued == 0)
		return call->refused ? HTTP_LOCAL : unsent_error(call->result);
	if (call->capture.too_large || call->result == CURLE_FILESIZE_EXCEEDED)
		return HTTP_TOO_LARGE;
	if (call->result == CURLE_OPERATION_TIMEDOUT)
		return HTTP_TIMEOUT;
	/* libcurl calls a reply complete that ended within its headers. */
	return call->result == CURLE_OK && status != 0 && !call->capture.in_headers ? HTTP_OK : HTTP_BROKEN;
}

static const char *reason_of(const struct http_call *call)
{
	if (call->refused)
		return call->refused;
	if (call->capture.too_large || call->result == CURLE_FILESIZE_EXCEEDED)
		return "the reply's body is longer than allowed";
	if (call->result == CURLE_ABORTED_BY_CALLBACK)
		return "the connection closed before a reply came; the request is not repeated";
	if (call->result == CURLE_OK)
		return "the reply ended within its headers";
	const int no_socket = call->shard->http->socket_error;
	if (call->result == CURLE_COULDNT_CONNECT && no_socket)
		return strerror(no_socket);
	return call->error[0] ? call->error : curl_easy_strerror(call->result);
}

/* Part of it may be the peer's words. */
static void copy_printable(char *to, size_t room, const char *from)
{
	size_t i = 0;
	for (; i + 1 < room && from[i]; i++)
		to[i] = from[i] >= 0x20 && from[i] < 0x7f ? from[i] : '?';
	to[i] = '\0';
}

void http_reply_make(const struct http_call *call, struct http_reply *ret)
{
	curl_off_t elapsed = 0;
	if (!call->refused)
		curl_easy_getinfo(call->easy, CURLINFO_TOTAL_TIME_T, &elapsed);
	const int status = status_of(call);
	*ret = (struct http_reply){
		.error = error_of(call, status),
		/* Not CURLINFO_REQUEST_SIZE, which stays 0 when the first send finds the socket's buffer full and the
		 * request leaves later. Before the first issue no byte of it can have left. */
		.sent = call->issued > 0,
		.resent = call->issued > 1 && !call->once,
		.status = status,
		.retry_after = field_span(&call->capture.retry_after),
		.date = field_span(&call->capture.date),
		.elapsed = elapsed,
	};
	if (ret->error != HTTP_OK)
		copy_printable(ret->message, sizeof(ret->message), reason_of(call));
}
