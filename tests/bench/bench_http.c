/*
 * bench_http - the same three calls as the yardstick, through the HTTP door
 *
 *   bench_http BASE_URL IN_FLIGHT COUNT [TOKEN [CA_FILE]]
 *
 * What the door adds to bare libcurl shows in the ratio of the two.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/calls.h"
#include "doors/http.h"

struct place {
	struct call_text text;
	int call;
	unsigned id;
};

static struct {
	const char *base_url;
	char token[8192]; /* as a header line */
	int run;
	unsigned warm_up, total, started, finished, errors;
	double began, cpu;
	struct http *http;
} b;

static void on_done(void *arg, const struct http_reply *reply);

static void start_call(struct place *p)
{
	static const char *const methods[CALLS] = { "GET", "PUT", "POST" };
	const char *headers[] = { b.token, CALL_CONTENT_TYPE, p->text.key };
	call_write(&p->text, b.base_url, p->call, b.run, p->id);
	const struct http_request request = {
		.method = methods[p->call],
		.url = p->text.url,
		.headers = headers,
		.header_count = p->call == CALL_TRIGGER ? 3 : 2,
		.body = p->call == CALL_FETCH ? SPAN_NONE : (struct span){ p->text.body, (size_t)p->text.body_len },
		.timeout = 15 * USEC_PER_SEC,
		.once = p->call != CALL_FETCH,
	};
	if (!http_start(b.http, &request, on_done, p)) {
		fprintf(stderr, "bench_http: cannot start a call\n");
		exit(1);
	}
}

static void start_handoff(struct place *p)
{
	if (b.started == b.total)
		return;
	p->id = b.started++;
	p->call = CALL_FETCH;
	start_call(p);
}

static void on_done(void *arg, const struct http_reply *reply)
{
	struct place *p = arg;
	const bool good = reply->error == HTTP_OK && reply->status / 100 == 2 && reply->body.n > 0;
	b.errors += !good;
	if (good && ++p->call < CALLS) {
		start_call(p);
		return;
	}
	if (++b.finished == b.warm_up) {
		b.began = wall_seconds();
		b.cpu = cpu_usec();
		b.errors = 0;
	}
	start_handoff(p);
}

static int run(unsigned in_flight, const char *ca_file)
{
	struct fault fault = { .message = "out of memory" };
	const struct http_options options = { .max_in_flight = in_flight,
					      .max_body_bytes = 1048576,
					      .connect_timeout = 3 * USEC_PER_SEC,
					      .ca_file = ca_file,
					      .user_agent = CALL_USER_AGENT };
	struct loop *loop = loop_new();
	struct place *places = calloc(in_flight, sizeof(*places));
	b.http = loop && places ? http_new(loop, &options, &fault) : NULL;
	if (!b.http) {
		fprintf(stderr, "bench_http: %s\n", fault.message);
		return 1;
	}
	for (unsigned i = 0; i < in_flight; i++)
		start_handoff(&places[i]);
	while (b.finished < b.total) {
		loop_once(loop, http_wait(b.http, clock_read().mono));
		http_run(b.http, clock_read().mono);
	}
	print_result(b.total - b.warm_up, wall_seconds() - b.began, cpu_usec() - b.cpu, b.errors);
	http_free(b.http);
	loop_free(loop);
	free(places);
	return b.errors ? 1 : 0;
}

int main(int argc, char **argv)
{
	const unsigned in_flight = argc > 3 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
	const unsigned count = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
	if (in_flight == 0 || count == 0) {
		fprintf(stderr, "usage: bench_http BASE_URL IN_FLIGHT COUNT [TOKEN [CA_FILE]]\n");
		return 2;
	}
	b.base_url = argv[1];
	b.run = getpid();
	snprintf(b.token, sizeof(b.token), "Authorization: Bearer %s", argc > 4 ? argv[4] : CALL_TOKEN);
	b.warm_up = 2 * in_flight;
	b.total = b.warm_up + count;
	return run(in_flight, argc > 5 ? argv[5] : NULL);
}
