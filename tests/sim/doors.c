/* The small doors: the loop (the scheduler turns it), the clocks, the log, the topology; and no admin pages. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/eventfd.h>

#include "base/log.h"
#include "doors/http_server.h"
#include "doors/kafka_topology.h"
#include "doors/loop.h"
#include "sim/broker.h"
#include "sim/kafka_doors.h"
#include "sim/process.h"
#include "sim/trace.h"
#include "sim/world.h"

/* ---- the loop ---- */

struct loop *loop_new(void)
{
	return agenda_memory(1);
}

struct loop *loop_free(struct loop *loop)
{
	(void)loop;
	return NULL;
}

int loop_set(struct loop *loop, int fd, unsigned events, loop_callback *callback, void *arg)
{
	(void)loop;
	(void)fd;
	(void)events;
	(void)callback;
	(void)arg;
	return 0;
}

void loop_remove(struct loop *loop, int fd)
{
	(void)loop;
	(void)fd;
}

int loop_once(struct loop *loop, usec_t wait)
{
	(void)loop;
	(void)wait;
	return -ENOSYS; /* worker_serve() is called when its time has come */
}

/* A real one: the worker closes it. */
int loop_wakeup_new(void)
{
	return eventfd(0, EFD_CLOEXEC);
}

void loop_wakeup_signal(int fd)
{
	(void)fd;
}

void loop_wakeup_clear(int fd)
{
	(void)fd;
}

/* ---- the clocks and the log ---- */

struct instant __wrap_clock_read(void);
void __wrap_log_write(enum log_level level, const struct log_subject *subject, const char *format, ...)
	PRINTF_LIKE(3, 4);

struct instant __wrap_clock_read(void)
{
	if (world.running)
		world.running->unread_gap = false;
	return (struct instant){ .mono = agenda_now(), .unix_ms = world_unix_ms() };
}

void __wrap_log_write(enum log_level level, const struct log_subject *subject, const char *format, ...)
{
	char text[1024];
	va_list args;
	if (!trace_is_on())
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	const char *id = subject && subject->handoff_id ? subject->handoff_id : "";
	trace(world.running ? world.running->name : "-", "log %s: %s%s%s", log_level_name(level), text,
	      id[0] ? " - " : "", id);
}

/* ---- the topics ---- */

#define REPORT_INTERVAL (10 * USEC_PER_SEC)

struct kafka_topology {
	struct process *process;
	bool has_news;
	struct kafka_topology_report report;
	struct kafka_topic_report topics[LANES_MAX + 3];
};

static bool misfit;

void topology_misfit(bool wanted)
{
	misfit = wanted;
}

bool topology_is_misfit(void)
{
	return misfit;
}

static void report(void *arg)
{
	struct kafka_topology *t = arg;
	t->report = (struct kafka_topology_report){ .answered = broker_is_up(),
						    .topics = t->topics,
						    .topic_count = broker_topic_count() };
	if (!t->report.answered)
		fault_set(&t->report.fault, 0, FAULT_DEPENDENCY_DOWN, "no broker answers");
	for (size_t i = 0; i < t->report.topic_count; i++)
		t->topics[i] = (struct kafka_topic_report){ .name = broker_topic(i),
							    .known = true,
							    .partitions = world.plan.partitions };
	if (misfit)
		t->topics[0].partitions++;
	t->has_news = true;
	process_wake(t->process);
	process_in(t->process, REPORT_INTERVAL, report, t);
}

struct kafka_topology *kafka_topology_new(const struct kafka_options *options, int32_t create, usec_t interval,
					  int wakeup_fd, struct fault *fault)
{
	(void)options;
	(void)create;
	(void)interval;
	(void)wakeup_fd;
	(void)fault;
	struct kafka_topology *t = agenda_memory(sizeof(*t));
	t->process = world.running;
	t->process->topology = t;
	process_in(t->process, broker_way(), report, t);
	return t;
}

struct kafka_topology *kafka_topology_free(struct kafka_topology *t)
{
	(void)t;
	return NULL;
}

bool kafka_topology_next(struct kafka_topology *t, const struct kafka_topology_report **ret)
{
	const bool news = t->has_news;
	t->has_news = false;
	*ret = &t->report;
	return news;
}
