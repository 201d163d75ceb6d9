#include "sandbox/control.h"

#include "base/text.h"
#include "sandbox/raw.h"
#include "sandbox/script.h"

enum { REPORT_LIMIT = 16 * 1024 * 1024, CALLS_DEFAULT = 1000 };

static void say(struct http_exchange *x, int status, struct span body)
{
	http_answer(x, &(struct http_answer){ .status = status, .body = body });
}

static void say_error(struct http_exchange *x, int status, const char *sentence)
{
	struct buf out;
	buf_init(&out, 4096);
	buf_add_text(&out, "{\"error\":");
	raw_add_string(&out, span_of(sentence));
	buf_add_text(&out, "}\n");
	say(x, status, buf_span(&out));
	buf_fini(&out);
}

static void post_script(struct world *world, struct calls *calls, struct http_exchange *x)
{
	(void)calls;
	struct fault fault;
	if (script_apply(world, "script", http_exchange_body(x), &fault) < 0)
		say_error(x, 400, fault.message);
	else
		say(x, 200, SPAN("{\"applied\":true}\n"));
}

static void post_reset(struct world *world, struct calls *calls, struct http_exchange *x)
{
	calls_drop(calls);
	world_reset(world);
	say(x, 200, SPAN("{\"reset\":true}\n"));
}

static void get_book(struct world *world, struct calls *calls, struct http_exchange *x)
{
	(void)calls;
	const char *id = http_exchange_query(x, "session");
	struct session *session = id ? sessions_find(&world->sessions, span_of(id)) : NULL;
	if (id && !session) {
		say_error(x, 404, "no call has named this session");
		return;
	}
	struct buf out;
	buf_init(&out, REPORT_LIMIT);
	if (session)
		book_report_session(&world->book, session, clock_read().mono, &out);
	else
		book_report(&world->book, &world->sessions, &out);
	if (buf_ok(&out))
		say(x, 200, buf_span(&out));
	else
		say_error(x, 500, "the report is too long");
	buf_fini(&out);
}

/* A whole number of the query; false when it is there and none. */
static bool query_number(const struct http_exchange *x, const char *name, int64_t *ret)
{
	const char *text = http_exchange_query(x, name);
	return !text || (text_parse_int64(span_of(text), ret) == 0 && *ret >= 0);
}

static void get_calls(struct world *world, struct calls *calls, struct http_exchange *x)
{
	(void)calls;
	int64_t since = 0, limit = CALLS_DEFAULT;
	if (!query_number(x, "since", &since) || !query_number(x, "limit", &limit)) {
		say_error(x, 400, "since= and limit= want whole numbers");
		return;
	}
	struct buf out;
	buf_init(&out, REPORT_LIMIT);
	book_report_calls(&world->book, (uint64_t)since, (uint64_t)limit, &out);
	http_answer(x, &(struct http_answer){
			       .status = 200, .content_type = "application/x-ndjson", .body = buf_span(&out) });
	buf_fini(&out);
}

void control_answer(struct world *world, struct calls *calls, struct http_exchange *x, const char *path)
{
	static const struct {
		const char *method, *path;
		void (*answer)(struct world *world, struct calls *calls, struct http_exchange *x);
	} routes[] = {
		{ "POST", "script", post_script },
		{ "POST", "reset", post_reset },
		{ "GET", "book", get_book },
		{ "GET", "calls", get_calls },
	};
	for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
		if (strcmp(path, routes[i].path) != 0)
			continue;
		if (strcmp(http_exchange_method(x), routes[i].method) == 0)
			routes[i].answer(world, calls, x);
		else
			say_error(x, 405, "wrong method");
		return;
	}
	say_error(x, 404, "there are script, reset, book and calls below /_sim/");
}
