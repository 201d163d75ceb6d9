#include <errno.h>
#include <stdlib.h>

#include "doors/http_internal.h"

/* When libcurl could not finish its round for want of memory it names no time to come back at. */
#define RETRY_AFTER (10 * USEC_PER_MSEC)

void http_shard_init(struct http_shard *shard, struct http *http, size_t slot_count)
{
	*shard = (struct http_shard){ .http = http, .slot_count = slot_count, .deadline = USEC_NEVER };
}

static int on_timer(CURLM *multi, long ms, void *arg)
{
	struct http_shard *shard = arg;
	(void)multi;
	if (ms > 0)
		shard->deadline = clock_read().mono + (usec_t)ms * USEC_PER_MSEC;
	else
		shard->deadline = ms == 0 ? 0 : USEC_NEVER;
	return 0;
}

static bool set_options(struct http_shard *shard)
{
	CURLM *multi = shard->multi;
	return curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, http_socket_watch) == CURLM_OK &&
	       curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, shard) == CURLM_OK &&
	       curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer) == CURLM_OK &&
	       curl_multi_setopt(multi, CURLMOPT_TIMERDATA, shard) == CURLM_OK &&
	       curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING) == CURLM_OK &&
	       /* Fewer than the calls in flight would close and reopen connections all the time: 86 us a request. */
	       curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)HTTP_SHARD_SLOTS) == CURLM_OK;
}

/* The multi and its slots are made when the first call needs them: a quiet worker lives in one shard. */
static int open_shard(struct http_shard *shard)
{
	shard->slots = calloc(shard->slot_count, sizeof(*shard->slots));
	shard->multi = curl_multi_init();
	if (!shard->slots || !shard->multi || !set_options(shard)) {
		http_shard_fini(shard);
		return -ENOMEM;
	}
	for (size_t i = shard->slot_count; i-- > 0;) {
		shard->slots[i].shard = shard;
		shard->slots[i].next = shard->free;
		shard->free = &shard->slots[i];
	}
	return 0;
}

void http_shard_fini(struct http_shard *shard)
{
	for (size_t i = 0; shard->slots && i < shard->slot_count; i++) {
		struct http_call *call = &shard->slots[i];
		if (call->state == HTTP_CALL_OPEN)
			curl_multi_remove_handle(shard->multi, call->easy);
		http_call_fini(call);
	}
	curl_multi_cleanup(shard->multi); /* closes the connections; refuses NULL harmlessly */
	free(shard->slots);
	http_shard_init(shard, shard->http, shard->slot_count);
}

struct http_call *http_shard_take(struct http_shard *shard)
{
	if (!shard->multi && open_shard(shard) < 0)
		return NULL;
	struct http_call *call = shard->free;
	if (!call || (!call->easy && http_call_make(call) < 0))
		return NULL;
	shard->free = call->next;
	call->next = NULL;
	return call;
}

/* Last in, first out: the slot used last has its memory in the cache. */
void http_shard_give(struct http_call *call)
{
	call->state = HTTP_CALL_FREE;
	call->next = call->shard->free;
	call->shard->free = call;
}

int http_shard_add(struct http_call *call)
{
	struct http_shard *shard = call->shard;
	if (curl_multi_add_handle(shard->multi, call->easy) != CURLM_OK)
		return -ENOMEM;
	call->state = HTTP_CALL_OPEN;
	http_shard_act(shard, CURL_SOCKET_TIMEOUT, 0);
	return 0;
}

void http_shard_remove(struct http_call *call)
{
	curl_multi_remove_handle(call->shard->multi, call->easy);
}

/* Takes what is done out of libcurl at once: its walks grow with what is left lying. */
static void collect(struct http_shard *shard)
{
	int left;
	for (CURLMsg *msg; (msg = curl_multi_info_read(shard->multi, &left));) {
		if (msg->msg != CURLMSG_DONE)
			continue;
		struct http_call *call = NULL;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &call);
		call->result = msg->data.result;
		curl_multi_remove_handle(shard->multi, call->easy); /* `msg` is gone with it */
		http_ended(call);
	}
}

void http_shard_act(struct http_shard *shard, curl_socket_t fd, int events)
{
	int running;
	if (fd == CURL_SOCKET_TIMEOUT)
		shard->deadline = USEC_NEVER; /* libcurl names the next one before it returns */
	if (curl_multi_socket_action(shard->multi, fd, events, &running) != CURLM_OK) {
		const usec_t again = clock_read().mono + RETRY_AFTER;
		if (again < shard->deadline)
			shard->deadline = again;
	}
	collect(shard);
}
