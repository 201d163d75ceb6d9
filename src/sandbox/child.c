#include "sandbox/child.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- the child's side --- */

enum { REPORT_SIZE = sizeof(((struct child *)0)->line) - 2 };

static void report(struct child_side *side, char kind, const char *format, va_list args) PRINTF_LIKE(3, 0);
static void report(struct child_side *side, char kind, const char *format, va_list args)
{
	char text[REPORT_SIZE];
	char line[REPORT_SIZE + 2];
	vsnprintf(text, sizeof(text), format, args);
	const int n = snprintf(line, sizeof(line), "%c%s\n", kind, text);
	/* Shorter than PIPE_BUF, so all or nothing; a parent that does not hear it has ended, and we with it. */
	while (write(side->report_fd, line, (size_t)n) < 0 && errno == EINTR)
		;
	close(side->report_fd);
	side->report_fd = -1;
}

void child_side_ready(struct child_side *side, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	report(side, '+', format, args);
	va_end(args);
}

void child_side_failed(struct child_side *side, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	report(side, '-', format, args);
	va_end(args);
}

int child_side_fd(const struct child_side *side)
{
	return side->stop_fd;
}

/* SIGINT goes to the whole foreground group; the parent alone decides what it means. */
static int open_stop_fd(void)
{
	sigset_t stop;
	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	return signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int be_child(pid_t parent, int report_fd, int (*run)(void *arg, struct child_side *side), void *arg)
{
	struct child_side side = { .report_fd = report_fd, .stop_fd = open_stop_fd() };
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent || side.stop_fd < 0)
		return EXIT_FAILURE;
	signal(SIGPIPE, SIG_IGN);
	return run(arg, &side);
}

/* --- the parent's side --- */

int child_start(struct child *child, const char *name, int (*run)(void *arg, struct child_side *side), void *arg)
{
	int ends[2];
	if (pipe(ends) < 0)
		return -errno;
	const pid_t parent = getpid();
	const pid_t pid = fork();
	if (pid < 0) {
		const int error = -errno;
		close(ends[0]);
		close(ends[1]);
		return error;
	}
	if (pid == 0) {
		close(ends[0]);
		exit(be_child(parent, ends[1], run, arg));
	}
	close(ends[1]);
	*child = (struct child){ .name = name, .pid = pid, .report_fd = ends[0] };
	return 0;
}

enum child_report child_read(struct child *child)
{
	const ssize_t n = read(child->report_fd, child->line + child->len, sizeof(child->line) - child->len - 1);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? CHILD_SILENT : CHILD_FAILED;
	child->len += (size_t)n;
	child->line[child->len] = '\0';
	char *newline = strchr(child->line, '\n');
	if (!newline && n > 0)
		return CHILD_SILENT;
	if (newline)
		*newline = '\0';
	const bool ready = newline && child->line[0] == '+';
	memmove(child->line, child->line + (child->len > 0), strlen(child->line) + (child->len == 0));
	return ready ? CHILD_READY : CHILD_FAILED;
}

void child_stop(struct child *child, int patience_ms)
{
	if (!child->name)
		return;
	kill(child->pid, SIGTERM);
	for (int waited = 0; waitpid(child->pid, NULL, WNOHANG) == 0; waited++) {
		if (waited == patience_ms)
			kill(child->pid, SIGKILL);
		usleep(1000);
	}
	close(child->report_fd);
	child->name = NULL;
}
