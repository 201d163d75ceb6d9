/*
 * settings_env - what does the environment say?
 *
 * HANDOFFD_<SECTION>_<KEY> for every setting of the table outside the list of tenants, and COGNIGY_CLIENT_ID,
 * COGNIGY_CLIENT_SECRET, COGNIGY_CLIENT_SECRET_FILE, which yield to their longer names. A variable that begins with
 * HANDOFFD_<SECTION>_ and names no setting is refused - except what Kubernetes sets for a service of such a name
 * (..._SERVICE_HOST, ..._PORT_...). Internal to the settings door.
 */
#ifndef HANDOFF_SETTINGS_ENV_H
#define HANDOFF_SETTINGS_ENV_H

#include "doors/settings_store.h"
#include "handoff/macros.h"

/* Stores a value spelled as the environment does: 5, 0.5, true, a text, a list separated by commas (`\,` is a comma
 * within an item). Errors as of settings_store(). */
int settings_store_spelled(struct settings_reader *reader, struct settings_scope *scope, size_t index, const char *text,
			   struct settings_origin origin) MUST_CHECK;

/* Stores what the variables say over the sections. */
int settings_read_environment(struct settings_reader *reader) MUST_CHECK;

#endif
