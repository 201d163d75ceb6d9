#include "ctl/topic_check.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "doors/kafka_topology.h"
#include "doors/loop.h"

static int judge(const struct kafka_options *options, bool outcomes, const struct kafka_topology_report *report,
		 struct fault *fault)
{
	if (!report->answered) {
		*fault = report->fault;
		return -EIO;
	}
	for (size_t i = 0; i < report->topic_count; i++) {
		const struct kafka_topic_report *topic = &report->topics[i];
		const bool needed = i < options->request_count || (outcomes && !strcmp(topic->name, options->outcomes));
		if (needed && topic->forbidden)
			return fault_set(fault, -EIO, FAULT_AUTH, "not authorized for the topic %s", topic->name);
		if (needed && !topic->known)
			return fault_set(
				fault, -EIO, FAULT_PERMANENT,
				"there is no topic %s: create it (scripts/create-topics), or name the right one (-c)",
				topic->name);
	}
	return 0;
}

int topic_check(const struct kafka_options *options, bool outcomes, usec_t timeout, struct fault *fault)
{
	const struct kafka_topology_report *report = NULL;
	const int wakeup_fd = loop_wakeup_new();
	if (wakeup_fd < 0)
		return fault_set(fault, -EIO, FAULT_OURS, "eventfd: %s", strerror(-wakeup_fd));
	/* One report is enough: the next would come after an hour. */
	struct kafka_topology *topology = kafka_topology_new(options, 0, 3600 * USEC_PER_SEC, wakeup_fd, fault);
	int r = topology ? kafka_topology_wait(topology, timeout, &report) : -EIO;
	if (topology && r < 0)
		fault_set(fault, 0, FAULT_DEPENDENCY_DOWN, "no broker answers (tried %.200s)", options->brokers);
	if (r == 0)
		r = judge(options, outcomes, report, fault);
	if (topology)
		kafka_topology_free(topology);
	close(wakeup_fd);
	return r < 0 ? -EIO : 0;
}
