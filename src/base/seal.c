#include "base/seal.h"

#include <sys/prctl.h>
#include <sys/resource.h>

void seal_memory(void)
{
	const struct rlimit none = { 0, 0 };
	prctl(PR_SET_DUMPABLE, 0L, 0L, 0L, 0L);
	setrlimit(RLIMIT_CORE, &none);
}
