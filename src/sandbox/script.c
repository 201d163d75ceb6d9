#include "sandbox/script.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "sandbox/raw.h"
#include "sandbox/words.h"

/* Every do_ function reads one kind of line. `world` is NULL when the line is only checked. */
typedef int command_fn(struct world *world, struct words *words, struct fault *fault);

static const char *const lock_names[LOCK_STYLES] = { "409", "processing" };

static int wrong(struct fault *fault, const char *sentence)
{
	return fault_set(fault, -EINVAL, FAULT_PERMANENT, "%s", sentence);
}

static int out_of_memory(struct fault *fault)
{
	return fault_set(fault, -ENOMEM, FAULT_OURS, "out of memory");
}

/* --- options that several lines have --- */

/* A word of at most SESSION_WORD - 1 bytes; `*ret` stays when the option is absent. */
static int take_word(struct words *words, const char *name, const char **ret, struct fault *fault)
{
	const char *value = words_option(words, name);
	if (value && (*value == '\0' || strlen(value) >= SESSION_WORD))
		return fault_set(fault, -EINVAL, FAULT_PERMANENT, "%s= wants 1 to %d bytes", name, SESSION_WORD - 1);
	if (value)
		*ret = value;
	return 0;
}

static int take_session_id(struct words *words, const char **ret, struct fault *fault)
{
	*ret = words_next(words);
	if (!*ret || **ret == '\0' || strlen(*ret) > SESSION_ID_MAX)
		return wrong(fault, "a session id of 1 to 256 bytes is missing here");
	return 0;
}

static int take_text(struct words *words, const char *name, char *ret, size_t size, struct fault *fault)
{
	const char *value = words_option(words, name);
	if (value && strlen(value) >= size)
		return fault_set(fault, -EINVAL, FAULT_PERMANENT, "%s= wants at most %zu bytes", name, size - 1);
	if (value)
		memcpy(ret, value, strlen(value) + 1);
	return 0;
}

/* --- sessions --- */

struct session_line {
	const char *id, *channel, *status, *call_id, *user_id, *variables;
};

static int read_session(struct session_line *line, struct words *words, struct fault *fault)
{
	int r = take_session_id(words, &line->id, fault);
	if (r == 0)
		r = take_word(words, "status", &line->status, fault);
	if (r < 0)
		return r;
	line->channel = words_option(words, "channel");
	line->call_id = words_option(words, "callId");
	line->user_id = words_option(words, "userId");
	line->variables = words_option(words, "variables");
	if (line->variables && raw_object(span_of(line->variables), NULL, 0, NULL) < 0)
		return wrong(fault, "variables= wants a JSON object, { ... }");
	return words_end(words, fault);
}

static int set_session(struct session *session, const struct session_line *line)
{
	if (line->status)
		session_set_word(session->status, line->status);
	if (line->channel && session_set_text(&session->channel, line->channel) < 0)
		return -ENOMEM;
	if (line->call_id && session_set_text(&session->call_id, line->call_id) < 0)
		return -ENOMEM;
	if (line->user_id && session_set_text(&session->user_id, line->user_id) < 0)
		return -ENOMEM;
	return line->variables ? session_set_variables(session, span_of(line->variables)) : 0;
}

static int do_session(struct world *world, struct words *words, struct fault *fault)
{
	struct session_line line = { .id = NULL };
	const int r = read_session(&line, words, fault);
	if (r < 0 || !world)
		return r;
	struct session *session = sessions_need(&world->sessions, span_of(line.id));
	if (!session)
		return out_of_memory(fault);
	session_create(&world->sessions, session);
	return set_session(session, &line) < 0 ? out_of_memory(fault) : 0;
}

static int do_sessions(struct world *world, struct words *words, struct fault *fault)
{
	const bool listed = words_accept(words, "listed");
	if (!listed && !words_accept(words, "auto"))
		return wrong(fault, "\"sessions\" wants auto or listed");
	const int r = words_end(words, fault);
	if (r == 0 && world)
		world->settings.sessions_listed = listed;
	return r;
}

static int lock_one(struct world *world, const char *id, usec_t length, enum lock_style style, struct fault *fault)
{
	struct session *session = sessions_need(&world->sessions, span_of(id));
	if (!session)
		return out_of_memory(fault);
	session_create(&world->sessions, session);
	session->lock_pending = length;
	session->locked_until = 0;
	session->lock_style = style;
	return 0;
}

static int do_lock(struct world *world, struct words *words, struct fault *fault)
{
	const char *id = NULL;
	int64_t every = 0;
	usec_t length = -1;
	size_t style = LOCK_CONFLICT;
	int r = words_number(words, "every", 1, INT32_MAX, &every, fault);
	if (r == 0 && every == 0)
		r = take_session_id(words, &id, fault);
	if (r == 0)
		r = words_duration(words, "for", &length, fault);
	if (r == 0)
		r = words_choice(words, "as", lock_names, LOCK_STYLES, &style, fault);
	if (r == 0)
		r = words_end(words, fault);
	if (r == 0 && length < 0)
		r = wrong(fault, "\"lock\" wants for=DURATION");
	if (r < 0 || !world)
		return r;
	if (id)
		return lock_one(world, id, length, (enum lock_style)style, fault);
	world->settings.lock_every = length > 0 ? every : 0;
	world->settings.lock_for = length;
	world->settings.lock_style = (enum lock_style)style;
	return 0;
}

/* --- access --- */

static int do_limit(struct world *world, struct words *words, struct fault *fault)
{
	static const char *const forms[] = { "seconds", "date", "none" };
	static const char *const kinds[] = { "window", "bucket" };
	struct limit limit = { .period = USEC_PER_SEC };
	size_t form = RETRY_SECONDS, kind = LIMIT_WINDOW;
	int r = 0;
	if (!words_accept(words, "off")) {
		r = words_number(words, "calls", 1, INT32_MAX, &limit.calls, fault);
		if (r == 0 && limit.calls == 0)
			r = wrong(fault, "\"limit\" wants off, or calls=N and per=DURATION");
		if (r == 0)
			r = words_duration(words, "per", &limit.period, fault);
		if (r == 0 && limit.period == 0)
			r = wrong(fault, "per= must be longer than 0");
		limit.burst = limit.calls;
		if (r == 0)
			r = words_number(words, "burst", 1, INT32_MAX, &limit.burst, fault);
		if (r == 0)
			r = words_choice(words, "kind", kinds, ARRAY_SIZE(kinds), &kind, fault);
		if (r == 0)
			r = words_choice(words, "retry-after", forms, ARRAY_SIZE(forms), &form, fault);
	}
	if (r == 0)
		r = words_end(words, fault);
	limit.form = (enum retry_form)form;
	limit.kind = (enum limit_kind)kind;
	if (r == 0 && world)
		world->limit = limit;
	return r;
}

/* A JSON value, or "missing". */
static bool is_json_or_missing(const char *text)
{
	char object[sizeof(((struct auth *)0)->expires_in) + 8];
	if (*text == '\0' || strcmp(text, "missing") == 0)
		return true;
	const int n = snprintf(object, sizeof(object), "{\"a\":%s}", text);
	return n > 0 && (size_t)n < sizeof(object) && raw_object(span_of(object), NULL, 0, NULL) == 0;
}

static int do_token(struct world *world, struct words *words, struct fault *fault)
{
	struct auth read;
	struct auth *auth = world ? &world->auth : &read;
	if (!world)
		auth_init(auth);
	const bool revoke = words_accept(words, "revoke");
	usec_t life = auth->life;
	int r = words_duration(words, "life", &life, fault);
	if (r == 0)
		r = words_number(words, "size", 39, AUTH_TOKEN_SIZE_MAX, &auth->size, fault);
	if (r == 0)
		r = take_text(words, "scope", auth->scope, sizeof(auth->scope), fault);
	if (r == 0)
		r = take_text(words, "expires_in", auth->expires_in, sizeof(auth->expires_in), fault);
	if (r == 0 && !is_json_or_missing(auth->expires_in))
		r = wrong(fault, "expires_in= wants a JSON value, or missing");
	if (r == 0)
		r = words_end(words, fault);
	if (r < 0 || !world)
		return r;
	auth->life = life;
	if (revoke)
		auth_revoke(auth);
	return 0;
}

static int do_credentials(struct world *world, struct words *words, struct fault *fault)
{
	char id[sizeof(world->auth.client_id)] = "";
	char secret[sizeof(world->auth.client_secret)] = "";
	int r = take_text(words, "id", id, sizeof(id), fault);
	if (r == 0)
		r = take_text(words, "secret", secret, sizeof(secret), fault);
	if (r == 0)
		r = words_end(words, fault);
	if (r == 0 && (!*id || !*secret))
		r = wrong(fault, "\"credentials\" wants id= and secret=");
	if (r < 0 || !world)
		return r;
	memcpy(world->auth.client_id, id, sizeof(id));
	memcpy(world->auth.client_secret, secret, sizeof(secret));
	return 0;
}

/* --- behaviour of the steps --- */

static int do_latency(struct world *world, struct words *words, struct fault *fault)
{
	static const char *const names[STAGE_COUNT] = { "login", "fetch", "update", "trigger" };
	const char *text = words_next(words);
	usec_t wait, jitter = 0;
	unsigned stages = 0;
	if (!text || duration_parse(text, &wait) < 0)
		return wrong(fault, "\"latency\" wants a duration (20ms, 1s)");
	for (unsigned i = 0; i < STAGE_COUNT; i++)
		if (words_accept(words, names[i]))
			stages = 1U << i;
	if (stages == 0) {
		words_accept(words, "any");
		stages = (1U << STAGE_COUNT) - 1;
	}
	int r = words_duration(words, "jitter", &jitter, fault);
	if (r == 0)
		r = words_end(words, fault);
	for (unsigned i = 0; i < STAGE_COUNT && r == 0 && world; i++)
		if (stages & 1U << i) {
			world->settings.latency[i] = wait;
			world->settings.jitter[i] = jitter;
		}
	return r;
}

static int do_idempotency(struct world *world, struct words *words, struct fault *fault)
{
	const bool ignored = words_accept(words, "ignored");
	if (!ignored && !words_accept(words, "honoured"))
		return wrong(fault, "\"idempotency\" wants honoured or ignored");
	const int r = words_end(words, fault);
	if (r == 0 && world)
		world->settings.keys_ignored = ignored;
	return r;
}

static int do_flow(struct world *world, struct words *words, struct fault *fault)
{
	const char *status = NULL, *media = NULL, *session = NULL;
	int r = take_word(words, "status", &status, fault);
	if (r == 0)
		r = take_word(words, "media", &media, fault);
	if (r == 0)
		r = take_word(words, "session", &session, fault);
	if (r == 0)
		r = words_end(words, fault);
	if (r < 0 || !world)
		return r;
	if (status)
		session_set_word(world->settings.flow_status, status);
	if (media)
		session_set_word(world->settings.flow_media, media);
	if (session)
		session_set_word(world->settings.flow_session, session);
	return 0;
}

static int do_transfer(struct world *world, struct words *words, struct fault *fault)
{
	const char *status = NULL, *session = NULL;
	int r = take_word(words, "status", &status, fault);
	if (r == 0)
		r = take_word(words, "session", &session, fault);
	if (r == 0)
		r = words_end(words, fault);
	if (r < 0 || !world)
		return r;
	if (status)
		session_set_word(world->settings.transfer_status, status);
	if (session)
		session_set_word(world->settings.transfer_session, session);
	return 0;
}

static int do_clock(struct world *world, struct words *words, struct fault *fault)
{
	const char *skew = words_option(words, "skew");
	usec_t length;
	if (!skew)
		return wrong(fault, "\"clock\" wants skew=DURATION, or skew=-DURATION");
	const bool behind = *skew == '-';
	if (duration_parse(skew + behind, &length) < 0)
		return wrong(fault, "\"clock\" wants skew=DURATION, or skew=-DURATION");
	const int r = words_end(words, fault);
	if (r == 0 && world)
		world->settings.clock_skew = behind ? -length : length;
	return r;
}

/* --- rules and book --- */

static int do_on(struct world *world, struct words *words, struct fault *fault)
{
	struct rule *rule = rule_parse(words, fault);
	if (!rule)
		return -EINVAL;
	if (!world) {
		rule_unref(rule);
		return 0;
	}
	if (rules_add(&world->rules, rule) == 0)
		return 0;
	rule_unref(rule);
	return fault_set(fault, -E2BIG, FAULT_PERMANENT,
			 "more than %d rules: clear them (rules clear), or let each match more", RULES_MAX);
}

static int do_rules(struct world *world, struct words *words, struct fault *fault)
{
	if (!words_accept(words, "clear"))
		return wrong(fault, "\"rules\" wants clear");
	const int r = words_end(words, fault);
	if (r == 0 && world)
		rules_clear(&world->rules);
	return r;
}

static int do_book(struct world *world, struct words *words, struct fault *fault)
{
	static const char *const names[BOOK_MODES] = { "off", "totals", "full" };
	size_t mode = 0;
	while (mode < BOOK_MODES && !words_accept(words, names[mode]))
		mode++;
	if (mode == BOOK_MODES)
		return wrong(fault, "\"book\" wants off, totals or full");
	const int r = words_end(words, fault);
	if (r == 0 && world)
		world->book.mode = (enum book_mode)mode;
	return r;
}

/* --- lines --- */

static const struct {
	const char *name;
	command_fn *run;
} commands[] = {
	{ "session", do_session }, { "sessions", do_sessions },
	{ "lock", do_lock },       { "limit", do_limit },
	{ "token", do_token },     { "credentials", do_credentials },
	{ "latency", do_latency }, { "idempotency", do_idempotency },
	{ "flow", do_flow },       { "transfer", do_transfer },
	{ "clock", do_clock },     { "on", do_on },
	{ "rules", do_rules },     { "book", do_book },
};

static int run_line(struct world *world, struct span line, struct fault *fault)
{
	struct words words;
	int r = words_cut(&words, line, fault);
	if (r == 0 && words.count > 0) {
		const char *name = words_next(&words);
		size_t i = 0;
		while (i < ARRAY_SIZE(commands) && name && strcmp(commands[i].name, name) != 0)
			i++;
		if (!name || i == ARRAY_SIZE(commands))
			r = fault_set(fault, -EINVAL, FAULT_PERMANENT,
				      "\"%s\" is no script line; handoff-sandbox(1) lists them", name ? name : "=");
		else
			r = commands[i].run(world, &words, fault);
	}
	words_fini(&words);
	return r;
}

static int run_lines(struct world *world, const char *name, struct span text, struct fault *fault)
{
	unsigned number = 1;
	for (const char *p = text.p, *end = text.p + text.n; p < end; number++) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));
		const char *line_end = newline ? newline : end;
		struct fault reason = { .message = "" };
		const int r = run_line(world, (struct span){ p, (size_t)(line_end - p) }, &reason);
		if (r < 0)
			return fault_set(fault, r, reason.kind, "%s:%u: %.200s", name, number, reason.message);
		p = line_end + 1;
	}
	return 0;
}

int script_apply(struct world *world, const char *name, struct span text, struct fault *fault)
{
	const int r = run_lines(NULL, name, text, fault);
	return r < 0 ? r : run_lines(world, name, text, fault);
}

int script_apply_file(struct world *world, const char *path, struct fault *fault)
{
	FILE *file = fopen(path, "re");
	char *text = malloc(SCRIPT_MAX + 1);
	int r;
	if (!file) {
		r = fault_set(fault, -errno, FAULT_PERMANENT, "cannot read %s: %s", path, strerror(errno));
	} else if (!text) {
		r = out_of_memory(fault);
	} else {
		const size_t n = fread(text, 1, SCRIPT_MAX + 1, file);
		if (ferror(file))
			r = fault_set(fault, -EIO, FAULT_PERMANENT, "cannot read %s: %s", path, strerror(errno));
		else if (n > SCRIPT_MAX)
			r = fault_set(fault, -E2BIG, FAULT_PERMANENT, "%s is longer than %d bytes", path, SCRIPT_MAX);
		else
			r = script_apply(world, path, (struct span){ text, n }, fault);
	}
	if (file)
		fclose(file);
	free(text);
	return r;
}
