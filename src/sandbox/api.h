/*
 * api - what does Cognigy do with a call that has come through?
 *
 * The four steps, executed on a session: state, lock, idempotency. No waiting, no faults, no network: those are
 * call.c's. Every function fills `reply`; true when the step was really executed, false when it was refused.
 */
#ifndef SANDBOX_API_H
#define SANDBOX_API_H

#include <stdbool.h>

#include "sandbox/reply.h"
#include "sandbox/world.h"

struct json_object;

/* A request as far as the steps need it. `body` and `variables` are there for an update, `body` for a trigger and a
 * login; the checks of api_problem() have passed. */
struct api_request {
	enum stage stage;
	struct session *session; /* NULL for a login */
	struct json_object *body;
	struct span variables; /* the text of the update's `variables`; p == NULL when it has none */
	const char *key;       /* Idempotency-Key, or NULL */
};

/* Reads and checks the body: NULL, or a sentence about what is wrong with it. On NULL `request->body` is owned by the
 * caller (json_object_put) and `request->variables` points into `text`. */
const char *api_read(struct api_request *request, struct span text, bool *ret_duplicate_keys);
/* The session a trigger names in its body, or NULL. */
const char *api_session_id(const struct api_request *request);

bool api_execute(struct world *world, const struct api_request *request, const struct instant *now,
		 struct reply *reply);

#endif
