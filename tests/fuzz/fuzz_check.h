/* fuzz_check - what a fuzz target does when a promise is broken: say which one, and die where the fuzzer sees it */
#ifndef HANDOFF_FUZZ_CHECK_H
#define HANDOFF_FUZZ_CHECK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(promise)                                                                                                 \
	do {                                                                                                           \
		if (!(promise)) {                                                                                      \
			fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #promise);                          \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

#endif
