/*
 * profile - which calls does this kind of Cognigy want, and what do its replies mean?
 *
 * One table for each kind of API; a row is a call, and all of it is data: method, host, headers and body as templates,
 * the statuses that are a success, where in the reply its values stand (JSON pointers) and which of them say that the
 * transfer failed, and what every other status leads to. Sending (worker/cognigy.c), reading (rules/reply.c) and the
 * state machine know no profile by name. Constant, pure.
 */
#ifndef HANDOFF_PROFILE_H
#define HANDOFF_PROFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/fault.h"
#include "handoff/contract.h"
#include "rules/session.h"

struct request;

enum profile_kind {
	PROFILE_SEED_V1,    /* session and flow, with a marker in the session's variables */
	PROFILE_COGNIGY_AI, /* conversation, context inject and endpoint inject: nothing of a transfer's end is told */
	PROFILE_KINDS
};

/* How the worker proves who it is. */
enum credential_kind {
	CREDENTIAL_LOGIN,        /* a bearer token for a JSON login */
	CREDENTIAL_OAUTH2,       /* a bearer token for a form: client credentials (RFC 6749, 4.4) in it */
	CREDENTIAL_OAUTH2_BASIC, /* the same, the client named by the Basic scheme */
	CREDENTIAL_API_KEY,      /* the secret itself, as X-API-Key */
	CREDENTIAL_BEARER,       /* the secret itself, as bearer token */
	CREDENTIAL_KINDS
};

/* What follows from a reply. */
struct reply_meaning {
	enum fault_class kind;
	enum reason reason; /* what an outcome would say if this ended it */
	enum budget budget; /* which budget it burns; BUDGET_COUNT: none */
};

struct reply_row {
	int first, last; /* HTTP statuses, both included; the first row that has the status counts */
	struct reply_meaning means;
};

struct profile_step {
	const char *method;
	/* Templates: "{name}" is a placeholder (worker/cognigy.c lists them). A value in a body is a JSON value. */
	const char *const *headers; /* NULL-terminated; beside the authorization and the trace */
	const char *body;           /* NULL: none */
	bool is_form;               /* the body is a form: its values are percent-encoded */
	int success_first, success_last;
	const struct reply_row *rows;    /* what is no success; the last row has every status */
	struct reply_meaning unreadable; /* a success whose body cannot be read */
	bool any_body;                   /* of an update or a trigger: a success says nothing that could be read */
	struct session_view session;     /* of a fetch */
	struct update_view update;       /* of an update */
	struct flow_view flow;           /* of a trigger */
};

/* What goes out with every call, and how it is got. */
struct credential {
	const char *name;          /* what people call it */
	const char *header;        /* the line that the token or the secret ends */
	bool is_basic;             /* the login itself goes with name and secret by the Basic scheme */
	struct profile_step login; /* method == NULL: there is none, the secret is all */
};

/* The row of a call; `credential` matters to a login. */
const struct profile_step *profile_step(enum profile_kind profile, enum credential_kind credential, enum stage stage);
const struct credential *profile_credential(enum credential_kind kind);
/* Has the client a name beside its secret? */
bool credential_has_name(enum credential_kind kind);
/* Is it known which scopes a token of this API needs? */
bool profile_knows_scopes(enum profile_kind profile);
/* Is this path of the trigger one that its vendor has announced to remove? */
bool profile_is_deprecated(enum profile_kind profile, const char *flow_path);
/* Does a trigger carry a key, so that a second one is not executed? */
bool profile_is_keyed(enum profile_kind profile);
/* Why a request cannot be sent this way, with this path of the trigger, as a sentence; NULL when it can. */
const char *profile_complaint(enum profile_kind profile, const char *flow_path, const struct request *request);

#endif
