#include "ctl/glimpse.h"

#include <errno.h>
#include <stdio.h>

#include "doors/http.h"
#include "doors/loop.h"

#define STATUS_MAX ((size_t)16 << 20)

struct glimpse {
	struct buf *ret;
	struct fault *fault;
	int result; /* 1: still open */
};

static void on_done(void *arg, const struct http_reply *reply)
{
	struct glimpse *glimpse = arg;
	if (reply->error == HTTP_OK && reply->status == 200) {
		buf_add_span(glimpse->ret, reply->body);
		glimpse->result = 0;
	} else if (reply->error == HTTP_OK) {
		glimpse->result = fault_set(glimpse->fault, -EIO, FAULT_BAD_RESPONSE, "it answered %d", reply->status);
	} else {
		glimpse->result = fault_set(glimpse->fault, -EIO, FAULT_DEPENDENCY_DOWN, "%s", reply->message);
	}
}

static int ask(struct loop *loop, struct http *http, const char *url, usec_t timeout, struct glimpse *glimpse)
{
	const struct http_request request = { .method = "GET", .url = url, .timeout = timeout };
	if (!http_start(http, &request, on_done, glimpse))
		return fault_set(glimpse->fault, -EIO, FAULT_OURS, "out of memory");
	while (glimpse->result > 0) {
		const usec_t now = clock_read().mono;
		loop_once(loop, http_wait(http, now));
		http_run(http, clock_read().mono);
	}
	return glimpse->result;
}

int glimpse_take(const char *address, usec_t timeout, struct buf *ret, struct fault *fault)
{
	const struct http_options options = { .max_in_flight = 1,
					      .max_body_bytes = STATUS_MAX,
					      .connect_timeout = timeout,
					      .user_agent = "handoffctl/" HANDOFF_VERSION };
	struct glimpse glimpse = { .ret = ret, .fault = fault, .result = 1 };
	char url[320];
	snprintf(url, sizeof(url), "http://%s/status", address);
	struct loop *loop = loop_new();
	struct http *http = loop ? http_new(loop, &options, fault) : NULL;
	const int result = http ? ask(loop, http, url, timeout, &glimpse)
				: fault_set(fault, -EIO, FAULT_OURS, "out of memory or file descriptors");
	http_free(http);
	loop_free(loop);
	return result;
}
