/*
 * api_vendor - the simulator's second personality: Cognigy.AI as its vendor documents it
 *
 * The same actor (sessions, locks, limits, faults, book) behind other paths and bodies: a conversation in place of a
 * session, context inject, endpoint inject by the API's deprecated path and by the endpoint's own, an OAuth2 token
 * endpoint, and the API key. Like the real one it says of a trigger no more than that it was passed on.
 */
#ifndef SANDBOX_API_VENDOR_H
#define SANDBOX_API_VENDOR_H

#include "sandbox/api.h"

void api_vendor_route(struct api_route *route, const char *method, const char *path);
/* As api_read(). */
const char *api_vendor_read(struct api_request *request, struct json_tokener *tokener, const char *authorization,
			    struct span text);
/* The client secret as API key or as bearer token, or a token that was issued. Either header may be NULL. */
enum auth_verdict api_vendor_check(const struct auth *auth, const char *api_key, const char *authorization, usec_t now);

bool api_vendor_fetch(const struct session *session, const struct instant *now, struct reply *reply);
/* Rewrites the reply of an update or a trigger that was executed, and keeps the trigger's data for the conversation. */
void api_vendor_tell(const struct api_request *request, struct reply *reply);

#endif
