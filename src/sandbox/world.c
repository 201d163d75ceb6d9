#include "sandbox/world.h"

#include <errno.h>
#include <json-c/json.h>

enum { NESTING_MAX = 64 }; /* raw.c refuses deeper */

static void start(struct world *world)
{
	struct json_tokener *tokener = world->tokener;
	*world = (struct world){ .random = 88172645463325252U, .tokener = tokener };
	session_set_word(world->settings.flow_status, "completed");
	session_set_word(world->settings.flow_media, "bridged");
	session_set_word(world->settings.flow_session, "completed");
	session_set_word(world->settings.transfer_status, "transferring");
	session_set_word(world->settings.transfer_session, "transferring");
	auth_init(&world->auth);
	rules_init(&world->rules);
	book_init(&world->book);
}

static void forget(struct world *world)
{
	rules_clear(&world->rules);
	sessions_clear(&world->sessions);
	book_clear(&world->book);
}

int world_init(struct world *world)
{
	world->tokener = json_tokener_new_ex(NESTING_MAX);
	start(world);
	return world->tokener ? 0 : -ENOMEM;
}

void world_fini(struct world *world)
{
	forget(world);
	if (world->tokener)
		json_tokener_free(world->tokener);
	world->tokener = NULL;
}

void world_reset(struct world *world)
{
	forget(world);
	start(world);
}
