#include "worker/job.h"

#include <assert.h>
#include <stdlib.h>

#include "worker/tenant.h"

/* The largest body we send: the session's variables as they came, plus the caller's metadata, plus our own. */
#define JOB_BODY_MAX ((size_t)64 << 20)

/* A size class of jemalloc's; the next one is 1,280 bytes, and memory_mb would not hold. */
static_assert(sizeof(struct job) <= 1024, "a job is too large");

struct job *job_new(struct record *record)
{
	struct job *job = calloc(1, sizeof(*job));
	if (!job) {
		record_free(record);
		return NULL;
	}
	job->record = record;
	buf_init(&job->body, JOB_BODY_MAX);
	return job;
}

struct job *job_free(struct job *job)
{
	if (!job)
		return NULL;
	handoff_fini(&job->handoff);
	request_fini(&job->request);
	buf_fini(&job->body);
	record_free(job->record);
	free(job);
	return NULL;
}

size_t job_memory(const struct job *job)
{
	/* Ids, queue and tenant are small copies of what is in the record; the allocator rounds each of them up. */
	return sizeof(*job) + job->record->memory + 280;
}

struct log_subject job_subject(const struct job *job)
{
	return (struct log_subject){
		.tenant = job->tenant ? tenant_name(job->tenant) : NULL,
		.handoff_id = job->request.handoff_id,
		.topic = job->record->topic,
		.partition = job->record->partition,
		.offset = job->record->offset,
	};
}
