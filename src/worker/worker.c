#include "worker/worker.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/log.h"

#define TOPOLOGY_INTERVAL (10 * USEC_PER_SEC)
#define LONGEST_SLEEP     USEC_PER_SEC /* the group expels a client that is silent for too long */
#define DEDUPE_CAPACITY   100000
#define WATCH_INTERVAL    (10 * USEC_PER_SEC)
#define COMPLAINTS_MAX    20 /* lines a second about single handoffs */
/* What is left of worker.drain_ms for the last commit, once the calls have been given up. */
#define LAST_COMMIT_SHARE 4

uint64_t worker_random(struct worker *w)
{
	/* xorshift64*: dither for back-offs, nothing that must not be guessed */
	w->random ^= w->random >> 12;
	w->random ^= w->random << 25;
	w->random ^= w->random >> 27;
	return w->random * UINT64_C(2685821657736338717);
}

void worker_fail(struct worker *w, const char *format, ...)
{
	char message[512];
	va_list args;
	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	if (w->finished)
		return;
	log_write(LOG_ERROR, LOG_NOBODY, "%s", message);
	w->finished = true;
	w->exit_code = 1;
}

static void set_policy(struct worker *w)
{
	const struct settings *s = w->settings;
	w->policy = (struct handoff_policy){
		.base_delay_ms = s->retry.base_delay_ms,
		.max_delay_ms = s->retry.max_delay_ms,
		.locked_delay_ms = s->retry.locked_delay_ms,
		.redact = s->redact.items,
		.redact_count = s->redact.count,
	};
	for (size_t i = 0; i < BUDGET_COUNT; i++)
		w->policy.budgets[i] = (int32_t)s->retry.budgets[i];
	w->limits = (struct request_limits){
		.max_record_bytes = (size_t)s->worker.max_record_bytes,
		.max_age_ms = s->retry.max_age_ms,
		.retry_topic = s->kafka.retry,
	};
	snprintf(w->event_source, sizeof(w->event_source), "/handoffd/%.200s", s->kafka.group);
}

static int init_tenants(struct worker *w, struct fault *fault)
{
	w->tenants = calloc(w->settings->tenant_count, sizeof(*w->tenants));
	if (!w->tenants)
		return fault_set(fault, 1, FAULT_OURS, "out of memory");
	for (size_t i = 0; i < w->settings->tenant_count; i++) {
		w->tenant_count++;
		if (tenant_init(&w->tenants[i], &w->settings->tenants[i], w->loop, w->metrics, w->now.mono, fault) < 0)
			return 1;
	}
	return 0;
}

static int init_kafka(struct worker *w, struct fault *fault)
{
	const struct settings_kafka *k = &w->settings->kafka;
	const struct kafka_options options = settings_kafka_options(w->settings);
	w->kafka_options = options;
	w->consumer = kafka_consumer_new(&w->kafka_options, w->wakeup_fd, fault);
	if (!w->consumer)
		return 1;
	w->producer = kafka_producer_new(&w->kafka_options, w->consumer, w->wakeup_fd, fault);
	if (!w->producer)
		return 1;
	w->topology = kafka_topology_new(&w->kafka_options, k->create_topics ? (int32_t)k->partitions : 0,
					 TOPOLOGY_INTERVAL, w->wakeup_fd, fault);
	if (!w->topology)
		return 1;
	w->outlet = outlet_new(w->producer, k->commit_interval_ms * USEC_PER_MSEC, w->metrics);
	return w->outlet ? 0 : fault_set(fault, 1, FAULT_OURS, "out of memory");
}

static void on_wakeup(void *arg, int fd, unsigned events)
{
	(void)arg;
	(void)events;
	loop_wakeup_clear(fd);
}

int worker_init(struct worker *w, const struct settings *settings, struct worker_signals *signals, struct fault *fault)
{
	*w = (struct worker){ .settings = settings, .signals = signals, .wakeup_fd = -1, .now = clock_read() };
	w->session_timeout = settings_session_timeout_ms(&settings->kafka) * USEC_PER_MSEC;
	w->started = w->now;
	notify_init(&w->notify);
	set_policy(w);
	if (getrandom(&w->random, sizeof(w->random), 0) < 0 || w->random == 0)
		w->random = (uint64_t)w->now.mono | 1;
	w->loop = loop_new();
	w->wakeup_fd = loop_wakeup_new();
	w->metrics = metrics_new();
	w->dedupe = dedupe_new(DEDUPE_CAPACITY, settings->retry.max_age_ms * USEC_PER_MSEC);
	if (!w->loop || w->wakeup_fd < 0 || !w->metrics || !w->dedupe ||
	    loop_set(w->loop, w->wakeup_fd, LOOP_READ, on_wakeup, w) < 0)
		return fault_set(fault, 1, FAULT_OURS, "out of memory or file descriptors");
	signals->wakeup_fd = w->wakeup_fd;
	const char *const version[] = { HANDOFF_VERSION };
	metric_set(metrics_series(w->metrics, METRIC_BUILD_INFO, version), 1);
	const int r = init_tenants(w, fault);
	if (r != 0)
		return r;
	figures_begin(w);
	w->admin = admin_new(w, fault);
	if (!w->admin)
		return 1;
	return init_kafka(w, fault);
}

void worker_fini(struct worker *w)
{
	if (w->metrics)
		rebalance_drop_all(w);
	dispatch_free_orphans(w);
	w->admin = admin_free(w->admin);
	w->topology = kafka_topology_free(w->topology);
	w->producer = kafka_producer_free(w->producer);
	w->consumer = kafka_consumer_free(w->consumer);
	w->outlet = outlet_free(w->outlet);
	for (size_t i = 0; i < w->tenant_count; i++)
		tenant_fini(&w->tenants[i]);
	free(w->tenants);
	dedupe_free(w->dedupe);
	metrics_free(w->metrics);
	loop_free(w->loop);
	if (w->wakeup_fd >= 0)
		close(w->wakeup_fd);
}

/* ---- topics ---- */

/* Why the topics cannot be worked with; false when they can. `ret_fatal`: no later report can mend it by itself. */
static bool topics_misfit(const struct worker *w, const struct kafka_topology_report *report, char *ret, size_t size)
{
	const size_t requests = w->settings->kafka.requests.count;
	for (size_t i = 0; i < report->topic_count; i++) {
		const struct kafka_topic_report *t = &report->topics[i];
		if (t->forbidden)
			return snprintf(ret, size,
					"not authorized to use the topic `%s`: give the user that right, or name "
					"another topic",
					t->name) > 0;
		if (!t->known)
			return snprintf(ret, size,
					"the topic `%s` does not exist (create it, or set kafka.create_topics = true)",
					t->name) > 0;
		if (i <= requests && t->compacted)
			return snprintf(ret, size,
					"the topic `%s` has cleanup.policy compact, so requests would be removed "
					"unread: set it to "
					"delete",
					t->name) > 0;
	}
	const struct kafka_topic_report *retry = &report->topics[requests];
	for (size_t i = 0; i < requests; i++)
		if (report->topics[i].partitions != retry->partitions)
			return snprintf(ret, size,
					"the topics `%s` (%d partitions) and `%s` (%d partitions) must have equally "
					"many: grow the smaller one",
					report->topics[i].name, report->topics[i].partitions, retry->name,
					retry->partitions) > 0;
	return false;
}

void worker_share_rate(struct worker *w)
{
	size_t own = 0;
	for (size_t i = 0; i < w->partition_count; i++)
		own += !w->partitions[i]->is_retry;
	const double share = w->request_partitions > 0 ? (double)own / (double)w->request_partitions : 0;
	for (size_t i = 0; i < w->tenant_count; i++) {
		struct tenant *t = &w->tenants[i];
		const double rate = t->settings->requests_per_second * share;
		const char *const labels[] = { tenant_name(t) };
		limiter_share(&t->limiter, rate, (double)t->settings->burst * share, w->now.mono);
		metric_set(metrics_series(w->metrics, METRIC_RATE_LIMIT_SHARE, labels), rate);
	}
}

static void subscribe(struct worker *w)
{
	struct fault fault;
	if (w->subscribed || w->stopping)
		return;
	if (kafka_consumer_subscribe(w->consumer, &fault) < 0)
		worker_fail(w, "cannot join the group: %s", fault.message);
	w->subscribed = true;
}

static void judge_topics(struct worker *w, const struct kafka_topology_report *report)
{
	if (!report->answered) {
		if (!w->brokers_down)
			log_write(LOG_ERROR, LOG_NOBODY, "Kafka: %s; trying again", report->fault.message);
		w->brokers_down = true;
		w->brokers_refuse = report->fault.kind == FAULT_AUTH;
		return;
	}
	if (w->brokers_down)
		log_write(LOG_INFO, LOG_NOBODY, "Kafka: the brokers answer again");
	w->brokers_down = w->brokers_refuse = false;
	int64_t partitions = 0;
	for (size_t i = 0; i < w->settings->kafka.requests.count; i++)
		partitions += report->topics[i].partitions;
	const bool has_grown = w->partition_count > 0 && partitions != w->request_partitions;
	w->request_partitions = partitions;
	if (has_grown)
		worker_share_rate(w);
	const bool was_fit = w->topics_fit;
	w->topics_fit = !topics_misfit(w, report, w->topics_trouble, sizeof(w->topics_trouble));
	if (!w->topics_fit && !w->subscribed)
		worker_fail(w, "%s", w->topics_trouble);
	else if (!w->topics_fit && was_fit)
		log_write(LOG_ERROR, LOG_NOBODY, "%s; no handoff is started until that is repaired", w->topics_trouble);
	else if (w->topics_fit)
		subscribe(w);
}

static void hear_topology(struct worker *w)
{
	const struct kafka_topology_report *report;
	while (kafka_topology_next(w->topology, &report))
		judge_topics(w, report);
}

/* ---- the outlet's news ---- */

/* A batch that is refused is tried again many times a second: one line says so now and then. */
static void complain_of_batch(struct worker *w, const struct fault *fault)
{
	if (w->now.mono < w->batch_quiet_until)
		return;
	w->batch_quiet_until = w->now.mono + WATCH_INTERVAL;
	log_write(LOG_WARN, LOG_NOBODY, "Kafka: %s; trying again", fault->message);
}

/* A batch that gets no verdict holds everything back that was done: say why, and end where nothing else helps. */
static void watch_producer(struct worker *w)
{
	struct fault fault;
	if (w->now.mono < w->watch_at)
		return;
	w->watch_at = w->now.mono + WATCH_INTERVAL;
	kafka_producer_trouble(w->producer, &fault);
	if (fault.message[0])
		complain_of_batch(w, &fault);
	/* Twice: after a pause of the whole process its thread may not have had its turn yet. */
	const bool stuck = kafka_producer_stuck(w->producer);
	if (stuck && w->producer_stuck)
		worker_fail(w, "the Kafka client does not answer any more; the brokers decide what became of its last "
			       "batch; start it again");
	w->producer_stuck = stuck;
}

static void hear_outlet(struct worker *w)
{
	const struct fault *fault;
	for (;;) {
		switch (outlet_hear(w->outlet, w->now.mono, &fault)) {
		case OUTLET_QUIET:
			return;
		case OUTLET_COMMITTED:
			w->unproven = w->unproven && outlet_proof_pending(w->outlet);
			break;
		case OUTLET_AGAIN:
			complain_of_batch(w, fault);
			break;
		case OUTLET_DISOWNED:
			w->unproven = true; /* until the assignment changes: the next owner may be at work already */
			log_write(LOG_WARN, LOG_NOBODY, "the group refused our offsets: %s", fault->message);
			break;
		case OUTLET_ASK:
			log_write(LOG_WARN, LOG_NOBODY, "a commit got no answer (%s); asking what is committed",
				  fault->message);
			rebalance_ask(w);
			break;
		case OUTLET_TWIN:
			worker_fail(w,
				    "the instance `%s` is used twice: another process works under our name; give each "
				    "worker a kafka.instance of its own",
				    w->settings->kafka.instance);
			return;
		}
	}
}

/* ---- stopping ---- */

static void begin_stop(struct worker *w)
{
	const usec_t drain = w->settings->worker.drain_ms * USEC_PER_MSEC;
	log_write(LOG_INFO, LOG_NOBODY, "stopping: %zu handoffs are under way", dispatch_busy(w));
	w->stopping = true;
	w->stop_by = w->now.mono + drain;
	w->stop_calls_by = w->stop_by - drain / LAST_COMMIT_SHARE;
	dispatch_abandon(w, false);
	if (w->subscribed)
		return;
	if (w->brokers_down)
		worker_fail(w, "stopped before a Kafka broker answered; nothing was begun");
	w->finished = true; /* nothing was begun, so nothing is left over */
}

static void continue_stop(struct worker *w)
{
	if (dispatch_busy(w) > 0 && w->now.mono >= w->stop_calls_by)
		dispatch_abandon(w, true);
	const bool is_clean = dispatch_busy(w) == 0 && !w->unreported && outlet_is_empty(w->outlet) &&
			      !outlet_has_news(w->outlet, w->partitions, w->partition_count);
	if (is_clean && !w->closing) {
		w->closing = true;
		kafka_consumer_close(w->consumer);
	}
	if (w->now.mono < w->stop_by || w->finished)
		return;
	if (is_clean && !w->brokers_down) {
		log_write(LOG_WARN, LOG_NOBODY, "everything is committed, but the group did not say good-bye in time");
		w->finished = true;
	} else {
		worker_fail(w, "could not commit everything within worker.drain_ms; what is open is handled by the "
			       "next owner of its partitions");
	}
}

static void serve_signals(struct worker *w)
{
	if (w->signals->stop > 0 && !w->stopping)
		begin_stop(w);
	if (w->signals->stop > 1 && !w->finished)
		worker_fail(w, "stopped by a second signal");
	if (w->signals->reload) {
		w->signals->reload = 0;
		if (w->signals->on_reload)
			w->signals->on_reload();
	}
	if (w->stopping)
		continue_stop(w);
}

/* ---- what is said of single handoffs ---- */

enum log_level worker_complaint_level(struct worker *w)
{
	if (w->complaints++ == 0)
		w->complaints_since = w->now.mono;
	return w->complaints <= COMPLAINTS_MAX ? LOG_WARN : LOG_DEBUG;
}

static void sum_up_complaints(struct worker *w)
{
	if (w->complaints == 0 || w->now.mono - w->complaints_since < USEC_PER_SEC)
		return;
	if (w->complaints > COMPLAINTS_MAX)
		log_write(LOG_WARN, LOG_NOBODY, "%zu more handoffs ended in trouble; their outcomes tell",
			  w->complaints - COMPLAINTS_MAX);
	w->complaints = 0;
}

/* ---- the loop ---- */

/* A process that stood still (SIGSTOP, a paused machine) may have been expelled from the group without knowing it. Also
 * one without partitions: an assignment that was on its way may be told only now, long after it was void. */
static void notice_gap(struct worker *w, usec_t before)
{
	if (w->now.mono - before < w->session_timeout / 2)
		return;
	log_write(LOG_WARN, LOG_NOBODY,
		  "the process stood still for %lld ms; nothing is started until a commit succeeds",
		  (long long)((w->now.mono - before) / USEC_PER_MSEC));
	w->unproven = true;
	outlet_prove(w->outlet);
}

void worker_read_clock(struct worker *w)
{
	const usec_t before = w->now.mono;
	w->now = clock_read();
	notice_gap(w, before);
}

static usec_t sooner(usec_t a, usec_t b)
{
	return a < b ? a : b;
}

usec_t worker_wait(const struct worker *w)
{
	usec_t wait = sooner(LONGEST_SLEEP, w->session_timeout / 4); /* a sleep is no gap */
	if (intake_has_more(w))
		return 0;
	wait = sooner(wait, intake_wait(w));
	wait = sooner(wait, turns_wait(w));
	wait = sooner(wait, spill_wait(w));
	wait = sooner(wait, outlet_wait(w->outlet, w->now.mono));
	wait = sooner(wait, admin_wait(w->admin));
	wait = sooner(wait, notify_wait(&w->notify, w->now.mono));
	if (w->leaving == LEAVING_REVOKED && w->leave_by > w->now.mono)
		wait = sooner(wait, w->leave_by - w->now.mono);
	if (w->stopping)
		wait = sooner(wait, 20 * USEC_PER_MSEC);
	for (size_t i = 0; i < w->tenant_count; i++)
		wait = sooner(wait, tenant_wait(&w->tenants[i], w->now.mono));
	return wait;
}

static void serve_tenants(struct worker *w)
{
	for (size_t i = 0; i < w->tenant_count; i++)
		tenant_run(&w->tenants[i], &w->now);
}

void worker_serve(struct worker *w)
{
	worker_read_clock(w); /* the one clock read of this turn, but for the replies' own */

	serve_signals(w);
	hear_topology(w);
	hear_outlet(w);
	watch_producer(w);
	rebalance_serve(w);
	serve_tenants(w);
	spill_for_tenants(w);
	intake_read(w);
	intake_wake_parked(w);
	expiry_run(w);
	turns_run(w);
	dispatch_report_again(w);
	cancel_settle(w);
	outlet_run(w->outlet, w->partitions, w->partition_count, w->now.mono, w->stopping || w->leaving != LEAVING_NOT);
	rebalance_continue(w);
	admin_run(w->admin);
	herald_run(w);
	sum_up_complaints(w);
}

void worker_turn(struct worker *w)
{
	loop_once(w->loop, worker_wait(w));
	worker_serve(w);
}

int worker_run(struct worker *w)
{
	while (!w->finished)
		worker_turn(w);
	return w->exit_code;
}
