#include "sim/story.h"

#include <stdio.h>
#include <string.h>

#include "sim/broker.h"
#include "sim/chance.h"
#include "sim/judge.h"
#include "sim/kafka_doors.h"
#include "sim/process.h"
#include "sim/trace.h"
#include "sim/upstream.h"
#include "sim/world.h"

#define QUEUE "a1b2c3d4-e5f6-7890-abcd-ef1234567890"

static int numbered;

/* ---- what is asked for ---- */

/* A record to be written: its JSON as it grows, and the source it will be. */
struct draft {
	char *value;
	size_t size;
	size_t length;
	char key[40];
	struct header headers[8];
	size_t header_count;
	bool is_event;
	struct source like;
};

static void add(struct draft *d, const char *name, const char *text)
{
	d->length += (size_t)snprintf(d->value + d->length, d->size - d->length, "%s\"%s\":%s",
				      d->length > 1 ? "," : "", name, text);
}

static void add_string(struct draft *d, const char *name, const char *text)
{
	char quoted[200];
	snprintf(quoted, sizeof(quoted), "\"%s\"", text);
	add(d, name, quoted);
}

static void add_header(struct draft *d, const char *name, const char *text)
{
	d->headers[d->header_count++] =
		(struct header){ .name = name, .value = span_of(agenda_text(text, strlen(text))) };
}

static void begin_draft(struct draft *d)
{
	*d = (struct draft){ .length = 1, .size = 1000 + (size_t)world.plan.padding };
	d->value = agenda_memory(d->size);
	d->value[0] = '{';
	d->like.tenant = (int)chance_between(0, world.plan.tenants - 1);
	snprintf(d->like.session, sizeof(d->like.session), "s-%d", (int)chance_between(0, world.plan.sessions - 1));
	snprintf(d->like.id, sizeof(d->like.id), "h-%d", ++numbered);
}

/* Another request with the id and the session of an earlier one. */
static void imitate(struct draft *d, bool as_replay)
{
	struct source *twin = judge_sources();
	for (int64_t skip = chance_between(0, 5); twin && skip > 0 && twin->next; skip--)
		twin = twin->next;
	if (!twin || twin->kind != SOURCE_HANDOFF || !twin->id[0])
		return;
	snprintf(d->like.id, sizeof(d->like.id), "%s", twin->id);
	snprintf(d->like.session, sizeof(d->like.session), "%s", twin->session);
	d->like.tenant = twin->tenant;
	if (as_replay)
		d->like.replay = (int)chance_between(1, 3);
}

static void add_deadline(struct draft *d)
{
	char text[32];
	const int64_t now_ms = world_unix_ms();
	int64_t ttl_ms = chance_hits(world.plan.expiring) ? chance_between(1, 8000) : chance_between(5000, 90000);
	if (d->like.replay > 0) {
		snprintf(text, sizeof(text), "%d", d->like.replay);
		add_header(d, HDR_REPLAY, text);
		snprintf(text, sizeof(text), "%lld", (long long)(now_ms + ttl_ms));
		add_header(d, HDR_DEADLINE, text);
	} else if (chance_hits(300)) {
		ttl_ms = world.plan.settings.retry.max_age_ms;
	} else {
		snprintf(text, sizeof(text), "%lld", (long long)ttl_ms);
		add(d, "ttlMs", text);
	}
	d->like.deadline_ms = now_ms + ttl_ms;
}

static void add_padding(struct draft *d)
{
	char *padding = agenda_memory((size_t)world.plan.padding);
	memset(padding, 'x', (size_t)world.plan.padding - 1);
	d->length += (size_t)snprintf(d->value + d->length, d->size - d->length, ",\"padding\":\"%s\"", padding);
}

/* The request as the data of a CloudEvent. */
static void wrap(struct draft *d)
{
	char *whole = agenda_memory(d->size + 100);
	snprintf(whole, d->size + 100,
		 "{\"specversion\":\"1.0\",\"type\":\"t\",\"source\":\"s\",\"id\":\"\",\"data\":%s}", d->value);
	d->value = whole;
	add_header(d, HDR_CONTENT_TYPE, CONTENT_TYPE_CLOUDEVENT);
}

static bool is_vendor(const struct draft *d)
{
	return world.plan.tenant_settings[d->like.tenant].profile == PROFILE_COGNIGY_AI;
}

/* Whom the tenant's API has to be told of, and where he is to go. Now and then something lacks, or is not for it. */
static void add_caller(struct draft *d, bool may_lack)
{
	char text[64];
	const bool lacks = may_lack && chance_hits(20);
	if (is_vendor(d)) {
		snprintf(text, sizeof(text), "u/%s", d->like.session);
		if (!lacks || chance_hits(500))
			add_string(d, "userId", text);
		else
			d->like.kind = SOURCE_INVALID;
		snprintf(text, sizeof(text), "t/%s", d->like.session);
		if (!lacks || d->like.kind == SOURCE_INVALID)
			add_string(d, "urlToken", text);
		d->like.kind = lacks ? SOURCE_INVALID : d->like.kind;
	}
	if (is_vendor(d) && chance_hits(200)) {
		add(d, "target", "{\"type\":\"tel\",\"value\":\"+4930123456789\"}");
	} else if (!is_vendor(d) && lacks) {
		add(d, "target", "{\"type\":\"sip\",\"value\":\"sip:desk@sbc\"}");
		d->like.kind = SOURCE_INVALID;
	} else {
		add_string(d, "queueId", QUEUE);
	}
}

static void draft_request(struct draft *d)
{
	static const char *const priorities[] = { "high", "normal", "low" };
	begin_draft(d);
	const bool is_twin = chance_hits(world.plan.twins);
	const bool is_replay = !is_twin && chance_hits(world.plan.replays);
	if (is_twin || is_replay)
		imitate(d, is_replay);
	else if (chance_hits(50))
		d->like.id[0] = '\0';
	add_string(d, "sessionId", d->like.session);
	add_caller(d, !is_twin && !is_replay);
	if (d->like.id[0])
		add_string(d, "handoffId", d->like.id);
	if (chance_hits(300))
		add_string(d, "priority", priorities[chance_between(0, 2)]);
	if (chance_hits(300))
		add(d, "metadata", "{\"intent\":\"moved\",\"tries\":3}");
	add_deadline(d);
	if (chance_hits(300))
		add_header(d, "x-foreign", "bytes that are not ours");
	if (chance_hits(200))
		add_header(d, "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
	if (world.plan.padding > 0)
		add_padding(d);
	d->is_event = chance_hits(100);
}

static void draft_cancel(struct draft *d)
{
	begin_draft(d);
	imitate(d, false);
	d->like.kind = SOURCE_CANCEL;
	add_string(d, "type", "cancel");
	add_string(d, "sessionId", d->like.session);
	if (chance_hits(500))
		add_string(d, "handoffId", d->like.id);
	else
		d->like.id[0] = '\0';
	add_deadline(d);
}

static void draft_nonsense(struct draft *d)
{
	begin_draft(d);
	d->like.kind = SOURCE_INVALID;
	add_string(d, "sessionId", d->like.session);
	if (chance_hits(500))
		add_string(d, "queueId", "none");
}

/* ---- what the judge has to know of it ---- */

static bool means(const struct source *cancel, const struct source *s)
{
	return s->kind == SOURCE_HANDOFF && s->tenant == cancel->tenant && strcmp(s->session, cancel->session) == 0 &&
	       (!cancel->id[0] || !s->id[0] || strcmp(s->id, cancel->id) == 0);
}

static void relate(struct source *fresh)
{
	fresh->is_alone = !upstream_is_transferring(fresh->tenant, fresh->session);
	for (struct source *s = judge_sources(); s; s = s->next) {
		if (s == fresh || s->tenant != fresh->tenant || strcmp(s->session, fresh->session) != 0)
			continue;
		s->is_alone = fresh->is_alone = false;
		if (fresh->kind == SOURCE_CANCEL && means(fresh, s))
			s->may_cancel = true;
		if (s->kind == SOURCE_CANCEL && means(s, fresh))
			fresh->may_cancel = true;
		if (s->kind == fresh->kind && fresh->id[0] && strcmp(s->id, fresh->id) == 0)
			s->has_twin = fresh->has_twin = true;
	}
}

static void write_record(struct draft *d)
{
	const struct settings_kafka *k = &world.plan.settings.kafka;
	if (world.plan.tenants > 1)
		add_string(d, "tenant", world.plan.tenant_settings[d->like.tenant].name);
	snprintf(d->value + d->length, d->size - d->length, "}");
	if (d->is_event)
		wrap(d);
	/* By key: a session's records are in one partition number. */
	const int number = d->like.session[2] - '0' + d->like.tenant;
	const struct record record = {
		.topic = k->requests.items[chance_between(0, (int64_t)k->requests.count - 1)],
		.partition = number % world.plan.partitions,
		.timestamp_ms = world_unix_ms(),
		.key = span_of(d->like.session),
		.value = span_of(d->value),
		.headers = d->headers,
		.header_count = d->header_count,
	};
	struct source *s = judge_add(broker_append(&record, NULL), d->like.kind);
	snprintf(s->id, sizeof(s->id), "%s", d->like.id);
	snprintf(s->session, sizeof(s->session), "%s", d->like.session);
	s->tenant = d->like.tenant;
	s->replay = d->like.replay;
	s->deadline_ms = d->like.deadline_ms;
	trace("story", "%s/%d/%lld %.200s", record.topic, record.partition, (long long)s->entry->record->offset,
	      d->value);
	relate(s);
}

/* Somebody else's transaction that comes to nothing: its records count as gaps. */
static void write_aborted(void)
{
	const struct settings_kafka *k = &world.plan.settings.kafka;
	struct transaction *t = broker_transaction(-1);
	const struct record record = { .topic = k->requests.items[0],
				       .partition = (int32_t)chance_between(0, world.plan.partitions - 1),
				       .timestamp_ms = world_unix_ms(),
				       .value = SPAN("never to be read") };
	for (int64_t n = chance_between(1, 3); n > 0; n--)
		broker_append(&record, t);
	broker_end_transaction(t, false);
}

static void ask_for_something(void *arg)
{
	const struct settings_kafka *k = &world.plan.settings.kafka;
	struct draft d;
	(void)arg;
	if (chance_hits(world.plan.aborted_records))
		write_aborted();
	if (chance_hits(world.plan.gaps))
		broker_append_gap(
			broker_log(k->requests.items[0], (int32_t)chance_between(0, world.plan.partitions - 1)));
	if (chance_hits(world.plan.cancels))
		draft_cancel(&d);
	else if (chance_hits(world.plan.invalid))
		draft_nonsense(&d);
	else
		draft_request(&d);
	write_record(&d);
}

/* ---- what goes wrong ---- */

static struct process *any_process(void)
{
	return world.slots[chance_between(0, world.plan.slots - 1)];
}

static void restart(void *arg)
{
	const int slot = *(const int *)arg;
	if (!world.slots[slot]->alive && !world.calm)
		process_start(slot);
}

static void restart_later(int slot)
{
	int *number = agenda_memory(sizeof(*number));
	*number = slot;
	agenda_in(chance_between(100000, chance_hits(500) ? 1000000 : 20000000), restart, number);
}

static void crash(void *arg)
{
	struct process *p = any_process();
	(void)arg;
	if (chance_hits(700))
		process_kill_soon(p);
	else
		process_kill(p);
	restart_later(p->slot);
	/* When it has not come to an effect by then, it lives on. */
}

static void freeze(void *arg)
{
	(void)arg;
	process_freeze(any_process(),
		       chance_hits(500) ? chance_between(100000, 9000000) : chance_between(9000000, 40000000));
}

static void stop(void *arg)
{
	struct process *p = any_process();
	(void)arg;
	process_stop(p);
	restart_later(p->slot);
}

static void lose(void *arg)
{
	struct process *p = any_process();
	(void)arg;
	if (!p->alive || p->frozen || !p->member.in_group)
		return;
	trace(p->name, "cannot reach the coordinator");
	group_expel(&p->member);
	p->member.must_give_back(&p->member, true);
}

static void shake(void *arg)
{
	(void)arg;
	group_shake("the topics were looked at anew");
}

static void break_brokers(void *arg)
{
	(void)arg;
	broker_outage(chance_between(100000, 12000000));
	for (int i = 0; i < world.plan.slots; i++)
		if (world.slots[i]->alive && chance_hits(500))
			consumer_trouble(world.slots[i]->consumer);
}

static void break_tenant(void *arg)
{
	(void)arg;
	upstream_outage((int)chance_between(0, world.plan.tenants - 1), chance_between(500000, 20000000));
}

static void step_wall(void *arg)
{
	const int64_t step_ms = chance_between(-1500, 1500);
	(void)arg;
	trace("story", "the wall clock is set by %lld ms", (long long)step_ms);
	world.wall_step_ms += step_ms;
	if (step_ms < 0)
		world.wall_back_ms -= step_ms;
}

static void end_misfit(void *arg)
{
	(void)arg;
	topology_misfit(false);
}

static void begin_misfit(void *arg)
{
	(void)arg;
	trace("story", "the topics do not fit together");
	topology_misfit(true);
	agenda_in(chance_between(5, 30) * USEC_PER_SEC, end_misfit, NULL);
}

static void scatter(int count, usec_t from, usec_t to, agenda_fn *fn)
{
	for (int i = 0; i < count; i++)
		agenda_at(AGENDA_BEGIN + chance_between(from, to), fn, NULL);
}

void story_begin(void)
{
	const struct plan *p = &world.plan;
	numbered = 0;
	topology_misfit(false);
	for (int slot = 0; slot < p->slots; slot++)
		process_start(slot);
	/* Some at once, others as time goes by. */
	const int early = chance_hits(500) ? p->requests : p->requests / 2;
	scatter(early, 0, p->horizon / 10, ask_for_something);
	scatter(p->requests - early, 0, p->horizon * 3 / 4, ask_for_something);
	scatter(p->crashes, 0, p->horizon, crash);
	scatter(p->freezes, 0, p->horizon, freeze);
	scatter(p->stops, 0, p->horizon, stop);
	scatter(p->losses, 0, p->horizon, lose);
	scatter(p->rebalances, 0, p->horizon, shake);
	scatter(p->broker_outages, 0, p->horizon, break_brokers);
	scatter(p->tenant_outages, 0, p->horizon, break_tenant);
	scatter(p->wall_steps, 0, p->horizon, step_wall);
	scatter(p->misfits, p->horizon / 10, p->horizon, begin_misfit);
}

void story_calm_down(void)
{
	trace("story", "all trouble ends");
	world.calm = true;
	topology_misfit(false);
	broker_recover();
	upstream_heal();
	for (int slot = 0; slot < world.plan.slots; slot++) {
		struct process *p = world.slots[slot];
		p->effects_left = -1;
		if (!p->alive)
			process_start(slot);
	}
}
