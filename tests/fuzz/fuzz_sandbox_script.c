/* Script lines from anybody: applied all or none, and nothing else happens. */
#include <errno.h>
#include <stdlib.h>

#include "sandbox/script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world world;
	struct fault fault = { .message = "" };
	if (world_init(&world) < 0)
		return 0;
	const int r = script_apply(&world, "script", (struct span){ (const char *)data, size }, &fault);
	if (r == -EINVAL &&
	    (world.sessions.count > 0 || world.rules.count > 0 || world.limit.calls > 0 || fault.message[0] == '\0'))
		abort();
	if (r == 0 && fault.message[0] != '\0')
		abort();
	world_fini(&world);
	return 0;
}
