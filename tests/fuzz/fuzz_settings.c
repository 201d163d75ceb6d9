/*
 * settings: any file is accepted or refused with one sentence; what is accepted can be printed and read again.
 *
 * Leaks are looked for when it ends, not after each input: for what libconfig leaks, the whole heap would be searched.
 *
 * libFuzzer: -detect_leaks=0
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "doors/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libconfig 1.5 forgets the text before a syntax error. */
const char *__lsan_default_suppressions(void)
{
	return "leak:strbuf_append\nleak:libconfig.so";
}

/* A file that only this process sees. */
static int open_memory(void)
{
	static int fd = -1;
	if (fd < 0)
		fd = memfd_create("settings", MFD_CLOEXEC);
	assert(fd >= 0);
	return fd;
}

static int read_bytes(const void *bytes, size_t size, struct settings *ret, struct buf *error)
{
	char path[64];
	const int fd = open_memory();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	const int emptied = ftruncate(fd, 0);
	const ssize_t written = pwrite(fd, bytes, size, 0);
	assert(emptied == 0 && written == (ssize_t)size);
	(void)emptied;
	(void)written;
	return settings_read(path, false, ret, error);
}

static void print_again(const struct settings *settings, struct buf *error)
{
	struct settings again;
	struct buf first;
	struct buf second;
	buf_init(&first, (size_t)16 << 20);
	buf_init(&second, (size_t)16 << 20);
	settings_print(settings, &first);
	assert(buf_ok(&first));
	const int r = read_bytes(buf_text(&first), first.len, &again, error);
	/* A password longer than its mask, and the like, may print as less than it was; never as what is refused. */
	if (r < 0) {
		fprintf(stderr, "%s\n%s", buf_text(error), buf_text(&first));
		abort();
	}
	settings_print(&again, &second);
	if (strcmp(buf_text(&first), buf_text(&second)) != 0)
		abort();
	settings_fini(&again);
	buf_fini(&first);
	buf_fini(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct settings settings;
	struct buf error;
	buf_init(&error, (size_t)1 << 20);
	const int r = read_bytes(data, size, &settings, &error);
	if (r == 0) {
		print_again(&settings, &error);
		settings_fini(&settings);
	} else if (!buf_ok(&error) || error.len == 0 || strchr(buf_text(&error), '\n')) {
		abort();
	}
	buf_fini(&error);
	return 0;
}
