#include "sandbox/rule.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"

static const char *const action_names[RULE_ACTIONS] = {
	[RULE_REPLY] = "reply",         [RULE_DROP] = "drop",   [RULE_HANG] = "hang",   [RULE_GARBAGE] = "garbage",
	[RULE_TRUNCATED] = "truncated", [RULE_WRONG] = "wrong", [RULE_DELAY] = "delay",
};
static const char *const when_names[RULE_WHENS] = { "before", "during", "after" };

const char *rule_name(const struct rule *rule)
{
	return action_names[rule->action];
}

struct rule *rule_ref(struct rule *rule)
{
	rule->users++;
	return rule;
}

struct rule *rule_unref(struct rule *rule)
{
	if (!rule || --rule->users > 0)
		return NULL;
	for (size_t i = 0; i < rule->header_count; i++)
		free(rule->headers[i]);
	free(rule->session);
	free(rule->key);
	free(rule->body);
	free(rule->type);
	free(rule);
	return NULL;
}

/* --- the list --- */

void rules_init(struct rules *rules)
{
	*rules = (struct rules){ .first = NULL };
	rules->last = &rules->first;
}

void rules_clear(struct rules *rules)
{
	for (struct rule *rule = rules->first, *next; rule; rule = next) {
		next = rule->next;
		rule_unref(rule);
	}
	rules_init(rules);
}

int rules_add(struct rules *rules, struct rule *rule)
{
	if (rules->count == RULES_MAX)
		return -E2BIG;
	*rules->last = rule;
	rules->last = &rule->next;
	rules->count++;
	return 0;
}

static bool concerns(const struct rule *rule, enum stage stage, const char *session, const char *key, bool executed)
{
	return (rule->stages & 1U << stage) && (rule->when != RULE_BEFORE) == executed &&
	       (!rule->session || (session && strcmp(rule->session, session) == 0)) &&
	       (!rule->key || (key && strcmp(rule->key, key) == 0));
}

/* Counts a match; is it this one's turn? */
static bool fires(struct rule *rule)
{
	if (rule->times > 0 && rule->fired >= rule->times)
		return false;
	const int64_t turn = ++rule->seen - rule->skip;
	if (turn <= 0 || turn % rule->every != 0)
		return false;
	rule->fired++;
	return true;
}

struct rule *rules_match(struct rules *rules, enum stage stage, const char *session, const char *key, bool executed,
			 usec_t *delay)
{
	for (struct rule *rule = rules->first; rule; rule = rule->next) {
		if (!concerns(rule, stage, session, key, executed) || !fires(rule))
			continue;
		if (rule->action != RULE_DELAY)
			return rule_ref(rule);
		*delay += rule->wait;
	}
	return NULL;
}

/* --- one line --- */

static int parse_stage(struct words *words, unsigned *ret, struct fault *fault)
{
	static const struct {
		const char *name;
		unsigned stages;
	} names[] = { { "login", 1U << STAGE_LOGIN },
		      { "fetch", 1U << STAGE_FETCH },
		      { "update", 1U << STAGE_UPDATE },
		      { "trigger", 1U << STAGE_TRIGGER },
		      { "any", (1U << STAGE_COUNT) - 1 } };
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (words_accept(words, names[i].name)) {
			*ret = names[i].stages;
			return 0;
		}
	return fault_set(fault, -EINVAL, FAULT_PERMANENT, "\"on\" wants login, fetch, update, trigger or any");
}

static int parse_status(struct rule *rule, struct words *words, struct fault *fault)
{
	const char *text = words_next(words);
	int64_t status;
	if (!text || text_parse_int64(span_of(text), &status) < 0 || status < 200 || status > 599)
		return fault_set(fault, -EINVAL, FAULT_PERMANENT, "\"reply\" wants a status from 200 to 599");
	rule->status = (int)status;
	return 0;
}

static int parse_headers(struct rule *rule, struct words *words, struct fault *fault)
{
	for (const char *line; (line = words_option(words, "header"));) {
		const size_t name = strcspn(line, ":");
		if (name == 0 || line[name] != ':' || strcspn(line, " ") < name)
			return fault_set(fault, -EINVAL, FAULT_PERMANENT,
					 "header=\"%s\" is not of the form \"Name: value\"", line);
		if (rule->header_count == REPLY_HEADERS_MAX)
			return fault_set(fault, -EINVAL, FAULT_PERMANENT, "more than %d headers", REPLY_HEADERS_MAX);
		rule->headers[rule->header_count] = strdup(line);
		if (!rule->headers[rule->header_count])
			return fault_set(fault, -ENOMEM, FAULT_OURS, "out of memory");
		rule->header_count++;
	}
	return 0;
}

/* Copies an option's value; absent leaves NULL. */
static int parse_text(struct words *words, const char *name, char **ret, struct fault *fault)
{
	const char *value = words_option(words, name);
	if (!value)
		return 0;
	*ret = strdup(value);
	return *ret ? 0 : fault_set(fault, -ENOMEM, FAULT_OURS, "out of memory");
}

static int parse_reply(struct rule *rule, struct words *words, struct fault *fault)
{
	int r = parse_status(rule, words, fault);
	if (r == 0)
		r = parse_text(words, "body", &rule->body, fault);
	if (r == 0)
		r = parse_text(words, "type", &rule->type, fault);
	if (r == 0)
		r = parse_headers(rule, words, fault);
	usec_t seconds = -1, date = -1;
	if (r == 0)
		r = words_duration(words, "retry-after", &seconds, fault);
	if (r == 0)
		r = words_duration(words, "retry-date", &date, fault);
	rule->form = seconds >= 0 ? RETRY_SECONDS : date >= 0 ? RETRY_DATE : RETRY_NONE;
	rule->wait = seconds >= 0 ? seconds : date;
	return r;
}

static int parse_action(struct rule *rule, struct words *words, struct fault *fault)
{
	const char *name = words_next(words);
	size_t action = 0;
	while (action < RULE_ACTIONS && name && strcmp(action_names[action], name) != 0)
		action++;
	if (!name || action == RULE_ACTIONS)
		return fault_set(fault, -EINVAL, FAULT_PERMANENT,
				 "what shall happen is one of: reply, drop, hang, garbage, truncated, wrong, delay");
	rule->action = (enum rule_action)action;
	if (action == RULE_REPLY)
		return parse_reply(rule, words, fault);
	if (action != RULE_DELAY)
		return 0;
	const char *wait = words_next(words);
	if (!wait || duration_parse(wait, &rule->wait) < 0)
		return fault_set(fault, -EINVAL, FAULT_PERMANENT, "\"delay\" wants a duration (200ms, 3s, 2m, 1h)");
	return 0;
}

static int parse_when(struct rule *rule, struct words *words, struct fault *fault)
{
	/* Who answers nonsense has done the work first; everything else stands in its way unless told otherwise. */
	rule->when = rule->action == RULE_GARBAGE || rule->action == RULE_TRUNCATED || rule->action == RULE_WRONG
			     ? RULE_AFTER
			     : RULE_BEFORE;
	for (size_t i = 0; i < RULE_WHENS; i++)
		if (words_accept(words, when_names[i]))
			rule->when = (enum rule_when)i;
	if (rule->when == RULE_DURING && rule->action != RULE_DROP)
		return fault_set(fault, -EINVAL, FAULT_PERMANENT, "\"during\" goes with \"drop\" only");
	if (rule->when == RULE_BEFORE && rule->action == RULE_TRUNCATED)
		return fault_set(fault, -EINVAL, FAULT_PERMANENT,
				 "what was not executed has no reply to truncate: let it come after the step (after)");
	return 0;
}

static int parse(struct rule *rule, struct words *words, struct fault *fault)
{
	int r = parse_stage(words, &rule->stages, fault);
	if (r == 0)
		r = parse_action(rule, words, fault);
	if (r == 0)
		r = parse_when(rule, words, fault);
	if (r == 0)
		r = parse_text(words, "session", &rule->session, fault);
	if (r == 0)
		r = parse_text(words, "key", &rule->key, fault);
	if (r == 0)
		r = words_number(words, "times", 1, INT32_MAX, &rule->times, fault);
	if (r == 0)
		r = words_number(words, "after", 0, INT32_MAX, &rule->skip, fault);
	if (r == 0)
		r = words_number(words, "every", 1, INT32_MAX, &rule->every, fault);
	return r == 0 ? words_end(words, fault) : r;
}

struct rule *rule_parse(struct words *words, struct fault *fault)
{
	struct rule *rule = calloc(1, sizeof(*rule));
	if (!rule) {
		fault_set(fault, -ENOMEM, FAULT_OURS, "out of memory");
		return NULL;
	}
	rule->users = 1;
	rule->every = 1;
	return parse(rule, words, fault) == 0 ? rule : rule_unref(rule);
}
