/* metrics: the text, read back by a checker that trusts nothing */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/metrics.h"
#include "torture.h"

/* ---- a tiny reader of the text format 0.0.4 ---- */

struct sample {
	char name[64];
	char labels[800]; /* `a="x",b="y"`, unescaped */
	double value;
};

struct family {
	char name[64];
	char kind[16];
	char help[200];
	size_t first, count; /* of the samples */
};

static struct family families[METRIC_COUNT + 1];
static size_t family_count;
static struct sample samples[2 * METRICS_SERIES_MAX];
static size_t sample_count;

/* A word of name characters; returns what is behind it. */
static const char *read_name(const char *p, char *name, size_t size)
{
	const size_t n = strspn(p, "abcdefghijklmnopqrstuvwxyz_");
	assert_in_range(n, 1, size - 1);
	snprintf(name, size, "%.*s", (int)n, p);
	return p + n;
}

static const char *expect(const char *p, const char *what)
{
	if (strncmp(p, what, strlen(what)) != 0)
		fail_msg("no '%s' at '%.40s'", what, p);
	return p + strlen(what);
}

/* `name="value"` up to the closing quote, escapes undone. */
static const char *read_label(const char *p, struct buf *out)
{
	char name[32];
	p = expect(read_name(p, name, sizeof(name)), "=\"");
	buf_add_format(out, "%s%s=\"", out->len > 0 ? "," : "", name);
	for (; *p != '"'; p++) {
		assert_true(*p != '\n' && *p != '\0');
		if (*p == '\\') {
			p++;
			assert_true(*p == '\\' || *p == '"' || *p == 'n');
			buf_add_char(out, (char)(*p == 'n' ? '\n' : *p));
		} else {
			buf_add_char(out, *p);
		}
	}
	buf_add_char(out, '"');
	return p + 1;
}

static double read_value(const char *p, const char **ret_end)
{
	char *end;
	const double value = strtod(p, &end);
	assert_true(end > p);
	*ret_end = expect(end, "\n");
	return value;
}

static const char *read_sample(const char *p)
{
	assert_true(sample_count < sizeof(samples) / sizeof(samples[0]));
	struct sample *s = &samples[sample_count++];
	struct buf labels;
	buf_init(&labels, sizeof(s->labels) - 1);
	p = read_name(p, s->name, sizeof(s->name));
	if (*p == '{') {
		do
			p = read_label(p + 1, &labels);
		while (*p == ',');
		p = expect(p, "}");
	}
	assert_true(buf_ok(&labels));
	snprintf(s->labels, sizeof(s->labels), "%s", buf_text(&labels));
	buf_fini(&labels);
	s->value = read_value(expect(p, " "), &p);
	return p;
}

static const char *read_head(const char *p)
{
	assert_true(family_count < METRIC_COUNT);
	struct family *f = &families[family_count++];
	char again[64];
	p = expect(read_name(expect(p, "# HELP "), f->name, sizeof(f->name)), " ");
	const size_t n = strcspn(p, "\n");
	assert_in_range(n, 5, sizeof(f->help) - 1);
	snprintf(f->help, sizeof(f->help), "%.*s", (int)n, p);
	p = expect(read_name(expect(p + n, "\n# TYPE "), again, sizeof(again)), " ");
	assert_string_equal(again, f->name);
	p = expect(read_name(p, f->kind, sizeof(f->kind)), "\n");
	f->first = sample_count;
	f->count = 0;
	return p;
}

static void read_text(const struct metrics *metrics)
{
	struct buf text;
	buf_init(&text, 1 << 26);
	metrics_write(metrics, &text);
	assert_true(buf_ok(&text));
	family_count = 0;
	sample_count = 0;
	for (const char *p = buf_text(&text); *p;) {
		if (*p == '#') {
			p = read_head(p);
			continue;
		}
		assert_true(family_count > 0);
		p = read_sample(p);
		struct family *f = &families[family_count - 1];
		f->count++;
		const char *name = samples[sample_count - 1].name;
		assert_int_equal(strncmp(name, f->name, strlen(f->name)), 0);
		assert_true(strcmp(f->kind, "histogram") == 0 || strcmp(name, f->name) == 0);
	}
	assert_int_equal(family_count, METRIC_COUNT);
	buf_fini(&text);
}

/* The value of exactly this sample; NaN when there is none. */
static double value_of(const char *name, const char *labels)
{
	double value = NAN;
	int found = 0;
	for (size_t i = 0; i < sample_count; i++)
		if (strcmp(samples[i].name, name) == 0 && strcmp(samples[i].labels, labels) == 0) {
			value = samples[i].value;
			found++;
		}
	assert_true(found <= 1);
	return value;
}

static void assert_value(const char *name, const char *labels, double expected)
{
	const double value = value_of(name, labels);
	if (!(fabs(value - expected) <= 1e-9 * fabs(expected)))
		fail_msg("%s{%s} is %g, not %g", name, labels, value, expected);
}

/* ---- what is in the contract ---- */

static const struct {
	enum metric metric;
	const char *name;
	const char *kind;
	const char *labels[3];
} contract[] = {
	{ METRIC_REQUESTS, "handoffd_requests_total", "counter", { "topic" } },
	{ METRIC_OUTCOMES, "handoffd_outcomes_total", "counter", { "tenant", "status", "reason" } },
	{ METRIC_HANDOFF_SECONDS, "handoffd_handoff_seconds", "histogram", { NULL } },
	{ METRIC_IN_FLIGHT, "handoffd_in_flight", "gauge", { NULL } },
	{ METRIC_WAITING, "handoffd_waiting", "gauge", { NULL } },
	{ METRIC_PARKED, "handoffd_parked", "gauge", { NULL } },
	{ METRIC_UPSTREAM_REQUESTS, "handoffd_upstream_requests_total", "counter", { "tenant", "stage", "code" } },
	{ METRIC_UPSTREAM_SECONDS, "handoffd_upstream_seconds", "histogram", { "stage" } },
	{ METRIC_RETRIES, "handoffd_retries_total", "counter", { "reason" } },
	{ METRIC_RETRY_AFTER_SECONDS, "handoffd_retry_after_seconds", "histogram", { NULL } },
	{ METRIC_RETRY_LATENESS_SECONDS, "handoffd_retry_lateness_seconds", "histogram", { NULL } },
	{ METRIC_SPILLS, "handoffd_spills_total", "counter", { NULL } },
	{ METRIC_TOKEN_LOGINS, "handoffd_token_logins_total", "counter", { "tenant", "result" } },
	{ METRIC_BREAKER_STATE, "handoffd_breaker_state", "gauge", { "tenant" } },
	{ METRIC_GATE_CLOSED, "handoffd_gate_closed", "gauge", { "tenant" } },
	{ METRIC_RATE_LIMIT_SHARE, "handoffd_rate_limit_share", "gauge", { "tenant" } },
	{ METRIC_GATE_PACE, "handoffd_gate_pace", "gauge", { "tenant" } },
	{ METRIC_CONCURRENCY_LIMIT, "handoffd_concurrency_limit", "gauge", { "tenant" } },
	{ METRIC_UNKNOWN_SESSION_STATUS, "handoffd_unknown_session_status_total", "counter", { NULL } },
	{ METRIC_OLDEST_INCOMPLETE_SECONDS, "handoffd_oldest_incomplete_seconds", "gauge", { NULL } },
	{ METRIC_CONSUMER_LAG, "handoffd_consumer_lag", "gauge", { "topic", "partition" } },
	{ METRIC_RECORDS_LOST, "handoffd_records_lost_total", "counter", { "topic" } },
	{ METRIC_REBALANCES, "handoffd_rebalances_total", "counter", { NULL } },
	{ METRIC_TRANSACTIONS, "handoffd_transactions_total", "counter", { "result" } },
	{ METRIC_BUILD_INFO, "handoffd_build_info", "gauge", { "version" } },
	{ METRIC_LOG_LINES_DROPPED, "handoffd_log_lines_dropped_total", "counter", { NULL } },
};

static void test_every_name_from_the_start(void **state)
{
	(void)state;
	assert_int_equal(sizeof(contract) / sizeof(contract[0]), METRIC_COUNT);
	struct metrics *m = metrics_new();
	assert_non_null(m);
	read_text(m);
	for (size_t i = 0; i < METRIC_COUNT; i++) {
		assert_int_equal(contract[i].metric, i);
		assert_string_equal(families[i].name, contract[i].name);
		assert_string_equal(families[i].kind, contract[i].kind);
		/* What has no labels has a value at once, the others when they are first asked for. */
		const bool plain = !contract[i].labels[0];
		if (plain && strcmp(contract[i].kind, "histogram") != 0)
			assert_value(contract[i].name, "", 0);
		assert_int_equal(families[i].count > 0, plain);
	}
	metrics_free(m);
}

static void test_labels_are_named_as_in_the_contract(void **state)
{
	(void)state;
	static const char *const values[] = { "v1", "v2", "v3" };
	struct metrics *m = metrics_new();
	for (size_t i = 0; i < METRIC_COUNT; i++)
		if (contract[i].labels[0])
			metrics_series(m, contract[i].metric, values);
	read_text(m);
	for (size_t i = 0; i < METRIC_COUNT; i++) {
		struct buf labels;
		buf_init(&labels, 200);
		for (size_t k = 0; k < 3 && contract[i].labels[k]; k++)
			buf_add_format(&labels, "%s%s=\"%s\"", k > 0 ? "," : "", contract[i].labels[k], values[k]);
		if (strcmp(contract[i].kind, "histogram") != 0)
			assert_value(contract[i].name, buf_text(&labels), 0);
		buf_fini(&labels);
	}
	assert_value("handoffd_upstream_seconds_count", "stage=\"v1\"", 0);
	metrics_free(m);
}

/* ---- values ---- */

static void test_counters_and_gauges(void **state)
{
	(void)state;
	static const char *const ok[] = { "acme", "completed", "ok" };
	static const char *const failed[] = { "acme", "failed", "upstream.timeout" };
	struct metrics *m = metrics_new();
	struct metric_series *series = metrics_series(m, METRIC_OUTCOMES, ok);
	metric_add(series, 1);
	assert_ptr_equal(metrics_series(m, METRIC_OUTCOMES, ok), series);
	metric_add(metrics_series(m, METRIC_OUTCOMES, failed), 2);
	metric_add(series, 1);
	metric_add(series, -5);
	metric_add(series, (double)NAN);
	assert_true(fabs(metric_value(series) - 2) < 1e-9);
	metric_set(metrics_plain(m, METRIC_IN_FLIGHT), 17);
	metric_add(metrics_plain(m, METRIC_IN_FLIGHT), -3);
	metric_set(metrics_plain(m, METRIC_WAITING), -0.1);
	metric_set(metrics_plain(m, METRIC_LOG_LINES_DROPPED), 9007199254740991.0);
	metric_set(metrics_plain(m, METRIC_PARKED), 1.0 / 3);
	metric_set(metrics_plain(m, METRIC_OLDEST_INCOMPLETE_SECONDS), (double)INFINITY);
	read_text(m);
	assert_value("handoffd_outcomes_total", "tenant=\"acme\",status=\"completed\",reason=\"ok\"", 2);
	assert_value("handoffd_outcomes_total", "tenant=\"acme\",status=\"failed\",reason=\"upstream.timeout\"", 2);
	assert_value("handoffd_in_flight", "", 14);
	assert_value("handoffd_waiting", "", -0.1);
	assert_true(value_of("handoffd_log_lines_dropped_total", "") >= 9007199254740991.0);
	assert_true(memcmp(&(double){ 1.0 / 3 }, &(double){ value_of("handoffd_parked", "") }, sizeof(double)) == 0);
	assert_true(isinf(value_of("handoffd_oldest_incomplete_seconds", "")));
	metrics_free(m);
}

static void test_the_text_itself(void **state)
{
	(void)state;
	static const char *const version[] = { "0.1.0" };
	struct metrics *m = metrics_new();
	struct buf text;
	buf_init(&text, 1 << 20);
	metric_set(metrics_series(m, METRIC_BUILD_INFO, version), 1);
	metric_set(metrics_plain(m, METRIC_WAITING), 0.1);
	metrics_write(m, &text);
	assert_non_null(strstr(buf_text(&text), "\nhandoffd_build_info{version=\"0.1.0\"} 1\n"));
	assert_non_null(strstr(buf_text(&text), "\nhandoffd_waiting 0.1\n"));
	assert_non_null(strstr(buf_text(&text), "\nhandoffd_handoff_seconds_bucket{le=\"0.025\"} 0\n"));
	assert_non_null(strstr(buf_text(&text), "\nhandoffd_handoff_seconds_bucket{le=\"+Inf\"} 0\n"));
	assert_int_equal(buf_text(&text)[text.len - 1], '\n');
	buf_fini(&text);
	buf_init(&text, 100); /* a reader's limit is a sticky error, not a crash */
	metrics_write(m, &text);
	assert_false(buf_ok(&text));
	buf_fini(&text);
	metrics_free(m);
}

static void assert_buckets(const char *name, const char *labels, double lowest, double highest)
{
	char bucket[64], count[64];
	snprintf(bucket, sizeof(bucket), "%s_bucket", name);
	snprintf(count, sizeof(count), "%s_count", name);
	double bound = -1, value = 0;
	size_t n = 0;
	for (size_t i = 0; i < sample_count; i++) {
		if (strcmp(samples[i].name, bucket) != 0 || strncmp(samples[i].labels, labels, strlen(labels)) != 0)
			continue;
		const char *le = strstr(samples[i].labels, "le=\"");
		assert_non_null(le);
		const double next = strtod(le + 4, NULL);
		assert_true(next > bound && samples[i].value >= value);
		if (n++ == 0)
			assert_true(fabs(next - lowest) < 1e-12);
		if (isinf(next))
			assert_true(fabs(bound - highest) < 1e-9);
		bound = next;
		value = samples[i].value;
	}
	assert_true(isinf(bound));
	assert_value(count, labels, value);
}

static void test_histograms(void **state)
{
	(void)state;
	static const char *const fetch[] = { "fetch" }, *const trigger[] = { "trigger" };
	static const double observed[] = { 0.01, 0.010001, 0.4, 900, 901, -3 };
	struct metrics *m = metrics_new();
	struct metric_series *seconds = metrics_plain(m, METRIC_HANDOFF_SECONDS);
	for (size_t i = 0; i < sizeof(observed) / sizeof(observed[0]); i++)
		metric_observe(seconds, observed[i]);
	metric_observe(seconds, (double)NAN);
	metric_observe(metrics_series(m, METRIC_UPSTREAM_SECONDS, fetch), 0.02);
	metric_observe(metrics_series(m, METRIC_UPSTREAM_SECONDS, trigger), 31);
	metric_observe(metrics_plain(m, METRIC_RETRY_AFTER_SECONDS), 60);
	assert_true(fabs(metric_value(seconds) - 6) < 1e-9);
	read_text(m);
	assert_buckets("handoffd_handoff_seconds", "", 0.01, 900);
	assert_buckets("handoffd_upstream_seconds", "stage=\"fetch\"", 0.001, 30);
	assert_buckets("handoffd_upstream_seconds", "stage=\"trigger\"", 0.001, 30);
	assert_buckets("handoffd_retry_after_seconds", "", 1, 3600);
	assert_buckets("handoffd_retry_lateness_seconds", "", 0.001, 60);
	assert_value("handoffd_handoff_seconds_sum", "", 0.01 + 0.010001 + 0.4 + 900 + 901);
	assert_value("handoffd_handoff_seconds_count", "", 6);
	assert_value("handoffd_handoff_seconds_bucket", "le=\"0.01\"", 2); /* the bound belongs to its bucket */
	assert_value("handoffd_handoff_seconds_bucket", "le=\"0.025\"", 3);
	assert_value("handoffd_handoff_seconds_bucket", "le=\"0.25\"", 3);
	assert_value("handoffd_handoff_seconds_bucket", "le=\"0.5\"", 4);
	assert_value("handoffd_handoff_seconds_bucket", "le=\"600\"", 4);
	assert_value("handoffd_handoff_seconds_bucket", "le=\"900\"", 5);
	assert_value("handoffd_handoff_seconds_bucket", "le=\"+Inf\"", 6);
	assert_value("handoffd_upstream_seconds_bucket", "stage=\"trigger\",le=\"30\"", 0);
	assert_value("handoffd_upstream_seconds_bucket", "stage=\"trigger\",le=\"+Inf\"", 1);
	assert_value("handoffd_upstream_seconds_sum", "stage=\"fetch\"", 0.02);
	metrics_free(m);
}

/* ---- labels ---- */

static void test_label_values_are_escaped(void **state)
{
	(void)state;
	static const char *const values[] = { "a\"b\\c\nd,e=}{ #\xc3\xa4" };
	static const char *const none[] = { NULL };
	struct metrics *m = metrics_new();
	metric_add(metrics_series(m, METRIC_REQUESTS, values), 4);
	metric_add(metrics_series(m, METRIC_REQUESTS, none), 1);
	read_text(m);
	assert_value("handoffd_requests_total", "topic=\"a\"b\\c\nd,e=}{ #\xc3\xa4\"", 4);
	assert_value("handoffd_requests_total", "topic=\"\"", 1);
	metrics_free(m);
}

static void test_what_is_no_label_value_is_other(void **state)
{
	(void)state;
	char longest[257], too_long[258];
	memset(longest, 'x', sizeof(longest));
	memset(too_long, '\n', sizeof(too_long));
	longest[256] = '\0';
	too_long[257] = '\0';
	const char *const fits[] = { longest }, *const does_not[] = { too_long }, *const broken[] = { "\xc3(" },
			  *const other[] = { "other" };
	struct metrics *m = metrics_new();
	metric_add(metrics_series(m, METRIC_REQUESTS, fits), 1);
	metric_add(metrics_series(m, METRIC_REQUESTS, does_not), 10);
	metric_add(metrics_series(m, METRIC_REQUESTS, broken), 20);
	metric_add(metrics_series(m, METRIC_REQUESTS, other), 30);
	read_text(m);
	assert_value("handoffd_requests_total", "topic=\"other\"", 60);
	assert_int_equal(families[METRIC_REQUESTS].count, 2);
	metrics_free(m);
}

static void test_series_are_bounded(void **state)
{
	(void)state;
	struct metrics *m = metrics_new();
	for (int i = 0; i < METRICS_SERIES_MAX + 10; i++) {
		char partition[16];
		snprintf(partition, sizeof(partition), "%d", i);
		const char *const values[] = { "handoff.retry", partition };
		metric_add(metrics_series(m, METRIC_CONSUMER_LAG, values), 2);
	}
	read_text(m);
	assert_int_equal(families[METRIC_CONSUMER_LAG].count, METRICS_SERIES_MAX + 1);
	assert_value("handoffd_consumer_lag", "topic=\"handoff.retry\",partition=\"4999\"", 2);
	assert_value("handoffd_consumer_lag", "topic=\"other\",partition=\"other\"", 20);

	metrics_clear(m, METRIC_CONSUMER_LAG);
	read_text(m);
	assert_int_equal(families[METRIC_CONSUMER_LAG].count, 0);
	const char *const values[] = { "t", "0" };
	metric_set(metrics_series(m, METRIC_CONSUMER_LAG, values), 3);
	read_text(m);
	assert_int_equal(families[METRIC_CONSUMER_LAG].count, 1);
	assert_value("handoffd_consumer_lag", "topic=\"t\",partition=\"0\"", 3);
	metrics_free(m);
}

static void test_clear_a_metric_without_labels(void **state)
{
	(void)state;
	struct metrics *m = metrics_new();
	struct metric_series *series = metrics_plain(m, METRIC_RETRY_AFTER_SECONDS);
	metric_observe(series, 7);
	metrics_clear(m, METRIC_RETRY_AFTER_SECONDS);
	read_text(m);
	assert_value("handoffd_retry_after_seconds_sum", "", 0);
	assert_buckets("handoffd_retry_after_seconds", "", 1, 3600);
	assert_value("handoffd_retry_after_seconds_bucket", "le=\"+Inf\"", 0);
	assert_value("handoffd_retry_after_seconds_bucket", "le=\"3600\"", 0);
	metric_observe(series, 7);
	assert_true(fabs(metric_value(series) - 1) < 1e-9);
	metrics_free(m);
}

static void test_out_of_memory_counts_as_other(void **state)
{
	(void)state;
	if (!torture_works())
		skip();
	static const char *const values[] = { "acme", "login" };
	for (long n = 0;; n++) {
		struct metrics *m = metrics_new();
		torture_after(n);
		struct metric_series *series = metrics_series(m, METRIC_TOKEN_LOGINS, values);
		const bool struck = torture_end();
		metric_add(series, 1);
		read_text(m);
		assert_value("handoffd_token_logins_total",
			     struck ? "tenant=\"other\",result=\"other\"" : "tenant=\"acme\",result=\"login\"", 1);
		metrics_free(m);
		if (!struck)
			break;
		assert_true(n < 10);
	}
	for (long n = 0;; n++) {
		torture_after(n);
		struct metrics *m = metrics_new();
		const bool struck = torture_end();
		assert_int_equal(m == NULL, struck);
		metrics_free(m);
		if (!struck)
			break;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_name_from_the_start),
		cmocka_unit_test(test_labels_are_named_as_in_the_contract),
		cmocka_unit_test(test_counters_and_gauges),
		cmocka_unit_test(test_the_text_itself),
		cmocka_unit_test(test_histograms),
		cmocka_unit_test(test_label_values_are_escaped),
		cmocka_unit_test(test_what_is_no_label_value_is_other),
		cmocka_unit_test(test_series_are_bounded),
		cmocka_unit_test(test_clear_a_metric_without_labels),
		cmocka_unit_test(test_out_of_memory_counts_as_other),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
