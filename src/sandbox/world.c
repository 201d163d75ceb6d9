#include "sandbox/world.h"

void world_init(struct world *world)
{
	*world = (struct world){ .random = 88172645463325252U };
	session_set_word(world->settings.flow_status, "completed");
	session_set_word(world->settings.flow_media, "bridged");
	session_set_word(world->settings.flow_session, "completed");
	session_set_word(world->settings.transfer_status, "transferring");
	session_set_word(world->settings.transfer_session, "transferring");
	auth_init(&world->auth);
	rules_init(&world->rules);
	book_init(&world->book);
}

void world_fini(struct world *world)
{
	rules_clear(&world->rules);
	sessions_clear(&world->sessions);
	book_clear(&world->book);
}

void world_reset(struct world *world)
{
	world_fini(world);
	world_init(world);
}
