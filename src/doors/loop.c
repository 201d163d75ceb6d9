#include "doors/loop.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { EVENTS_A_TURN = 256 };

struct watch {
	loop_callback *callback; /* NULL: not registered */
	void *arg;
	unsigned events;
	uint32_t birth; /* which registration of this fd number it is; events carry it, so that old ones are known */
};

struct loop {
	int epoll_fd;
	uint32_t births;
	struct watch *watches; /* by fd */
	size_t count;
	struct epoll_event ready[EVENTS_A_TURN];
};

struct loop *loop_new(void)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	if (!loop)
		return NULL;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0) {
		free(loop);
		return NULL;
	}
	return loop;
}

struct loop *loop_free(struct loop *loop)
{
	if (!loop)
		return NULL;
	close(loop->epoll_fd);
	free(loop->watches);
	free(loop);
	return NULL;
}

/* The fd's place in the table, which grows for it; NULL when it cannot. */
static struct watch *watch_of(struct loop *loop, int fd)
{
	const size_t index = (size_t)fd;
	if (index >= loop->count) {
		size_t count = loop->count ? loop->count : 64;
		while (count <= index)
			count *= 2;
		struct watch *watches = realloc(loop->watches, count * sizeof(*watches));
		if (!watches)
			return NULL;
		for (size_t i = loop->count; i < count; i++)
			watches[i] = (struct watch){ .callback = NULL };
		loop->watches = watches;
		loop->count = count;
	}
	return &loop->watches[index];
}

static int control(struct loop *loop, int op, int fd, unsigned events, uint32_t birth)
{
	struct epoll_event event = { .data.u64 = (uint64_t)birth << 32 | (uint32_t)fd };
	if (events & LOOP_READ)
		event.events |= EPOLLIN;
	if (events & LOOP_WRITE)
		event.events |= EPOLLOUT;
	return epoll_ctl(loop->epoll_fd, op, fd, &event) == 0 ? 0 : -errno;
}

int loop_set(struct loop *loop, int fd, unsigned events, loop_callback *callback, void *arg)
{
	if (fd < 0 || !callback)
		return -EINVAL;
	struct watch *watch = watch_of(loop, fd);
	if (!watch)
		return -ENOMEM;
	uint32_t birth = watch->birth;
	int r = watch->callback ? control(loop, EPOLL_CTL_MOD, fd, events, birth) : -ENOENT;
	if (r == -ENOENT) { /* new, or the kernel dropped it with a fd that was closed without loop_remove() */
		birth = ++loop->births;
		r = control(loop, EPOLL_CTL_ADD, fd, events, birth);
	}
	if (r < 0)
		return r;
	*watch = (struct watch){ .callback = callback, .arg = arg, .events = events, .birth = birth };
	return 0;
}

void loop_remove(struct loop *loop, int fd)
{
	if (fd < 0 || (size_t)fd >= loop->count || !loop->watches[fd].callback)
		return;
	control(loop, EPOLL_CTL_DEL, fd, 0, 0); /* fails only where the kernel forgot the fd already */
	loop->watches[fd].callback = NULL;
}

/* Rounded up: woken early, the loop would find nothing due and spin through the rest of the millisecond. */
static int milliseconds(usec_t wait)
{
	if (wait == USEC_NEVER)
		return -1;
	if (wait <= 0)
		return 0;
	const usec_t ms = (wait - 1) / USEC_PER_MSEC + 1;
	return ms < INT_MAX ? (int)ms : INT_MAX;
}

static unsigned ready_events(uint32_t epoll_events, unsigned wanted)
{
	if (epoll_events & (EPOLLERR | EPOLLHUP))
		return LOOP_READ | LOOP_WRITE;
	unsigned events = 0;
	if (epoll_events & EPOLLIN)
		events |= LOOP_READ;
	if (epoll_events & EPOLLOUT)
		events |= LOOP_WRITE;
	return events & wanted; /* an earlier callback of this turn may have changed what is wanted */
}

/* Runs the callback of one event, unless its registration ended meanwhile. */
static int dispatch(struct loop *loop, const struct epoll_event *event)
{
	const uint32_t birth = (uint32_t)(event->data.u64 >> 32);
	const int fd = (int)(uint32_t)event->data.u64;
	const struct watch watch = loop->watches[fd]; /* a copy: the callback may make the table move */
	if (!watch.callback || watch.birth != birth)
		return 0;
	const unsigned events = ready_events(event->events, watch.events);
	if (events == 0)
		return 0;
	watch.callback(watch.arg, fd, events);
	return 1;
}

int loop_once(struct loop *loop, usec_t wait)
{
	const int n = epoll_wait(loop->epoll_fd, loop->ready, EVENTS_A_TURN, milliseconds(wait));
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	int ran = 0;
	for (int i = 0; i < n; i++)
		ran += dispatch(loop, &loop->ready[i]);
	return ran;
}

int loop_wakeup_new(void)
{
	const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

void loop_wakeup_signal(int fd)
{
	const uint64_t one = 1;
	/* Full (EAGAIN) means that a wake-up is pending already, which is all that was asked for. */
	while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

void loop_wakeup_clear(int fd)
{
	uint64_t count;
	while (read(fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
}
