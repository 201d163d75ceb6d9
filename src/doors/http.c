#include "doors/http.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doors/http_internal.h"

#define SYSTEM_CA_FILE "/etc/ssl/certs/ca-certificates.crt"

static bool given(const char *text)
{
	return text && *text;
}

/* A copy of an optional text: NULL stays NULL, so does "". False when memory is short. */
static bool copy_text(char **ret, const char *text)
{
	*ret = given(text) ? strdup(text) : NULL;
	return *ret || !given(text);
}

static int check_file(const char *what, const char *file, struct fault *fault)
{
	if (given(file) && access(file, R_OK) != 0)
		return fault_set(fault, -errno, FAULT_PERMANENT, "%s %s: %s", what, file, strerror(errno));
	return 0;
}

static int check_options(const struct http_options *options, struct fault *fault)
{
	if (options->max_in_flight == 0)
		return fault_set(fault, -EINVAL, FAULT_PERMANENT, "HTTP: no call may be in flight");
	int r = check_file("CA file", options->ca_file, fault);
	if (r == 0)
		r = check_file("client certificate", options->client_cert, fault);
	if (r == 0)
		r = check_file("client key", options->client_key, fault);
	return r;
}

/* libcurl itself never raises SIGPIPE, but OpenSSL writes to its sockets with write(). */
static void ignore_sigpipe(void)
{
	struct sigaction action;
	if (sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL) {
		action.sa_handler = SIG_IGN;
		sigaction(SIGPIPE, &action, NULL);
	}
}

static bool open_share(struct http *http)
{
	http->share = curl_share_init();
	return http->share && curl_share_setopt(http->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS) == CURLSHE_OK &&
	       curl_share_setopt(http->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION) == CURLSHE_OK;
}

static bool open_shards(struct http *http)
{
	http->shard_count = (http->max_in_flight - 1) / HTTP_SHARD_SLOTS + 1;
	http->shards = calloc(http->shard_count, sizeof(*http->shards));
	if (!http->shards)
		return false;
	size_t slots = http->max_in_flight;
	for (size_t i = 0; i < http->shard_count; i++, slots -= HTTP_SHARD_SLOTS)
		http_shard_init(&http->shards[i], http, slots < HTTP_SHARD_SLOTS ? slots : HTTP_SHARD_SLOTS);
	return true;
}

struct http *http_new(struct loop *loop, const struct http_options *options, struct fault *fault)
{
	if (check_options(options, fault) < 0)
		return NULL;
	struct http *http = calloc(1, sizeof(*http));
	if (!http || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		free(http);
		goto out_of_memory;
	}
	ignore_sigpipe();
	http->loop = loop;
	http->max_in_flight = options->max_in_flight;
	http->max_body_bytes = options->max_body_bytes;
	http->connect_timeout = options->connect_timeout;
	buf_init(&http->delivered, options->max_body_bytes);
	if (copy_text(&http->ca_file, given(options->ca_file) ? options->ca_file : SYSTEM_CA_FILE) &&
	    copy_text(&http->client_cert, options->client_cert) && copy_text(&http->client_key, options->client_key) &&
	    copy_text(&http->user_agent, options->user_agent) && open_share(http) && open_shards(http))
		return http;
	http_free(http);
out_of_memory:
	fault_set(fault, -ENOMEM, FAULT_OURS, "HTTP: out of memory");
	return NULL;
}

struct http *http_free(struct http *http)
{
	if (!http)
		return NULL;
	for (size_t i = 0; http->shards && i < http->shard_count; i++)
		http_shard_fini(&http->shards[i]);
	http_sockets_fini(http);
	curl_share_cleanup(http->share);
	buf_fini(&http->delivered);
	free(http->shards);
	free(http->ca_file);
	free(http->client_cert);
	free(http->client_key);
	free(http->user_agent);
	free(http);
	curl_global_cleanup();
	return NULL;
}

/* The first shard with room: the fewer shards in use, the warmer their connections. */
static struct http_call *take_slot(struct http *http)
{
	for (size_t i = 0; i < http->shard_count; i++) {
		struct http_shard *shard = &http->shards[i];
		if (shard->free || !shard->multi)
			return http_shard_take(shard);
	}
	return NULL;
}

struct http_call *http_start(struct http *http, const struct http_request *request, http_done *done, void *arg)
{
	struct http_call *call = take_slot(http);
	if (!call)
		return NULL;
	call->done = done;
	call->arg = arg;
	http->in_flight++;
	int r = http_call_prepare(call, request);
	if (r == -EINVAL) {
		http_ended(call);
		return call;
	}
	if (r == 0)
		r = http_shard_add(call);
	if (r == 0)
		return call;
	http->in_flight--;
	http_shard_give(call);
	return NULL;
}

void http_ended(struct http_call *call)
{
	struct http *http = call->shard->http;
	call->state = HTTP_CALL_ENDED;
	call->next = NULL;
	call->prev = http->ended_last;
	if (call->prev)
		call->prev->next = call;
	else
		http->ended_first = call;
	http->ended_last = call;
	http->ended_count++;
}

static void unlink_ended(struct http *http, struct http_call *call)
{
	if (call->prev)
		call->prev->next = call->next;
	else
		http->ended_first = call->next;
	if (call->next)
		call->next->prev = call->prev;
	else
		http->ended_last = call->prev;
	http->ended_count--;
}

static void release(struct http *http, struct http_call *call)
{
	http->in_flight--;
	http_shard_give(call);
}

/* One large reply must not cost its slot's share of memory for ever. */
static void shrink(struct buf *body)
{
	if (body->cap > HTTP_KEPT_BODY_BYTES)
		buf_fini(body);
}

void http_cancel(struct http *http, struct http_call *call)
{
	assert(call->state != HTTP_CALL_FREE);
	if (call->state == HTTP_CALL_ENDED)
		unlink_ended(http, call);
	else
		http_shard_remove(call);
	shrink(&call->capture.body);
	release(http, call);
}

/* The slot is free before the callback runs, so that it may start the next call; the body changes hands for that. */
static void deliver(struct http *http, struct http_call *call)
{
	struct http_reply reply;
	http_reply_make(call, &reply);
	const struct http_field retry_after = call->capture.retry_after, date = call->capture.date;
	if (reply.retry_after.p)
		reply.retry_after.p = retry_after.text;
	if (reply.date.p)
		reply.date.p = date.text;
	const struct buf body = call->capture.body;
	call->capture.body = http->delivered;
	http->delivered = body;
	reply.body = buf_span(&http->delivered);

	http_done *done = call->done;
	void *arg = call->arg;
	unlink_ended(http, call);
	release(http, call);
	done(arg, &reply);
	shrink(&http->delivered);
}

void http_run(struct http *http, usec_t now)
{
	for (size_t i = 0; i < http->shard_count; i++)
		if (http->shards[i].deadline <= now)
			http_shard_act(&http->shards[i], CURL_SOCKET_TIMEOUT, 0);
	/* What ends while this runs waits for the next turn: a callback that starts calls which end at once must not
	 * keep the loop here. */
	for (size_t n = http->ended_count; n > 0 && http->ended_first; n--)
		deliver(http, http->ended_first);
}

usec_t http_wait(const struct http *http, usec_t now)
{
	if (http->ended_first)
		return 0;
	usec_t first = USEC_NEVER;
	for (size_t i = 0; i < http->shard_count; i++)
		if (http->shards[i].deadline < first)
			first = http->shards[i].deadline;
	if (first == USEC_NEVER)
		return USEC_NEVER;
	return first > now ? first - now : 0;
}

size_t http_in_flight(const struct http *http)
{
	return http->in_flight;
}
