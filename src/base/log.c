#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log_line.h"

#define RING_BYTES    ((size_t)1 << 20)
#define CLOSE_SECONDS 1
#define POLL_MSEC     50

/* Whole lines, the oldest at ring.head. */
static char ring_bytes[RING_BYTES];

/* `lock` guards the bytes and everything in here but what is atomic. */
static struct ring {
	pthread_mutex_t lock;
	pthread_cond_t wake; /* there is a line, or it is closing */
	bool open;
	bool closing;
	bool left_behind; /* closed, but the writer is still in a write() */
	pthread_t writer;
	int fd;
	size_t head;
	size_t used;
	uint64_t burst; /* dropped since the writer last said so; until it has, nothing goes in */
	_Atomic usec_t give_up_at;
	_Atomic uint64_t dropped;
	_Atomic enum log_level level;
	_Atomic enum log_format format;
} ring = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.wake = PTHREAD_COND_INITIALIZER,
	.give_up_at = USEC_NEVER,
	.level = LOG_INFO,
};

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

static void ring_put(const struct log_line *line)
{
	const size_t tail = (ring.head + ring.used) % RING_BYTES;
	const size_t first = min_size(line->len, RING_BYTES - tail);
	memcpy(ring_bytes + tail, line->text, first);
	memcpy(ring_bytes, line->text + first, line->len - first);
	ring.used += line->len;
}

/* After a burst of dropped lines the ring takes new ones only when it is half empty, and this one comes first: it
 * stands where the lost ones would have stood, once per burst. */
static void ring_own_up(void)
{
	char text[96];
	struct log_line line;
	if (ring.burst == 0 || ring.used > RING_BYTES / 2)
		return;
	const int n = snprintf(text, sizeof(text), "%" PRIu64 " log lines were dropped here: their reader is too slow",
			       ring.burst);
	const struct log_event event = { clock_read().unix_ms, LOG_WARN, LOG_NOBODY, { text, (size_t)n } };
	log_line_format(&line, atomic_load(&ring.format), &event);
	ring_put(&line);
	ring.burst = 0;
}

/* Copies whole lines, as many as one write() to a pipe keeps together (one at least), and takes them out. */
static size_t ring_take(char ret[LOG_LINE_MAX])
{
	size_t n = 0;
	for (size_t i = 0; i < ring.used && (n == 0 || i < PIPE_BUF); i++) {
		ret[i] = ring_bytes[(ring.head + i) % RING_BYTES];
		if (ret[i] == '\n')
			n = i + 1;
	}
	ring.head = (ring.head + n) % RING_BYTES;
	ring.used -= n;
	return n;
}

/* Waits for lines; 0 when there are none and never will be. */
static size_t next_chunk(char ret[LOG_LINE_MAX])
{
	pthread_mutex_lock(&ring.lock);
	while (ring.used == 0 && !ring.closing)
		pthread_cond_wait(&ring.wake, &ring.lock);
	const size_t n = ring_take(ret);
	ring_own_up();
	pthread_mutex_unlock(&ring.lock);
	return n;
}

/* Waits until the reader takes more; false when it had its time after log_close(). */
static bool wait_writable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	while (clock_read().mono < atomic_load(&ring.give_up_at))
		if (poll(&p, 1, POLL_MSEC) > 0)
			return true;
	return false;
}

static void count_lost(const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (bytes[i] == '\n')
			atomic_fetch_add(&ring.dropped, 1);
}

static void deliver(int fd, const char *bytes, size_t n)
{
	while (n > 0 && wait_writable(fd)) {
		const ssize_t written = write(fd, bytes, min_size(n, PIPE_BUF));
		if (written < 0 && errno != EINTR && errno != EAGAIN)
			break;
		bytes += written > 0 ? written : 0;
		n -= written > 0 ? (size_t)written : 0;
	}
	count_lost(bytes, n);
}

static void *write_lines(void *fd)
{
	char chunk[LOG_LINE_MAX];
	for (size_t n; (n = next_chunk(chunk)) > 0;)
		deliver(*(const int *)fd, chunk, n);
	return NULL;
}

/* Signals are for the thread that runs the loop; a broken pipe is an error of write(), not the end of the process. */
static int start_writer(void)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	const int error = pthread_create(&ring.writer, NULL, write_lines, &ring.fd);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -error;
}

int log_open(int fd, enum log_level level, enum log_format format)
{
	int r = -EALREADY;
	pthread_mutex_lock(&ring.lock);
	if (ring.left_behind && pthread_tryjoin_np(ring.writer, NULL) == 0)
		ring.left_behind = false;
	if (!ring.open && !ring.left_behind) {
		atomic_store(&ring.level, level);
		atomic_store(&ring.format, format);
		atomic_store(&ring.give_up_at, USEC_NEVER);
		ring.closing = false;
		ring.head = ring.used = 0;
		ring.burst = 0;
		ring.fd = fd;
		r = start_writer();
		ring.open = r == 0;
	}
	pthread_mutex_unlock(&ring.lock);
	return r;
}

void log_close(void)
{
	pthread_mutex_lock(&ring.lock);
	const bool was_open = ring.open;
	ring.open = false;
	ring.closing = true;
	atomic_store(&ring.give_up_at, clock_read().mono + CLOSE_SECONDS * USEC_PER_SEC);
	pthread_cond_signal(&ring.wake);
	pthread_mutex_unlock(&ring.lock);
	if (!was_open)
		return;
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += CLOSE_SECONDS + 1;
	/* Another process on the same pipe can fill it between poll() and write(). A thread that hangs there hinders
	 * nobody but a next log_open(); it ends when its write does, or with the process. */
	const bool joined = pthread_timedjoin_np(ring.writer, NULL, &until) == 0;
	pthread_mutex_lock(&ring.lock);
	ring.left_behind = !joined;
	pthread_mutex_unlock(&ring.lock);
}

void log_set_level(enum log_level level)
{
	atomic_store(&ring.level, level);
}

bool log_enabled(enum log_level level)
{
	return level <= atomic_load_explicit(&ring.level, memory_order_relaxed);
}

uint64_t log_dropped(void)
{
	return atomic_load(&ring.dropped);
}

static void write_directly(const struct log_line *line)
{
	for (size_t done = 0; done < line->len;) {
		const ssize_t n = write(STDERR_FILENO, line->text + done, line->len - done);
		if (n < 0 && errno != EINTR)
			return;
		done += n > 0 ? (size_t)n : 0;
	}
}

/* False when there is no writer: before log_open() and after log_close(). */
static bool hand_over(const struct log_line *line)
{
	pthread_mutex_lock(&ring.lock);
	const bool open = ring.open;
	if (open && ring.burst == 0 && line->len <= RING_BYTES - ring.used) {
		ring_put(line);
		pthread_cond_signal(&ring.wake);
	} else if (open) {
		ring.burst++;
		atomic_fetch_add(&ring.dropped, 1);
	}
	pthread_mutex_unlock(&ring.lock);
	return open;
}

void log_write(enum log_level level, const struct log_subject *subject, const char *format, ...)
{
	char message[LOG_LINE_MAX];
	struct log_line line;
	if (!log_enabled(level))
		return;
	const int error = errno;
	va_list args;
	va_start(args, format);
	const int n = vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	const size_t len = n < 0 ? 0 : min_size((size_t)n, sizeof(message) - 1);
	const struct log_event event = { clock_read().unix_ms, level, subject, { message, len } };
	log_line_format(&line, atomic_load(&ring.format), &event);
	if (!hand_over(&line))
		write_directly(&line);
	errno = error;
}

static const char *const level_names[] = {
	[LOG_ERROR] = "error",
	[LOG_WARN] = "warn",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
};

const char *log_level_name(enum log_level level)
{
	return level_names[level];
}

int log_level_by_name(const char *name, enum log_level *ret)
{
	for (unsigned i = 0; i < ARRAY_SIZE(level_names); i++)
		if (strcmp(name, level_names[i]) == 0) {
			*ret = (enum log_level)i;
			return 0;
		}
	return -EINVAL;
}
