#include "rules/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <search.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "rules/metrics_table.h"

#define LABEL_VALUE_MAX 256
#define LABELS_TEXT_MAX 4096 /* more than METRIC_LABELS_MAX values, escaped, with their names */

struct metric_series {
	const struct metric_entry *entry;
	struct metric_series *next;
	const char *labels; /* `topic="a",partition="0"`, escaped; behind the struct */
	double value;       /* a histogram's: the sum */
	uint64_t count;     /* a histogram's observations */
	bool used;
	uint64_t buckets[]; /* one per bound, not cumulative */
};

/* A metric's series: found by their label text, written in the order they came. */
struct family {
	const struct metric_entry *entry;
	void *tree; /* tsearch(3) */
	struct metric_series *first;
	struct metric_series *last;
	size_t count;
	struct metric_series *rest; /* of "other"; the only one of a metric without labels */
};

struct metrics {
	struct family families[METRIC_COUNT];
};

static struct metric_series *series_new(const struct metric_entry *entry, const char *labels)
{
	const size_t buckets = entry->bound_count * sizeof(uint64_t);
	struct metric_series *series = calloc(1, sizeof(*series) + buckets + strlen(labels) + 1);
	if (!series)
		return NULL;
	series->entry = entry;
	series->labels = strcpy((char *)series->buckets + buckets, labels);
	return series;
}

static void add_escaped(struct buf *out, const char *text, const char *special)
{
	for (size_t plain; *text; text += plain) {
		plain = strcspn(text, special);
		buf_add(out, text, plain);
		if (!text[plain])
			return;
		buf_add_char(out, '\\');
		buf_add_char(out, text[plain] == '\n' ? 'n' : text[plain]);
		plain++;
	}
}

static size_t label_count(const struct metric_entry *entry)
{
	size_t n = 0;
	while (n < METRIC_LABELS_MAX && entry->labels[n])
		n++;
	return n;
}

/* False when one of the values is no label value. */
static bool add_labels(struct buf *out, const struct metric_entry *entry, const char *const *values)
{
	const size_t n = label_count(entry);
	for (size_t i = 0; i < n; i++) {
		const char *value = values[i] ? values[i] : "";
		const size_t length = strnlen(value, LABEL_VALUE_MAX + 1);
		if (length > LABEL_VALUE_MAX || !text_is_utf8((struct span){ value, length }))
			return false;
		if (i > 0)
			buf_add_char(out, ',');
		buf_add_text(out, entry->labels[i]);
		buf_add_text(out, "=\"");
		add_escaped(out, value, "\\\"\n");
		buf_add_char(out, '"');
	}
	return buf_ok(out);
}

static bool family_init(struct family *family, const struct metric_entry *entry)
{
	static const char *const rest[METRIC_LABELS_MAX] = { "other", "other", "other" };
	struct buf labels;
	buf_init(&labels, LABELS_TEXT_MAX);
	family->entry = entry;
	if (add_labels(&labels, entry, rest))
		family->rest = series_new(entry, buf_text(&labels));
	buf_fini(&labels);
	return family->rest != NULL;
}

struct metrics *metrics_new(void)
{
	struct metrics *metrics = calloc(1, sizeof(*metrics));
	if (!metrics)
		return NULL;
	for (size_t i = 0; i < METRIC_COUNT; i++)
		if (!family_init(&metrics->families[i], &metrics_table[i]))
			return metrics_free(metrics);
	return metrics;
}

struct metrics *metrics_free(struct metrics *metrics)
{
	if (!metrics)
		return NULL;
	for (size_t i = 0; i < METRIC_COUNT; i++) {
		tdestroy(metrics->families[i].tree, free);
		free(metrics->families[i].rest);
	}
	free(metrics);
	return NULL;
}

static int compare(const void *a, const void *b)
{
	const struct metric_series *left = a, *right = b;
	return strcmp(left->labels, right->labels);
}

/* The series of these labels, made if need be; the rest when it cannot be. */
static struct metric_series *find_or_add(struct family *family, const char *labels)
{
	const struct metric_series key = { .labels = labels };
	struct metric_series *const *known = tfind(&key, &family->tree, compare);
	if (known)
		return *known;
	struct metric_series *series = family->count < METRICS_SERIES_MAX ? series_new(family->entry, labels) : NULL;
	if (!series || !tsearch(series, &family->tree, compare)) {
		free(series);
		return family->rest;
	}
	if (family->last)
		family->last->next = series;
	else
		family->first = series;
	family->last = series;
	family->count++;
	return series;
}

struct metric_series *metrics_series(struct metrics *metrics, enum metric metric, const char *const *label_values)
{
	struct family *family = &metrics->families[metric];
	struct metric_series *series = family->rest;
	char text[LABELS_TEXT_MAX];
	struct buf labels;
	buf_init_on(&labels, text, sizeof(text));
	if (add_labels(&labels, family->entry, label_values) && strcmp(buf_text(&labels), family->rest->labels) != 0)
		series = find_or_add(family, buf_text(&labels));
	buf_fini(&labels);
	return series;
}

struct metric_series *metrics_plain(struct metrics *metrics, enum metric metric)
{
	assert(label_count(&metrics_table[metric]) == 0);
	return metrics->families[metric].rest;
}

void metrics_clear(struct metrics *metrics, enum metric metric)
{
	struct family *family = &metrics->families[metric];
	tdestroy(family->tree, free);
	family->tree = NULL;
	family->first = NULL;
	family->last = NULL;
	family->count = 0;
	struct metric_series *rest = family->rest;
	rest->value = 0;
	rest->count = 0;
	rest->used = false;
	memset(rest->buckets, 0, family->entry->bound_count * sizeof(rest->buckets[0]));
}

void metric_add(struct metric_series *series, double value)
{
	assert(series->entry->kind != METRIC_HISTOGRAM);
	if (series->entry->kind == METRIC_COUNTER && !(value >= 0))
		return;
	series->value += value;
	series->used = true;
}

void metric_set(struct metric_series *series, double value)
{
	assert(series->entry->kind != METRIC_HISTOGRAM);
	series->value = value;
	series->used = true;
}

void metric_observe(struct metric_series *series, double value)
{
	const struct metric_entry *entry = series->entry;
	assert(entry->kind == METRIC_HISTOGRAM);
	if (isnan(value))
		return;
	if (value < 0)
		value = 0;
	series->value += value;
	series->count++;
	series->used = true;
	for (size_t i = 0; i < entry->bound_count; i++)
		if (value <= entry->bounds[i]) {
			series->buckets[i]++;
			return;
		}
}

double metric_value(const struct metric_series *series)
{
	return series->entry->kind == METRIC_HISTOGRAM ? (double)series->count : series->value;
}

/* The shortest of the usual texts that is read back as the same number. */
static void add_number(struct buf *out, double value)
{
	if (isnan(value)) {
		buf_add_text(out, "NaN");
		return;
	}
	if (isinf(value)) {
		buf_add_text(out, value > 0 ? "+Inf" : "-Inf");
		return;
	}
	char text[32];
	snprintf(text, sizeof(text), "%.15g", value);
	if (strtod(text, NULL) != value)
		snprintf(text, sizeof(text), "%.17g", value);
	buf_add_text(out, text);
}

/* `name{labels} ` or `name `. */
static void add_name(struct buf *out, const struct metric_series *series, const char *suffix)
{
	buf_add_format(out, "%s%s", series->entry->name, suffix);
	if (series->labels[0])
		buf_add_format(out, "{%s}", series->labels);
	buf_add_char(out, ' ');
}

static void add_bucket(struct buf *out, const struct metric_series *series, double bound, uint64_t count)
{
	buf_add_format(out, "%s_bucket{%s%sle=\"", series->entry->name, series->labels, series->labels[0] ? "," : "");
	add_number(out, bound);
	buf_add_format(out, "\"} %" PRIu64 "\n", count);
}

static void add_histogram(struct buf *out, const struct metric_series *series)
{
	uint64_t below = 0;
	for (size_t i = 0; i < series->entry->bound_count; i++) {
		below += series->buckets[i];
		add_bucket(out, series, series->entry->bounds[i], below);
	}
	add_bucket(out, series, HUGE_VAL, series->count);
	add_name(out, series, "_sum");
	add_number(out, series->value);
	buf_add_char(out, '\n');
	add_name(out, series, "_count");
	buf_add_format(out, "%" PRIu64 "\n", series->count);
}

static void add_series(struct buf *out, const struct metric_series *series)
{
	if (series->entry->kind == METRIC_HISTOGRAM) {
		add_histogram(out, series);
		return;
	}
	add_name(out, series, "");
	add_number(out, series->value);
	buf_add_char(out, '\n');
}

static void add_head(struct buf *out, const struct metric_entry *entry)
{
	static const char *const kinds[] = {
		[METRIC_COUNTER] = "counter",
		[METRIC_GAUGE] = "gauge",
		[METRIC_HISTOGRAM] = "histogram",
	};
	buf_add_format(out, "# HELP %s ", entry->name);
	add_escaped(out, entry->help, "\\\n");
	buf_add_format(out, "\n# TYPE %s %s\n", entry->name, kinds[entry->kind]);
}

void metrics_write(const struct metrics *metrics, struct buf *out)
{
	for (size_t i = 0; i < METRIC_COUNT; i++) {
		const struct family *family = &metrics->families[i];
		add_head(out, family->entry);
		for (const struct metric_series *series = family->first; series; series = series->next)
			add_series(out, series);
		if (family->rest->used || label_count(family->entry) == 0)
			add_series(out, family->rest);
	}
}
