#include "sim/plan.h"

#include <stdio.h>

#include "sim/agenda.h"
#include "sim/chance.h"
#include "sim/trace.h"

/* None in most histories, else up to `most`. */
static int some(int permille, int most)
{
	return chance_hits(permille) ? (int)chance_between(1, most) : 0;
}

static void draw_troubles(struct troubles *t)
{
	*t = (struct troubles){
		.locked = some(300, 300),
		.rate_limited = some(300, 150),
		.server_error = some(300, 300),
		.time_out = some(300, 200),
		.cut = some(300, 200),
		.refused = some(250, 300),
		.token_gone = some(150, 60),
		.forbidden = some(100, 60),
		.garbage = some(150, 100),
		.odd_status = some(150, 80),
		.batch_aborted = some(300, 300),
		.batch_unknown = some(300, 200),
		.batch_fatal = some(200, 100),
		.too_large = some(100, 300),
	};
}

static void draw_disturbances(struct plan *p)
{
	p->crashes = some(450, 4);
	p->freezes = some(300, 3);
	p->stops = some(300, 3);
	p->losses = some(250, 3);
	p->rebalances = some(400, 5);
	p->broker_outages = some(200, 2);
	p->tenant_outages = some(200, 2);
	p->wall_steps = some(100, 2);
	p->misfits = some(60, 1);
	p->invalid = some(200, 100);
	p->cancels = some(300, 250);
	p->twins = some(300, 200);
	p->replays = some(100, 100);
	p->aborted_records = some(250, 200);
	p->gaps = some(250, 200);
	p->expiring = some(300, 500);
}

static void draw_sizes(struct plan *p)
{
	p->slots = (int)chance_between(1, SLOTS_MAX);
	p->partitions = (int)chance_between(1, PARTITIONS_MAX);
	p->lanes = chance_hits(300) ? 2 : 1;
	p->tenants = chance_hits(200) ? 2 : 1;
	p->sessions = (int)chance_between(1, SESSIONS_MAX);
	p->requests = (int)chance_between(1, chance_hits(100) ? 80 : 25);
	p->horizon = chance_between(10, 60) * USEC_PER_SEC;
	p->padding = chance_hits(50) ? (int)chance_between(20000, 60000) : 0;
	p->latency_ms = chance_hits(300) ? chance_between(100, 8000) : chance_between(1, 100);
}

static void draw_tenant(struct settings_tenant *t, int number, bool with_marker)
{
	static const char *const names[TENANTS_MAX] = { "default", "other" };
	*t = (struct settings_tenant){
		.name = names[number],
		.base_url = "http://cognigy/api/v1",
		.endpoint_url = "",
		.token_url = "",
		.update_path = "",
		.scope = "",
		.client_id = "me",
		.client_secret = "secret",
		.client_secret_file = "",
		.login_timeout_ms = 10000,
		.fetch_timeout_ms = 10000,
		.update_timeout_ms = 15000,
		.trigger_timeout_ms = 15000,
		.connect_timeout_ms = 3000,
		.login_path = "/auth/login",
		.session_path = "/session/{sessionId}",
		.flow_path = "/flow",
		.intent = "i",
		.text = "t",
		.preserve_media_stream = true,
		.marker_variable = with_marker ? "handoffdId" : "",
		.retrigger_keyed = chance_hits(600),
		.max_body_bytes = 1 << 20,
		.max_in_flight = chance_hits(300) ? chance_between(1, 4) : 256,
		.adaptive_concurrency = chance_hits(500),
		.requests_per_second = chance_hits(150) ? (double)chance_between(2, 50) : 0,
		.burst = chance_between(0, 10),
		.breaker_failures = chance_between(1, 6),
		.breaker_open_ms = chance_between(200, 5000),
	};
}

/* Today's Cognigy.AI: another API, and nothing but its own credentials. */
static void make_vendor(struct settings_tenant *t)
{
	static const enum credential_kind kinds[] = { CREDENTIAL_API_KEY, CREDENTIAL_BEARER, CREDENTIAL_OAUTH2,
						      CREDENTIAL_OAUTH2_BASIC };
	const bool is_deprecated = chance_hits(200);
	t->profile = PROFILE_COGNIGY_AI;
	t->auth = kinds[chance_between(0, 3)];
	t->base_url = "http://api";
	t->token_url = "http://api/oauth2/token";
	t->endpoint_url = is_deprecated ? "" : "http://endpoint";
	t->session_path = "/v2.0/conversations/{sessionId}";
	t->update_path = "/v2.0/sessions/{sessionId}/context/inject";
	t->flow_path = is_deprecated ? "/v2.0/endpoint/inject" : "/inject/{urlToken}";
	t->marker_variable = "handoffdId";
	t->retrigger_keyed = false;
}

static void draw_settings(struct plan *p)
{
	static const char *redact[] = { "userId" };
	static const char *requests[LANES_MAX] = { "requests", "backfill" };
	p->settings = (struct settings){
		.kafka = { .brokers = "b",
			   .group = "g",
			   .requests = { requests, (size_t)p->lanes },
			   .retry = "retry",
			   .outcomes = "outcomes",
			   .dead_letters = "dlq",
			   .exactly_once = chance_hits(750),
			   .commit_interval_ms = chance_between(5, 200) },
		.tenant_count = (size_t)p->tenants,
		.retry = { .base_delay_ms = chance_between(100, 1000),
			   .max_delay_ms = chance_between(1000, 20000),
			   .locked_delay_ms = chance_between(100, 3000),
			   .max_age_ms = chance_between(20, 120) * 1000,
			   .budgets = { chance_between(1, 20), chance_between(1, 20), chance_between(1, 4),
					chance_between(1, 5) } },
		.worker = { .drain_ms = 20000,
			    .revoke_ms = chance_between(100, 5000),
			    .window = chance_hits(400) ? chance_between(1, 6) : 1000,
			    .memory_mb = p->padding > 0 ? 1 : 256,
			    .max_record_bytes = 524288 },
		.admin_listen = "127.0.0.1:9464",
		.redact = { redact, 1 },
	};
	/* What one twin does when the session tells it apart depends on the marker: off only now and then. */
	const bool with_marker = !chance_hits(80);
	for (int t = 0; t < p->tenants; t++)
		draw_tenant(&p->tenant_settings[t], t, with_marker);
	for (int t = 0; t < p->tenants; t++)
		if (chance_hits(250))
			make_vendor(&p->tenant_settings[t]);
}

static void tell(const struct plan *p)
{
	const struct settings *s = &p->settings;
	trace("plan",
	      "%d workers, %d partitions, %d lanes, %s, window %lld, budgets %lld %lld %lld %lld, %d records in %lld s",
	      p->slots, p->partitions, p->lanes, s->kafka.exactly_once ? "exactly once" : "at least once",
	      (long long)s->worker.window, (long long)s->retry.budgets[0], (long long)s->retry.budgets[1],
	      (long long)s->retry.budgets[2], (long long)s->retry.budgets[3], p->requests,
	      (long long)(p->horizon / USEC_PER_SEC));
	for (int t = 0; t < p->tenants; t++)
		trace("plan",
		      "tenant %s: %s, retrigger %s, marker `%s`, %lld in flight, %.0f/s, breaker %lld for %lld ms",
		      p->tenant_settings[t].name,
		      p->tenant_settings[t].profile == PROFILE_COGNIGY_AI ? "cognigy-ai" : "seed-v1",
		      p->tenant_settings[t].retrigger_keyed ? "keyed" : "never", p->tenant_settings[t].marker_variable,
		      (long long)p->tenant_settings[t].max_in_flight, p->tenant_settings[t].requests_per_second,
		      (long long)p->tenant_settings[t].breaker_failures,
		      (long long)p->tenant_settings[t].breaker_open_ms);
}

void plan_draw(struct plan *p)
{
	*p = (struct plan){ .slots = 0 };
	draw_sizes(p);
	draw_troubles(&p->troubles);
	draw_disturbances(p);
	draw_settings(p);
	tell(p);
}
