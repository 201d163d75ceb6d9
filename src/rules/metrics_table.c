#include "rules/metrics_table.h"

static const double handoff_bounds[] = { 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 900 };
static const double upstream_bounds[] = {
	0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30
};
static const double retry_after_bounds[] = { 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600 };
static const double lateness_bounds[] = { 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 15, 60 };

#define COUNTER(called, says) .name = (called), .kind = METRIC_COUNTER, .help = (says)
#define GAUGE(called, says)   .name = (called), .kind = METRIC_GAUGE, .help = (says)
#define HISTOGRAM(called, says, into)                                                                                  \
	.name = (called), .kind = METRIC_HISTOGRAM, .help = (says), .bounds = (into), .bound_count = ARRAY_SIZE(into)
#define LABELS(...) .labels = { __VA_ARGS__ }

const struct metric_entry metrics_table[METRIC_COUNT] = {
	[METRIC_REQUESTS] = { COUNTER("handoffd_requests_total", "Request records read."), LABELS("topic") },
	[METRIC_OUTCOMES] = { COUNTER("handoffd_outcomes_total", "Terminal outcomes."),
			      LABELS("tenant", "status", "reason") },
	[METRIC_HANDOFF_SECONDS] = { HISTOGRAM("handoffd_handoff_seconds",
					       "From the request's time to its terminal outcome.", handoff_bounds) },
	[METRIC_IN_FLIGHT] = { GAUGE("handoffd_in_flight", "Handoffs running now.") },
	[METRIC_WAITING] = { GAUGE("handoffd_waiting", "Handoffs that wait for their turn.") },
	[METRIC_PARKED] = { GAUGE("handoffd_parked", "Retries that wait for their due time.") },
	[METRIC_UPSTREAM_REQUESTS] = { COUNTER("handoffd_upstream_requests_total",
					       "Calls to Cognigy, by step and HTTP status or failure."),
				       LABELS("tenant", "stage", "code") },
	[METRIC_UPSTREAM_SECONDS] = { HISTOGRAM("handoffd_upstream_seconds", "How long calls to Cognigy took.",
						upstream_bounds),
				      LABELS("stage") },
	[METRIC_RETRIES] = { COUNTER("handoffd_retries_total", "Records written to the retry topic."),
			     LABELS("reason") },
	[METRIC_RETRY_AFTER_SECONDS] = { HISTOGRAM("handoffd_retry_after_seconds", "Retry-After as asked by Cognigy.",
						   retry_after_bounds) },
	[METRIC_RETRY_LATENESS_SECONDS] = { HISTOGRAM("handoffd_retry_lateness_seconds",
						      "From a retry's due time to its dispatch.", lateness_bounds) },
	[METRIC_SPILLS] = { COUNTER("handoffd_spills_total",
				    "Parked records moved to the tail of the retry topic, unchanged.") },
	[METRIC_TOKEN_LOGINS] = { COUNTER("handoffd_token_logins_total", "Logins."), LABELS("tenant", "result") },
	[METRIC_BREAKER_STATE] = { GAUGE("handoffd_breaker_state",
					 "0 closed, 1 half open (one request tries), 2 open."),
				   LABELS("tenant") },
	[METRIC_GATE_CLOSED] = { GAUGE("handoffd_gate_closed", "1 while a 429 keeps the tenant's requests waiting."),
				 LABELS("tenant") },
	[METRIC_RATE_LIMIT_SHARE] = { GAUGE("handoffd_rate_limit_share",
					    "This worker's part of limits.requests_per_second."),
				      LABELS("tenant") },
	[METRIC_GATE_PACE] = { GAUGE("handoffd_gate_pace",
				     "Calls a second that the tenant was found to bear after a 429; 0: not paced."),
			       LABELS("tenant") },
	[METRIC_CONCURRENCY_LIMIT] = { GAUGE("handoffd_concurrency_limit",
					     "Calls of the tenant that may be open at a time."),
				       LABELS("tenant") },
	[METRIC_UNKNOWN_SESSION_STATUS] = { COUNTER("handoffd_unknown_session_status_total",
						    "Sessions whose status this version does not know.") },
	[METRIC_OLDEST_INCOMPLETE_SECONDS] = { GAUGE("handoffd_oldest_incomplete_seconds",
						     "Age of the oldest record that is not done, or 0.") },
	[METRIC_CONSUMER_LAG] = { GAUGE("handoffd_consumer_lag",
					"Offsets between the committed one and the partition's end."),
				  LABELS("topic", "partition") },
	[METRIC_RECORDS_LOST] = { COUNTER("handoffd_records_lost_total",
					  "Unread records that the topic's retention removed."),
				  LABELS("topic") },
	[METRIC_REBALANCES] = { COUNTER("handoffd_rebalances_total", "Assignments of partitions received.") },
	[METRIC_TRANSACTIONS] = { COUNTER("handoffd_transactions_total", "Kafka transactions by how they ended."),
				  LABELS("result") },
	[METRIC_BUILD_INFO] = { GAUGE("handoffd_build_info", "Always 1; the version is in the label."),
				LABELS("version") },
	[METRIC_LOG_LINES_DROPPED] = { COUNTER("handoffd_log_lines_dropped_total",
					       "Log lines dropped because the reader of stderr was slower.") },
};
