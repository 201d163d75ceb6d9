#include "doors/http_server_internal.h"

#include <errno.h>
#include <sys/socket.h>

/* "Name: value" as the library wants it. -EINVAL on a line without a name, -ENOMEM. */
static int add_header(struct MHD_Response *response, const char *line)
{
	char name[128];
	const size_t n = strcspn(line, ":");
	if (n == 0 || n >= sizeof(name) || line[n] != ':')
		return -EINVAL;
	memcpy(name, line, n);
	name[n] = '\0';
	const char *value = line + n + 1;
	value += strspn(value, " \t");
	return MHD_add_response_header(response, name, value) == MHD_YES ? 0 : -ENOMEM;
}

static const char *content_type(const struct http_answer *answer)
{
	return answer->content_type ? answer->content_type : "application/json";
}

/* NULL when the memory is not there or a header is none. */
static struct MHD_Response *build(const struct http_answer *answer)
{
	/* The library copies and does not write, whatever its prototype says. */
	union {
		const char *in;
		void *out;
	} body = { .in = answer->body.n > 0 ? answer->body.p : "" };
	struct MHD_Response *response =
		MHD_create_response_from_buffer(answer->body.n, body.out, MHD_RESPMEM_MUST_COPY);
	if (!response)
		return NULL;
	int r = MHD_add_response_header(response, "Content-Type", content_type(answer)) == MHD_YES ? 0 : -ENOMEM;
	for (size_t i = 0; i < answer->header_count && r == 0; i++)
		r = add_header(response, answer->headers[i]);
	if (r == 0)
		return response;
	MHD_destroy_response(response);
	return NULL;
}

void http_answer(struct http_exchange *x, const struct http_answer *answer)
{
	x->response = build(answer);
	x->status = answer->status;
	http_exchange_settle(x);
}

void http_answer_drop(struct http_exchange *x)
{
	http_exchange_settle(x);
}

void http_answer_raw(struct http_exchange *x, struct span bytes)
{
	/* Past the library: it has sent all it had when it handed this request over. What does not fit the socket's
	 * buffer is lost, as is the rest of the connection. */
	if (bytes.n > 0 && send(x->fd, bytes.p, bytes.n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		x->hung_up = true;
	http_exchange_settle(x);
}

void http_answer_cut(struct http_exchange *x, const struct http_answer *answer)
{
	struct buf out;
	buf_init(&out, CONNECTION_MEMORY + answer->body.n);
	buf_add_format(&out, "HTTP/1.1 %d %s\r\n", answer->status, MHD_get_reason_phrase_for((unsigned)answer->status));
	buf_add_format(&out, "Content-Type: %s\r\nContent-Length: %zu\r\n", content_type(answer), answer->body.n);
	for (size_t i = 0; i < answer->header_count; i++)
		buf_add_format(&out, "%s\r\n", answer->headers[i]);
	buf_add_text(&out, "\r\n");
	buf_add(&out, answer->body.p, answer->body.n / 2);
	http_answer_raw(x, buf_ok(&out) ? buf_span(&out) : SPAN_NONE);
	buf_fini(&out);
}
