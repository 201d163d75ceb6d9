/*
 * metrics - the worker's figures, as Prometheus text
 *
 * One table names every metric with its kind, help and label names (contract, section 5); every name is there from the
 * start (those with labels as # HELP and # TYPE, until a series is asked for), label sets are bounded
 * (METRICS_SERIES_MAX a metric; what is beyond counts under the label value "other", and so does what is no UTF-8 or
 * over 256 bytes). One thread. Pure apart from its allocations: gauges are set by whoever knows them just before
 * metrics_write().
 */
#ifndef HANDOFF_METRICS_H
#define HANDOFF_METRICS_H

#include <stdint.h>

#include "base/buf.h"
#include "handoff/macros.h"

#define METRICS_SERIES_MAX 5000

enum metric {
	METRIC_REQUESTS,        /* {topic} */
	METRIC_OUTCOMES,        /* {tenant,status,reason} */
	METRIC_HANDOFF_SECONDS, /* histogram */
	METRIC_IN_FLIGHT,
	METRIC_WAITING,
	METRIC_PARKED,
	METRIC_UPSTREAM_REQUESTS,      /* {tenant,stage,code} */
	METRIC_UPSTREAM_SECONDS,       /* histogram {stage} */
	METRIC_RETRIES,                /* {reason} */
	METRIC_RETRY_AFTER_SECONDS,    /* histogram */
	METRIC_RETRY_LATENESS_SECONDS, /* histogram */
	METRIC_SPILLS,
	METRIC_TOKEN_LOGINS,      /* {tenant,result} */
	METRIC_BREAKER_STATE,     /* {tenant} */
	METRIC_GATE_CLOSED,       /* {tenant} */
	METRIC_RATE_LIMIT_SHARE,  /* {tenant} */
	METRIC_GATE_PACE,         /* {tenant} */
	METRIC_CONCURRENCY_LIMIT, /* {tenant} */
	METRIC_UNKNOWN_SESSION_STATUS,
	METRIC_OLDEST_INCOMPLETE_SECONDS,
	METRIC_CONSUMER_LAG, /* {topic,partition} */
	METRIC_RECORDS_LOST, /* {topic} */
	METRIC_REBALANCES,
	METRIC_TRANSACTIONS, /* {result} */
	METRIC_BUILD_INFO,   /* {version} */
	METRIC_LOG_LINES_DROPPED,
	METRIC_COUNT
};

struct metrics;
struct metric_series; /* one metric with one set of label values; lives as long as the metrics */

struct metrics *metrics_new(void) MUST_CHECK;
struct metrics *metrics_free(struct metrics *metrics);

/* The series for these label values (as many as the metric has labels, NULL-terminated list not needed). Look it up
 * once and keep it where it is hot. Never NULL: when out of memory or room, the series of "other". */
struct metric_series *metrics_series(struct metrics *metrics, enum metric metric, const char *const *label_values);
/* The series of a metric without labels. */
struct metric_series *metrics_plain(struct metrics *metrics, enum metric metric);
/* Forgets all series of a metric (partitions that were given back). Pointers to them are void then, except the one of a
 * metric without labels, which is 0 again. */
void metrics_clear(struct metrics *metrics, enum metric metric);

/* Counters ignore what is negative. */
void metric_add(struct metric_series *series, double value);
/* For gauges, and counters that somebody else counts. */
void metric_set(struct metric_series *series, double value);
/* For histograms. Negative values (clocks that differ) count as 0, NaN is ignored. */
void metric_observe(struct metric_series *series, double value);
double metric_value(const struct metric_series *series); /* a histogram's: the count */

/* Prometheus text format 0.0.4, # HELP and # TYPE for every metric, in the table's order. */
void metrics_write(const struct metrics *metrics, struct buf *out);

#endif
