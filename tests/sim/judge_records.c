/* What is checked of records and commits: nothing is done without a successor, and no successor says less. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/done_map.h"
#include "sim/judge_parts.h"
#include "sim/process.h"
#include "sim/upstream.h"
#include "sim/verdict.h"
#include "sim/witness.h"
#include "sim/world.h"
#include "json/scan.h"

static bool is_on(const struct entry *entry, const char *topic)
{
	return strcmp(entry->record->topic, topic) == 0;
}

static bool is_retry(const struct entry *entry)
{
	return is_on(entry, world.plan.settings.kafka.retry);
}

static bool is_outcome(const struct entry *entry)
{
	return is_on(entry, world.plan.settings.kafka.outcomes);
}

static bool is_dead_letter(const struct entry *entry)
{
	return is_on(entry, world.plan.settings.kafka.dead_letters);
}

void judge_read_history(const struct entry *entry, struct history *ret)
{
	struct fault fault;
	*ret = (struct history){ .attempt = 1, .deadline_ms = entry->source->deadline_ms, .reason = REASON_COUNT };
	if (is_retry(entry) && history_read(entry->record, ret, &fault) < 0)
		verdict_give("a retry of %s cannot be read: %s", entry->source->id, fault.message);
	history_fini(ret); /* its ids are not judged; the rest stays */
}

/* ---- what follows what ---- */

static size_t count_header(const struct record *record, const char *name)
{
	size_t count = 0;
	for (size_t i = 0; i < record->header_count; i++)
		count += strcmp(record->headers[i].name, name) == 0;
	return count;
}

/* NULL when every foreign header is still there, and none of ours twice. */
static const char *compare_headers(const struct record *from, const struct record *to)
{
	for (size_t i = 0; i < from->header_count; i++)
		if (!history_owns_header(from->headers[i].name) &&
		    !span_eq(record_header(to, from->headers[i].name), from->headers[i].value))
			return "has lost a header";
	for (size_t i = 0; i < to->header_count; i++)
		if (count_header(to, to->headers[i].name) != 1)
			return "has a header twice";
	return NULL;
}

static int failures(const struct history *h)
{
	int sum = 0;
	for (int i = 0; i < BUDGET_COUNT; i++)
		sum += h->failures[i];
	return sum;
}

/* Parked for this, a budget was burnt. (A call given up at a revoke is a time-out that burns none.) */
static bool is_budgeted(enum reason reason)
{
	return reason == REASON_RATE_LIMITED || reason == REASON_LOCKED || reason == REASON_SERVER_ERROR ||
	       reason == REASON_BAD_RESPONSE;
}

static const char *compare_histories(const struct history *from, const struct history *to)
{
	/* Written once more, because the caller has hung up meanwhile. */
	const bool is_renewed =
		to->progress.cancel_asked && !from->progress.cancel_asked && to->attempt == from->attempt;
	const bool is_spill = to->spilled_at_ms > 0 || is_renewed;
	if (from->progress.cancel_asked && !to->progress.cancel_asked)
		return "has forgotten that it was cancelled";
	if (to->deadline_ms > from->deadline_ms)
		return "has a later deadline";
	if (to->resume < from->resume)
		return "knows less of what may have happened";
	if (from->progress.unanswered && !to->progress.unanswered)
		return "has forgotten an unanswered trigger";
	if (to->attempt != from->attempt + (is_spill ? 0 : 1))
		return "has the wrong attempt";
	/* Only to make way for another tenant's may it become later. */
	if (is_spill && (to->not_before_ms < from->not_before_ms ||
			 (world.plan.tenants == 1 && to->not_before_ms > from->not_before_ms)))
		return "was spilled with another time";
	for (int i = 0; i < BUDGET_COUNT; i++)
		if (to->failures[i] < from->failures[i])
			return "has forgotten a failure";
	if (!is_spill && is_budgeted(to->reason) && failures(to) != failures(from) + 1)
		return "has not counted its failure";
	for (int i = 0; i < STAGE_COUNT; i++)
		if (to->progress.calls[i] < from->progress.calls[i])
			return "has forgotten a call";
	return NULL;
}

/* Why `to` cannot be what became of `from`; NULL: it can. */
static const char *retry_complaint(const struct entry *from, const struct entry *to)
{
	struct history before, after;
	const char *complaint = compare_headers(from->record, to->record);
	if (complaint)
		return complaint;
	if (!span_eq(from->record->key, to->record->key) || !span_eq(from->record->value, to->record->value))
		return "has another key or value";
	if (from->record->partition != to->record->partition)
		return "is in another partition";
	judge_read_history(from, &before);
	judge_read_history(to, &after);
	/* A cancel that came first is kept, not tried again. */
	if (from->source->kind == SOURCE_CANCEL)
		return NULL;
	return compare_histories(&before, &after);
}

/* ---- outcomes ---- */

static enum status status_of(const struct entry *outcome)
{
	char name[32];
	snprintf(name, sizeof(name), "%.*s", SPAN_FMT(record_header(outcome->record, HDR_STATUS)));
	return status_by_name(name);
}

static enum reason reason_of(const struct entry *outcome)
{
	char name[64];
	snprintf(name, sizeof(name), "%.*s", SPAN_FMT(record_header(outcome->record, HDR_REASON)));
	return reason_by_name(name);
}

static int64_t calls_in(const struct entry *outcome, enum stage stage)
{
	struct scan_value top, calls, value;
	int64_t count = -1;
	if (scan_check(outcome->record->value, &top, NULL) == 0 && scan_find(top, "calls", &calls) &&
	    scan_find(calls, stage_name(stage), &value) && scan_int64(value, &count) < 0)
		count = -1;
	return count;
}

static void check_calls(const struct entry *outcome, const struct source *s)
{
	for (enum stage stage = STAGE_FETCH; stage <= STAGE_TRIGGER; stage++)
		if (calls_in(outcome, stage) != s->calls[stage])
			verdict_give("the outcome of %s counts %lld %s calls, but there were %d", s->id,
				     (long long)calls_in(outcome, stage), stage_name(stage), s->calls[stage]);
}

static bool was_quiet(const struct source *s)
{
	return !s->is_disturbed && !s->is_moved;
}

/* A worker that has seen the id remembers it for retry.max_age_ms: of records with one id, one is worked at. */
static void check_twins(struct source *s)
{
	const int64_t memory_ms = world.plan.settings.retry.max_age_ms;
	s->was_worked = true;
	for (const struct source *t = judge_sources(); t; t = t->next)
		if (t != s && t->was_worked && t->kind == SOURCE_HANDOFF && s->kind == SOURCE_HANDOFF &&
		    t->tenant == s->tenant && strcmp(t->session, s->session) == 0 && s->id[0] &&
		    strcmp(t->id, s->id) == 0 && t->replay == 0 && s->replay == 0 && was_quiet(s) && was_quiet(t) &&
		    world_unix_ms() - t->written_ms < memory_ms && world_unix_ms() - s->written_ms < memory_ms)
			verdict_give("two records with the id %s were worked at", s->id);
}

static void check_facts(const struct entry *outcome, const struct source *s)
{
	const enum reason reason = reason_of(outcome);
	const enum status status = status_of(outcome);
	const int runs = upstream_executions(s->tenant, s->session, s->key);
	const bool ran_unheard = s->may_have_run && !s->is_disturbed;
	if ((s->kind == SOURCE_INVALID) != (status == STATUS_REJECTED))
		verdict_give("%s is %s", s->id, status_name(status));
	if (status == STATUS_COMPLETED && world.plan.tenant_settings[s->tenant].profile == PROFILE_COGNIGY_AI)
		verdict_give("%s is said to be completed, but nobody can have told", s->id);
	if (status == STATUS_COMPLETED && runs == 0)
		verdict_give("%s is completed, but its flow never ran", s->id);
	if (status == STATUS_CANCELLED && (!s->may_cancel || ran_unheard))
		verdict_give("%s is cancelled, but %s", s->id, s->may_cancel ? "was triggered" : "nobody asked for it");
	if (reason == REASON_TIMEOUT && s->unclear == 0)
		verdict_give("%s is said to have timed out, but every call had an answer", s->id);
	if (reason == REASON_DUPLICATE && !s->has_twin)
		verdict_give("%s is a duplicate of nothing", s->id);
	if (reason == REASON_ALREADY_TRANSFERRING && s->is_alone)
		verdict_give("%s is said to be transferred by somebody else", s->id);
	if (reason == REASON_DEADLINE_PASSED && outcome->record->timestamp_ms < s->deadline_ms - world.wall_back_ms)
		verdict_give("%s expired before its deadline", s->id);
	if (was_quiet(s))
		check_calls(outcome, s);
}

/* ---- one transaction ---- */

/* The entries of a log that a commit would newly mark as done, told one after the other. */
typedef void newly_done(struct entry *entry, void *arg);

static void walk_newly_done(const struct log *log, int64_t committed, const char *metadata, newly_done *fn, void *arg)
{
	struct offsets *offsets = offsets_new(committed, PARTITION_SPAN_MAX);
	if (metadata[0] && done_map_read(span_of(metadata), log->topic, log->partition, offsets) < 0)
		verdict_give("the done map of %s/%d cannot be read", log->topic, log->partition);
	if (committed > (int64_t)log->count)
		verdict_give("%s/%d is committed beyond its end", log->topic, log->partition);
	for (int64_t i = 0; i < (int64_t)log->count; i++) {
		struct entry *entry = log->entries[i];
		const bool done = i < committed || offsets_is_done(offsets, i);
		if (entry->done && !done)
			verdict_give("%s/%d/%lld was done and is not any more", log->topic, log->partition,
				     (long long)i);
		if (done && entry->transaction && entry->transaction->state == TRANSACTION_OPEN)
			verdict_give("%s/%d/%lld is done, but nobody can have read it", log->topic, log->partition,
				     (long long)i);
		if (done && !entry->done)
			fn(entry, arg);
	}
	offsets_free(offsets);
}

/* What one transaction published, and which of it has been accounted for. */
struct account {
	const struct transaction *transaction;
	bool *used;
};

/* Finds what became of the entry among what the transaction published. */
static struct entry *claim(struct account *a, const struct entry *entry, bool (*is_kind)(const struct entry *))
{
	for (size_t i = 0; i < a->transaction->entry_count; i++) {
		struct entry *e = a->transaction->entries[i];
		if (a->used[i] || e->source != entry->source || !is_kind(e))
			continue;
		a->used[i] = true;
		return e;
	}
	return NULL;
}

static bool is_end(const struct entry *entry)
{
	return is_retry(entry) || is_outcome(entry);
}

static void place(const struct entry *entry, char *ret, size_t size)
{
	snprintf(ret, size, "%s/%d/%lld (%s)", entry->record->topic, entry->record->partition,
		 (long long)entry->record->offset, entry->source ? entry->source->id : "nobody's");
}

/* A retry must say what the trigger of this attempt may have done. */
static void check_resume(const struct entry *from, const struct entry *to)
{
	struct history h;
	const struct source *s = from->source;
	if (s->attempt != from || !s->attempt_may_have_run || s->is_disturbed)
		return;
	judge_read_history(to, &h);
	if (h.resume != RESUME_VERIFY)
		verdict_give("the retry of %s does not say that its trigger may have been executed", s->id);
}

static void account_for(struct entry *entry, void *arg)
{
	struct account *a = arg;
	char where[256];
	if (!broker_is_visible(entry))
		return;
	place(entry, where, sizeof(where));
	struct source *s = entry->source;
	if (!s) {
		verdict_give("%s is done, but nobody wrote it", where);
		return;
	}
	struct entry *end = claim(a, entry, is_end);
	entry->successor = end;
	if (!end) {
		if (s->kind != SOURCE_CANCEL)
			verdict_give("%s is done without an outcome or a retry", where);
		return;
	}
	if (is_retry(end)) {
		const char *complaint = retry_complaint(entry, end);
		if (complaint)
			verdict_give("the retry of %s %s", where, complaint);
		check_resume(entry, end);
	} else if (reason_is_dead_letter(reason_of(end)) && !claim(a, entry, is_dead_letter)) {
		verdict_give("%s has failed, but there is no dead letter", where);
	}
}

static void count_end(struct entry *entry)
{
	struct source *s = entry->source;
	if (!is_outcome(entry))
		return;
	check_facts(entry, s);
	if (status_of(entry) != STATUS_DUPLICATE)
		check_twins(s);
	if (++s->outcomes > 1 && world.plan.settings.kafka.exactly_once)
		verdict_give("%s has two outcomes", s->id);
}

static void on_transaction(const struct transaction *t)
{
	struct account account = { .transaction = t, .used = agenda_memory(t->entry_count + 1) };
	char where[256];
	for (size_t i = 0; i < t->offset_count; i++)
		walk_newly_done(t->offsets[i].log, t->offsets[i].offset, t->offsets[i].metadata, account_for, &account);
	for (size_t i = 0; i < t->entry_count && !verdict_is_given(); i++) {
		place(t->entries[i], where, sizeof(where));
		if (!account.used[i])
			verdict_give("%s was published, but nothing is done by it", where);
		else
			count_end(t->entries[i]);
	}
}

/* ---- what is written and committed without one ---- */

static void keep(struct source *s, struct entry *entry)
{
	if (s->published_count == s->published_cap) {
		const size_t cap = s->published_cap ? 2 * s->published_cap : 8;
		struct entry **fresh = agenda_memory(cap * sizeof(struct entry *));
		if (s->published_count > 0)
			memcpy(fresh, s->published, s->published_count * sizeof(struct entry *));
		s->published = fresh;
		s->published_cap = cap;
	}
	s->published[s->published_count++] = entry;
}

static void on_written(struct entry *entry)
{
	const bool is_ours = is_end(entry) || is_dead_letter(entry);
	if (!is_ours)
		return;
	entry->source = judge_source_of(entry->record);
	if (!entry->source) {
		verdict_give("a record on %s is about nothing that was asked for", entry->record->topic);
		return;
	}
	keep(entry->source, entry);
	if (!entry->transaction)
		count_end(entry);
}

static bool has_successor(const struct entry *entry)
{
	const struct source *s = entry->source;
	for (size_t i = 0; i < s->published_count; i++) {
		const struct entry *e = s->published[i];
		if (is_outcome(e) || (is_retry(e) && e != entry && !retry_complaint(entry, e)))
			return true;
	}
	return false;
}

static void finish(struct entry *entry, void *arg)
{
	char where[256];
	(void)arg;
	entry->done = true;
	if (!broker_is_visible(entry) || world.plan.settings.kafka.exactly_once)
		return;
	place(entry, where, sizeof(where));
	if (!entry->source || (entry->source->kind != SOURCE_CANCEL && !has_successor(entry)))
		verdict_give("%s is done without an outcome or a retry", where);
}

static void on_committed(struct log *log)
{
	walk_newly_done(log, log->committed, log->metadata, finish, NULL);
}

void judge_begin_records(void)
{
	witness.on_written = on_written;
	witness.on_transaction = on_transaction;
	witness.on_committed = on_committed;
}
