/*
 * yardstick - what do the three calls of a handoff cost by themselves?
 *
 *   yardstick BASE_URL COUNT IN_FLIGHT     prints: CPU-microseconds-per-handoff handoffs-per-second
 *
 * A bare libcurl client against the same origin: no Kafka, no JSON, no rules. Driven as well as libcurl can be: raw
 * epoll, multis of at most 64 slots, handles that are never reset, sockets that stay registered between calls.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS = 64, FDS = 65536, STEPS = 3, EVENTS = 256 };

struct shard {
	CURLM *multi;
	long long due_ms; /* -1: no timer */
};

struct slot {
	struct shard *shard;
	CURL *handles[STEPS];
	char session[64];
	int step;
};

struct run {
	const char *base;
	long count, started, done, failed;
	int epoll;
	char tag[16]; /* sessions of this run alone */
	struct curl_slist *headers;
	struct shard *owner[FDS]; /* whose socket is it; NULL when nobody wants it */
	unsigned mask[FDS];       /* what epoll was told; 0: not registered */
};

static const char login_body[] = "{\"client_id\":\"sandbox\",\"client_secret\":\"sandbox-secret\","
				 "\"grant_type\":\"client_credentials\"}";
static const char update_body[] =
	"{\"variables\":{\"lang\":\"en\",\"callerName\":\"Caller\",\"transferTarget\":\"a1b2c3d4-e5f6-7890-abcd-"
	"ef1234567890\","
	"\"transferType\":\"queue\",\"handoffTrigger\":true,\"telephonyAction\":\"transfer\"},"
	"\"telephony\":{\"action\":\"transfer\",\"preserveMediaStream\":true}}";

static struct run run;

static long long now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void must(int good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "yardstick: %s\n", what);
	exit(1);
}

static size_t swallow(char *data, size_t size, size_t count, void *arg)
{
	(void)data;
	(void)arg;
	return size * count;
}

static size_t keep(char *data, size_t size, size_t count, void *arg)
{
	char *text = arg;
	const size_t n = size * count, have = strlen(text);
	must(have + n < 8192, "the login's reply is too long");
	memcpy(text + have, data, n);
	text[have + n] = '\0';
	return n;
}

/* --- sockets: registered once, changed only when libcurl wants to write --- */

static int on_socket(CURL *handle, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	(void)handle;
	(void)socket_arg;
	must(fd < FDS, "too many sockets");
	const unsigned wanted = EPOLLIN | (what & CURL_POLL_OUT ? EPOLLOUT : 0U);
	run.owner[fd] = what == CURL_POLL_REMOVE ? NULL : arg;
	if (run.mask[fd] == wanted)
		return 0;
	struct epoll_event event = { .events = wanted, .data.fd = fd };
	epoll_ctl(run.epoll, run.mask[fd] ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
	run.mask[fd] = wanted;
	return 0;
}

static int on_close(void *arg, curl_socket_t fd)
{
	(void)arg;
	run.mask[fd] = 0;
	run.owner[fd] = NULL;
	return close(fd);
}

static int on_timer(CURLM *multi, long timeout_ms, void *arg)
{
	(void)multi;
	struct shard *shard = arg;
	shard->due_ms = timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
	return 0;
}

static void serve_event(int fd, unsigned events)
{
	if (!run.owner[fd]) {
		epoll_ctl(run.epoll, EPOLL_CTL_DEL, fd, NULL);
		run.mask[fd] = 0;
		return;
	}
	const int mask = (events & EPOLLIN ? CURL_CSELECT_IN : 0) | (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
			 (events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
	int running;
	curl_multi_socket_action(run.owner[fd]->multi, fd, mask, &running);
}

/* --- the calls --- */

static CURL *new_handle(void)
{
	CURL *handle = curl_easy_init();
	must(handle != NULL, "out of memory");
	curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(handle, CURLOPT_BUFFERSIZE, 4096L);
	curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, 30000L);
	curl_easy_setopt(handle, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(handle, CURLOPT_PROXY, "");
	curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, swallow);
	curl_easy_setopt(handle, CURLOPT_CLOSESOCKETFUNCTION, on_close);
	curl_easy_setopt(handle, CURLOPT_HTTPHEADER, run.headers);
	return handle;
}

static void log_in(void)
{
	static char reply[8192];
	char url[512], header[8192];
	CURL *handle = new_handle();
	struct curl_slist *json = curl_slist_append(NULL, "Content-Type: application/json");
	snprintf(url, sizeof(url), "%s/auth/login", run.base);
	curl_easy_setopt(handle, CURLOPT_URL, url);
	curl_easy_setopt(handle, CURLOPT_HTTPHEADER, json);
	curl_easy_setopt(handle, CURLOPT_POSTFIELDS, login_body);
	curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, keep);
	curl_easy_setopt(handle, CURLOPT_WRITEDATA, reply);
	must(curl_easy_perform(handle) == CURLE_OK, "the login failed");
	curl_easy_cleanup(handle);
	curl_slist_free_all(json);
	const char *token = strstr(reply, "\"access_token\":\"");
	must(token != NULL, "the login gave no token");
	token += strlen("\"access_token\":\"");
	snprintf(header, sizeof(header), "Authorization: Bearer %.*s", (int)strcspn(token, "\""), token);
	run.headers = curl_slist_append(NULL, header);
	run.headers = curl_slist_append(run.headers, "Content-Type: application/json");
	run.headers = curl_slist_append(run.headers, "Accept:");
	run.headers = curl_slist_append(run.headers, "Expect:");
}

static void start_step(struct slot *slot)
{
	char url[512], body[256];
	CURL *handle = slot->handles[slot->step];
	snprintf(url, sizeof(url), slot->step == 2 ? "%s/flow" : "%s/session/%s", run.base, slot->session);
	curl_easy_setopt(handle, CURLOPT_URL, url);
	if (slot->step == 2) {
		snprintf(
			body, sizeof(body),
			"{\"sessionId\":\"%s\",\"intent\":\"__system_transfer__\",\"text\":\"agent_handoff_requested\","
			"\"channel\":\"voice\"}",
			slot->session);
		curl_easy_setopt(handle, CURLOPT_COPYPOSTFIELDS, body);
	}
	must(curl_multi_add_handle(slot->shard->multi, handle) == CURLM_OK, "a call could not be started");
}

static void next_handoff(struct slot *slot)
{
	if (run.started == run.count)
		return;
	snprintf(slot->session, sizeof(slot->session), "y%s-%ld", run.tag, run.started++);
	slot->step = 0;
	start_step(slot);
}

static void end_call(struct shard *shard, const CURLMsg *message)
{
	struct slot *slot;
	long status = 0;
	CURL *handle = message->easy_handle;
	curl_easy_getinfo(handle, CURLINFO_PRIVATE, &slot);
	curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
	if (message->data.result != CURLE_OK || status != 200)
		run.failed++;
	curl_multi_remove_handle(shard->multi, handle);
	if (++slot->step < STEPS) {
		start_step(slot);
	} else {
		run.done++;
		next_handoff(slot);
	}
}

static void collect(struct shard *shard)
{
	int left;
	for (CURLMsg *message; (message = curl_multi_info_read(shard->multi, &left));)
		if (message->msg == CURLMSG_DONE)
			end_call(shard, message);
}

/* --- the run --- */

static void init_slot(struct slot *slot, struct shard *shard)
{
	slot->shard = shard;
	for (int step = 0; step < STEPS; step++) {
		slot->handles[step] = new_handle();
		curl_easy_setopt(slot->handles[step], CURLOPT_PRIVATE, slot);
	}
	curl_easy_setopt(slot->handles[1], CURLOPT_POSTFIELDS, update_body);
	curl_easy_setopt(slot->handles[1], CURLOPT_CUSTOMREQUEST, "PUT");
}

static void init_shard(struct shard *shard)
{
	shard->due_ms = -1;
	shard->multi = curl_multi_init();
	must(shard->multi != NULL, "out of memory");
	curl_multi_setopt(shard->multi, CURLMOPT_MAXCONNECTS, (long)SLOTS);
	curl_multi_setopt(shard->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(shard->multi, CURLMOPT_SOCKETDATA, shard);
	curl_multi_setopt(shard->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(shard->multi, CURLMOPT_TIMERDATA, shard);
}

/* Serves the timers that are due and says how long to sleep. */
static int serve_timers(struct shard *shards, size_t count)
{
	const long long now = now_ms();
	long long wait = 1000;
	for (size_t i = 0; i < count; i++) {
		int running;
		if (shards[i].due_ms >= 0 && shards[i].due_ms <= now) {
			shards[i].due_ms = -1;
			curl_multi_socket_action(shards[i].multi, CURL_SOCKET_TIMEOUT, 0, &running);
		}
		collect(&shards[i]);
		if (shards[i].due_ms >= 0 && shards[i].due_ms - now < wait)
			wait = shards[i].due_ms > now ? shards[i].due_ms - now : 0;
	}
	return (int)wait;
}

static void run_all(struct shard *shards, size_t count)
{
	struct epoll_event events[EVENTS];
	while (run.done < run.count) {
		const int wait = serve_timers(shards, count);
		const int n = epoll_wait(run.epoll, events, EVENTS, wait);
		for (int i = 0; i < n; i++)
			serve_event(events[i].data.fd, events[i].events);
	}
}

static double cpu_us(void)
{
	struct rusage used;
	getrusage(RUSAGE_SELF, &used);
	return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 +
	       (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

int main(int argc, char **argv)
{
	must(argc == 4, "usage: yardstick BASE_URL COUNT IN_FLIGHT");
	run.base = argv[1];
	run.count = strtol(argv[2], NULL, 10);
	const long in_flight = strtol(argv[3], NULL, 10);
	must(run.count > 0 && in_flight > 0 && in_flight <= 4096, "COUNT and IN_FLIGHT must be above 0");
	snprintf(run.tag, sizeof(run.tag), "%ld", (long)getpid());
	must(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK, "libcurl does not start");
	run.epoll = epoll_create1(EPOLL_CLOEXEC);
	log_in();
	const size_t slot_count = (size_t)in_flight, shard_count = (slot_count + SLOTS - 1) / SLOTS;
	struct shard *shards = calloc(shard_count, sizeof(*shards));
	struct slot *slots = calloc(slot_count, sizeof(*slots));
	must(shards && slots, "out of memory");
	for (size_t i = 0; i < shard_count; i++)
		init_shard(&shards[i]);
	for (size_t i = 0; i < slot_count; i++)
		init_slot(&slots[i], &shards[i / SLOTS]);
	const double cpu = cpu_us();
	const long long begin = now_ms();
	for (size_t i = 0; i < slot_count; i++)
		next_handoff(&slots[i]);
	run_all(shards, shard_count);
	const double seconds = (double)(now_ms() - begin + 1) / 1000;
	printf("%.1f %.0f\n", (cpu_us() - cpu) / (double)run.count, (double)run.count / seconds);
	must(run.failed == 0, "some calls failed");
	return 0;
}
