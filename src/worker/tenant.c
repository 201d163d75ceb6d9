#include "worker/tenant.h"

#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "rules/retry_after.h"
#include "worker/cognigy.h"

#define GATE_BASE_MS 1000
#define GATE_MAX_MS  60000
#define RAMP_BEGIN   2
#define LOGIN_TIME   (1 * USEC_PER_SEC) /* that a login may take, before the tenant counts as closed */
/* Two calls are still to be made for each that was begun, at most: ten seconds. */
#define BOOKED_SECONDS 5

static void note_login(const struct tenant *t, const char *result)
{
	const char *const labels[] = { tenant_name(t), result };
	metric_add(metrics_series(t->metrics, METRIC_TOKEN_LOGINS, labels), 1);
}

static void say_breaker(const struct tenant *t, enum breaker_state before, const char *why)
{
	const struct log_subject subject = { .tenant = tenant_name(t), .partition = -1, .offset = -1 };
	if (t->breaker.state == BREAKER_OPEN && before == BREAKER_CLOSED)
		log_write(LOG_WARN, &subject, "circuit breaker opened: %s", why);
	else if (t->breaker.state == BREAKER_CLOSED && before != BREAKER_CLOSED)
		log_write(LOG_INFO, &subject, "circuit breaker closed");
}

/* An answer closes the breaker. Behind one that was open stands a backlog, which does not come down on the tenant at
 * once: the next answers let in one more each, so that what is open doubles with every round. */
static void hear_answer(struct tenant *t, bool of_health)
{
	if (t->breaker.state != BREAKER_CLOSED)
		t->ramp = http_in_flight(t->http) + RAMP_BEGIN;
	else if (t->ramp > 0 && of_health)
		t->ramp++;
	if (t->ramp >= (size_t)t->settings->max_in_flight)
		t->ramp = 0;
	breaker_succeeded(&t->breaker);
}

/* A login that fails in any way but by a rate limit is a dependency that is down. One that succeeds closes nothing: a
 * real request has to. But where only logins have failed and nobody waits, there is nothing left to be tried. */
static void judge_login(struct tenant *t, bool ok, const struct fault *fault, usec_t now)
{
	const bool was_closed = t->breaker.state == BREAKER_CLOSED;
	if (!ok && fault->kind != FAULT_RATE_LIMITED)
		breaker_failed(&t->breaker, BREAKER_NO_CALL, now);
	if (was_closed)
		t->opened_by_login = t->breaker.state == BREAKER_OPEN;
	if (ok && t->opened_by_login && roster_waiting(t->roster) == 0 && !heap_top(&t->held))
		hear_answer(t, true);
}

static void on_login(void *arg, bool ok, const struct fault *fault, usec_t now)
{
	struct tenant *t = arg;
	const enum breaker_state before = t->breaker.state;
	const struct log_subject subject = { .tenant = tenant_name(t), .partition = -1, .offset = -1 };
	note_login(t, ok ? "ok" : fault_name(fault->kind));
	if (!ok && fault->kind == FAULT_RATE_LIMITED)
		gate_close(&t->gate, now + token_cache_wait(t->token, now), now);
	judge_login(t, ok, fault, now);
	if (ok && t->login_said)
		log_write(LOG_INFO, &subject, "logged in again");
	else if (ok)
		log_write(LOG_DEBUG, &subject, "logged in");
	else if (!t->login_said)
		log_write(LOG_WARN, &subject, "%s; handoffs wait, trying again", fault->message);
	t->login_said = !ok;
	say_breaker(t, before, "the login fails again and again");
}

int tenant_init(struct tenant *t, const struct settings_tenant *settings, struct loop *loop, struct metrics *metrics,
		usec_t now, struct fault *fault)
{
	*t = (struct tenant){ .settings = settings, .metrics = metrics, .had_token_at = now };
	heap_init(&t->held);
	line_init(&t->line);
	gate_init(&t->gate);
	breaker_init(&t->breaker, (int32_t)settings->breaker_failures, settings->breaker_open_ms * USEC_PER_MSEC);
	limiter_init(&t->limiter, settings->requests_per_second <= 0, now);
	concurrency_init(&t->concurrency, settings->max_in_flight, !settings->adaptive_concurrency);
	/* One more for the login. */
	const struct http_options options = cognigy_http_options(settings, (size_t)settings->max_in_flight + 1);
	t->http = http_new(loop, &options, fault);
	if (!t->http)
		return -EINVAL;
	t->roster = roster_new();
	t->token = token_cache_new(t->http, settings, on_login, t);
	if (!t->roster || !t->token)
		return fault_set(fault, -ENOMEM, FAULT_OURS, "out of memory");
	return 0;
}

void tenant_fini(struct tenant *t)
{
	t->token = token_cache_free(t->token);
	t->roster = roster_free(t->roster);
	t->http = http_free(t->http);
	heap_fini(&t->held);
	line_fini(&t->line);
}

static bool has_token(const struct tenant *t, usec_t now)
{
	uint64_t serial;
	return token_cache_header(t->token, now, &serial) != NULL;
}

void tenant_run(struct tenant *t, const struct instant *now)
{
	http_run(t->http, now->mono);
	const size_t open = http_in_flight(t->http);
	token_cache_run(t->token, now);
	if (has_token(t, now->mono))
		t->had_token_at = now->mono;
	if (http_in_flight(t->http) > open) /* a login counts as any call, but waits for nobody */
		tenant_called(t, now->mono);
}

usec_t tenant_wait(const struct tenant *t, usec_t now)
{
	const usec_t http = http_wait(t->http, now);
	const usec_t token = token_cache_wait(t->token, now);
	return http < token ? http : token;
}

static usec_t later(usec_t a, usec_t b)
{
	return a > b ? a : b;
}

bool tenant_may_call(const struct tenant *t, usec_t now)
{
	return has_token(t, now) && !gate_is_closed(&t->gate, now) && t->breaker.state != BREAKER_OPEN;
}

/* While it recovers from an outage, fewer handoffs may have a call open than calls. */
static bool is_ramping(const struct tenant *t)
{
	return t->ramp > 0 && http_in_flight(t->http) >= t->ramp;
}

bool tenant_may_begin(const struct tenant *t, usec_t now)
{
	return has_token(t, now) && !gate_is_closed(&t->gate, now) && breaker_allows(&t->breaker, now) &&
	       !is_ramping(t);
}

bool tenant_is_booked_up(const struct tenant *t, usec_t now)
{
	const double limit = limiter_rate(&t->limiter, now);
	double rate = t->gate.rate;
	if (!t->limiter.unlimited && (rate <= 0 || limit < rate))
		rate = limit;
	const size_t begun = roster_running(t->roster);
	return rate > 0 && begun > 0 && (double)begun >= rate * BOOKED_SECONDS;
}

usec_t tenant_room_at(const struct tenant *t, usec_t now)
{
	if (http_in_flight(t->http) >= (size_t)concurrency_limit(&t->concurrency))
		return USEC_NEVER;
	return later(gate_ready_at(&t->gate), limiter_ready_at(&t->limiter, now));
}

void tenant_called(struct tenant *t, usec_t now)
{
	limiter_take(&t->limiter, now);
	gate_called(&t->gate, now);
	concurrency_started(&t->concurrency, (int64_t)http_in_flight(t->http));
}

usec_t tenant_ready_at(const struct tenant *t, usec_t now)
{
	const usec_t room = tenant_room_at(t, now);
	if (!has_token(t, now))
		return USEC_NEVER;
	if (line_count(&t->line) > 0)
		return room;
	if (is_ramping(t) || (!heap_top(&t->held) && tenant_is_booked_up(t, now)))
		return USEC_NEVER;
	return later(room, breaker_ready_at(&t->breaker));
}

usec_t tenant_closed_until(const struct tenant *t, usec_t now)
{
	const usec_t token = token_cache_earliest(t->token, now);
	const usec_t gate = gate_is_closed(&t->gate, now) ? t->gate.opens_at : now;
	return token > gate ? token : gate;
}

usec_t tenant_opens_at(const struct tenant *t, usec_t now)
{
	const usec_t gate = gate_is_closed(&t->gate, now) ? t->gate.opens_at : now;
	const usec_t breaker = t->breaker.state == BREAKER_OPEN ? t->breaker.retry_at : now;
	const usec_t token = now - t->had_token_at >= LOGIN_TIME ? now + t->breaker.open_for : now;
	return later(later(gate, breaker), token);
}

static void hear_rate_limit(struct tenant *t, const struct reply *reply, const struct instant *now)
{
	int64_t wait = reply->retry_after_ms;
	if (wait < 0)
		wait = back_off_ms(GATE_BASE_MS, GATE_MAX_MS, t->gate.failures + 1, 0);
	gate_close(&t->gate, now->mono + wait * USEC_PER_MSEC, now->mono);
}

/* What a call's end says of how many may be open. */
static void hear_load(struct tenant *t, const struct reply *reply)
{
	const bool is_overload = reply->http_status == 503 || reply->http_status == 504 ||
				 (reply->kind == FAULT_AMBIGUOUS && reply->http_status == 0);
	if (reply->kind == FAULT_NONE)
		concurrency_succeeded(&t->concurrency);
	else if (is_overload)
		concurrency_overloaded(&t->concurrency, (int64_t)http_in_flight(t->http));
	else
		concurrency_ended(&t->concurrency);
}

void tenant_hear(struct tenant *t, const struct reply *reply, const struct tenant_call *call, const struct instant *now)
{
	const enum breaker_state before = t->breaker.state;
	char why[64];
	hear_load(t, reply);
	switch (reply->kind) {
	case FAULT_DEPENDENCY_DOWN:
		breaker_failed(&t->breaker, call->began, now->mono);
		break;
	case FAULT_AUTH:
		token_cache_refuse(t->token, call->token);
		/* A token that was revoked is refused to every call in flight: only the second refusal means us. */
		if (call->is_first_refusal)
			breaker_undecided(&t->breaker, call->began, now->mono);
		else
			breaker_failed(&t->breaker, call->began, now->mono);
		break;
	case FAULT_RATE_LIMITED:
		hear_rate_limit(t, reply, now);
		breaker_undecided(&t->breaker, call->began, now->mono);
		break;
	case FAULT_NONE:
		gate_succeeded(&t->gate, now->mono);
		hear_answer(t, true);
		break;
	default: /* somebody answered, or may have */
		if (reply->http_status != 0)
			hear_answer(t, reply->kind != FAULT_SERVER);
		else
			breaker_undecided(&t->breaker, call->began, now->mono);
		break;
	}
	if (t->breaker.state == before)
		return;
	snprintf(why, sizeof(why), "the %s call failed (%s)", stage_name(reply->stage), fault_name(reply->kind));
	say_breaker(t, before, why);
}

const char *tenant_obstacle(const struct tenant *t, usec_t now)
{
	if (has_token(t, now))
		return t->breaker.state == BREAKER_CLOSED ? NULL : "the circuit breaker is open";
	return token_cache_trouble(t->token)->message[0] ? token_cache_trouble(t->token)->message : "no token yet";
}
