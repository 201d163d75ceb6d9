/* The verdict, the sources, and what is checked at turns and at the end. */
#include "sim/judge_parts.h"

#include <string.h>

#include "sim/kafka_doors.h"
#include "sim/process.h"
#include "sim/verdict.h"
#include "sim/witness.h"
#include "sim/world.h"

static struct source *sources;

struct source *judge_sources(void)
{
	return sources;
}

struct source *judge_add(struct entry *entry, enum source_kind kind)
{
	struct source *s = agenda_memory(sizeof(*s));
	*s = (struct source){ .kind = kind, .entry = entry, .written_ms = world_unix_ms(), .next = sources };
	entry->source = s;
	sources = s;
	return s;
}

struct source *judge_source_of(const struct record *record)
{
	struct origin origin;
	const struct settings_kafka *k = &world.plan.settings.kafka;
	if (origin_read(record_header(record, HDR_ORIGIN), &origin) < 0)
		return NULL;
	for (size_t i = 0; i < k->requests.count; i++) {
		if (strcmp(k->requests.items[i], origin.topic) != 0 || origin.partition >= world.plan.partitions)
			continue;
		const struct log *log = broker_log(origin.topic, origin.partition);
		return origin.offset < (int64_t)log->count ? log->entries[origin.offset]->source : NULL;
	}
	return NULL;
}

/* ---- disturbances ---- */

static void on_died(const struct process *p)
{
	(void)p;
	for (struct source *s = sources; s; s = s->next)
		s->is_disturbed = true;
}

static void on_gave_back(const struct process *p)
{
	(void)p;
	for (struct source *s = sources; s; s = s->next)
		s->is_moved = true;
}

static void on_exited(const struct process *p)
{
	const bool misfit = topology_is_misfit() && !p->worker.subscribed;
	const bool may_fail = p->is_fenced || misfit || (p->signals.stop > 0 && !p->stop_is_fair);
	on_died(p);
	if (p->worker.exit_code != 0 && !may_fail)
		verdict_give("%s ended with %d although nothing was wrong", p->name, p->worker.exit_code);
}

/* ---- turns ---- */

static void judge_partition(const struct process *p, const struct partition *part)
{
	size_t count = 0, open = 0;
	for (const struct job *job = part->jobs; job; job = job->next) {
		count++;
		open += !job->is_written; /* a cancel that listens on is done */
		if (job->partition != part)
			verdict_give("%s: a job of %s/%d says that it is of another", p->name, part->topic,
				     part->number);
		if (!job->is_written && offsets_is_done(part->offsets, job->record->offset))
			verdict_give("%s: %s/%d/%lld is done, but still at work", p->name, part->topic, part->number,
				     (long long)job->record->offset);
	}
	if (count != part->job_count || count > (size_t)world.plan.settings.worker.window)
		verdict_give("%s holds %zu records of %s/%d", p->name, count, part->topic, part->number);
	if (open > offsets_open_count(part->offsets))
		verdict_give("%s holds %zu records of %s/%d, of which only %zu are open", p->name, open, part->topic,
			     part->number, offsets_open_count(part->offsets));
}

/* A call that does not end must not keep partitions from their next owner. */
static void judge_revoke(const struct process *p)
{
	const usec_t patience = world.plan.settings.worker.revoke_ms * USEC_PER_MSEC + USEC_PER_SEC / 10;
	const usec_t since = consumer_giving_back_since(p->consumer);
	if (since == USEC_NEVER || agenda_now() - since <= patience)
		return;
	for (int i = 0; i < p->http_count; i++)
		for (const struct http_call *c = http_open_calls(p->http[i]); c; c = c->next)
			if (c->job && c->job->partition)
				verdict_give("%s keeps a call open beyond worker.revoke_ms", p->name);
}

static void on_turned(const struct process *p)
{
	const struct worker *w = &p->worker;
	size_t memory = 0;
	for (size_t i = 0; i < w->partition_count; i++) {
		judge_partition(p, w->partitions[i]);
		for (const struct job *job = w->partitions[i]->jobs; job; job = job->next)
			memory += job_memory(job);
	}
	for (const struct job *job = w->orphans; job; job = job->next)
		memory += job_memory(job);
	judge_revoke(p);
	if (memory != w->job_memory)
		verdict_give("%s counts %zu bytes of jobs, but there are %zu", p->name, w->job_memory, memory);
	for (int i = 0; i < p->http_count; i++)
		if (http_in_flight(p->http[i]) > (size_t)p->tenants[i].max_in_flight + 1)
			verdict_give("%s has %zu calls in flight", p->name, http_in_flight(p->http[i]));
}

/* ---- the end ---- */

static bool is_finished(const struct source *s, const char **ret_what)
{
	const struct log *log = broker_log(s->entry->record->topic, s->entry->record->partition);
	*ret_what = "is not done";
	if (!s->entry->done || log->committed < 0)
		return false;
	*ret_what = "has no outcome";
	if (s->kind != SOURCE_CANCEL && s->outcomes == 0)
		return false;
	*ret_what = "has a retry that is not done";
	for (size_t i = 0; i < s->published_count; i++) {
		const struct entry *e = s->published[i];
		const bool is_retry = strcmp(e->record->topic, world.plan.settings.kafka.retry) == 0;
		if (is_retry && broker_is_visible(e) && !e->done)
			return false;
	}
	return true;
}

/* Idle, the group stands at the end: markers, gaps and what was aborted are passed, too. */
static bool is_at_end(bool insist)
{
	for (size_t t = 0; t + 2 < broker_topic_count(); t++)
		for (int32_t p = 0; p < world.plan.partitions; p++) {
			const struct log *log = broker_log(broker_topic(t), p);
			if (log->count == 0 || log->committed == (int64_t)log->count)
				continue;
			if (insist)
				verdict_give("the group stands at %lld of %s/%d, whose end is %zu",
					     (long long)log->committed, log->topic, (int)p, log->count);
			return false;
		}
	return true;
}

bool judge_all_done(bool insist)
{
	const char *what;
	for (const struct source *s = sources; s; s = s->next) {
		if (is_finished(s, &what))
			continue;
		if (insist)
			verdict_give("%s/%d/%lld (%s) %s", s->entry->record->topic, s->entry->record->partition,
				     (long long)s->entry->record->offset, s->id, what);
		return false;
	}
	return is_at_end(insist);
}

void judge_begin(void)
{
	sources = NULL;
	judge_begin_calls();
	judge_begin_records();
	witness.on_turned = on_turned;
	witness.on_died = on_died;
	witness.on_gave_back = on_gave_back;
	witness.on_exited = on_exited;
}
