/* intake - records become jobs: read what there is room for, reject what cannot be read, park what is not due */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "worker/worker.h"

/* Records taken from one partition before the next one has its turn. */
#define READ_AT_ONCE 64
/* This part of the memory is the first lane's (and the retries') alone. */
#define LANE_RESERVE 4

/* Under pressure nobody reads beyond his share: what he holds for later would push out what others need sooner. */
#define PRESSURE_NUMERATOR   3
#define PRESSURE_DENOMINATOR 4

/* What the process takes with nothing in hand: code, threads, the memory of ids, what the allocator cannot reuse. */
#define MEMORY_OF_ITS_OWN ((size_t)32 << 20)

/* For what we hold, at least half; the rest is the process's own and what the client fetches ahead. */
static size_t memory_limit(const struct worker *w)
{
	const size_t all = (size_t)w->settings->worker.memory_mb << 20;
	const size_t rest = MEMORY_OF_ITS_OWN + w->partition_count * KAFKA_FETCHED_AHEAD;
	return all - (rest < all / 2 ? rest : all / 2);
}

static size_t memory_used(const struct worker *w)
{
	return w->job_memory + outlet_memory(w->outlet);
}

static bool memory_is_full(const struct worker *w)
{
	return memory_used(w) >= memory_limit(w);
}

static bool memory_is_short(const struct worker *w)
{
	return memory_used(w) >= memory_limit(w) / PRESSURE_DENOMINATOR * PRESSURE_NUMERATOR;
}

/* Has the partition its share of the memory, while there is little left? */
static bool has_its_share(const struct worker *w, const struct partition *p)
{
	size_t holders = 0;
	if (!memory_is_short(w))
		return false;
	for (size_t i = 0; i < w->partition_count; i++)
		holders += w->partitions[i]->job_count > 0;
	return holders > 0 && p->memory >= memory_limit(w) / holders;
}

/* What lower lanes hold leaves the first one room: a backlog of theirs may not keep a live caller's record unread. */
static bool lane_is_full(const struct worker *w, const struct partition *p)
{
	return p->lane > 0 && memory_used(w) >= memory_limit(w) - memory_limit(w) / LANE_RESERVE;
}

static bool may_read(const struct worker *w)
{
	return w->leaving == LEAVING_NOT && !w->stopping && w->topics_fit && !memory_is_full(w);
}

static const char *tenant_named(const struct worker *w, const char *name, struct tenant **ret)
{
	*ret = NULL;
	if (!name && w->tenant_count > 1)
		return "the field `tenant` is missing: there are several tenants";
	if (!name) {
		*ret = &w->tenants[0];
		return NULL;
	}
	for (size_t i = 0; i < w->tenant_count; i++)
		if (strcmp(tenant_name(&w->tenants[i]), name) == 0)
			*ret = &w->tenants[i];
	return *ret ? NULL : "there is no tenant of that name";
}

static void reject(struct worker *w, struct job *job, enum reason reason, const char *message)
{
	const struct log_subject subject = job_subject(job);
	log_write(worker_complaint_level(w), &subject, "rejected (%s): %s", reason_name(reason), message);
	handoff_finish_unstarted(&job->handoff, reason, message);
	dispatch_finish(w, job);
}

void intake_park(struct worker *w, struct job *job)
{
	struct partition *p = job->partition;
	const struct history *h = &job->handoff.history;
	/* A retry of ours is due before its deadline; whoever else's waits no longer than until then, to be told. */
	const int64_t due_ms = h->not_before_ms < h->deadline_ms ? h->not_before_ms : h->deadline_ms;
	job->due = clock_mono_at(&w->now, due_ms);
	job->place = JOB_PARKED;
	if (parking_add(&p->parking, &job->parked, job->due) < 0) {
		job->place = JOB_NOWHERE;
		worker_fail(w, "out of memory");
	}
}

/* A request that was seen before, from another record; what comes back by itself (retries, replays) is none. */
static bool is_duplicate(struct worker *w, const struct job *job)
{
	const struct history *h = &job->handoff.history;
	return !job->partition->is_retry && h->replay == 0 &&
	       dedupe_seen(w->dedupe, tenant_name(job->tenant), job->request.session_id, job->request.handoff_id,
			   &h->origin, w->now.mono);
}

/* A request's lane is its topic's place in the list; a retry keeps its origin's. */
static int32_t lane_of(const struct worker *w, const struct history *history)
{
	for (size_t i = 0; i < w->settings->kafka.requests.count; i++)
		if (strcmp(w->settings->kafka.requests.items[i], history->origin.topic) == 0)
			return (int32_t)i;
	return 0;
}

static void place(struct worker *w, struct job *job)
{
	struct tenant *tenant;
	const char *unknown = tenant_named(w, job->request.tenant, &tenant);
	job->tenant = tenant;
	if (unknown) {
		reject(w, job, job->request.tenant ? REASON_UNKNOWN_TENANT : REASON_INVALID, unknown);
		return;
	}
	if (job->request.is_cancel) {
		cancel_take(w, job);
		return;
	}
	const char *unfit = profile_complaint(tenant->settings->profile, tenant->settings->flow_path, &job->request);
	if (unfit) {
		reject(w, job, REASON_INVALID, unfit);
		return;
	}
	struct history *history = &job->handoff.history;
	const bool is_twin = is_duplicate(w, job);
	history->progress.cancel_asked |= !is_twin && cancel_awaits(w, job);
	if (is_twin || (history->progress.cancel_asked && history->resume != RESUME_VERIFY)) {
		handoff_finish_unstarted(&job->handoff, is_twin ? REASON_DUPLICATE : REASON_CANCELLED, "");
		dispatch_finish(w, job);
		return;
	}
	job->turn.lane = lane_of(w, history);
	job->turn.priority = job->request.priority;
	job->turn.deadline_ms = history->deadline_ms;
	job->turn.session_id = job->request.session_id;
	if (!job->partition->is_retry)
		dispatch_enqueue(w, job);
	else if (!expiry_is_certain(job))
		intake_park(w, job);
	else
		dispatch_end(job, &(struct handoff_event){ .kind = HANDOFF_EXPIRE, .unreachable = true });
}

/* One record of partition `p`, whose offset was opened. Takes it over. */
static void take(struct worker *w, struct partition *p, struct record *record)
{
	struct fault fault = { 0 };
	struct history history;
	struct job *job = job_new(record);
	if (!job) {
		worker_fail(w, "out of memory");
		return;
	}
	const int r = request_read(record, &w->limits, w->now.unix_ms, &job->request, &history, &fault);
	handoff_init(&job->handoff, &history);
	job->worker = w;
	partition_adopt(p, job);
	w->job_memory += job_memory(job);
	if (p->requests) {
		metric_add(p->requests, 1);
		meter_count(&w->arrived, w->now.mono);
	}
	if (r == -ENOMEM)
		worker_fail(w, "out of memory");
	else if (r < 0)
		reject(w, job, REASON_INVALID, fault.message);
	else
		place(w, job);
}

static void count_lost(struct worker *w, struct partition *p, int64_t offset)
{
	const int64_t lost = offset - offsets_next(p->offsets);
	const struct log_subject subject = { .topic = p->topic, .partition = p->number, .offset = offset };
	const char *const labels[] = { p->topic };
	metric_add(metrics_series(w->metrics, METRIC_RECORDS_LOST, labels), (double)lost);
	log_write(LOG_ERROR, &subject,
		  "%lld records were removed by the topic's retention before they were read; going on at the earliest",
		  (long long)lost);
}

/* Begins anew at `offset`, which lies below what was read or committed: the offsets belong to other records now. False
 * while work of the old ones is open, whose done marks would be taken for marks of the new ones. */
static bool begin_anew(struct worker *w, struct partition *p, int64_t offset)
{
	if (offsets_open_count(p->offsets) > 0)
		return false;
	struct offsets *fresh = offsets_new(offset, PARTITION_SPAN_MAX);
	if (!fresh) {
		worker_fail(w, "out of memory");
		return false;
	}
	const struct log_subject subject = { .topic = p->topic, .partition = p->number, .offset = offset };
	log_write(LOG_ERROR, &subject,
		  "the topic was recreated or cut: it has no offset %lld, where reading was to go on; going on at the "
		  "earliest, so nothing is skipped, but a recreated topic needs a new group",
		  (long long)offsets_next(p->offsets));
	offsets_free(p->offsets);
	p->offsets = fresh;
	p->dirty = true;
	return true;
}

/* The position was gone, and the first thing there is has `offset`. False when that has to wait. */
static bool settle_reset(struct worker *w, struct partition *p, int64_t offset)
{
	const int64_t next = offsets_next(p->offsets);
	if (offset < next && !begin_anew(w, p, offset))
		return false;
	if (offset > next)
		count_lost(w, p, offset);
	p->was_reset = false;
	return true;
}

/* Opens the record's offset and takes it over; false when it has to wait. */
static bool open_and_take(struct worker *w, struct partition *p, struct record *record)
{
	p->ahead = record;
	if (p->was_reset && !settle_reset(w, p, record->offset))
		return false;
	if (record->offset > offsets_next(p->offsets) && !partition_may_reach(p, record->offset + 1))
		return false; /* with what it jumps over a commit could not tell any more what is done */
	const int64_t base = offsets_base(p->offsets);
	const int r = offsets_open(p->offsets, record->offset);
	p->dirty = p->dirty || offsets_base(p->offsets) != base;
	if (r == -E2BIG)
		return false;
	p->ahead = NULL;
	if (r == 0) {
		take(w, p, record);
		return true;
	}
	if (r == -ENOMEM)
		worker_fail(w, "out of memory");
	record_free(record);
	return true;
}

/* Or as far as there is room. */
static void was_read_to_end(struct worker *w, struct partition *p)
{
	w->more_to_read = w->more_to_read || !p->read_to_end; /* requests may have waited for it */
	p->read_to_end = true;
}

static bool awaits_retries(const struct worker *w, struct partition *p)
{
	if (!p->awaits_retries)
		return false;
	bool is_read = true; /* who has no such partition waits for none */
	for (size_t i = 0; i < w->partition_count; i++)
		if (w->partitions[i]->is_retry && w->partitions[i]->number == p->number)
			is_read = w->partitions[i]->read_to_end;
	p->awaits_retries = !is_read && !memory_is_short(w) && w->now.mono < p->assigned_at + RETRIES_FIRST;
	return p->awaits_retries;
}

static void reach(struct worker *w, struct partition *p, int64_t end)
{
	was_read_to_end(w, p);
	if (p->was_reset && !settle_reset(w, p, end))
		return; /* the first record of what is there now settles it */
	const int64_t base = offsets_base(p->offsets);
	/* What cannot be marked as done yet is told of again by the next record, or is read again after a restart. */
	if (partition_may_reach(p, end) && offsets_reach(p->offsets, end) == 0)
		p->dirty = p->dirty || offsets_base(p->offsets) != base;
}

/* Reads from one partition; false when it has nothing more at hand (or no room). */
static bool read_some(struct worker *w, size_t index)
{
	struct partition *p = w->partitions[index];
	if (awaits_retries(w, p))
		return false;
	for (int i = 0; i < READ_AT_ONCE; i++) {
		struct kafka_read read;
		if (memory_is_full(w))
			return true;
		if (lane_is_full(w, p)) {
			was_read_to_end(w, p);
			return false;
		}
		const bool crowded = has_its_share(w, p);
		if (crowded || !partition_has_room(p, (size_t)w->settings->worker.window)) {
			was_read_to_end(w, p); /* what is due may not wait for more */
			if (!spill_make_room(w, index, crowded))
				return false;
			continue;
		}
		if (p->ahead) {
			if (open_and_take(w, p, p->ahead))
				continue;
			was_read_to_end(w, p);
			return false;
		}
		kafka_consumer_read(w->consumer, index, &read);
		if (read.kind == KAFKA_READ_NOTHING)
			return false;
		if (read.kind == KAFKA_READ_END)
			reach(w, p, read.offset);
		else if (read.kind == KAFKA_READ_RESET)
			p->was_reset = true;
		else
			open_and_take(w, p, read.record);
	}
	return true;
}

void intake_read(struct worker *w)
{
	w->more_to_read = false;
	if (memory_is_full(w) && w->leaving == LEAVING_NOT && !w->stopping)
		spill_for_memory(w);
	for (size_t i = 0; i < w->partition_count && may_read(w); i++)
		if (read_some(w, (w->read_from + i) % w->partition_count))
			w->more_to_read = true;
	if (w->partition_count > 0)
		w->read_from = (w->read_from + 1) % w->partition_count;
}

bool intake_has_more(const struct worker *w)
{
	return w->more_to_read && may_read(w);
}

/* What was due before it was read could not be parked in the past: the record tells for how long. */
static usec_t lateness(const struct worker *w, const struct job *job)
{
	const int64_t not_before_ms = job->handoff.history.not_before_ms;
	const usec_t since_due = w->now.mono - job->due;
	const usec_t since_written = (w->now.unix_ms - not_before_ms) * USEC_PER_MSEC;
	return not_before_ms > 0 && since_written > since_due ? since_written : since_due;
}

static void wake(struct worker *w, struct job *job)
{
	struct progress *progress = &job->handoff.history.progress;
	job->place = JOB_NOWHERE;
	if (job->request.is_cancel) {
		cancel_expire(w, job);
		return;
	}
	metric_observe(metrics_plain(w->metrics, METRIC_RETRY_LATENESS_SECONDS),
		       (double)lateness(w, job) / (double)USEC_PER_SEC);
	if (job->record->timestamp_ms > 0 && w->now.unix_ms > job->record->timestamp_ms)
		progress->parked_ms += w->now.unix_ms - job->record->timestamp_ms;
	dispatch_enqueue(w, job);
}

/* With the memory full, the partition's end cannot be read before something that is here has ended: it may not wait. */
static bool may_wake(const struct worker *w, const struct partition *p)
{
	return (p->read_to_end || memory_is_full(w)) && w->leaving == LEAVING_NOT && !w->stopping;
}

void intake_wake_parked(struct worker *w)
{
	for (size_t i = 0; i < w->partition_count; i++) {
		struct partition *p = w->partitions[i];
		if (!may_wake(w, p))
			continue;
		for (struct parked *at = parking_take_due(&p->parking, w->now.mono); at;
		     at = parking_take_due(&p->parking, w->now.mono))
			wake(w, CONTAINER_OF(at, struct job, parked));
	}
}

static usec_t sooner(usec_t a, usec_t b)
{
	return a < b ? a : b;
}

usec_t intake_wait(const struct worker *w)
{
	usec_t next = USEC_NEVER;
	for (size_t i = 0; i < w->partition_count; i++) {
		const struct partition *p = w->partitions[i];
		if (may_wake(w, p))
			next = sooner(next, parking_next_due(&p->parking));
		if (p->awaits_retries && may_read(w))
			next = sooner(next, p->assigned_at + RETRIES_FIRST);
	}
	if (next == USEC_NEVER)
		return USEC_NEVER;
	return next > w->now.mono ? next - w->now.mono : 0;
}
