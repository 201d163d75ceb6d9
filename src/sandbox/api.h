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

/* Whose API is spoken? */
enum personality {
	PERSONALITY_SEED,      /* /api/v1: session, flow */
	PERSONALITY_COGNIGY_AI /* conversations, context inject, endpoint inject: api_vendor.c */
};

/* Which step is it, by method and path? */
struct api_route {
	enum personality personality;
	enum stage stage;    /* STAGE_COUNT: none, and `status` says how to refuse it */
	struct span session; /* in the path, still encoded; p == NULL: it is in the body, or there is none */
	bool needs_token;    /* of a trigger: its body has to name the endpoint */
	int status;
};
void api_route(struct api_route *route, const char *method, const char *path);

/* A request as far as the steps need it. */
struct api_request {
	enum personality personality;
	enum stage stage;
	bool needs_token;
	struct session *session;  /* NULL for a login */
	struct json_object *body; /* of a login or a trigger; of an update its `telephony`, NULL when it has none */
	struct span variables;    /* the text of an update's `variables`, or of a trigger's `data`; p == NULL: none */
	const char *key;          /* Idempotency-Key, or NULL */
};

/* Reads and checks the body: NULL, or a sentence about what is wrong with it. `request->body` is the caller's then
 * (json_object_put) in either case, and `request->variables` points into `text`. */
const char *api_read(struct api_request *request, struct json_tokener *tokener, const char *authorization,
		     struct span text);
/* What its Content-Type must be; NULL: anything. */
const char *api_content_type(const struct api_request *request);
/* The session a trigger names in its body, or NULL. */
const char *api_session_id(const struct api_request *request);

bool api_execute(struct world *world, const struct api_request *request, const struct instant *now,
		 struct reply *reply);

#endif
