#include "sandbox/book.h"

#include <stdlib.h>

#include "sandbox/book_entry.h"

const char *const book_header_names[BOOK_HEADERS] = {
	[BOOK_AUTHORIZATION] = "authorization", [BOOK_IDEMPOTENCY_KEY] = "idempotency-key",
	[BOOK_TRACEPARENT] = "traceparent",     [BOOK_TRACESTATE] = "tracestate",
	[BOOK_CONTENT_TYPE] = "content-type",   [BOOK_USER_AGENT] = "user-agent",
};

const char *book_step_name(enum stage stage)
{
	static const char *const names[STAGE_COUNT + 1] = {
		[STAGE_LOGIN] = "login",     [STAGE_FETCH] = "fetch", [STAGE_UPDATE] = "update",
		[STAGE_TRIGGER] = "trigger", [STAGE_COUNT] = "other",
	};
	return names[stage];
}

void book_init(struct book *book)
{
	*book = (struct book){ .mode = BOOK_FULL, .first_seq = 1, .next_seq = 1 };
}

struct book_entry *book_entry(const struct book *book, uint64_t seq)
{
	if (seq < book->first_seq || seq >= book->next_seq)
		return NULL;
	return book->ring[seq % BOOK_CALLS];
}

static void forget_first(struct book *book)
{
	struct book_entry *entry = book_entry(book, book->first_seq);
	book->ring[book->first_seq % BOOK_CALLS] = NULL;
	book->first_seq++;
	book->bytes -= entry->size;
	free(entry);
}

void book_clear(struct book *book)
{
	const enum book_mode mode = book->mode;
	while (book->first_seq < book->next_seq)
		forget_first(book);
	free(book->ring);
	book_init(book);
	book->mode = mode;
}

static struct span copy_span(char **at, struct span from)
{
	const struct span copy = { *at, from.n };
	if (from.n > 0)
		memcpy(*at, from.p, from.n);
	*at += from.n;
	return copy;
}

static struct span copy_text(char **at, const char *text)
{
	return text ? copy_span(at, span_of(text)) : SPAN_NONE;
}

/* What is written down of a header: all of it, but never a token. */
static const char *header_text(const struct book_arrival *a, enum book_header header)
{
	if (header != BOOK_AUTHORIZATION)
		return a->headers[header];
	return a->headers[header] ? "present" : "absent";
}

static size_t length(const char *text)
{
	return text ? strlen(text) : 0;
}

static struct book_entry *entry_new(const struct instant *now, const struct book_arrival *a)
{
	const size_t body = a->body.n < BOOK_BODY ? a->body.n : BOOK_BODY;
	size_t size = sizeof(struct book_entry) + length(a->method) + length(a->path) + length(a->session) + body;
	for (enum book_header h = 0; h < BOOK_HEADERS; h++)
		size += length(header_text(a, h));
	struct book_entry *entry = malloc(size);
	if (!entry)
		return NULL;
	*entry = (struct book_entry){ .unix_ms = now->unix_ms,
				      .arrived = now->mono,
				      .took = -1,
				      .stage = a->stage,
				      .body_cut = body < a->body.n,
				      .size = size };
	char *at = entry->bytes;
	entry->method = copy_text(&at, a->method);
	entry->path = copy_text(&at, a->path);
	entry->session = copy_text(&at, a->session);
	entry->body = copy_span(&at, (struct span){ a->body.p, body });
	for (enum book_header h = 0; h < BOOK_HEADERS; h++)
		entry->headers[h] = copy_text(&at, header_text(a, h));
	return entry;
}

/* 0 when there is no memory: the totals stay right, the single call is not kept. */
static uint64_t write_down(struct book *book, const struct instant *now, const struct book_arrival *a)
{
	if (!book->ring)
		book->ring = calloc(BOOK_CALLS, sizeof(struct book_entry *));
	struct book_entry *entry = book->ring ? entry_new(now, a) : NULL;
	if (!entry)
		return 0;
	while (book->next_seq - book->first_seq >= BOOK_CALLS ||
	       (book->bytes + entry->size > BOOK_BYTES && book->first_seq < book->next_seq))
		forget_first(book);
	entry->seq = book->next_seq++;
	book->ring[entry->seq % BOOK_CALLS] = entry;
	book->bytes += entry->size;
	return entry->seq;
}

static void note_session(struct book *book, enum stage stage, struct session *session, usec_t now)
{
	const uint32_t with_ghosts = session->open + session->ghosts;
	if (session->open > session->most_open)
		session->most_open = session->open;
	if (with_ghosts > session->most_with_ghosts)
		session->most_with_ghosts = with_ghosts;
	if (session->most_open > book->most_open)
		book->most_open = session->most_open;
	if (session->most_with_ghosts > book->most_with_ghosts)
		book->most_with_ghosts = session->most_with_ghosts;
	if (now < session->closed_until) {
		session->early++;
		book->early_same++;
	}
	session->sent[stage]++;
	if (stage == STAGE_TRIGGER && session->sent[stage] == 2)
		book->sessions_sent_twice++;
}

uint64_t book_arrive(struct book *book, const struct instant *now, const struct book_arrival *a,
		     struct session *session)
{
	if (book->mode == BOOK_OFF)
		return 0;
	book->steps[a->stage].calls++;
	if (now->mono < book->closed_until)
		book->early++;
	if (session)
		note_session(book, a->stage, session, now->mono);
	return book->mode == BOOK_FULL ? write_down(book, now, a) : 0;
}

void book_answer(struct book *book, uint64_t seq, enum stage stage, int status, bool executed, const char *fault,
		 usec_t now)
{
	if (book->mode == BOOK_OFF)
		return;
	book->steps[stage].by_status[status]++;
	book->bad += status == 400 || status == 404 || status == 405 || status == 415;
	struct book_entry *entry = book_entry(book, seq);
	if (!entry)
		return;
	entry->took = now - entry->arrived;
	entry->status = status;
	entry->executed = executed;
	entry->fault = fault;
}

void book_executed(struct book *book, enum stage stage, struct session *session)
{
	if (book->mode == BOOK_OFF)
		return;
	book->steps[stage].executed++;
	if (!session)
		return;
	const uint32_t times = ++session->executed[stage];
	if (stage == STAGE_TRIGGER && times == 1)
		book->sessions_triggered++;
	if (stage == STAGE_TRIGGER && times == 2)
		book->sessions_executed_twice++;
}

void book_vanish(struct book *book, uint64_t seq, struct session *session)
{
	if (book->mode == BOOK_OFF)
		return;
	book->vanished++;
	if (session)
		session->vanished++;
	struct book_entry *entry = book_entry(book, seq);
	if (entry)
		entry->vanished = true;
}

void book_limit(struct book *book, struct session *session, usec_t closed_until)
{
	if (book->mode == BOOK_OFF)
		return;
	book->limited++;
	if (closed_until > book->closed_until)
		book->closed_until = closed_until;
	if (!session)
		return;
	session->limited++;
	if (closed_until > session->closed_until)
		session->closed_until = closed_until;
}
