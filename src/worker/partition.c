#include "worker/partition.h"

#include <errno.h>
#include <stdlib.h>

#include "rules/done_map.h"

/* A bitmap over this many offsets always fits into DONE_MAP_MAX bytes of base64. */
#define SPAN_THAT_ALWAYS_FITS 24000
/* What one more done mark in the middle of an open run can add to the run lengths, as text. */
#define TEXT_PER_OPEN 8

struct partition *partition_new(const char *topic, int32_t number, int64_t start, const char *metadata, size_t window)
{
	struct partition *p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->topic = topic;
	p->number = number;
	parking_init(&p->parking);
	p->offsets = offsets_new(start, window);
	if (p->offsets && done_map_read(span_of(metadata), topic, number, p->offsets) == -ENOMEM)
		p->offsets = offsets_free(p->offsets);
	return p->offsets ? p : partition_free(p);
}

struct partition *partition_free(struct partition *p)
{
	if (!p)
		return NULL;
	parking_fini(&p->parking);
	record_free(p->ahead);
	offsets_free(p->offsets);
	free(p);
	return NULL;
}

void partition_adopt(struct partition *p, struct job *job)
{
	job->partition = p;
	job->prev = NULL;
	job->next = p->jobs;
	if (p->jobs)
		p->jobs->prev = job;
	p->jobs = job;
	p->job_count++;
}

void partition_drop(struct partition *p, struct job *job)
{
	if (job->prev)
		job->prev->next = job->next;
	else
		p->jobs = job->next;
	if (job->next)
		job->next->prev = job->prev;
	job->next = job->prev = NULL;
	job->partition = NULL;
	p->job_count--;
}

bool partition_has_room(const struct partition *p, size_t window)
{
	const size_t open = offsets_open_count(p->offsets);
	const int64_t span = offsets_limit(p->offsets) - offsets_base(p->offsets);
	if (p->job_count >= window || (open > 0 && span >= (int64_t)PARTITION_SPAN_MAX))
		return false;
	return span < SPAN_THAT_ALWAYS_FITS || done_map_size(p->offsets) + (open + 1) * TEXT_PER_OPEN < DONE_MAP_MAX;
}
