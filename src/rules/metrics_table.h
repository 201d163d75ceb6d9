/*
 * metrics_table - what is each metric called, what does it say, and how is it cut?
 *
 * The one place where names, helps, labels and buckets stand. Constant; for metrics.c alone.
 */
#ifndef HANDOFF_METRICS_TABLE_H
#define HANDOFF_METRICS_TABLE_H

#include <stddef.h>

#include "rules/metrics.h"

#define METRIC_LABELS_MAX 3

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric_entry {
	const char *name;
	enum metric_kind kind;
	const char *help;
	const char *labels[METRIC_LABELS_MAX]; /* NULL behind the last */
	const double *bounds;                  /* of a histogram's buckets, ascending, without +Inf */
	size_t bound_count;
};

extern const struct metric_entry metrics_table[METRIC_COUNT];

#endif
