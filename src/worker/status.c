#include "worker/status.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "worker/survey.h"
#include "json/write.h"

#define BUCKET_SECONDS 5  /* of the picture of the last minutes */
#define RATE_SECONDS   10 /* the rate "now" is the mean of these */

/* ---- ready or not ---- */

size_t status_obstacles(const struct worker *w, const char *ret[STATUS_OBSTACLES_MAX])
{
	size_t count = 0;
	bool any_open = false;
	if (w->stopping)
		ret[count++] = "stopping";
	if (w->brokers_down)
		ret[count++] =
			w->brokers_refuse ? "no Kafka broker lets us in: the log says why" : "no Kafka broker answers";
	if (!w->topics_fit)
		ret[count++] = w->topics_trouble[0] ? w->topics_trouble : "the topics were not seen yet";
	if (!w->joined || w->leaving == LEAVING_LOST)
		ret[count++] = "not a member of the consumer group";
	if (w->unproven)
		ret[count++] = "it has to be proved first that the partitions are still ours";
	for (size_t i = 0; i < w->tenant_count; i++)
		any_open = any_open || !tenant_obstacle(&w->tenants[i], w->now.mono);
	for (size_t i = 0; i < w->tenant_count && !any_open && count < STATUS_OBSTACLES_MAX; i++)
		ret[count++] = tenant_obstacle(&w->tenants[i], w->now.mono);
	return count;
}

/* ---- pieces ---- */

static double seconds(usec_t duration)
{
	return round((double)duration / 1e3) / 1e3;
}

/* How long until then; null when it is not known, or (`now` or earlier) nothing has to be waited for. */
static void write_until(struct buf *out, const char *key, usec_t at, usec_t now)
{
	if (at == USEC_NEVER || at <= now)
		write_null(out, key);
	else
		write_double(out, key, seconds(at - now));
}

static void write_count(struct buf *out, const char *key, size_t count)
{
	write_int(out, key, (int64_t)count);
}

/* A number where there is a limit, else null. */
static void write_rate(struct buf *out, const char *key, double rate)
{
	if (rate > 0)
		write_double(out, key, round(rate * 1e3) / 1e3);
	else
		write_null(out, key);
}

static void write_identity(const struct worker *w, struct buf *out)
{
	const char *obstacles[STATUS_OBSTACLES_MAX];
	const size_t count = status_obstacles(w, obstacles);
	char text[25];
	write_text(out, "version", HANDOFF_VERSION);
	write_text(out, "instance", w->settings->kafka.instance);
	write_text(out, "group", w->settings->kafka.group);
	write_text(out, "delivery", w->settings->kafka.exactly_once ? "exactly-once" : "at-least-once");
	text_rfc3339(text, w->now.unix_ms);
	write_text(out, "time", text);
	write_double(out, "upSeconds", seconds(w->now.mono - w->started.mono));
	write_bool(out, "ready", count == 0);
	write_array_begin(out, "reasons");
	for (size_t i = 0; i < count; i++)
		write_text(out, NULL, obstacles[i]);
	write_array_end(out);
}

/* ---- what came and what ended ---- */

static uint64_t ended(const struct worker *w, int64_t ago, int64_t length)
{
	uint64_t sum = 0;
	for (size_t r = 0; r < REASON_COUNT; r++)
		sum += meter_sum(&w->ended[r], w->now.mono, ago, length);
	return sum;
}

static void write_throughput(const struct worker *w, struct buf *out)
{
	const usec_t now = w->now.mono;
	/* Buckets end at multiples of their length, so that a picture drawn of them moves by whole ones. */
	const int64_t ago = now / USEC_PER_SEC % BUCKET_SECONDS;
	const int64_t first = ago + METER_SECONDS - 2 * BUCKET_SECONDS;
	write_object_begin(out, "throughput");
	write_double(out, "arrivedPerSecond", (double)meter_sum(&w->arrived, now, 0, RATE_SECONDS) / RATE_SECONDS);
	write_double(out, "endedPerSecond", (double)ended(w, 0, RATE_SECONDS) / RATE_SECONDS);
	write_int(out, "bucketSeconds", BUCKET_SECONDS);
	write_array_begin(out, "arrived");
	for (int64_t at = first; at >= ago; at -= BUCKET_SECONDS)
		write_int(out, NULL, (int64_t)meter_sum(&w->arrived, now, at, BUCKET_SECONDS));
	write_array_end(out);
	write_array_begin(out, "ended");
	for (int64_t at = first; at >= ago; at -= BUCKET_SECONDS)
		write_int(out, NULL, (int64_t)ended(w, at, BUCKET_SECONDS));
	write_array_end(out);
	write_object_end(out);
}

static void write_outcomes(const struct worker *w, struct buf *out)
{
	write_array_begin(out, "outcomes");
	for (size_t r = 0; r < REASON_COUNT; r++) {
		if (w->ended_ever[r] == 0)
			continue;
		write_object_begin(out, NULL);
		write_text(out, "status", status_name(reason_status((enum reason)r)));
		write_text(out, "reason", reason_name((enum reason)r));
		write_int(out, "count", (int64_t)w->ended_ever[r]);
		write_int(out, "lately", (int64_t)meter_sum(&w->ended[r], w->now.mono, 0, METER_SECONDS));
		write_object_end(out);
	}
	write_array_end(out);
}

/* ---- what is here, and what it waits for ---- */

static const char *state_name(const struct job *job)
{
	static const char *const names[] = {
		[JOB_NOWHERE] = "ending",  [JOB_WAITING] = "waiting", [JOB_PARKED] = "parked",
		[JOB_RUNNING] = "calling", [JOB_HELD] = "held",       [JOB_IN_LINE] = "in line",
	};
	return names[job->place];
}

static void write_oldest(const struct survey *s, struct buf *out)
{
	const struct job *job = s->oldest;
	struct buf origin;
	if (!job) {
		write_null(out, "oldest");
		return;
	}
	buf_init(&origin, 512);
	origin_write(&origin, &job->handoff.history.origin);
	write_object_begin(out, "oldest");
	write_text(out, "handoffId", job->request.handoff_id);
	write_string(out, "origin", buf_span(&origin));
	write_text(out, "state", state_name(job));
	write_int(out, "attempt", job->handoff.history.attempt);
	write_double(out, "seconds", (double)s->oldest_ms / 1000.0);
	write_object_end(out);
	buf_fini(&origin);
}

static void write_work(const struct worker *w, const struct survey *s, struct buf *out)
{
	write_object_begin(out, "work");
	write_count(out, "inFlight", s->in_flight);
	write_object_begin(out, "calls");
	for (size_t i = STAGE_FETCH; i < STAGE_COUNT; i++)
		write_count(out, stage_name((enum stage)i), s->calls[i]);
	write_object_end(out);
	write_count(out, "held", s->held);
	write_count(out, "waiting", s->waiting);
	write_object_begin(out, "waits");
	for (size_t i = 0; i < WAIT_COUNT; i++)
		write_count(out, wait_cause_name((enum wait_cause)i), s->waits[i]);
	write_object_end(out);
	write_count(out, "parked", s->parked);
	write_count(out, "cancels", s->cancels);
	write_count(out, "uncommitted", outlet_count(w->outlet));
	write_double(out, "oldestIncompleteSeconds", (double)s->incomplete_ms / 1000.0);
	write_oldest(s, out);
	write_count(out, "memoryBytes", w->job_memory + outlet_memory(w->outlet));
	write_int(out, "memoryLimitBytes", w->settings->worker.memory_mb << 20);
	write_object_end(out);
}

static void write_retries(const struct worker *w, const struct survey *s, struct buf *out)
{
	write_object_begin(out, "retries");
	write_until(out, "nextInSeconds", s->next_due, w->now.mono);
	write_count(out, "dueNow", s->due_now);
	write_int(out, "bucketSeconds", SURVEY_BUCKET_MS / 1000);
	write_array_begin(out, "due");
	for (size_t i = 0; i < SURVEY_BUCKETS; i++)
		write_count(out, NULL, s->due[i]);
	write_array_end(out);
	write_count(out, "dueLater", s->due_later);
	write_array_begin(out, "reasons");
	for (size_t r = 0; r <= REASON_COUNT; r++) {
		if (s->parked_by[r] == 0)
			continue;
		write_object_begin(out, NULL);
		write_text(out, "reason", r < REASON_COUNT ? reason_name((enum reason)r) : NULL);
		write_count(out, "count", s->parked_by[r]);
		write_object_end(out);
	}
	write_array_end(out);
	write_object_end(out);
}

/* ---- tenants ---- */

static void write_token(const struct tenant *t, usec_t now, struct buf *out)
{
	const usec_t until = token_cache_serves_until(t->token);
	const char *trouble = token_cache_trouble(t->token)->message;
	write_object_begin(out, "token");
	write_bool(out, "present", until > now);
	write_until(out, "servesForSeconds", until, now);
	write_text(out, "trouble", trouble[0] ? trouble : NULL);
	write_object_end(out);
}

static void write_breaker(const struct tenant *t, usec_t now, struct buf *out)
{
	static const char *const names[] = {
		[BREAKER_CLOSED] = "closed", [BREAKER_HALF_OPEN] = "half-open", [BREAKER_OPEN] = "open"
	};
	const enum breaker_state state = t->breaker.state;
	write_object_begin(out, "breaker");
	write_text(out, "state", names[state]);
	write_int(out, "failures", t->breaker.failures);
	write_until(out, "triesInSeconds", state == BREAKER_OPEN ? breaker_ready_at(&t->breaker) : now, now);
	write_object_end(out);
}

static void write_gate(const struct tenant *t, usec_t now, struct buf *out)
{
	const bool closed = gate_is_closed(&t->gate, now);
	write_object_begin(out, "gate");
	write_bool(out, "closed", closed);
	write_until(out, "opensInSeconds", closed ? gate_ready_at(&t->gate) : now, now);
	write_rate(out, "callsPerSecond", t->gate.rate);
	write_object_end(out);
}

static void write_tenant(const struct worker *w, const struct tenant *t, const struct tenant_survey *s, struct buf *out)
{
	const usec_t now = w->now.mono;
	write_object_begin(out, NULL);
	write_text(out, "name", tenant_name(t));
	write_text(out, "waitsFor", s->cause == WAIT_TURN ? NULL : wait_cause_name(s->cause));
	write_count(out, "calls", s->running);
	write_int(out, "maxInFlight", concurrency_limit(&t->concurrency));
	write_count(out, "waiting", s->waiting);
	write_count(out, "parked", s->parked);
	write_token(t, now, out);
	write_breaker(t, now, out);
	write_gate(t, now, out);
	write_object_begin(out, "rate");
	write_rate(out, "poolPerSecond", t->settings->requests_per_second);
	write_rate(out, "sharePerSecond", limiter_rate(&t->limiter, now));
	write_object_end(out);
	write_object_end(out);
}

static void write_partitions(const struct worker *w, struct buf *out)
{
	write_array_begin(out, "partitions");
	for (size_t i = 0; i < w->partition_count; i++) {
		const struct partition *p = w->partitions[i];
		write_object_begin(out, NULL);
		write_text(out, "topic", p->topic);
		write_int(out, "partition", p->number);
		write_int(out, "lag", survey_lag(w, i));
		write_int(out, "committable", offsets_base(p->offsets));
		write_count(out, "held", p->job_count);
		write_bool(out, "readToEnd", p->read_to_end);
		write_object_end(out);
	}
	write_array_end(out);
}

void status_write(const struct worker *w, struct buf *out)
{
	struct survey survey;
	struct tenant_survey *tenants = calloc(w->tenant_count, sizeof(*tenants));
	if (!tenants)
		return;
	survey_take(w, tenants, &survey);
	write_object_begin(out, NULL);
	write_identity(w, out);
	write_throughput(w, out);
	write_outcomes(w, out);
	write_work(w, &survey, out);
	write_retries(w, &survey, out);
	write_array_begin(out, "tenants");
	for (size_t i = 0; i < w->tenant_count; i++)
		write_tenant(w, &w->tenants[i], &tenants[i], out);
	write_array_end(out);
	write_partitions(w, out);
	write_object_end(out);
	free(tenants);
}
