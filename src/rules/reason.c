/* The tables behind handoff/contract.h: each name and each consequence of a reason, once. */
#include "handoff/contract.h"

#include <assert.h>
#include <string.h>

#include "handoff/macros.h"

struct reason_facts {
	const char *name;
	enum status status;
	bool dead_letter;
	bool retryable;
};

/* An exhausted budget is retryable whatever it was of; `upstream.bad_response` is one too (of the server's budget). */
static const struct reason_facts reasons[] = {
	[REASON_OK] = { "ok", STATUS_COMPLETED, false, false },
	[REASON_UNCONFIRMED] = { "transfer.unconfirmed", STATUS_INITIATED, false, false },
	[REASON_NOT_FOUND] = { "session.not_found", STATUS_FAILED, false, false },
	[REASON_NOT_VOICE] = { "session.not_voice", STATUS_FAILED, false, false },
	[REASON_ENDED] = { "session.ended", STATUS_FAILED, false, false },
	[REASON_AUTH_REJECTED] = { "auth.rejected", STATUS_FAILED, true, true },
	[REASON_AUTH_FORBIDDEN] = { "auth.forbidden", STATUS_FAILED, true, true },
	[REASON_SERVER_ERROR] = { "upstream.server_error", STATUS_FAILED, true, true },
	[REASON_BAD_RESPONSE] = { "upstream.bad_response", STATUS_FAILED, true, true },
	[REASON_UPSTREAM_REJECTED] = { "upstream.rejected", STATUS_FAILED, true, false },
	[REASON_TRANSFER_REJECTED] = { "transfer.rejected", STATUS_FAILED, true, false },
	[REASON_LOCKED] = { "session.locked", STATUS_FAILED, true, true },
	[REASON_RATE_LIMITED] = { "upstream.rate_limited", STATUS_FAILED, true, true },
	[REASON_TIMEOUT] = { "upstream.timeout", STATUS_FAILED, true, true },
	[REASON_DEADLINE_PASSED] = { "deadline.passed", STATUS_EXPIRED, false, true },
	[REASON_DEADLINE_UNREACHABLE] = { "deadline.unreachable", STATUS_EXPIRED, false, true },
	[REASON_CANCELLED] = { "request.cancelled", STATUS_CANCELLED, false, false },
	[REASON_ALREADY_TRANSFERRING] = { "session.already_transferring", STATUS_DUPLICATE, false, false },
	[REASON_DUPLICATE] = { "request.duplicate", STATUS_DUPLICATE, false, false },
	[REASON_INVALID] = { "request.invalid", STATUS_REJECTED, true, false },
	[REASON_UNKNOWN_TENANT] = { "request.unknown_tenant", STATUS_REJECTED, true, false },
};
static_assert(ARRAY_SIZE(reasons) == REASON_COUNT, "a reason without its facts");

static const char *const statuses[] = {
	[STATUS_COMPLETED] = "completed", [STATUS_INITIATED] = "initiated", [STATUS_FAILED] = "failed",
	[STATUS_EXPIRED] = "expired",     [STATUS_CANCELLED] = "cancelled", [STATUS_DUPLICATE] = "duplicate",
	[STATUS_REJECTED] = "rejected",
};
static_assert(ARRAY_SIZE(statuses) == STATUS_COUNT, "a status without a name");

static const char *const resumes[] = {
	[RESUME_FETCH] = "fetch",
	[RESUME_UPDATE] = "update",
	[RESUME_VERIFY] = "verify",
};
static_assert(ARRAY_SIZE(resumes) == RESUME_COUNT, "a resume without a name");

static const char *const budgets[] = {
	[BUDGET_RATE_LIMITED] = "rate_limited",
	[BUDGET_LOCKED] = "locked",
	[BUDGET_SERVER] = "server",
	[BUDGET_TIMEOUT] = "timeout",
};
static_assert(ARRAY_SIZE(budgets) == BUDGET_COUNT, "a budget without a name");

static const char *const stages[] = {
	[STAGE_LOGIN] = "login",
	[STAGE_FETCH] = "fetch",
	[STAGE_UPDATE] = "update",
	[STAGE_TRIGGER] = "trigger",
};
static_assert(ARRAY_SIZE(stages) == STAGE_COUNT, "a stage without a name");

static const char *const priorities[] = {
	[PRIORITY_HIGH] = "high",
	[PRIORITY_NORMAL] = "normal",
	[PRIORITY_LOW] = "low",
};
static_assert(ARRAY_SIZE(priorities) == PRIORITY_COUNT, "a priority without a name");

static const char *name_at(const char *const *names, size_t count, size_t at)
{
	return at < count ? names[at] : NULL;
}

static size_t place_of(const char *const *names, size_t count, const char *name)
{
	size_t at = 0;
	while (at < count && (!name || strcmp(names[at], name) != 0))
		at++;
	return at;
}

const char *status_name(enum status status)
{
	return name_at(statuses, STATUS_COUNT, (size_t)status);
}

const char *reason_name(enum reason reason)
{
	return (size_t)reason < REASON_COUNT ? reasons[reason].name : NULL;
}

enum status reason_status(enum reason reason)
{
	return (size_t)reason < REASON_COUNT ? reasons[reason].status : STATUS_COUNT;
}

bool reason_is_dead_letter(enum reason reason)
{
	return (size_t)reason < REASON_COUNT && reasons[reason].dead_letter;
}

bool reason_is_retryable(enum reason reason)
{
	return (size_t)reason < REASON_COUNT && reasons[reason].retryable;
}

const char *resume_name(enum resume resume)
{
	return name_at(resumes, RESUME_COUNT, (size_t)resume);
}

const char *budget_name(enum budget budget)
{
	return name_at(budgets, BUDGET_COUNT, (size_t)budget);
}

const char *stage_name(enum stage stage)
{
	return name_at(stages, STAGE_COUNT, (size_t)stage);
}

const char *priority_name(enum priority priority)
{
	return name_at(priorities, PRIORITY_COUNT, (size_t)priority);
}

enum status status_by_name(const char *name)
{
	return (enum status)place_of(statuses, STATUS_COUNT, name);
}

enum reason reason_by_name(const char *name)
{
	size_t at = 0;
	while (at < REASON_COUNT && (!name || strcmp(reasons[at].name, name) != 0))
		at++;
	return (enum reason)at;
}

enum resume resume_by_name(const char *name)
{
	return (enum resume)place_of(resumes, RESUME_COUNT, name);
}

enum budget budget_by_name(const char *name)
{
	return (enum budget)place_of(budgets, BUDGET_COUNT, name);
}

enum priority priority_by_name(const char *name)
{
	return (enum priority)place_of(priorities, PRIORITY_COUNT, name);
}
