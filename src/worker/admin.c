/* admin - what the worker shows over HTTP: /healthz, /readyz, /metrics */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "doors/http_server.h"
#include "worker/worker.h"
#include "json/write.h"

#define PAGE_MAX         ((size_t)16 << 20)
#define REQUEST_BODY_MAX 1024
#define REASONS_MAX      16

struct admin {
	struct worker *worker;
	struct http_server *server; /* NULL: turned off */
};

/* ---- what is shown ---- */

static void set_lag(struct worker *w, size_t index)
{
	const struct partition *p = w->partitions[index];
	const int64_t end = kafka_consumer_end(w->consumer, index);
	char number[16];
	snprintf(number, sizeof(number), "%d", p->number);
	const char *const labels[] = { p->topic, number };
	/* What is neither read nor done: gaps and done marks above the base count as done. Before the first answer of
	 * the broker `end` is -1 and nothing counts as unread. */
	const int64_t unread = end > offsets_next(p->offsets) ? end - offsets_next(p->offsets) : 0;
	metric_set(metrics_series(w->metrics, METRIC_CONSUMER_LAG, labels),
		   (double)(unread + (int64_t)offsets_open_count(p->offsets)));
}

static double oldest_incomplete_seconds(const struct worker *w)
{
	int64_t oldest = w->now.unix_ms;
	for (size_t i = 0; i < w->partition_count; i++)
		for (const struct job *job = w->partitions[i]->jobs; job; job = job->next) {
			const int64_t at = job->handoff.history.progress.requested_at_ms;
			if (at > 0 && at < oldest)
				oldest = at;
		}
	return (double)(w->now.unix_ms - oldest) / 1000.0;
}

static void set_tenant(struct worker *w, const struct tenant *t)
{
	const char *const labels[] = { tenant_name(t) };
	metric_set(metrics_series(w->metrics, METRIC_BREAKER_STATE, labels), (double)t->breaker.state);
	metric_set(metrics_series(w->metrics, METRIC_GATE_CLOSED, labels), gate_is_closed(&t->gate, w->now.mono));
}

/* Gauges are read off when somebody looks, not kept up to date. */
static void set_gauges(struct worker *w)
{
	size_t waiting = 0, parked = 0, in_flight = 0;
	for (size_t i = 0; i < w->tenant_count; i++) {
		waiting += roster_waiting(w->tenants[i].roster);
		in_flight += roster_running(w->tenants[i].roster);
		set_tenant(w, &w->tenants[i]);
	}
	for (size_t i = 0; i < w->partition_count; i++) {
		parked += parking_count(&w->partitions[i]->parking);
		set_lag(w, i);
	}
	metric_set(metrics_plain(w->metrics, METRIC_WAITING), (double)waiting);
	metric_set(metrics_plain(w->metrics, METRIC_IN_FLIGHT), (double)in_flight);
	metric_set(metrics_plain(w->metrics, METRIC_PARKED), (double)parked);
	metric_set(metrics_plain(w->metrics, METRIC_OLDEST_INCOMPLETE_SECONDS), oldest_incomplete_seconds(w));
	metric_set(metrics_plain(w->metrics, METRIC_LOG_LINES_DROPPED), (double)log_dropped());
}

/* Why we are not ready; none: we are. */
static size_t list_obstacles(const struct worker *w, const char *reasons[REASONS_MAX])
{
	size_t count = 0;
	bool any_open = false;
	if (w->stopping)
		reasons[count++] = "stopping";
	if (w->brokers_down)
		reasons[count++] = "no Kafka broker answers";
	if (!w->topics_fit)
		reasons[count++] = w->topics_trouble[0] ? w->topics_trouble : "the topics were not seen yet";
	if (!w->joined || w->leaving == LEAVING_LOST)
		reasons[count++] = "not a member of the consumer group";
	if (w->unproven)
		reasons[count++] = "it has to be proved first that the partitions are still ours";
	for (size_t i = 0; i < w->tenant_count; i++)
		any_open = any_open || !tenant_obstacle(&w->tenants[i], w->now.mono);
	for (size_t i = 0; i < w->tenant_count && !any_open && count < REASONS_MAX; i++)
		reasons[count++] = tenant_obstacle(&w->tenants[i], w->now.mono);
	return count;
}

static int write_readiness(const struct worker *w, struct buf *page)
{
	const char *reasons[REASONS_MAX];
	const size_t count = list_obstacles(w, reasons);
	write_object_begin(page, NULL);
	write_bool(page, "ready", count == 0);
	write_array_begin(page, "reasons");
	for (size_t i = 0; i < count; i++)
		write_text(page, NULL, reasons[i]);
	write_array_end(page);
	write_object_end(page);
	return count == 0 ? 200 : 503;
}

/* ---- pages ---- */

static int page_healthz(struct worker *w, struct buf *page)
{
	(void)w;
	buf_add_text(page, "ok\n");
	return 200;
}

static int page_readyz(struct worker *w, struct buf *page)
{
	return write_readiness(w, page);
}

static int page_metrics(struct worker *w, struct buf *page)
{
	set_gauges(w);
	metrics_write(w->metrics, page);
	return 200;
}

static const struct {
	const char *path;
	const char *content_type;
	int (*write)(struct worker *w, struct buf *page);
} pages[] = {
	{ "/healthz", "text/plain; charset=utf-8", page_healthz },
	{ "/readyz", "application/json", page_readyz },
	{ "/metrics", "text/plain; version=0.0.4; charset=utf-8", page_metrics },
};

static void answer_text(struct http_exchange *exchange, int status, const char *text)
{
	const struct http_answer answer = { .status = status, .content_type = "text/plain", .body = span_of(text) };
	http_answer(exchange, &answer);
}

static void on_request(void *arg, struct http_exchange *exchange)
{
	struct admin *admin = arg;
	const char *method = http_exchange_method(exchange);
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
		answer_text(exchange, 405, "only GET is served here\n");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
		if (strcmp(pages[i].path, http_exchange_path(exchange)) != 0)
			continue;
		struct buf page;
		buf_init(&page, PAGE_MAX);
		struct http_answer answer = { .content_type = pages[i].content_type };
		answer.status = pages[i].write(admin->worker, &page);
		answer.body = buf_span(&page);
		http_answer(exchange, &answer);
		buf_fini(&page);
		return;
	}
	answer_text(exchange, 404, "not found; there are /healthz, /readyz and /metrics\n");
}

struct admin *admin_new(struct worker *worker, struct fault *fault)
{
	struct admin *admin = calloc(1, sizeof(*admin));
	if (!admin) {
		fault_set(fault, 0, FAULT_OURS, "out of memory");
		return NULL;
	}
	admin->worker = worker;
	const char *listen = worker->settings->admin_listen;
	if (!listen[0])
		return admin;
	const struct http_server_handlers handlers = { .on_request = on_request, .arg = admin };
	admin->server = http_server_new(worker->loop, listen, REQUEST_BODY_MAX, &handlers, fault);
	if (!admin->server)
		return admin_free(admin);
	log_write(LOG_INFO, LOG_NOBODY, "admin pages at http://%.*s:%d/", (int)(strrchr(listen, ':') - listen), listen,
		  http_server_port(admin->server));
	return admin;
}

struct admin *admin_free(struct admin *admin)
{
	if (!admin)
		return NULL;
	http_server_free(admin->server);
	free(admin);
	return NULL;
}

void admin_run(struct admin *admin)
{
	if (admin->server)
		http_server_run(admin->server);
}

usec_t admin_wait(const struct admin *admin)
{
	return admin->server ? http_server_wait(admin->server) : USEC_NEVER;
}
