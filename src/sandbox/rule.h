/*
 * rule - which call meets which fault?
 *
 *   on STEP [session=ID] [key=KEY]  ACTION [before|during|after] [options]  [times=N] [after=N] [every=N]
 *
 * Rules stand in the order of the script; the first that applies decides, delays add up. A rule of the phase `before`
 * is asked when the call arrives, and the call is then not executed; one of `during` or `after` when the call was
 * executed. Counted by the rule itself: the first `after` matches pass, then each `every`-th fires, at most `times`.
 * A rule is shared by the list and by calls that wait: rule_ref(), rule_unref().
 */
#ifndef SANDBOX_RULE_H
#define SANDBOX_RULE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/fault.h"
#include "handoff/contract.h"
#include "handoff/macros.h"
#include "sandbox/reply.h"
#include "sandbox/words.h"

enum { RULES_MAX = 1000 };

enum rule_action {
	RULE_REPLY,
	RULE_DROP,
	RULE_HANG,
	RULE_GARBAGE,
	RULE_TRUNCATED,
	RULE_WRONG,
	RULE_DELAY,
	RULE_ACTIONS
};
enum rule_when { RULE_BEFORE, RULE_DURING, RULE_AFTER, RULE_WHENS };

struct rule {
	struct rule *next;
	unsigned users;
	unsigned stages; /* bit set */
	char *session;   /* NULL: any */
	char *key;       /* NULL: any or none */
	enum rule_action action;
	enum rule_when when;
	int status;
	char *body;
	char *type;
	char *headers[REPLY_HEADERS_MAX];
	size_t header_count;
	enum retry_form form;
	usec_t wait; /* of Retry-After, or the delay */
	int64_t times, skip, every;
	int64_t seen, fired;
};

struct rules {
	struct rule *first;
	struct rule **last;
	size_t count;
};

void rules_init(struct rules *rules);
void rules_clear(struct rules *rules);
/* Takes the rule over. -E2BIG when there are RULES_MAX already. */
int rules_add(struct rules *rules, struct rule *rule) MUST_CHECK;

/* The rule for this call, with a reference for the caller, or NULL. `executed` says which phase it is. `session` and
 * `key` may be NULL. Adds to `*delay` what rules of this phase ask for. */
struct rule *rules_match(struct rules *rules, enum stage stage, const char *session, const char *key, bool executed,
			 usec_t *delay);

/* What stands behind "on" in a script line. NULL with the reason in `fault`. */
struct rule *rule_parse(struct words *words, struct fault *fault) MUST_CHECK;
struct rule *rule_ref(struct rule *rule);
struct rule *rule_unref(struct rule *rule);
const char *rule_name(const struct rule *rule);

#endif
