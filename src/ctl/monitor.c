#include "ctl/monitor.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "doors/http_server.h"
#include "doors/loop.h"

#define PAGE_MAX         ((size_t)64 << 10)
#define REQUEST_BODY_MAX 1024
#define TURN             (USEC_PER_SEC / 5)

struct monitor {
	const char *group;
	struct loop *loop;
	struct http_server *server;
	pthread_t thread;
	bool started;

	pthread_mutex_t lock; /* guards all below */
	bool stop;
	bool well;
	struct buf page; /* of /metrics */
	size_t counts[VERDICT_COUNT];
	uint64_t looks;
	uint64_t failures;
	int64_t last_ms; /* 0: no look has succeeded yet */
	usec_t took;
};

/* --- the page; called with the lock held --- */

static void add_head(struct buf *page, const char *name, const char *type, const char *help)
{
	buf_add_format(page, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void write_page(struct monitor *m)
{
	struct buf *page = &m->page;
	buf_reset(page);
	add_head(page, "handoffctl_verify_records", "gauge", "Source records by state, as found last.");
	for (size_t v = 0; v < VERDICT_COUNT; v++)
		buf_add_format(page, "handoffctl_verify_records{group=\"%s\",state=\"%s\"} %zu\n", m->group,
			       verdict_name((enum verdict)v), m->counts[v]);
	add_head(page, "handoffctl_verify_looks_total", "counter", "Looks at the topics, by how they went.");
	buf_add_format(page, "handoffctl_verify_looks_total{result=\"ok\"} %" PRIu64 "\n", m->looks);
	buf_add_format(page, "handoffctl_verify_looks_total{result=\"failed\"} %" PRIu64 "\n", m->failures);
	add_head(page, "handoffctl_verify_last_look_timestamp_seconds", "gauge",
		 "When the last look that succeeded began; 0: none has.");
	buf_add_format(page, "handoffctl_verify_last_look_timestamp_seconds %" PRId64 "\n", m->last_ms / 1000);
	add_head(page, "handoffctl_verify_last_look_seconds", "gauge", "How long it took.");
	buf_add_format(page, "handoffctl_verify_last_look_seconds %.3f\n", (double)m->took / USEC_PER_SEC);
}

void monitor_tell(struct monitor *m, const struct findings *findings, usec_t took, int64_t now_ms)
{
	pthread_mutex_lock(&m->lock);
	m->well = findings != NULL;
	if (findings) {
		memcpy(m->counts, findings->counts, sizeof(m->counts));
		m->looks++;
		m->last_ms = now_ms;
		m->took = took;
	} else {
		m->failures++;
	}
	write_page(m);
	pthread_mutex_unlock(&m->lock);
}

/* --- the server --- */

static void on_request(void *arg, struct http_exchange *exchange)
{
	struct monitor *m = arg;
	const char *path = http_exchange_path(exchange);
	struct http_answer answer = { .status = 404, .content_type = "text/plain; charset=utf-8" };
	answer.body = SPAN("not found; there are /healthz and /metrics\n");
	pthread_mutex_lock(&m->lock);
	if (!strcmp(path, "/metrics")) {
		answer.status = 200;
		answer.content_type = "text/plain; version=0.0.4; charset=utf-8";
		answer.body = buf_span(&m->page);
	} else if (!strcmp(path, "/healthz")) {
		answer.status = m->well ? 200 : 503;
		answer.body = m->well ? SPAN("ok\n") : SPAN("the last look at the topics did not succeed\n");
	}
	http_answer(exchange, &answer);
	pthread_mutex_unlock(&m->lock);
}

static bool is_stopped(struct monitor *m)
{
	pthread_mutex_lock(&m->lock);
	const bool stop = m->stop;
	pthread_mutex_unlock(&m->lock);
	return stop;
}

static void *serve(void *arg)
{
	struct monitor *m = arg;
	while (!is_stopped(m)) {
		const usec_t wait = http_server_wait(m->server);
		loop_once(m->loop, wait < TURN ? wait : TURN);
		http_server_run(m->server);
	}
	return NULL;
}

/* --- life --- */

struct monitor *monitor_new(const char *listen_at, const char *group, struct fault *fault)
{
	struct monitor *m = calloc(1, sizeof(*m));
	if (!m) {
		fault_set(fault, 0, FAULT_OURS, "out of memory");
		return NULL;
	}
	const struct http_server_handlers handlers = { .on_request = on_request, .arg = m };
	m->group = group;
	m->well = true; /* until a look has failed */
	pthread_mutex_init(&m->lock, NULL);
	buf_init(&m->page, PAGE_MAX);
	write_page(m);
	m->loop = loop_new();
	if (m->loop)
		m->server = http_server_new(m->loop, listen_at, REQUEST_BODY_MAX, &handlers, fault);
	else
		fault_set(fault, 0, FAULT_OURS, "out of memory or file descriptors");
	m->started = m->server && pthread_create(&m->thread, NULL, serve, m) == 0;
	if (m->server && !m->started)
		fault_set(fault, 0, FAULT_OURS, "no thread can be started");
	return m->started ? m : monitor_free(m);
}

struct monitor *monitor_free(struct monitor *m)
{
	if (!m)
		return NULL;
	pthread_mutex_lock(&m->lock);
	m->stop = true;
	pthread_mutex_unlock(&m->lock);
	if (m->started)
		pthread_join(m->thread, NULL);
	if (m->server)
		http_server_free(m->server);
	loop_free(m->loop);
	buf_fini(&m->page);
	pthread_mutex_destroy(&m->lock);
	free(m);
	return NULL;
}

uint16_t monitor_port(const struct monitor *m)
{
	return http_server_port(m->server);
}
