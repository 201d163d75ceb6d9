/* What is checked when a call begins, and what is learnt when it ends. */
#include <stdio.h>
#include <string.h>

#include "rules/limits.h"
#include "rules/retry_after.h"
#include "sim/judge_parts.h"
#include "sim/kafka_doors.h"
#include "sim/process.h"
#include "sim/upstream.h"
#include "sim/verdict.h"
#include "sim/witness.h"
#include "sim/world.h"
#include "worker/job.h"
#include "worker/partition.h"

/* What a worker has heard of a tenant, by which it has to leave it alone. */
struct peace {
	usec_t answered_at;   /* when a call last came through: one begun before and refused after says nothing */
	int life;             /* of the worker: the next one knows nothing of it */
	usec_t closed_until;  /* said a 429 */
	int64_t refused;      /* connections in a row */
	usec_t refused_since; /* the start of the first: one that was on its way when the breaker opened puts nothing
				 off */
	usec_t tripped_at;    /* enough of them */
};

/* What all workers together have asked of a tenant with a rate. */
static struct bucket {
	double level;
	usec_t at;
} buckets[TENANTS_MAX];

static struct peace peaces[SLOTS_MAX][TENANTS_MAX];

static struct peace *peace_of(const struct http_call *call)
{
	struct peace *peace = &peaces[call->process->slot][call->tenant];
	if (peace->life != call->process->life)
		*peace = (struct peace){ .life = call->process->life };
	return peace;
}

/* What the call is about: the record that its job came from. */
static struct entry *entry_of(const struct http_call *call)
{
	const struct record *record = call->job->record;
	const struct log *log = broker_log(record->topic, record->partition);
	if (record->offset < 0 || record->offset >= (int64_t)log->count)
		return NULL;
	return log->entries[record->offset];
}

static bool is_surely_not_executed(const struct http_call *call)
{
	const struct http_reply *r = &call->reply;
	if (!r->sent)
		return true;
	return r->error == HTTP_OK && r->status >= 300 && r->status < 500 && r->status != 408 && r->status != 425;
}

static void check_owner(const struct http_call *call)
{
	const struct process *p = call->process;
	const char *what = stage_name(call->stage);
	if (!call->membership || call->membership->ended)
		verdict_give("%s starts a %s without owning anything", p->name, what);
	else if (!p->unread_gap && !group_accepts(call->membership))
		verdict_give("%s starts a %s although it was expelled", p->name, what);
	else if (!consumer_is_reading(p->consumer))
		verdict_give("%s starts a %s while it gives its partitions back", p->name, what);
}

static void check_times(const struct http_call *call, const struct entry *entry, const struct source *source)
{
	struct history h;
	const char *name = call->process->name;
	const int64_t now_ms = world_unix_ms();
	if (call->process->unread_gap)
		return; /* it has been standing still since it looked at the clock */
	judge_read_history(entry, &h);
	if (now_ms < h.not_before_ms - world.wall_back_ms)
		verdict_give("%s starts a %s of %s %lld ms before its time", name, stage_name(call->stage), source->id,
			     (long long)(h.not_before_ms - now_ms));
	if (now_ms >= source->deadline_ms)
		verdict_give("%s starts a %s of %s %lld ms after its deadline", name, stage_name(call->stage),
			     source->id, (long long)(now_ms - source->deadline_ms));
}

/* A cancel may stand behind a retry, and one that came first among the retries: nothing parked runs before its
 * partition was read to the end, and for a while nothing from a request topic; unless there is no room to read so far.
 */
static void check_read_to_end(const struct http_call *call, const struct entry *entry)
{
	const struct process *p = call->process;
	const bool is_parked = entry != entry->source->entry;
	const struct log *log = broker_log(world.plan.settings.kafka.retry, entry->record->partition);
	/* At least once, there may be more retries than requests. */
	const bool has_room = world.plan.padding == 0 && world.plan.settings.worker.window > (int64_t)log->count;
	const bool may_wait = is_parked || agenda_now() - consumer_accepted_at(p->consumer) < RETRIES_FIRST;
	if (may_wait && has_room && !consumer_was_at_end(p->consumer, log))
		verdict_give("%s starts a %s of %s before it has read the retries to their end", p->name,
			     stage_name(call->stage), entry->source->id);
}

static bool is_vendor(const struct http_call *call)
{
	return world.plan.tenant_settings[call->tenant].profile == PROFILE_COGNIGY_AI;
}

/* What is not ours in the session comes back as it was, byte for byte. */
static void check_foreign_bytes(const struct http_call *call)
{
	if (!is_vendor(call) && call->stage == STAGE_UPDATE && !strstr(call->body, upstream_foreign))
		verdict_give("%s changes what is not ours in %s", call->process->name, call->session);
}

/* Each call is about its own caller, by his endpoint; a slash in a name is none in a path. */
static void check_caller(const struct http_call *call)
{
	char user[64], token[64], path[64];
	snprintf(user, sizeof(user), "\"userId\":\"u/%s\"", call->session);
	snprintf(token, sizeof(token), "\"URLToken\":\"t/%s\"", call->session);
	snprintf(path, sizeof(path), "http://endpoint/inject/t%%2F%s", call->session);
	if (!is_vendor(call) || call->stage == STAGE_FETCH)
		return;
	if (!strstr(call->body, user))
		verdict_give("%s tells %s of another user", call->process->name, call->session);
	if (call->stage == STAGE_TRIGGER && !strstr(call->body, token))
		verdict_give("%s sends the trigger of %s with another token", call->process->name, call->session);
	if (call->stage == STAGE_TRIGGER && strstr(call->url, "http://endpoint/") && strcmp(call->url, path) != 0)
		verdict_give("%s sends the trigger of %s to %s", call->process->name, call->session, call->url);
}

/* Asked to be left alone by a 429, or nobody there to ask. */
static void check_peace(const struct http_call *call)
{
	const struct process *p = call->process;
	const struct settings_tenant *t = &p->tenants[call->tenant];
	const struct peace *peace = peace_of(call);
	if (agenda_now() < peace->closed_until)
		verdict_give("%s starts a %s %lld ms before Retry-After has passed", p->name, stage_name(call->stage),
			     (long long)((peace->closed_until - agenda_now()) / USEC_PER_MSEC));
	if (peace->refused >= t->breaker_failures &&
	    agenda_now() < peace->refused_since + t->breaker_open_ms * USEC_PER_MSEC)
		verdict_give("%s starts a %s although the breaker must be open", p->name, stage_name(call->stage));
	for (const struct http_call *c = http_open_calls(call->http); c; c = c->next)
		if (peace->refused >= t->breaker_failures && c != call && c->job && !c->answered &&
		    c->started >= peace->tripped_at)
			verdict_give("%s sends two calls at once to see whether tenant %s is there", p->name, t->name);
}

/* The whole pool's calls keep to the tenant's rate, whoever owns what and whatever moves: never more than a bucket
 * bears that each worker may ask for one call at once, and for what a late turn of its loop makes up for. */
static void check_rate(const struct http_call *call)
{
	const struct settings_tenant *t = &call->process->tenants[call->tenant];
	struct bucket *bucket = &buckets[call->tenant];
	const double rate = t->requests_per_second;
	const double most = (double)t->burst + SLOTS_MAX * (2 + rate * (double)LIMITER_SLACK / (double)USEC_PER_SEC);
	if (rate <= 0)
		return;
	bucket->level -= (double)(agenda_now() - bucket->at) / (double)USEC_PER_SEC * rate;
	bucket->at = agenda_now();
	bucket->level = (bucket->level > 0 ? bucket->level : 0) + 1;
	if (bucket->level > most)
		verdict_give("%s makes a call that is beyond the rate of %.1f a second", call->process->name, rate);
}

static bool is_orphan(const struct http_call *call)
{
	return !call->membership || call->membership->ended || !group_accepts(call->membership);
}

static void check_session(const struct http_call *call)
{
	for (int slot = 0; slot < SLOTS_MAX; slot++) {
		const struct process *p = world.slots[slot];
		const int t = call->tenant;
		if (!p || !p->alive || t >= p->http_count)
			continue;
		for (const struct http_call *c = http_open_calls(p->http[t]); c; c = c->next) {
			if (c == call || c->answered || strcmp(c->session, call->session) != 0)
				continue;
			if (p == call->process || !is_orphan(c))
				verdict_give("%s starts a %s of %s while the %s of %s is open", call->process->name,
					     stage_name(call->stage), call->session, stage_name(c->stage), p->name);
		}
	}
}

/* ---- triggers ---- */

static void check_key(const struct http_call *call, struct source *s)
{
	char expected[160];
	if (s->replay > 0 && !is_vendor(call))
		snprintf(expected, sizeof(expected), "%s.r%d", s->id, s->replay);
	else
		snprintf(expected, sizeof(expected), "%s", s->id);
	if (!s->key[0])
		snprintf(s->key, sizeof(s->key), "%s", s->id[0] ? expected : call->key);
	if (strcmp(s->key, call->key) != 0)
		verdict_give("the trigger of %s has the key %s, not %s", s->id, call->key, s->key);
}

/* Without a marker a worker takes what a dead one has done in a later attempt for the work of the attempt before. And
 * at least once, a record and its retry may both be alive after a death: neither can know of the other. And an update
 * that is executed long after it was given up puts an older marker over a newer one. A session has room for one marker:
 * whoever died with another handoff's over its own has left no trace. */
static bool may_trigger_again(const struct http_call *call, const struct entry *entry)
{
	const struct settings_tenant *t = &world.plan.tenant_settings[call->tenant];
	return t->retrigger_keyed || (!t->marker_variable[0] && entry != entry->source->entry) ||
	       (!world.plan.settings.kafka.exactly_once && entry->source->is_disturbed) ||
	       (entry->source->is_hidden && entry->source->is_disturbed) ||
	       upstream_was_overtaken(call->tenant, call->session);
}

/* No key, and no marker but in the message itself: a successor knows of a trigger by its own fetch alone, which shows
 * what was executed until then. */
static bool may_inject_again(const struct http_call *call, const struct source *s)
{
	char marker[512];
	const struct record *r = s->entry->record;
	snprintf(marker, sizeof(marker), "%s#%s/%d/%lld#", s->key, r->topic, r->partition, (long long)r->offset);
	return s->is_disturbed && !upstream_has_shown(call->tenant, call->session, marker, s->shown);
}

static void check_trigger(const struct http_call *call, const struct entry *entry, struct source *s)
{
	const struct process *p = call->process;
	check_key(call, s);
	if (s->attempt == entry && s->owner == call->membership && (s->attempt_may_have_run || s->attempt_is_open))
		verdict_give("%s sends a second trigger of %s in one attempt", p->name, s->id);
	if (!(is_vendor(call) ? may_inject_again(call, s) : may_trigger_again(call, entry)) &&
	    (s->may_have_run || s->unheard > 0))
		verdict_give("%s sends a second trigger of %s although the first may have been executed", p->name,
			     s->id);
	s->attempt = entry;
	s->owner = call->membership;
	s->attempt_may_have_run = false;
	s->attempt_is_open = true;
	s->unheard++;
}

static void hide_others(const struct http_call *call, const struct source *source)
{
	for (struct source *s = judge_sources(); s; s = s->next)
		if (s != source && s->tenant == call->tenant && strcmp(s->session, call->session) == 0)
			s->is_hidden = s->is_hidden || s->may_have_run || s->unheard > 0;
}

static void on_called(struct http_call *call)
{
	if (call->stage == STAGE_LOGIN)
		return;
	struct entry *entry = entry_of(call);
	struct source *source = entry ? entry->source : NULL;
	if (!source || !broker_is_visible(entry) || source->kind != SOURCE_HANDOFF) {
		verdict_give("%s makes a call for something that is no request", call->process->name);
		return;
	}
	if (strcmp(source->session, call->session) != 0)
		verdict_give("%s calls the session %s, not %s", call->process->name, call->session, source->session);
	check_owner(call);
	check_times(call, entry, source);
	check_peace(call);
	check_rate(call);
	check_session(call);
	check_read_to_end(call, entry);
	check_foreign_bytes(call);
	check_caller(call);
	if (call->stage == STAGE_UPDATE && !is_vendor(call))
		hide_others(call, source);
	if (call->stage == STAGE_TRIGGER)
		check_trigger(call, entry, source);
}

static void learn_peace(const struct http_call *call)
{
	struct peace *peace = peace_of(call);
	const struct http_reply *r = &call->reply;
	const int64_t most = call->process->tenants[call->tenant].breaker_failures;
	if (call->stage == STAGE_LOGIN) {
		if (r->sent)
			peace->refused = 0;
		return;
	}
	if (!r->sent && call->started < peace->answered_at)
		return;
	if (r->sent) {
		peace->refused = 0;
		peace->answered_at = agenda_now();
	} else if (peace->refused++ == 0) {
		peace->refused_since = call->started;
	}
	if (!r->sent && peace->refused == most)
		peace->tripped_at = agenda_now();
	if (r->error != HTTP_OK || r->status != 429)
		return;
	const int64_t wait_ms = retry_after_ms(r->retry_after, r->date, world_unix_ms());
	const usec_t until = wait_ms < 0 ? 0 : agenda_now() + wait_ms * USEC_PER_MSEC;
	if (until > peace->closed_until)
		peace->closed_until = until;
}

static bool is_unclear(const struct http_call *call)
{
	const struct http_reply *r = &call->reply;
	return r->sent && (r->error != HTTP_OK || r->status == 408 || r->status == 425 || call->fate == FATE_GARBAGE);
}

static void learn(struct http_call *call, bool may_have_run)
{
	struct entry *entry = call->stage == STAGE_LOGIN ? NULL : entry_of(call);
	struct source *s = entry ? entry->source : NULL;
	if (!s)
		return;
	if (call->reply.sent || may_have_run)
		s->calls[call->stage]++;
	s->unclear += is_unclear(call);
	if (call->stage == STAGE_FETCH && call->executed)
		s->shown = call->shown;
	if (call->stage != STAGE_TRIGGER)
		return;
	s->may_have_run = s->may_have_run || may_have_run;
	s->unheard--;
	if (s->attempt == entry && s->owner == call->membership) {
		s->attempt_is_open = false;
		s->attempt_may_have_run = may_have_run;
	}
}

static void on_heard(struct http_call *call)
{
	learn_peace(call);
	learn(call, !is_surely_not_executed(call));
}

static void on_gave_up(struct http_call *call)
{
	learn(call, true);
}

void judge_begin_calls(void)
{
	memset(peaces, 0, sizeof(peaces));
	memset(buckets, 0, sizeof(buckets));
	witness.on_called = on_called;
	witness.on_heard = on_heard;
	witness.on_gave_up = on_gave_up;
}
