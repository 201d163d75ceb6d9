/* figures - the worker's metrics as Prometheus wants to see them: counters are there before anything has happened (an
 * increase from nothing cannot be seen, and the first failure is the one that matters), gauges are read off when
 * somebody looks */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "worker/survey.h"

/* Of the room for outcomes' series, what tenants may take before any of them has one. */
#define OUTCOMES_AT_FIRST (METRICS_SERIES_MAX / 2)

static void begin(struct worker *w, enum metric metric, const char *first, const char *second, const char *third)
{
	const char *const labels[] = { first, second, third };
	(void)metrics_series(w->metrics, metric, labels);
}

static void begin_tenant(struct worker *w, const char *name)
{
	for (size_t r = 0; r < REASON_COUNT && w->tenant_count * REASON_COUNT <= OUTCOMES_AT_FIRST; r++)
		begin(w, METRIC_OUTCOMES, name, status_name(reason_status((enum reason)r)),
		      reason_name((enum reason)r));
	for (size_t s = STAGE_FETCH; s < STAGE_COUNT; s++)
		begin(w, METRIC_UPSTREAM_REQUESTS, name, stage_name((enum stage)s), "200");
	begin(w, METRIC_TOKEN_LOGINS, name, "ok", NULL);
	begin(w, METRIC_TOKEN_LOGINS, name, fault_name(FAULT_AUTH), NULL);
	begin(w, METRIC_TOKEN_LOGINS, name, fault_name(FAULT_DEPENDENCY_DOWN), NULL);
	begin(w, METRIC_RATE_LIMIT_SHARE, name, NULL, NULL);
}

void figures_begin(struct worker *w)
{
	static const enum reason retried[] = { REASON_LOCKED, REASON_RATE_LIMITED, REASON_SERVER_ERROR,
					       REASON_TIMEOUT };
	static const char *const verdicts[] = { "committed", "aborted", "lost", "fenced", "unknown" };
	const struct settings_kafka *kafka = &w->settings->kafka;
	for (size_t i = 0; i < w->tenant_count; i++)
		begin_tenant(w, tenant_name(&w->tenants[i]));
	for (size_t i = 0; i < kafka->requests.count; i++) {
		begin(w, METRIC_REQUESTS, kafka->requests.items[i], NULL, NULL);
		begin(w, METRIC_RECORDS_LOST, kafka->requests.items[i], NULL, NULL);
	}
	begin(w, METRIC_RECORDS_LOST, kafka->retry, NULL, NULL);
	for (size_t s = STAGE_FETCH; s < STAGE_COUNT; s++)
		begin(w, METRIC_UPSTREAM_SECONDS, stage_name((enum stage)s), NULL, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(retried); i++)
		begin(w, METRIC_RETRIES, reason_name(retried[i]), NULL, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++)
		begin(w, METRIC_TRANSACTIONS, verdicts[i], NULL, NULL);
}

static void take_partitions(struct worker *w)
{
	for (size_t i = 0; i < w->partition_count; i++) {
		char number[16];
		snprintf(number, sizeof(number), "%d", w->partitions[i]->number);
		const char *const labels[] = { w->partitions[i]->topic, number };
		metric_set(metrics_series(w->metrics, METRIC_CONSUMER_LAG, labels), (double)survey_lag(w, i));
	}
}

static void take_tenants(struct worker *w)
{
	for (size_t i = 0; i < w->tenant_count; i++) {
		const struct tenant *t = &w->tenants[i];
		const char *const labels[] = { tenant_name(t) };
		metric_set(metrics_series(w->metrics, METRIC_BREAKER_STATE, labels), (double)t->breaker.state);
		metric_set(metrics_series(w->metrics, METRIC_GATE_CLOSED, labels),
			   gate_is_closed(&t->gate, w->now.mono));
		metric_set(metrics_series(w->metrics, METRIC_GATE_PACE, labels), t->gate.rate);
		metric_set(metrics_series(w->metrics, METRIC_CONCURRENCY_LIMIT, labels),
			   (double)concurrency_limit(&t->concurrency));
	}
}

void figures_take(struct worker *w)
{
	struct survey survey;
	struct tenant_survey *tenants = calloc(w->tenant_count, sizeof(*tenants));
	if (!tenants)
		return;
	survey_take(w, tenants, &survey);
	free(tenants);
	take_partitions(w);
	take_tenants(w);
	metric_set(metrics_plain(w->metrics, METRIC_WAITING), (double)survey.waiting);
	metric_set(metrics_plain(w->metrics, METRIC_IN_FLIGHT), (double)survey.in_flight);
	metric_set(metrics_plain(w->metrics, METRIC_PARKED), (double)survey.parked);
	metric_set(metrics_plain(w->metrics, METRIC_OLDEST_INCOMPLETE_SECONDS), (double)survey.incomplete_ms / 1000.0);
	metric_set(metrics_plain(w->metrics, METRIC_LOG_LINES_DROPPED), (double)log_dropped());
}
