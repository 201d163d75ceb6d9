/*
 * worker - the process as a whole: what it holds, and in which order a turn of its loop serves it
 *
 *  requests ─┐           roster: whose turn          ┌─> outcomes
 *            ├─> intake ───────> dispatch ⇄ cognigy ─┴─> outlet ─> retry, dead letters
 *  retries ──┘      └── partitions: what is done ──────────┘
 *
 * The struct is open to the files of this folder, each of which has one part of the story: intake.c takes records in,
 * dispatch.c walks jobs through their calls, rebalance.c gives partitions back, admin.c shows. One thread, the loop's.
 */
#ifndef HANDOFF_WORKER_H
#define HANDOFF_WORKER_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"
#include "doors/kafka_consumer.h"
#include "doors/kafka_producer.h"
#include "doors/kafka_topology.h"
#include "doors/loop.h"
#include "doors/notify.h"
#include "doors/settings.h"
#include "rules/dedupe.h"
#include "rules/meter.h"
#include "rules/metrics.h"
#include "worker/job.h"
#include "worker/outlet.h"
#include "worker/partition.h"
#include "worker/tenant.h"

struct admin;

/* Written by the signal handlers of main(), read once a turn. */
struct worker_signals {
	volatile sig_atomic_t stop;   /* how often SIGTERM or SIGINT came */
	volatile sig_atomic_t reload; /* SIGHUP */
	int wakeup_fd;                /* to be signalled by the handlers; set by worker_init() */
	void (*on_reload)(void);      /* called on the loop's thread */
};

enum worker_leaving {
	LEAVING_NOT,
	LEAVING_REVOKED, /* the group takes our partitions back: park what runs, commit, release */
	LEAVING_LOST     /* they are gone: everything was dropped, the release waits for the batch in flight */
};

struct worker {
	const struct settings *settings;
	struct worker_signals *signals;
	struct instant now; /* of this turn */
	struct instant started;
	struct loop *loop;
	int wakeup_fd;
	struct kafka_options kafka_options;
	usec_t session_timeout; /* of the group: who is silent for longer is expelled */
	struct kafka_topology *topology;
	struct kafka_consumer *consumer;
	struct kafka_producer *producer;
	struct outlet *outlet;
	struct admin *admin;
	struct notify notify;
	usec_t say_at; /* when the service manager hears of us next */
	struct metrics *metrics;
	struct meter arrived;             /* requests read; retries are none */
	struct meter ended[REASON_COUNT]; /* outcomes */
	uint64_t ended_ever[REASON_COUNT];
	struct dedupe *dedupe;
	struct tenant *tenants;
	size_t tenant_count;
	struct handoff_policy policy;
	struct request_limits limits;
	char event_source[256]; /* ce_source of what we write */
	uint64_t random;        /* state of the jitter's generator */

	struct partition **partitions; /* the present assignment, in its order */
	size_t partition_count;
	size_t read_from;    /* where the next round of reading begins */
	size_t job_memory;   /* of all jobs */
	struct job *orphans; /* jobs whose call is still open although their partition has left */
	size_t orphan_count;
	usec_t tenants_looked_at; /* when spill_for_tenants() looks again */
	struct job *unreported;   /* ended, but there was no memory to say so */
	bool cancels_may_end;     /* a job that a cancel was told to has ended */

	bool more_to_read;          /* the last round stopped before everything at hand was taken */
	int64_t request_partitions; /* of all request topics, as last reported */
	usec_t ask_again_at;        /* 0: no question is open that failed */
	bool topics_fit;            /* the newest report on the topics */
	char topics_trouble[256];
	bool subscribed;
	bool joined;    /* an assignment came (an empty one counts) */
	bool unproven;  /* the process stood still, or the group refused our offsets: no call is begun, not even in the
			   middle of a handoff, until a commit or an assignment shows that we own what we hold */
	usec_t lost_at; /* when partitions were last lost; 0: never */
	usec_t renewed_at; /* when our client was last replaced by a new one; 0: never */
	bool must_renew;   /* as soon as no batch is with the producer */
	enum worker_leaving leaving;
	usec_t leave_by; /* of LEAVING_REVOKED: open calls are given up then */
	bool stopping;
	usec_t stop_calls_by;
	usec_t stop_by;
	bool closing; /* the consumer is leaving the group */
	bool brokers_down;
	bool brokers_refuse; /* us; says why they are down for us */
	usec_t watch_at;     /* when the producer is looked after again */
	usec_t batch_quiet_until;
	bool producer_stuck; /* when it was looked after last */
	usec_t complaints_since;
	size_t complaints;
	bool finished;
	int exit_code;
};

/* 0 and ready to run, or an exit code with one sentence in `fault`. worker_fini() is due in any case. */
int worker_init(struct worker *w, const struct settings *settings, struct worker_signals *signals,
		struct fault *fault) MUST_CHECK;
/* Turns the loop until it is told to stop. The process's exit code. */
int worker_run(struct worker *w);
/* One turn: sleep for worker_wait() at most, then serve whatever is there. */
void worker_turn(struct worker *w);
usec_t worker_wait(const struct worker *w);
void worker_serve(struct worker *w);
void worker_fini(struct worker *w);
/* Ends the process's life for a reason the operator must see. */
void worker_fail(struct worker *w, const char *format, ...) PRINTF_LIKE(2, 3);

/* intake.c: reads as much as there is room for. */
void intake_read(struct worker *w);
/* Into its partition's parking until its not-before time. */
void intake_park(struct worker *w, struct job *job);
/* Makes what is due ready to run. */
void intake_wake_parked(struct worker *w);
usec_t intake_wait(const struct worker *w);
/* Is there something to read now that there is room for? */
bool intake_has_more(const struct worker *w);

/* turns.c: makes the calls that there is room for. */
void turns_run(struct worker *w);
usec_t turns_wait(const struct worker *w);

/* dispatch.c: a job that was taken from the roster, or was held, goes on. */
void dispatch_begin(struct job *job);
/* The call of a job in line is made now. */
void dispatch_send(struct job *job);
/* It cannot be made: the job waits where it loses nothing. */
void dispatch_hold(struct job *job);
/* A job that is not in a list ends with an outcome it already carries, or with a retry record. */
void dispatch_finish(struct worker *w, struct job *job);
/* Puts a job into its tenant's roster. */
void dispatch_enqueue(struct worker *w, struct job *job);
/* Gives up everything held, and with `calls` every open call, too: it is parked with its progress. */
void dispatch_abandon(struct worker *w, bool calls);
/* Jobs between their first call and their end: running or held. */
size_t dispatch_busy(const struct worker *w);
void dispatch_report_again(struct worker *w);
/* Feeds an event that may end the job (it expires, the caller hung up), wherever it waits. True: it has ended. */
bool dispatch_end(struct job *job, const struct handoff_event *event);
/* Forgets a job without any record of it: its partition has left. Open calls run on as orphans. */
void dispatch_orphan(struct worker *w, struct job *job);
/* Gives up their calls. */
void dispatch_free_orphans(struct worker *w);

/* expiry.c: ends whatever cannot be done before its deadline. */
void expiry_run(struct worker *w);
/* Can this job's tenant not be called before its deadline? */
bool expiry_is_certain(const struct job *job);

/* report.c: hands the job's end to the outlet; false when there is no memory to say it with (nothing was changed). */
bool report_job(struct worker *w, struct job *job);

/* The same for a job that moves to the tail of the retry topic as it is. */
bool report_spill(struct worker *w, struct job *job);

/* spill.c: partition number `index` is full, or crowded: it has its share of the memory. True when there is room for
 * another record now. */
bool spill_make_room(struct worker *w, size_t index, bool crowded);
/* A tenant that cannot be called now makes way for the others. */
void spill_for_tenants(struct worker *w);
usec_t spill_wait(const struct worker *w);
/* Writes a parked record to the tail because its story has changed: it leaves this worker until it is read again. False
 * when there is no memory for that; it stays then. */
bool spill_renew(struct worker *w, struct job *job);
/* The memory is full while records stand unread behind what is parked. */
void spill_for_memory(struct worker *w);

/* rebalance.c: the consumer's events. */
void rebalance_serve(struct worker *w);
/* Goes on with a release that waits. */
void rebalance_continue(struct worker *w);
void rebalance_drop_all(struct worker *w);

/* Asks what is committed, because a commit got no answer; the answer comes as an event. */
void rebalance_ask(struct worker *w);

/* cancel.c: a cancel was read; takes the job over. */
void cancel_take(struct worker *w, struct job *cancel);
/* A parked cancel's deadline has come. */
void cancel_expire(struct worker *w, struct job *cancel);
/* Is there a cancel that came before this request? It is used up then. */
bool cancel_awaits(struct worker *w, const struct job *job);
/* Ends the cancels whose last open call has ended. */
void cancel_settle(struct worker *w);

/* figures.c: every series of the metrics whose labels are known beforehand, at 0; the tenants are there already. */
void figures_begin(struct worker *w);
/* Sets the gauges, just before metrics_write(). */
void figures_take(struct worker *w);

/* admin.c: the page, /status, /metrics and the probes, served on this loop: it answers while the loop turns.
 * `admin.listen = ""` turns it off, and every function takes that in its stride. NULL with the reason in `fault`. */
struct admin *admin_new(struct worker *w, struct fault *fault) MUST_CHECK;
struct admin *admin_free(struct admin *admin);
void admin_run(struct admin *admin);
usec_t admin_wait(const struct admin *admin);

/* herald.c: the service manager is told how we are. */
void herald_run(struct worker *w);

/* Sets w->now, and stops dispatch when the process stood still since the last time. */
void worker_read_clock(struct worker *w);
/* This worker's share of each tenant's rate, after an assignment. */
void worker_share_rate(struct worker *w);
uint64_t worker_random(struct worker *w);
/* The level of a line about one handoff's trouble: thousands may end within a second when a tenant is down. */
enum log_level worker_complaint_level(struct worker *w);

#endif
