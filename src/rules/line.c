#include "rules/line.h"

#include <assert.h>

static_assert(STAGE_TRIGGER < 4, "a step fits into two bits of the key");

/* The more advanced step first. */
static int64_t key_of(int64_t urgency, enum stage next)
{
	return urgency << 2 | (STAGE_TRIGGER - (int64_t)next);
}

void line_init(struct line *line)
{
	heap_init(&line->turns);
	heap_init(&line->since);
	heap_init(&line->deadlines);
	line->arrivals = 0;
}

void line_fini(struct line *line)
{
	heap_fini(&line->turns);
	heap_fini(&line->since);
	heap_fini(&line->deadlines);
}

size_t line_count(const struct line *line)
{
	return line->turns.count;
}

int line_add(struct line *line, struct line_entry *entry, int64_t urgency, enum stage next, int64_t deadline_ms,
	     usec_t now)
{
	const uint64_t arrival = line->arrivals++;
	int r = heap_push(&line->turns, &entry->turn, key_of(urgency, next), arrival);
	if (r == 0)
		r = heap_push(&line->since, &entry->since, now, arrival);
	if (r == 0)
		r = heap_push(&line->deadlines, &entry->deadline, deadline_ms, arrival);
	if (r < 0)
		line_remove(line, entry);
	return r;
}

void line_remove(struct line *line, struct line_entry *entry)
{
	heap_remove(&line->turns, &entry->turn);
	heap_remove(&line->since, &entry->since);
	heap_remove(&line->deadlines, &entry->deadline);
}

static bool is_patience_over(const struct line *line, usec_t now)
{
	const struct heap_link *oldest = heap_top(&line->since);
	return oldest && now - oldest->key >= LINE_PATIENCE;
}

struct line_entry *line_first(const struct line *line, int64_t other, usec_t now)
{
	if (is_patience_over(line, now))
		return CONTAINER_OF(heap_top(&line->since), struct line_entry, since);
	struct heap_link *top = heap_top(&line->turns);
	return top && top->key >> 2 <= other ? CONTAINER_OF(top, struct line_entry, turn) : NULL;
}

bool line_lets_pass(const struct line *line, int64_t urgency, enum stage next, usec_t now)
{
	const struct heap_link *top = heap_top(&line->turns);
	return !top || (!is_patience_over(line, now) && key_of(urgency, next) < top->key);
}

struct line_entry *line_expired(const struct line *line, int64_t deadline_ms)
{
	struct heap_link *top = heap_top(&line->deadlines);
	return top && top->key <= deadline_ms ? CONTAINER_OF(top, struct line_entry, deadline) : NULL;
}

int64_t line_next_deadline(const struct line *line)
{
	const struct heap_link *top = heap_top(&line->deadlines);
	return top ? top->key : UNIX_MS_NEVER;
}
