#include "sandbox/session.h"

#include <errno.h>
#include <stdlib.h>

/* Odd on purpose: a big integer, a decimal with a trailing zero, nesting, an escaped key, an escaped slash. */
const char session_default_variables[] =
	"{\"callerIntent\":\"billing\",\"customerNumber\":123456789012345678901234567890,"
	"\"balance\":10.50,\"profile\":{\"tier\":\"gold\",\"tags\":[\"a\",\"b\"],\"vip\":null},"
	"\"caf\\u00e9\":\"cr\\u00e8me\\/br\\u00fbl\\u00e9e\",\"retries\":0,\"score\":1E5}";

static uint64_t hash(struct span id)
{
	uint64_t h = 14695981039346656037U;
	for (size_t i = 0; i < id.n; i++)
		h = (h ^ (unsigned char)id.p[i]) * 1099511628211U;
	return h ^ h >> 32;
}

static struct session **bucket_of(const struct sessions *s, struct span id)
{
	return &s->buckets[hash(id) & (s->bucket_count - 1)];
}

static struct session *session_free(struct session *session)
{
	while (session->executions) {
		struct execution *gone = session->executions;
		session->executions = gone->next;
		free(gone->target);
		free(gone);
	}
	free(session->channel);
	free(session->user_id);
	free(session->call_id);
	free(session->variables);
	free(session->note);
	free(session->target);
	free(session->id);
	free(session);
	return NULL;
}

void sessions_clear(struct sessions *s)
{
	for (struct session *session = s->oldest, *newer; session; session = newer) {
		newer = session->newer;
		session_free(session);
	}
	free(s->buckets);
	*s = (struct sessions){ .buckets = NULL };
}

struct session *sessions_find(const struct sessions *s, struct span id)
{
	if (s->bucket_count == 0)
		return NULL;
	for (struct session *session = *bucket_of(s, id); session; session = session->chain)
		if (strlen(session->id) == id.n && memcmp(session->id, id.p, id.n) == 0)
			return session;
	return NULL;
}

static int grow(struct sessions *s)
{
	if (s->count < s->bucket_count)
		return 0;
	const size_t count = s->bucket_count ? 2 * s->bucket_count : 1024;
	struct session **buckets = calloc(count, sizeof(struct session *));
	if (!buckets)
		return s->bucket_count ? 0 : -ENOMEM; /* longer chains will do */
	free(s->buckets);
	s->buckets = buckets;
	s->bucket_count = count;
	for (struct session *session = s->oldest; session; session = session->newer) {
		struct session **bucket = bucket_of(s, span_of(session->id));
		session->chain = *bucket;
		*bucket = session;
	}
	return 0;
}

static void append(struct sessions *s, struct session *session)
{
	session->newer = NULL;
	if (s->newest)
		s->newest->newer = session;
	else
		s->oldest = session;
	s->newest = session;
}

/* Takes the oldest off the queue: forgets it, or puts it at the end when somebody is calling it. */
static void make_room(struct sessions *s)
{
	struct session *oldest = s->oldest;
	s->oldest = oldest->newer;
	if (!s->oldest)
		s->newest = NULL;
	if (oldest->open > 0 || oldest->ghosts > 0) {
		append(s, oldest);
		return;
	}
	struct session **link = bucket_of(s, span_of(oldest->id));
	while (*link != oldest)
		link = &(*link)->chain;
	*link = oldest->chain;
	s->count--;
	s->existing -= oldest->exists;
	s->forgot++;
	session_free(oldest);
}

struct session *sessions_need(struct sessions *s, struct span id)
{
	struct session *session = sessions_find(s, id);
	if (session)
		return session;
	if (s->count >= (s->limit ? s->limit : SESSIONS_MAX))
		make_room(s);
	session = calloc(1, sizeof(*session));
	if (!session || grow(s) < 0) {
		free(session);
		return NULL;
	}
	session->id = strndup(id.p, id.n);
	if (!session->id) {
		free(session);
		return NULL;
	}
	session->number = ++s->numbered;
	struct session **bucket = bucket_of(s, id);
	session->chain = *bucket;
	*bucket = session;
	append(s, session);
	s->count++;
	return session;
}

void session_create(struct sessions *s, struct session *session)
{
	if (session->exists)
		return;
	session->exists = true;
	s->existing++;
	session_set_word(session->status, "active");
}

int session_set_text(char **member, const char *text)
{
	char *copy = text ? strdup(text) : NULL;
	if (text && !copy)
		return -ENOMEM;
	free(*member);
	*member = copy;
	return 0;
}

int session_set_variables(struct session *session, struct span text)
{
	char *copy = malloc(text.n + 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	free(session->variables);
	session->variables = copy;
	session->variables_len = text.n;
	return 0;
}

struct span session_variables(const struct session *session)
{
	if (session->variables)
		return (struct span){ session->variables, session->variables_len };
	return span_of(session_default_variables);
}

void session_set_word(char word[SESSION_WORD], const char *text)
{
	const size_t n = strnlen(text, SESSION_WORD - 1);
	memcpy(word, text, n);
	word[n] = '\0';
}

bool session_locked(struct session *session, usec_t now)
{
	if (session->lock_pending > 0) {
		session->locked_until = now + session->lock_pending;
		session->lock_pending = 0;
	}
	return now < session->locked_until;
}

const struct execution *session_execution(const struct session *session, const char *key)
{
	for (const struct execution *e = session->executions; e; e = e->next)
		if (strcmp(e->key, key) == 0)
			return e;
	return NULL;
}

static void forget_old_executions(struct session *session)
{
	struct execution **link = &session->executions;
	for (size_t i = 0; *link && i < SESSION_EXECUTIONS; i++)
		link = &(*link)->next;
	while (*link) {
		struct execution *gone = *link;
		*link = gone->next;
		free(gone->target);
		free(gone);
	}
}

const struct execution *session_add_execution(struct session *session, const char *key, uint64_t number)
{
	struct execution *e = calloc(1, sizeof(*e) + strlen(key) + 1);
	if (!e)
		return NULL;
	if (session_set_text(&e->target, session->target) < 0) {
		free(e);
		return NULL;
	}
	memcpy(e->key, key, strlen(key) + 1);
	e->number = number;
	e->next = session->executions;
	session->executions = e;
	forget_old_executions(session);
	return e;
}
