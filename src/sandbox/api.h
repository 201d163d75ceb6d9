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
struct json_tokener;

/* A request as far as the steps need it. */
struct api_request {
	enum stage stage;
	struct session *session;  /* NULL for a login */
	struct json_object *body; /* of a login or a trigger; of an update its `telephony`, NULL when it has none */
	struct span variables;    /* the text of an update's `variables`; p == NULL when it has none */
	const char *key;          /* Idempotency-Key, or NULL */
};

/* Reads and checks the body: NULL, or a sentence about what is wrong with it. `request->body` is the caller's then
 * (json_object_put) in either case, and `request->variables` points into `text`. */
const char *api_read(struct api_request *request, struct json_tokener *tokener, struct span text);
/* The session a trigger names in its body, or NULL. */
const char *api_session_id(const struct api_request *request);

bool api_execute(struct world *world, const struct api_request *request, const struct instant *now,
		 struct reply *reply);

#endif
