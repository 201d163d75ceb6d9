/*
 * handoff-sandbox - a Kafka broker in memory and a Cognigy simulator, for demos, development and tests
 *
 *   main ──fork──> broker     (librdkafka's mock cluster)
 *        └─fork──> simulator  (HTTP)
 *
 * main waits until both are ready, prints where they are, and then for SIGTERM, SIGINT or the death of a child.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/help.h"
#include "base/options.h"
#include "sandbox/broker.h"
#include "sandbox/child.h"
#include "sandbox/script.h"
#include "sandbox/simulator.h"

enum { EXIT_USAGE = 2, PATIENCE_MS = 5000, PARTITIONS_DEFAULT = 12, PARTITIONS_MAX = 1000 };

struct options {
	int64_t http_port;
	int64_t partitions;
	const char *script;
	const char *help; /* NULL: not asked for; else in which form */
	bool no_broker;
	bool version;
	struct world *world;
};

static const struct option OPTIONS[] = {
	{ "http-port", "N", "port of the simulator (default 0: a free one)", offsetof(struct options, http_port),
	  OPTION_COUNT, '\0', NULL },
	{ "partitions", "N", "partitions of handoff.requests and handoff.retry (default 12, at most 1000)",
	  offsetof(struct options, partitions), OPTION_WHOLE, '\0',
	  "The topics handoff.outcomes and handoff.dlq have 4." },
	{ "script", "FILE", "how the simulator behaves: sessions, locks, limits, faults",
	  offsetof(struct options, script), OPTION_TEXT, '\0', NULL },
	{ "no-broker", NULL, "the simulator only", offsetof(struct options, no_broker), OPTION_FLAG, '\0',
	  "Prints base_url only. For tests against Apache Kafka itself." },
	{ "help", NULL, "print this", offsetof(struct options, help), OPTION_FORM, 'h', NULL },
	{ "version", NULL, "print the version", offsetof(struct options, version), OPTION_FLAG, 'V', NULL },
};

enum { BROKER, SIMULATOR, CHILDREN };

static const char help_head[] =
	"usage: handoff-sandbox [--http-port N] [--partitions N] [--script FILE] [--no-broker]\n"
	"\n"
	"A Kafka broker in memory and a Cognigy simulator, for demos, development and tests.\n"
	"Prints bootstrap.servers=... and base_url=... when ready, then runs until SIGTERM.\n"
	"\n";
static const char help_tail[] = "\n"
				"Script lines and the control API under /_sim/ are described in handoff-sandbox(1).\n";

static void complain(const char *sentence)
{
	fprintf(stderr, "handoff-sandbox: %s\n", sentence);
}

/* --- options --- */

static void write_mdoc(struct buf *out)
{
	options_write_mdoc(OPTIONS, ARRAY_SIZE(OPTIONS), out);
}

static const struct help_form FORMS[] = { { "mdoc", write_mdoc } };
static const struct help HELP = {
	.program = "handoff-sandbox",
	.head = help_head,
	.tail = help_tail,
	.options = OPTIONS,
	.count = ARRAY_SIZE(OPTIONS),
	.forms = FORMS,
	.form_count = ARRAY_SIZE(FORMS),
};

static bool is_in_range(const char *name, int64_t value, int64_t max)
{
	if (value <= max)
		return true;
	fprintf(stderr, "handoff-sandbox: --%s takes at most %lld, not %lld\n", name, (long long)max, (long long)value);
	return false;
}

/* -1: go on; else the exit code. */
static int read_options(struct options *o, int argc, char **argv)
{
	struct fault fault = { 0 };
	int words = 0;
	if (options_parse(OPTIONS, ARRAY_SIZE(OPTIONS), argc, argv, o, &words, &fault) < 0)
		fprintf(stderr, "handoff-sandbox: %s; see handoff-sandbox --help\n", fault.message);
	else if (o->help)
		return help_print(&HELP, o->help);
	else if (o->version)
		return puts("handoff-sandbox " HANDOFF_VERSION) < 0;
	else if (words > 0)
		fprintf(stderr, "handoff-sandbox: takes no \"%.64s\"; see handoff-sandbox --help\n", argv[1]);
	else if (is_in_range("http-port", o->http_port, UINT16_MAX) &&
		 is_in_range("partitions", o->partitions, PARTITIONS_MAX))
		return -1;
	return EXIT_USAGE;
}

/* --- the children --- */

static int run_broker(void *arg, struct child_side *side)
{
	const struct options *o = arg;
	return broker_run((int)o->partitions, side);
}

static int run_simulator(void *arg, struct child_side *side)
{
	const struct options *o = arg;
	const int code = simulator_run(o->world, (unsigned)o->http_port, side);
	world_fini(o->world);
	return code;
}

static int start_children(struct child children[CHILDREN], struct options *o)
{
	int r = 0;
	if (!o->no_broker)
		r = child_start(&children[BROKER], "broker", run_broker, o);
	if (r == 0)
		r = child_start(&children[SIMULATOR], "simulator", run_simulator, o);
	if (r < 0)
		fprintf(stderr, "handoff-sandbox: cannot start a process: %s\n", strerror(-r));
	return r;
}

/* Says how a child that has ended did so; it stays there for child_stop() to bury. */
static void tell_death(const struct child *child)
{
	siginfo_t info = { .si_code = 0 };
	if (waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOWAIT) == 0 && info.si_code != CLD_EXITED)
		fprintf(stderr, "handoff-sandbox: the %s died of signal %d (%s)\n", child->name, info.si_status,
			strsignal(info.si_status));
	else
		fprintf(stderr, "handoff-sandbox: the %s ended by itself\n", child->name);
}

/* Waits for a signal or for the child's report. True: go on waiting or starting. */
static bool hear_child(struct child *child, int signal_fd, int *ret_code)
{
	struct pollfd fds[] = { { .fd = child->report_fd, .events = POLLIN }, { .fd = signal_fd, .events = POLLIN } };
	for (;;) {
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
			continue;
		const enum child_report report = fds[0].revents ? child_read(child) : CHILD_SILENT;
		if (report == CHILD_READY)
			return true;
		if (report == CHILD_FAILED) {
			if (child->line[0])
				complain(child->line);
			else
				tell_death(child);
			*ret_code = EXIT_FAILURE;
			return false;
		}
		struct signalfd_siginfo signal;
		if (fds[1].revents && read(signal_fd, &signal, sizeof(signal)) == sizeof(signal) &&
		    signal.ssi_signo != SIGCHLD) {
			*ret_code = EXIT_SUCCESS;
			return false;
		}
	}
}

static bool is_dead(const struct child *child)
{
	siginfo_t info = { .si_pid = 0 };
	return child->name && waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid == child->pid;
}

/* Until a signal ends it (0) or a child dies (1). */
static int wait_for_end(const struct child children[CHILDREN], int signal_fd)
{
	for (;;) {
		for (size_t i = 0; i < CHILDREN; i++)
			if (is_dead(&children[i])) {
				tell_death(&children[i]);
				return EXIT_FAILURE;
			}
		struct signalfd_siginfo signal;
		if (read(signal_fd, &signal, sizeof(signal)) == sizeof(signal) && signal.ssi_signo != SIGCHLD)
			return EXIT_SUCCESS;
	}
}

static int run(struct options *o, int signal_fd)
{
	struct child children[CHILDREN] = { { .name = NULL } };
	int code = EXIT_FAILURE;
	bool ready = start_children(children, o) == 0;
	for (size_t i = 0; i < CHILDREN && ready; i++)
		if (children[i].name)
			ready = hear_child(&children[i], signal_fd, &code);
	for (size_t i = 0; i < CHILDREN && ready; i++)
		if (children[i].name)
			puts(children[i].line);
	if (ready && fflush(stdout) == 0)
		code = wait_for_end(children, signal_fd);
	for (size_t i = 0; i < CHILDREN; i++)
		child_stop(&children[i], PATIENCE_MS);
	return code;
}

static int open_signals(void)
{
	sigset_t signals;
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
		return -1;
	return signalfd(-1, &signals, SFD_CLOEXEC);
}

int main(int argc, char **argv)
{
	struct world world;
	struct options options = { .partitions = PARTITIONS_DEFAULT, .world = &world };
	struct fault fault;
	int code = read_options(&options, argc, argv);
	if (code >= 0)
		return code;
	if (world_init(&world) < 0) {
		complain("out of memory");
		return EXIT_FAILURE;
	}
	if (options.script && script_apply_file(&world, options.script, &fault) < 0) {
		complain(fault.message);
		world_fini(&world);
		return EXIT_USAGE;
	}
	const int signal_fd = open_signals();
	if (signal_fd < 0) {
		complain("cannot catch signals");
		code = EXIT_FAILURE;
	} else {
		code = run(&options, signal_fd);
		close(signal_fd);
	}
	world_fini(&world);
	return code;
}
