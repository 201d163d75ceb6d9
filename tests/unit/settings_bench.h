/* What the tests of the settings share: a folder of their own, a clean environment, one file to read. */
#ifndef HANDOFF_TEST_SETTINGS_BENCH_H
#define HANDOFF_TEST_SETTINGS_BENCH_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "doors/settings.h"

extern char **environ;

static char bench_folder[] = "/tmp/handoff-settings-XXXXXX";

/* Everything happens in a folder of its own, so that sentences name files as the tables do. */
static int bench_open(void **state)
{
	(void)state;
	return mkdtemp(bench_folder) && chdir(bench_folder) == 0 ? 0 : -1;
}

static int bench_close(void **state)
{
	static const char *const FILES[] = { "h.conf", "secret", "empty", "multiline" };
	(void)state;
	for (size_t i = 0; i < sizeof(FILES) / sizeof(FILES[0]); i++)
		unlink(FILES[i]);
	return chdir("/") == 0 && rmdir(bench_folder) == 0 ? 0 : -1;
}

static int bench_clean(void **state)
{
	(void)state;
	return clearenv();
}

static void bench_write(const char *file, const void *bytes, size_t n)
{
	FILE *out = fopen(file, "w");
	assert_non_null(out);
	assert_int_equal(fwrite(bytes, 1, n, out), n);
	assert_int_equal(fclose(out), 0);
}

/* Reads `text` as h.conf (NULL: no file at all). The sentence, "" when it was accepted. */
static const char *bench_read(const char *text, bool need_cognigy, struct settings *ret)
{
	static char sentence[8192];
	struct buf error;
	buf_init(&error, sizeof(sentence) - 1);
	if (text)
		bench_write("h.conf", text, strlen(text));
	const int r = settings_read(text ? "h.conf" : NULL, need_cognigy, ret, &error);
	assert_true(r == 0 || r == -EINVAL);
	assert_true(buf_ok(&error));
	strcpy(sentence, r == 0 ? "" : buf_text(&error));
	buf_fini(&error);
	return sentence;
}

#endif
