#include "rules/profile.h"

#include <string.h>

#include "rules/request.h"

struct profile {
	bool knows_scopes;
	bool queues_only;                       /* a transfer goes to a queue */
	bool needs_user;                        /* of the request: userId */
	bool needs_token;                       /* of the request: urlToken */
	const char *deprecated;                 /* how a path of the trigger ends that is; NULL: none is */
	struct profile_step steps[STAGE_COUNT]; /* the login's is empty: it is the credential's */
};

#define RATE_LIMITED                                                                                                   \
	{                                                                                                              \
		FAULT_RATE_LIMITED, REASON_RATE_LIMITED, BUDGET_RATE_LIMITED                                           \
	}
#define LOCKED                                                                                                         \
	{                                                                                                              \
		FAULT_LOCKED, REASON_LOCKED, BUDGET_LOCKED                                                             \
	}
#define UNAUTHORIZED                                                                                                   \
	{                                                                                                              \
		FAULT_AUTH, REASON_AUTH_REJECTED, BUDGET_COUNT                                                         \
	}
#define FORBIDDEN                                                                                                      \
	{                                                                                                              \
		FAULT_AUTH, REASON_AUTH_FORBIDDEN, BUDGET_COUNT                                                        \
	}
#define AMBIGUOUS                                                                                                      \
	{                                                                                                              \
		FAULT_AMBIGUOUS, REASON_TIMEOUT, BUDGET_TIMEOUT                                                        \
	}
#define SERVER                                                                                                         \
	{                                                                                                              \
		FAULT_SERVER, REASON_SERVER_ERROR, BUDGET_SERVER                                                       \
	}
#define NOT_FOUND                                                                                                      \
	{                                                                                                              \
		FAULT_PERMANENT, REASON_NOT_FOUND, BUDGET_COUNT                                                        \
	}
#define REJECTED                                                                                                       \
	{                                                                                                              \
		FAULT_PERMANENT, REASON_UPSTREAM_REJECTED, BUDGET_COUNT                                                \
	}
#define BAD_RESPONSE                                                                                                   \
	{                                                                                                              \
		FAULT_BAD_RESPONSE, REASON_BAD_RESPONSE, BUDGET_SERVER                                                 \
	}
#define DOWN                                                                                                           \
	{                                                                                                              \
		FAULT_DEPENDENCY_DOWN, REASON_TIMEOUT, BUDGET_COUNT                                                    \
	}

/* A login burns nobody's budget: whatever it fails of, all wait. That it was refused is worth a name of its own. */
static const struct reply_row login_rows[] = {
	{ 429, 429, { FAULT_RATE_LIMITED, REASON_RATE_LIMITED, BUDGET_COUNT } },
	{ 400, 499, UNAUTHORIZED },
	{ 0, 999, DOWN },
};

#define RETRYABLE_ROWS                                                                                                 \
	{ 429, 429, RATE_LIMITED }, { 409, 409, LOCKED }, { 412, 412, LOCKED }, { 423, 423, LOCKED },                  \
		{ 401, 401, UNAUTHORIZED }, { 403, 403, FORBIDDEN }, { 408, 408, AMBIGUOUS }, { 425, 425, AMBIGUOUS }, \
	{                                                                                                              \
		500, 599, SERVER                                                                                       \
	}

static const struct reply_row session_rows[] = {
	RETRYABLE_ROWS,
	{ 404, 404, NOT_FOUND },
	{ 410, 410, NOT_FOUND },
	{ 0, 999, REJECTED },
};
static const struct reply_row trigger_rows[] = {
	RETRYABLE_ROWS,
	{ 0, 999, REJECTED },
};

static const char *const JSON[] = { "Content-Type: application/json", NULL };
static const char *const JSON_KEYED[] = { "Content-Type: application/json", "Idempotency-Key: {idempotencyKey}", NULL };

static const char *const FORM[] = { "Content-Type: application/x-www-form-urlencoded", "Accept: application/json",
				    NULL };
static const char *const ASKING[] = { "Accept: application/json", NULL };

#define SUCCESS_2XX .success_first = 200, .success_last = 299

/* ---- seed-v1 ---- */

static const char *const VOICE[] = { "voice", NULL };
static const char *const REFUSED[] = { "failed", "error", "rejected", NULL };
static const char *const STREAM_REFUSED[] = { "failed", "disconnected", "rejected", NULL };
static const struct session_word SEED_STATES[] = {
	{ "active", SESSION_ACTIVE },
	{ "idle", SESSION_IDLE },
	{ "processing", SESSION_PROCESSING },
	{ "transferring", SESSION_TRANSFERRING },
	{ "ended", SESSION_OVER },
	{ "completed", SESSION_OVER },
	{ "terminated", SESSION_OVER },
	{ "closed", SESSION_OVER },
	{ NULL, SESSION_UNKNOWN },
};

/* ---- cognigy-ai ---- */

static const char *const IN_HANDOVER[] = { "/inHandoverRequest", "/inHandoverConversation", NULL };

/* clang-format off */
static const struct profile profiles[PROFILE_KINDS] = {
	[PROFILE_SEED_V1] = { .knows_scopes = true, .queues_only = true, .steps = {
		[STAGE_FETCH] = {
			.method = "GET", .headers = JSON, SUCCESS_2XX, .rows = session_rows, .unreadable = BAD_RESPONSE,
			.session = { .channel = "/channel", .voice = VOICE, .status = "/status", .states = SEED_STATES,
				     .variables = "variables", .call_id = "/telephony/callId" },
		},
		[STAGE_UPDATE] = {
			.method = "PUT", .headers = JSON, SUCCESS_2XX, .rows = session_rows, .unreadable = AMBIGUOUS,
			.body = "{\"variables\":{variables},\"telephony\":{\"action\":\"transfer\","
				"\"preserveMediaStream\":{preserveMediaStream}}}",
			.update = { .telephony_status = "/telephony/status", .transfer_id = "/telephony/transferId",
				    .refused = REFUSED },
		},
		[STAGE_TRIGGER] = {
			.method = "POST", .headers = JSON_KEYED, SUCCESS_2XX, .rows = trigger_rows,
			.unreadable = AMBIGUOUS,
			.body = "{\"sessionId\":{sessionId},\"intent\":{intent},\"text\":{text},\"channel\":\"voice\"}",
			.flow = { .execution_id = "/flowExecutionId", .status = "/status", .action = "/result/action",
				  .media_stream_status = "/result/mediaStreamStatus",
				  .agent_wait_time = "/result/agentWaitTime",
				  .refused = REFUSED, .stream_refused = STREAM_REFUSED },
		},
	} },
	/* A success tells no more than that the message is on its way: what becomes of the call is not in any reply. */
	[PROFILE_COGNIGY_AI] = { .needs_user = true, .needs_token = true, .deprecated = "/endpoint/inject", .steps = {
		[STAGE_FETCH] = {
			.method = "GET", .headers = ASKING, SUCCESS_2XX, .rows = session_rows,
			.unreadable = BAD_RESPONSE,
			.session = { .items = "/items", .time = "/timestamp", .transferring = IN_HANDOVER,
				     .note = "/inputData" },
		},
		[STAGE_UPDATE] = {
			.method = "POST", .headers = JSON, SUCCESS_2XX, .rows = session_rows, .unreadable = AMBIGUOUS,
			.any_body = true,
			.body = "{\"userId\":{userId},\"context\":{variables}}",
		},
		[STAGE_TRIGGER] = {
			.method = "POST", .headers = JSON, SUCCESS_2XX, .rows = trigger_rows, .unreadable = AMBIGUOUS,
			.any_body = true,
			.body = "{\"userId\":{userId},\"sessionId\":{sessionId},\"URLToken\":{urlToken},"
				"\"text\":{text},\"data\":{data}}",
		},
	} },
};

/* ---- credentials ---- */

#define TOKEN_CALL .method = "POST", SUCCESS_2XX, .rows = login_rows, .unreadable = DOWN

static const struct credential credentials[CREDENTIAL_KINDS] = {
	[CREDENTIAL_LOGIN] = { .name = "token", .header = "Authorization: Bearer ", .login = {
		TOKEN_CALL, .headers = JSON,
		.body = "{\"client_id\":{clientId},\"client_secret\":{clientSecret},"
			"\"grant_type\":\"client_credentials\"}",
	} },
	[CREDENTIAL_OAUTH2] = { .name = "token", .header = "Authorization: Bearer ", .login = {
		TOKEN_CALL, .headers = FORM, .is_form = true,
		.body = "grant_type=client_credentials&client_id={clientId}&client_secret={clientSecret}&scope={scope}",
	} },
	[CREDENTIAL_OAUTH2_BASIC] = { .name = "token", .header = "Authorization: Bearer ", .is_basic = true, .login = {
		TOKEN_CALL, .headers = FORM, .is_form = true,
		.body = "grant_type=client_credentials&scope={scope}",
	} },
	[CREDENTIAL_API_KEY] = { .name = "API key", .header = "X-API-Key: " },
	[CREDENTIAL_BEARER] = { .name = "bearer token", .header = "Authorization: Bearer " },
};
/* clang-format on */

const struct profile_step *profile_step(enum profile_kind profile, enum credential_kind credential, enum stage stage)
{
	return stage == STAGE_LOGIN ? &credentials[credential].login : &profiles[profile].steps[stage];
}

const struct credential *profile_credential(enum credential_kind kind)
{
	return &credentials[kind];
}

bool credential_has_name(enum credential_kind kind)
{
	return credentials[kind].login.method != NULL;
}

bool profile_knows_scopes(enum profile_kind profile)
{
	return profiles[profile].knows_scopes;
}

bool profile_is_deprecated(enum profile_kind profile, const char *flow_path)
{
	const char *end = profiles[profile].deprecated;
	const size_t n = strlen(flow_path);
	return end && n >= strlen(end) && strcmp(flow_path + n - strlen(end), end) == 0;
}

bool profile_is_keyed(enum profile_kind profile)
{
	const char *const *header = profiles[profile].steps[STAGE_TRIGGER].headers;
	while (*header && !strstr(*header, "{idempotencyKey}"))
		header++;
	return *header != NULL;
}

const char *profile_complaint(enum profile_kind kind, const char *flow_path, const struct request *request)
{
	const struct profile *profile = &profiles[kind];
	if (profile->queues_only && request->target_type != TARGET_QUEUE)
		return "target.type must be queue: the tenant's profile seed-v1 knows no other";
	if (profile->needs_user && !request->user_id)
		return "userId is missing: the tenant's profile cognigy-ai needs it";
	if (profile->needs_token && !request->url_token)
		return "urlToken is missing: the tenant's profile cognigy-ai needs it";
	if (!request->user_id && strstr(flow_path, "{userId}"))
		return "userId is missing: the tenant's flow_path needs it";
	if (!request->url_token && strstr(flow_path, "{urlToken}"))
		return "urlToken is missing: the tenant's flow_path needs it";
	return NULL;
}
