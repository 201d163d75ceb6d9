#include "rules/limits.h"

void breaker_init(struct breaker *b, int32_t limit, usec_t open_for)
{
	*b = (struct breaker){ .limit = limit, .open_for = open_for, .state = BREAKER_CLOSED };
}

bool breaker_allows(const struct breaker *b, usec_t now)
{
	return now >= breaker_ready_at(b);
}

void breaker_started(struct breaker *b, usec_t now)
{
	if (b->state != BREAKER_OPEN || now < b->retry_at)
		return;
	b->state = BREAKER_HALF_OPEN;
	b->probed_at = now;
}

/* Nothing begins beside the probe. */
static bool is_probe(const struct breaker *b, usec_t began)
{
	return b->state == BREAKER_HALF_OPEN && began >= b->probed_at;
}

static void trip(struct breaker *b, usec_t retry_at)
{
	b->state = BREAKER_OPEN;
	b->retry_at = retry_at;
}

void breaker_failed(struct breaker *b, usec_t began, usec_t now)
{
	if (b->failures < INT32_MAX)
		b->failures++;
	const bool enough = b->limit > 0 && b->failures >= b->limit;
	if (is_probe(b, began) || (b->state == BREAKER_CLOSED && enough))
		trip(b, now + b->open_for);
}

void breaker_succeeded(struct breaker *b)
{
	b->failures = 0;
	b->state = BREAKER_CLOSED;
}

void breaker_undecided(struct breaker *b, usec_t began, usec_t now)
{
	if (is_probe(b, began))
		trip(b, now);
}

usec_t breaker_ready_at(const struct breaker *b)
{
	switch (b->state) {
	case BREAKER_CLOSED:
		return INT64_MIN;
	case BREAKER_OPEN:
		return b->retry_at;
	case BREAKER_HALF_OPEN:
		break;
	}
	return USEC_NEVER;
}
