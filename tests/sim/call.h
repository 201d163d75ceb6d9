/*
 * call - one HTTP call, on its way to the simulated Cognigy and back
 *
 *   http_start ──> sent ──> arrives, is executed or not ──> the reply is heard, or cut, or never comes
 *
 * The client's view and the server's differ: a call that timed out here may yet be executed there, one that was given
 * up runs on. The judge is told of both.
 */
#ifndef SIM_CALL_H
#define SIM_CALL_H

#include <stdbool.h>

#include "doors/http.h"
#include "handoff/contract.h"
#include "sim/group.h"

struct job;
struct process;

/* What becomes of the call; drawn when it starts. */
enum fate {
	FATE_ANSWERED,     /* executed as the session allows, answered */
	FATE_REFUSED,      /* no connection */
	FATE_VANISHED,     /* sent, never executed, no answer */
	FATE_UNANSWERED,   /* executed, no answer */
	FATE_CUT_BEFORE,   /* not executed, the connection breaks */
	FATE_CUT_AFTER,    /* executed, the connection breaks */
	FATE_ERROR_BEFORE, /* not executed, answered with `status` */
	FATE_ERROR_AFTER,  /* executed, and answered with `status` all the same */
	FATE_GARBAGE       /* executed, answered with something that is no JSON */
};

struct http_call {
	struct http *http;
	struct process *process;
	int tenant;
	enum stage stage;
	char session[32]; /* "" for a login */
	char key[160];    /* Idempotency-Key; of a trigger that has none, the id in its marker */
	char marker[256]; /* of such a trigger */
	char token[24];   /* or API key */
	const char *url;
	const char *body;
	const struct job *job; /* NULL for a login */
	enum fate fate;
	int status;
	usec_t started;
	bool open;     /* its end was not heard yet */
	bool answered; /* its end is there to be heard */
	bool executed;
	int shown;                     /* of a fetch: how many of the session's executions its reply may show */
	struct membership *membership; /* under which it was started */
	struct http_reply reply;
	char retry_after[40], date[40];
	http_done *done;
	void *arg;
	struct http_call *next; /* of those open */
};

/* The calls whose end was not heard yet, of one client. */
struct http_call *http_open_calls(const struct http *http);

#endif
