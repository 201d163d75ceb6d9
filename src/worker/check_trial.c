#include "worker/check_trial.h"

#include <stdio.h>

#include "rules/retry_after.h"
#include "worker/cognigy.h"

/* No call but the login takes longer, whatever the settings allow. */
#define FETCH_TIME    (10 * USEC_PER_SEC)
#define STRANGER_TIME (5 * USEC_PER_SEC)
#define MARGIN        USEC_PER_SEC

/* Nobody's session, spelled so that whoever reads the tenant's logs knows what it was. */
static struct request nobody = { .session_id = (char[]){ "handoffd-check" },
				 .queue_id = (char[]){ "00000000-0000-0000-0000-000000000000" },
				 .user_id = (char[]){ "handoffd-check" },
				 .url_token = (char[]){ "handoffd-check" },
				 .handoff_id = (char[]){ "handoffd-check" } };
static const struct history no_history;

/* ---- calls ---- */

static void on_login(void *arg, bool ok, const struct fault *fault, usec_t now)
{
	struct check_trial *trial = arg;
	(void)now;
	trial->login_ended = true;
	trial->logged_in = ok;
	trial->login = ok ? (struct fault){ 0 } : *fault;
}

static void hear(struct check_trial *trial, enum check_call which, const struct http_reply *http)
{
	struct check_answer *answer = &trial->answers[which];
	const struct reply_facts facts = cognigy_facts(trial->settings, STAGE_FETCH, http);
	const struct session_reader reader = { .handoff_id = nobody.handoff_id,
					       .history = &no_history,
					       .queue_id = nobody.queue_id,
					       .marker_variable = trial->settings->marker_variable };
	const int64_t now_ms = clock_read().unix_ms;
	trial->calls[which] = NULL;
	answer->ended = true;
	answer->status = http->status;
	snprintf(answer->trouble, sizeof(answer->trouble), "%s", http->message);
	answer->dated = http_date_ahead(http->date, now_ms, &answer->ahead_ms);
	reply_read(&facts, &reader, now_ms, &answer->reply);
}

static void on_fetch(void *arg, const struct http_reply *http)
{
	hear(arg, CHECK_FETCH, http);
}

static void on_stranger(void *arg, const struct http_reply *http)
{
	hear(arg, CHECK_STRANGER, http);
}

static void on_endpoint(void *arg, const struct http_reply *http)
{
	hear(arg, CHECK_ENDPOINT, http);
}

static void asked(struct check_trial *trial, enum check_call which, struct http_call *call)
{
	struct check_answer *answer = &trial->answers[which];
	answer->asked = true;
	answer->ended = !call;
	snprintf(answer->trouble, sizeof(answer->trouble), "%s", call ? "no answer in time" : "out of memory");
	trial->calls[which] = call;
}

static void fetch(struct check_trial *trial, enum check_call which, const char *authorization, usec_t time)
{
	const struct buf no_body = { 0 };
	const struct cognigy_call call = {
		.stage = STAGE_FETCH,
		.filling = { .settings = trial->settings, .request = &nobody, .history = &no_history },
		.authorization = authorization,
		.time_left = time,
	};
	asked(trial, which,
	      cognigy_start(trial->http, &call, &no_body, which == CHECK_FETCH ? on_fetch : on_stranger, trial));
}

static void ask_endpoint(struct check_trial *trial)
{
	const usec_t own = trial->settings->fetch_timeout_ms * USEC_PER_MSEC;
	const struct http_request request = { .method = "GET",
					      .url = trial->settings->endpoint_url,
					      .timeout = own < FETCH_TIME ? own : FETCH_TIME };
	asked(trial, CHECK_ENDPOINT, http_start(trial->http, &request, on_endpoint, trial));
}

/* ---- the story ---- */

void check_trial_begin(struct check_trial *trial, const struct settings_tenant *settings, struct loop *loop)
{
	const struct http_options options = cognigy_http_options(settings, CHECK_CALLS);
	*trial = (struct check_trial){ .settings = settings };
	trial->http = http_new(loop, &options, &trial->login);
	trial->token = trial->http ? token_cache_new(trial->http, settings, on_login, trial) : NULL;
	trial->login_ended = !trial->token;
	if (trial->http && !trial->token)
		fault_set(&trial->login, 0, FAULT_OURS, "out of memory");
	else if (trial->http && settings->endpoint_url[0])
		ask_endpoint(trial);
}

/* Whether the credential matters is only asked where it was not refused. */
static bool is_welcome(const struct check_answer *answer)
{
	return answer->ended && answer->status != 0 &&
	       (answer->reply.kind == FAULT_NONE || answer->reply.reason == REASON_NOT_FOUND);
}

/* Begins what can be. */
static void go_on(struct check_trial *trial, const struct instant *now)
{
	uint64_t serial;
	if (!trial->login_ended)
		token_cache_run(trial->token, now);
	if (trial->logged_in && !trial->answers[CHECK_FETCH].asked)
		fetch(trial, CHECK_FETCH, token_cache_header(trial->token, now->mono, &serial), FETCH_TIME);
	if (is_welcome(&trial->answers[CHECK_FETCH]) && !trial->answers[CHECK_STRANGER].asked)
		fetch(trial, CHECK_STRANGER, NULL, STRANGER_TIME);
}

bool check_trial_turn(struct check_trial *trial, const struct instant *now, usec_t *wait)
{
	if (!trial->http)
		return false;
	http_run(trial->http, now->mono);
	go_on(trial, now);
	bool open = !trial->login_ended;
	for (size_t i = 0; i < CHECK_CALLS; i++)
		open = open || trial->calls[i];
	const usec_t own = http_wait(trial->http, now->mono);
	*wait = own < *wait ? own : *wait;
	return open;
}

usec_t check_trial_time(const struct settings_tenant *settings)
{
	return settings->login_timeout_ms * USEC_PER_MSEC + FETCH_TIME + STRANGER_TIME + MARGIN;
}

void check_trial_end(struct check_trial *trial)
{
	for (size_t i = 0; i < CHECK_CALLS; i++)
		if (trial->calls[i])
			http_cancel(trial->http, trial->calls[i]);
	token_cache_free(trial->token);
	http_free(trial->http);
}
