#include "sandbox/simulator.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "doors/http_server.h"
#include "doors/loop.h"
#include "sandbox/call.h"
#include "sandbox/control.h"

enum { BODY_LIMIT = 2 * 1024 * 1024 };

#define BASE_PATH    "/api/v1"
#define CONTROL_PATH "/_sim/"

struct simulator {
	struct world *world;
	struct calls calls;
	struct loop *loop;
	struct http_server *server;
	bool stop;
};

static void on_request(void *arg, struct http_exchange *exchange)
{
	struct simulator *s = arg;
	const char *path = http_exchange_path(exchange);
	if (strncmp(path, CONTROL_PATH, strlen(CONTROL_PATH)) == 0) {
		control_answer(s->world, &s->calls, exchange, path + strlen(CONTROL_PATH));
		return;
	}
	const bool is_seed = strncmp(path, BASE_PATH "/", strlen(BASE_PATH) + 1) == 0;
	const struct instant now = clock_read();
	calls_arrive(&s->calls, exchange, is_seed ? PERSONALITY_SEED : PERSONALITY_COGNIGY_AI,
		     is_seed ? path + strlen(BASE_PATH) : path, &now);
}

static void on_gone(void *arg, struct http_exchange *exchange)
{
	struct simulator *s = arg;
	calls_vanish(&s->calls, exchange);
}

static void on_stop(void *arg, int fd, unsigned events)
{
	(void)fd, (void)events;
	struct simulator *s = arg;
	s->stop = true;
}

/* A thousand clients are a thousand descriptors: as many as we may have. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int open_simulator(struct simulator *s, unsigned port, struct child_side *parent, struct fault *fault)
{
	const struct http_server_handlers handlers = { .on_request = on_request, .on_gone = on_gone, .arg = s };
	char listen_at[32];
	snprintf(listen_at, sizeof(listen_at), "127.0.0.1:%u", port);
	raise_descriptor_limit();
	s->loop = loop_new();
	if (!s->loop || loop_set(s->loop, child_side_fd(parent), LOOP_READ, on_stop, s) < 0)
		return fault_set(fault, -1, FAULT_OURS, "cannot make an event loop");
	s->server = http_server_new(s->loop, listen_at, BODY_LIMIT, &handlers, fault);
	return s->server ? 0 : -1;
}

static void turn(struct simulator *s)
{
	const usec_t server = http_server_wait(s->server);
	const usec_t calls = calls_wait(&s->calls, clock_read().mono);
	loop_once(s->loop, server < calls ? server : calls);
	http_server_run(s->server);
	const struct instant now = clock_read();
	calls_run(&s->calls, &now);
}

int simulator_run(struct world *world, unsigned port, struct child_side *parent)
{
	struct simulator s = { .world = world };
	struct fault fault = { .message = "" };
	int code = EXIT_SUCCESS;
	calls_init(&s.calls, world);
	if (open_simulator(&s, port, parent, &fault) < 0) {
		child_side_failed(parent, "the simulator %s", fault.message);
		code = EXIT_FAILURE;
	} else {
		child_side_ready(parent, "base_url=http://127.0.0.1:%u" BASE_PATH, http_server_port(s.server));
		while (!s.stop)
			turn(&s);
		calls_drop(&s.calls);
	}
	http_server_free(s.server);
	calls_fini(&s.calls);
	loop_free(s.loop);
	return code;
}
