#include "rules/dedupe.h"

#include <search.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* One id. The four texts stand behind the struct, in one allocation. */
struct sight {
	struct sight *next; /* the one seen after it */
	usec_t at;
	int64_t offset;
	int32_t partition;
	const char *handoff_id;
	const char *session_id;
	const char *tenant;
	const char *topic;
};

struct dedupe {
	size_t capacity;
	usec_t max_age;
	size_t count;
	void *ids; /* tsearch(3) tree */
	struct sight *oldest;
	struct sight *newest;
};

struct dedupe *dedupe_new(size_t capacity, usec_t max_age)
{
	struct dedupe *d = malloc(sizeof(*d));
	if (d)
		*d = (struct dedupe){ .capacity = capacity, .max_age = max_age };
	return d;
}

struct dedupe *dedupe_free(struct dedupe *d)
{
	if (!d)
		return NULL;
	tdestroy(d->ids, free);
	free(d);
	return NULL;
}

size_t dedupe_count(const struct dedupe *d)
{
	return d->count;
}

/* The handoff id first: it differs most often. */
static int compare(const void *a, const void *b)
{
	const struct sight *left = a, *right = b;
	int r = strcmp(left->handoff_id, right->handoff_id);
	if (r == 0)
		r = strcmp(left->session_id, right->session_id);
	return r != 0 ? r : strcmp(left->tenant, right->tenant);
}

static void forget_oldest(struct dedupe *d)
{
	struct sight *s = d->oldest;
	d->oldest = s->next;
	if (!d->oldest)
		d->newest = NULL;
	tdelete(s, &d->ids, compare);
	d->count--;
	free(s);
}

static const char *append(char **at, const char *text)
{
	char *copy = *at;
	*at = stpcpy(copy, text) + 1;
	return copy;
}

static struct sight *copy_sight(const struct sight *from)
{
	struct sight *s = malloc(sizeof(*s) + strlen(from->handoff_id) + strlen(from->session_id) +
				 strlen(from->tenant) + strlen(from->topic) + 4);
	if (!s)
		return NULL;
	char *at = (char *)(s + 1);
	*s = *from;
	s->handoff_id = append(&at, from->handoff_id);
	s->session_id = append(&at, from->session_id);
	s->tenant = append(&at, from->tenant);
	s->topic = append(&at, from->topic);
	return s;
}

static void remember(struct dedupe *d, const struct sight *seen)
{
	struct sight *s = copy_sight(seen);
	if (!s)
		return;
	if (!tsearch(s, &d->ids, compare)) {
		free(s);
		return;
	}
	if (d->newest)
		d->newest->next = s;
	else
		d->oldest = s;
	d->newest = s;
	if (++d->count > d->capacity)
		forget_oldest(d);
}

static bool is_same_place(const struct sight *a, const struct sight *b)
{
	return a->offset == b->offset && a->partition == b->partition && strcmp(a->topic, b->topic) == 0;
}

bool dedupe_seen(struct dedupe *d, const char *tenant, const char *session_id, const char *handoff_id,
		 const struct origin *origin, usec_t now)
{
	const struct sight seen = { .at = now,
				    .offset = origin->offset,
				    .partition = origin->partition,
				    .handoff_id = handoff_id ? handoff_id : "",
				    .session_id = session_id ? session_id : "",
				    .tenant = tenant ? tenant : "",
				    .topic = origin->topic };
	while (d->oldest && now - d->oldest->at > d->max_age)
		forget_oldest(d);
	struct sight *const *known = tfind(&seen, &d->ids, compare);
	if (known)
		return !is_same_place(*known, &seen);
	remember(d, &seen);
	return false;
}
