#include "rules/ledger.h"

#include <assert.h>
#include <stddef.h>

#include "handoff/macros.h"

#define REASON_BITS 5

static_assert(REASON_COUNT < 1 << REASON_BITS && STATUS_COUNT < 8, "status and reason fit into a byte");
static_assert(sizeof(struct ledger_entry) == 16, "a million records are 16 MB");

static const struct {
	const char *name;
	const char *why;
	bool broken;
} verdicts[VERDICT_COUNT] = {
	[VERDICT_DONE] = { "done", NULL, false },
	[VERDICT_PENDING] = { "pending", NULL, false },
	[VERDICT_OVERDUE] = { "overdue", "it has been due for more than 60 s and is not done in the group", true },
	[VERDICT_LOST] = { "lost", "it is done in the group, but has no outcome and no waiting retry", true },
	[VERDICT_DOUBLED] = { "doubled", "it has more than one outcome, all with the same status and reason", true },
	[VERDICT_CONTRADICTORY] = { "contradictory", "it has outcomes that differ in status or reason", true },
	[VERDICT_UNKNOWN] = { "unknown", NULL, false },
};

static uint32_t seconds(int64_t ms)
{
	const int64_t s = ms / 1000;
	return s < 0 ? 0 : s > UINT32_MAX ? UINT32_MAX : (uint32_t)s;
}

void ledger_add_source(struct ledger_entry *entry, int64_t time_ms)
{
	entry->is_source = true;
	entry->time_s = seconds(time_ms);
}

bool ledger_add_retry(struct ledger_entry *entry, int64_t place, int64_t due_ms)
{
	if (place < 0 || place >= LEDGER_RETRIES_MAX)
		return false;
	const uint32_t retry = (uint32_t)place + 1;
	if (retry > entry->retry) {
		entry->retry = retry;
		entry->due_s = seconds(due_ms);
	}
	return true;
}

void ledger_add_outcome(struct ledger_entry *entry, enum status status, enum reason reason)
{
	const uint8_t said = (uint8_t)((unsigned)status << REASON_BITS | (unsigned)reason);
	if (entry->outcomes == 0)
		entry->said = said;
	entry->differs = entry->differs || entry->said != said;
	if (entry->outcomes < UINT8_MAX)
		entry->outcomes++;
}

static enum verdict judge_waiting(const struct ledger_entry *entry, const struct ledger_view *view)
{
	const uint32_t due_s = entry->due_s > 0 ? entry->due_s : entry->time_s;
	const bool is_late = due_s > 0 && view->now_s - (int64_t)due_s > LEDGER_OVERDUE_S;
	return is_late ? VERDICT_OVERDUE : VERDICT_PENDING;
}

enum verdict ledger_judge(const struct ledger_entry *entry, const struct ledger_view *view)
{
	if (entry->outcomes > 1)
		return entry->differs ? VERDICT_CONTRADICTORY : VERDICT_DOUBLED;
	if (entry->outcomes == 1)
		return VERDICT_DONE;
	if (!view->done || (entry->retry > 0 && !view->retry_done))
		return judge_waiting(entry, view);
	return entry->time_s > 0 && (int64_t)entry->time_s <= view->outcomes_from_s ? VERDICT_UNKNOWN : VERDICT_LOST;
}

const char *verdict_name(enum verdict verdict)
{
	return verdict < VERDICT_COUNT ? verdicts[verdict].name : NULL;
}

bool verdict_is_broken(enum verdict verdict)
{
	return verdict < VERDICT_COUNT && verdicts[verdict].broken;
}

const char *verdict_why(enum verdict verdict)
{
	return verdict < VERDICT_COUNT ? verdicts[verdict].why : NULL;
}
