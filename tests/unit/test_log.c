#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "json/scan.h"

/* The program's own poll(), so that a test can make it promise what does not hold. */
static _Atomic bool poll_lies;

int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	const struct timespec timeout = { timeout_ms / 1000, timeout_ms % 1000 * 1000000L };
	if (!poll_lies)
		return ppoll(fds, count, timeout_ms < 0 ? NULL : &timeout, NULL);
	for (nfds_t i = 0; i < count; i++)
		fds[i].revents = POLLOUT;
	return (int)count;
}

/* The reader's end of a pipe, and all that came out of it. */
struct reader {
	int fd;
	struct buf text;
	_Atomic size_t lines;
	pthread_t thread;
};

static void *read_all(void *arg)
{
	struct reader *reader = arg;
	char chunk[4096];
	for (ssize_t n; (n = read(reader->fd, chunk, sizeof(chunk))) > 0;) {
		buf_add(&reader->text, chunk, (size_t)n);
		for (ssize_t i = 0; i < n; i++)
			reader->lines += chunk[i] == '\n' ? 1 : 0;
	}
	return NULL;
}

static void reader_start(struct reader *reader, int fd)
{
	reader->fd = fd;
	reader->lines = 0;
	buf_init(&reader->text, 1 << 26);
	assert_int_equal(pthread_create(&reader->thread, NULL, read_all, reader), 0);
}

/* log_close() gives a slow reader a second; a busy machine may need more. */
static void reader_wait(struct reader *reader, size_t lines)
{
	const usec_t limit = clock_read().mono + 60 * USEC_PER_SEC;
	while (reader->lines < lines && clock_read().mono < limit)
		poll(NULL, 0, 1);
	assert_true(reader->lines >= lines);
}

/* Ends when nobody holds the writer's end any more. */
static void reader_join(struct reader *reader)
{
	assert_int_equal(pthread_join(reader->thread, NULL), 0);
	assert_true(buf_ok(&reader->text));
	close(reader->fd);
}

static void make_pipe(int ends[2])
{
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
}

/* Counts lines; each must be a JSON object. What they own up to having dropped is added to `dropped`. */
static size_t count_lines(const struct buf *text, uint64_t *dropped)
{
	size_t count = 0;
	for (const char *p = buf_text(text), *feed; (feed = strchr(p, '\n')) != NULL; p = feed + 1) {
		struct scan_value value, message;
		if (scan_check((struct span){ p, (size_t)(feed - p) }, &value, NULL) < 0)
			fail_msg("not JSON: %.*s", (int)(feed - p), p);
		assert_true(scan_find(value, "message", &message));
		if (memmem(message.text.p, message.text.n, "lines were dropped", 18))
			*dropped += strtoull(message.text.p + 1, NULL, 10);
		else
			count++;
	}
	assert_true(text->len == 0 || text->data[text->len - 1] == '\n');
	return count;
}

static void names_levels(void **state)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };
	enum log_level level = LOG_INFO;
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		assert_string_equal(log_level_name((enum log_level)i), names[i]);
		assert_int_equal(log_level_by_name(names[i], &level), 0);
		assert_int_equal(level, i);
	}
	assert_int_equal(log_level_by_name("", &level), -EINVAL);
	assert_int_equal(log_level_by_name("INFO", &level), -EINVAL);
	assert_int_equal(log_level_by_name("warning", &level), -EINVAL);
	assert_int_equal(level, LOG_DEBUG);
}

static void writes_what_is_enabled(void **state)
{
	int ends[2];
	struct reader reader;
	uint64_t dropped = 0;
	(void)state;
	make_pipe(ends);
	reader_start(&reader, ends[0]);
	assert_int_equal(log_open(ends[1], LOG_WARN, LOG_JSON), 0);
	assert_int_equal(log_open(ends[1], LOG_WARN, LOG_JSON), -EALREADY);
	assert_true(log_enabled(LOG_ERROR) && log_enabled(LOG_WARN) && !log_enabled(LOG_INFO));
	log_write(LOG_WARN, LOG_NOBODY, "one %d", 1);
	log_write(LOG_INFO, LOG_NOBODY, "not this");
	log_set_level(LOG_DEBUG);
	errno = EDOM;
	log_write(LOG_DEBUG, LOG_NOBODY, "two");
	assert_int_equal(errno, EDOM);
	reader_wait(&reader, 2);
	log_close();
	log_close();
	close(ends[1]);
	reader_join(&reader);
	assert_int_equal(count_lines(&reader.text, &dropped), 2);
	assert_int_equal(dropped, 0);
	const char *one = strstr(buf_text(&reader.text), "\"level\":\"warn\",\"message\":\"one 1\"}\n");
	assert_non_null(one);
	assert_non_null(strstr(one, "\"level\":\"debug\",\"message\":\"two\"}\n"));
	buf_fini(&reader.text);
}

static void takes_a_message_of_any_length(void **state)
{
	enum { LONG = 100000 };
	int ends[2];
	struct reader reader;
	uint64_t dropped = 0;
	char *text = malloc(LONG);
	(void)state;
	assert_non_null(text);
	memset(text, '"', LONG);
	make_pipe(ends);
	reader_start(&reader, ends[0]);
	assert_int_equal(log_open(ends[1], LOG_INFO, LOG_JSON), 0);
	for (int n = 0; n < LONG; n += 997)
		log_write(LOG_INFO, LOG_NOBODY, "%.*s", n, text);
	reader_wait(&reader, (LONG + 996) / 997);
	log_close();
	close(ends[1]);
	reader_join(&reader);
	assert_int_equal(count_lines(&reader.text, &dropped), (LONG + 996) / 997);
	assert_int_equal(dropped, 0);
	buf_fini(&reader.text);
	free(text);
}

/* Before log_open() and after log_close(): nothing is lost, it goes out at once. */
static void writes_directly_without_a_writer(void **state)
{
	int ends[2];
	struct reader reader;
	uint64_t dropped = 0;
	const int stderr_fd = dup(STDERR_FILENO);
	(void)state;
	make_pipe(ends);
	assert_true(stderr_fd >= 0 && dup2(ends[1], STDERR_FILENO) >= 0);
	log_write(LOG_ERROR, LOG_NOBODY, "directly");
	assert_true(dup2(stderr_fd, STDERR_FILENO) >= 0);
	close(stderr_fd);
	close(ends[1]);
	reader_start(&reader, ends[0]);
	reader_join(&reader);
	assert_int_equal(count_lines(&reader.text, &dropped), 1);
	buf_fini(&reader.text);
}

enum { WRITERS = 4, LINES_EACH = 3000 };

static void *write_many(void *name)
{
	for (int i = 0; i < LINES_EACH; i++)
		log_write(LOG_INFO, &(const struct log_subject){ .tenant = name, .partition = -1, .offset = -1 },
			  "line %d of many, long enough for a few of them to fill a pipe", i);
	return NULL;
}

static void write_from_threads(void)
{
	static char names[WRITERS][2] = { "a", "b", "c", "d" };
	pthread_t threads[WRITERS];
	for (int i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_many, names[i]), 0);
	for (int i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
}

/* Every line comes out whole or is owned up to, while the reader reads. */
static void keeps_lines_of_many_threads_whole(void **state)
{
	int ends[2];
	struct reader reader;
	uint64_t owned_up = 0;
	const uint64_t before = log_dropped();
	(void)state;
	make_pipe(ends);
	reader_start(&reader, ends[0]);
	assert_int_equal(log_open(ends[1], LOG_INFO, LOG_JSON), 0);
	write_from_threads();
	reader_wait(&reader, WRITERS * LINES_EACH - (log_dropped() - before));
	log_close();
	close(ends[1]);
	reader_join(&reader);
	const size_t written = count_lines(&reader.text, &owned_up);
	assert_int_equal(written + owned_up, WRITERS * LINES_EACH);
	assert_int_equal(owned_up, log_dropped() - before);
	buf_fini(&reader.text);
}

/* Nobody reads: nobody waits, the ring fills, the rest is counted; and once somebody reads, told. */
static void drops_and_owns_up(void **state)
{
	int ends[2];
	struct reader reader;
	uint64_t owned_up = 0;
	const uint64_t before = log_dropped();
	(void)state;
	make_pipe(ends);
	assert_int_equal(log_open(ends[1], LOG_INFO, LOG_JSON), 0);
	write_from_threads();
	const uint64_t dropped = log_dropped() - before;
	assert_true(dropped > 0 && dropped < WRITERS * LINES_EACH);
	reader_start(&reader, ends[0]);
	reader_wait(&reader, WRITERS * LINES_EACH - dropped);
	log_close();
	close(ends[1]);
	reader_join(&reader);
	const size_t written = count_lines(&reader.text, &owned_up);
	assert_int_equal(owned_up, dropped);
	assert_int_equal(written + owned_up, WRITERS * LINES_EACH);
	assert_int_equal(log_dropped() - before, dropped);
	buf_fini(&reader.text);
}

static void closes_although_nobody_reads(void **state)
{
	int ends[2];
	struct reader reader;
	const uint64_t before = log_dropped();
	uint64_t owned_up = 0;
	(void)state;
	make_pipe(ends);
	assert_int_equal(log_open(ends[1], LOG_INFO, LOG_JSON), 0);
	write_from_threads();
	const usec_t start = clock_read().mono;
	log_close();
	const usec_t waited = clock_read().mono - start;
	assert_true(waited >= USEC_PER_SEC && waited < 10 * USEC_PER_SEC);
	close(ends[1]);
	reader_start(&reader, ends[0]);
	reader_join(&reader);
	const size_t written = count_lines(&reader.text, &owned_up);
	assert_true(written > 0);
	assert_true(log_dropped() - before >= WRITERS * LINES_EACH - written);
	buf_fini(&reader.text);
}

/* Another process may fill the pipe between poll() and write(): then the write hangs, and log_close() must not hang
 * with it. */
static void closes_although_a_write_hangs(void **state)
{
	int ends[2];
	(void)state;
	make_pipe(ends);
	assert_int_equal(log_open(ends[1], LOG_INFO, LOG_JSON), 0);
	poll_lies = true;
	write_from_threads();
	const usec_t start = clock_read().mono;
	log_close();
	const usec_t waited = clock_read().mono - start;
	poll_lies = false;
	assert_true(waited > 3 * USEC_PER_SEC / 2 && waited < 10 * USEC_PER_SEC);
	assert_int_equal(log_open(ends[1], LOG_INFO, LOG_JSON), -EALREADY);
	close(ends[0]); /* frees the writer */
	const usec_t limit = clock_read().mono + 60 * USEC_PER_SEC;
	while (log_open(ends[1], LOG_INFO, LOG_JSON) != 0 && clock_read().mono < limit)
		poll(NULL, 0, 1);
	assert_int_equal(log_open(ends[1], LOG_INFO, LOG_JSON), -EALREADY);
	log_close();
	close(ends[1]);
}

/* The reader is gone: no signal ends the process, the lines are counted, and the next log works. */
static void survives_a_broken_pipe(void **state)
{
	int ends[2];
	const uint64_t before = log_dropped();
	(void)state;
	make_pipe(ends);
	close(ends[0]);
	assert_int_equal(log_open(ends[1], LOG_INFO, LOG_JSON), 0);
	for (int i = 0; i < 100; i++)
		log_write(LOG_INFO, LOG_NOBODY, "to nobody");
	log_close();
	close(ends[1]);
	assert_int_equal(log_dropped() - before, 100);
}

static void waits_for_a_non_blocking_pipe(void **state)
{
	int ends[2];
	struct reader reader;
	uint64_t owned_up = 0;
	(void)state;
	make_pipe(ends);
	assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(log_open(ends[1], LOG_INFO, LOG_JSON), 0);
	for (int i = 0; i < 5000; i++)
		log_write(LOG_INFO, LOG_NOBODY, "line %d of more than a pipe holds", i);
	reader_start(&reader, ends[0]);
	reader_wait(&reader, 5000);
	log_close();
	close(ends[1]);
	reader_join(&reader);
	assert_int_equal(count_lines(&reader.text, &owned_up), 5000);
	assert_int_equal(owned_up, 0);
	buf_fini(&reader.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_levels),
		cmocka_unit_test(writes_directly_without_a_writer),
		cmocka_unit_test(writes_what_is_enabled),
		cmocka_unit_test(takes_a_message_of_any_length),
		cmocka_unit_test(keeps_lines_of_many_threads_whole),
		cmocka_unit_test(drops_and_owns_up),
		cmocka_unit_test(closes_although_nobody_reads),
		cmocka_unit_test(closes_although_a_write_hangs),
		cmocka_unit_test(survives_a_broken_pipe),
		cmocka_unit_test(waits_for_a_non_blocking_pipe),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
