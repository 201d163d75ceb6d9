/* admin - what the worker shows over HTTP: the page at /, /status, /metrics, /healthz, /readyz */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "doors/http_server.h"
#include "worker/page.h"
#include "worker/status.h"
#include "json/write.h"

#define PAGE_MAX         ((size_t)16 << 20)
#define REQUEST_BODY_MAX 1024
/* All jobs are walked over for a status: however many browsers ask, it is made so often at most. */
#define STATUS_LIFE (USEC_PER_SEC / 2)

struct admin {
	struct worker *worker;
	struct http_server *server; /* NULL: turned off */
	struct buf status;          /* as made last */
	usec_t status_at;
};

/* ---- pages: each gives its status code and its body, which lives until the next request ---- */

static int page_root(struct admin *admin, struct buf *scratch, struct span *ret)
{
	(void)admin;
	(void)scratch;
	*ret = (struct span){ (const char *)page_html, page_html_size };
	return 200;
}

static int page_healthz(struct admin *admin, struct buf *scratch, struct span *ret)
{
	(void)admin;
	(void)scratch;
	*ret = span_of("ok\n");
	return 200;
}

static int page_readyz(struct admin *admin, struct buf *scratch, struct span *ret)
{
	const char *obstacles[STATUS_OBSTACLES_MAX];
	const size_t count = status_obstacles(admin->worker, obstacles);
	write_object_begin(scratch, NULL);
	write_bool(scratch, "ready", count == 0);
	write_array_begin(scratch, "reasons");
	for (size_t i = 0; i < count; i++)
		write_text(scratch, NULL, obstacles[i]);
	write_array_end(scratch);
	write_object_end(scratch);
	*ret = buf_span(scratch);
	return count == 0 ? 200 : 503;
}

static int page_metrics(struct admin *admin, struct buf *scratch, struct span *ret)
{
	figures_take(admin->worker);
	metrics_write(admin->worker->metrics, scratch);
	*ret = buf_span(scratch);
	return 200;
}

static int page_status(struct admin *admin, struct buf *scratch, struct span *ret)
{
	const usec_t now = admin->worker->now.mono;
	(void)scratch;
	if (admin->status.len == 0 || now - admin->status_at >= STATUS_LIFE) {
		buf_reset(&admin->status);
		status_write(admin->worker, &admin->status);
		admin->status_at = now;
	}
	*ret = buf_span(&admin->status);
	return buf_ok(&admin->status) && admin->status.len > 0 ? 200 : 503;
}

#define POLICY                                                                                                         \
	"Content-Security-Policy: default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "         \
	"connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/* The page gets its script and style from itself and its figures from us, and nothing from anybody else. */
static const char *const headers[] = {
	"Cache-Control: no-store",
	"X-Content-Type-Options: nosniff",
	"Referrer-Policy: no-referrer",
	POLICY,
};

static const struct {
	const char *path;
	const char *content_type;
	int (*make)(struct admin *admin, struct buf *scratch, struct span *ret);
} pages[] = {
	{ "/", "text/html; charset=utf-8", page_root },
	{ "/status", "application/json", page_status },
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
		struct buf scratch;
		buf_init(&scratch, PAGE_MAX);
		struct http_answer answer = { .content_type = pages[i].content_type,
					      .headers = headers,
					      .header_count = ARRAY_SIZE(headers) };
		answer.status = pages[i].make(admin, &scratch, &answer.body);
		http_answer(exchange, &answer);
		buf_fini(&scratch);
		return;
	}
	answer_text(exchange, 404, "not found; there are /, /status, /metrics, /healthz and /readyz\n");
}

struct admin *admin_new(struct worker *worker, struct fault *fault)
{
	struct admin *admin = calloc(1, sizeof(*admin));
	if (!admin) {
		fault_set(fault, 0, FAULT_OURS, "out of memory");
		return NULL;
	}
	admin->worker = worker;
	buf_init(&admin->status, PAGE_MAX);
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
	buf_fini(&admin->status);
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
