#include "worker/partition.h"

#include <errno.h>
#include <stdlib.h>

#include "rules/done_map.h"

struct partition *partition_new(const char *topic, int32_t number, int64_t start, const char *metadata, size_t window)
{
	struct partition *p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->topic = topic;
	p->number = number;
	p->spilled_base = -1;
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
	else
		p->oldest = job;
	p->jobs = job;
	p->job_count++;
	p->memory += job_memory(job);
}

void partition_drop(struct partition *p, struct job *job)
{
	if (job->prev)
		job->prev->next = job->next;
	else
		p->jobs = job->next;
	if (job->next)
		job->next->prev = job->prev;
	else
		p->oldest = job->prev;
	job->next = job->prev = NULL;
	job->partition = NULL;
	p->job_count--;
	p->memory -= job_memory(job);
}

bool partition_may_reach(const struct partition *p, int64_t end)
{
	const int64_t base = offsets_base(p->offsets);
	const bool is_wide = offsets_open_count(p->offsets) > 0 && end - base > (int64_t)PARTITION_SPAN_MAX;
	return !is_wide && done_map_fits(p->offsets, end);
}

bool partition_has_room(const struct partition *p, size_t window)
{
	return p->job_count < window &&
	       partition_may_reach(p, p->ahead ? p->ahead->offset + 1 : offsets_next(p->offsets) + 1);
}
