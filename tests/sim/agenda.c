#include "sim/agenda.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "handoff/macros.h"

#define CHUNK ((size_t)1 << 20)

struct event {
	struct heap_link link;
	agenda_fn *fn;
	void *arg;
};

struct chunk {
	struct chunk *next;
	size_t used;
	size_t size;
	max_align_t bytes[];
};

static usec_t now;
static struct heap events;
static uint64_t count;
static struct chunk *chunks; /* the one in use first */

static void *insist(void *memory)
{
	if (memory)
		return memory;
	fputs("simulation: out of memory\n", stderr);
	exit(1);
}

void *agenda_memory(size_t size)
{
	size = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
	if (!chunks || chunks->size - chunks->used < size) {
		const size_t room = size > CHUNK ? size : CHUNK;
		struct chunk *fresh = insist(malloc(sizeof(*fresh) + room));
		*fresh = (struct chunk){ .next = chunks, .size = room };
		chunks = fresh;
	}
	void *memory = (char *)chunks->bytes + chunks->used;
	chunks->used += size;
	return memset(memory, 0, size);
}

char *agenda_text(const char *text, size_t n)
{
	char *copy = agenda_memory(n + 1);
	if (n > 0)
		memcpy(copy, text, n);
	return copy;
}

void agenda_begin(void)
{
	/* One chunk is kept: most histories need no more. */
	while (chunks && chunks->next) {
		struct chunk *next = chunks->next;
		free(chunks);
		chunks = next;
	}
	if (chunks)
		chunks->used = 0;
	heap_fini(&events);
	heap_init(&events);
	now = AGENDA_BEGIN;
	count = 0;
}

usec_t agenda_now(void)
{
	return now;
}

void agenda_at(usec_t when, agenda_fn *fn, void *arg)
{
	struct event *event = agenda_memory(sizeof(*event));
	event->fn = fn;
	event->arg = arg;
	if (heap_push(&events, &event->link, when > now ? when : now, count++) < 0)
		insist(NULL);
}

void agenda_in(usec_t wait, agenda_fn *fn, void *arg)
{
	agenda_at(now + wait, fn, arg);
}

usec_t agenda_next(void)
{
	const struct heap_link *top = heap_top(&events);
	return top ? top->key : USEC_NEVER;
}

void agenda_advance(usec_t when)
{
	if (when > now)
		now = when;
}

void agenda_run_one(void)
{
	struct heap_link *link = heap_pop(&events);
	const struct event *event = CONTAINER_OF(link, struct event, link);
	event->fn(event->arg);
}
