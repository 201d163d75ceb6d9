/*
 * torture - let the n-th allocation fail
 *
 * Included by one test file, replaces the allocator's front doors for the whole program, the C library's own calls
 * (tsearch) included. Under a sanitizer or valgrind, which replace them themselves, torture_works() says no.
 */
#ifndef HANDOFF_TEST_TORTURE_H
#define HANDOFF_TEST_TORTURE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TORTURE 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define TORTURE 0
#endif
#endif
#ifndef TORTURE
#define TORTURE 1
#endif

static long torture_left = -1;
static bool torture_struck;

/* `n` more allocations succeed, then every one fails until torture_end(). */
static inline void torture_after(long n)
{
	torture_left = TORTURE ? n : -1;
	torture_struck = false;
}

/* Did any fail? From here on none does. */
static inline bool torture_end(void)
{
	torture_left = -1;
	return torture_struck;
}

/* Does it, here? */
static inline bool torture_works(void)
{
	torture_after(0);
	void *volatile memory = malloc(1);
	const bool works = !memory;
	torture_end();
	free(memory);
	return works;
}

#if TORTURE
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

static bool torture_strikes(void)
{
	if (torture_left < 0)
		return false;
	if (torture_left > 0) {
		torture_left--;
		return false;
	}
	torture_struck = true;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	return torture_strikes() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	return torture_strikes() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
	return torture_strikes() ? NULL : __libc_realloc(old, size);
}

void *reallocarray(void *old, size_t count, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(count, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(old, bytes);
}
#endif

#endif
