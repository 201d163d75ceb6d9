/* The admin pages: a watcher who looks at them at any moment, also in the middle of trouble: doors/http_server.h. What
 * they say has to be readable, whatever state the worker is in; what the figures mean is tested elsewhere. */
#include "doors/http_server.h"

#include "sim/chance.h"
#include "sim/process.h"
#include "sim/verdict.h"
#include "sim/world.h"
#include "json/scan.h"

struct http_server {
	struct process *process;
	struct http_server_handlers handlers;
};

struct http_exchange {
	const struct http_server *server;
	const char *path;
	bool is_answered;
};

struct http_server *http_server_new(struct loop *loop, const char *listen_at, size_t max_body_bytes,
				    const struct http_server_handlers *handlers, struct fault *fault)
{
	(void)loop;
	(void)listen_at;
	(void)max_body_bytes;
	(void)fault;
	struct http_server *server = agenda_memory(sizeof(*server));
	*server = (struct http_server){ .process = world.running, .handlers = *handlers };
	return server;
}

struct http_server *http_server_free(struct http_server *server)
{
	(void)server;
	return NULL;
}

uint16_t http_server_port(const struct http_server *server)
{
	(void)server;
	return 9464;
}

/* One turn in a few hundred is watched. */
void http_server_run(struct http_server *server)
{
	static const char *const paths[] = { "/", "/status", "/metrics", "/healthz", "/readyz", "/none" };
	if (!server->process->alive || !chance_hits(4))
		return;
	struct http_exchange exchange = { .server = server, .path = paths[chance_between(0, 5)] };
	server->handlers.on_request(server->handlers.arg, &exchange);
	if (!exchange.is_answered)
		verdict_give("%s does not answer a request for %s", server->process->name, exchange.path);
}

usec_t http_server_wait(const struct http_server *server)
{
	(void)server;
	return USEC_NEVER;
}

const char *http_exchange_method(const struct http_exchange *exchange)
{
	(void)exchange;
	return "GET";
}

const char *http_exchange_path(const struct http_exchange *exchange)
{
	return exchange->path;
}

void http_answer(struct http_exchange *exchange, const struct http_answer *answer)
{
	struct scan_value top;
	const char *name = exchange->server->process->name;
	const bool is_json = answer->content_type && strstr(answer->content_type, "json");
	exchange->is_answered = true;
	if (answer->body.n == 0)
		verdict_give("%s shows an empty page at %s", name, exchange->path);
	if (is_json && scan_check(answer->body, &top, NULL) < 0)
		verdict_give("%s shows something that is no JSON at %s", name, exchange->path);
}
