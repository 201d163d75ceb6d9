/* What the book says, as JSON (book.h). */
#include "sandbox/book_entry.h"
#include "sandbox/raw.h"

static const char *boolean(bool value)
{
	return value ? "true" : "false";
}

static void add_number(struct buf *out, const char *name, uint64_t value)
{
	buf_add_format(out, ",\"%s\":%llu", name, (unsigned long long)value);
}

static void add_step(struct buf *out, const struct book_step *step, const char *name)
{
	const char *comma = "";
	buf_add_format(out, "\"%s\":{\"sent\":%llu,\"executed\":%llu,\"status\":{", name,
		       (unsigned long long)step->calls, (unsigned long long)step->executed);
	for (int status = 0; status < BOOK_STATUSES; status++)
		if (step->by_status[status] > 0) {
			buf_add_format(out, "%s\"%d\":%llu", comma, status,
				       (unsigned long long)step->by_status[status]);
			comma = ",";
		}
	buf_add_text(out, "}}");
}

void book_report(const struct book *book, const struct sessions *sessions, struct buf *out)
{
	uint64_t calls = 0;
	buf_add_text(out, "{\"steps\":{");
	for (enum stage stage = 0; stage <= STAGE_COUNT; stage++) {
		calls += book->steps[stage].calls;
		if (stage > 0)
			buf_add_char(out, ',');
		add_step(out, &book->steps[stage], book_step_name(stage));
	}
	buf_add_char(out, '}');
	add_number(out, "calls", calls);
	add_number(out, "open", book->open);
	add_number(out, "sessions", sessions->existing);
	add_number(out, "sessionsForgotten", sessions->forgot);
	add_number(out, "mostAtOnce", book->most_open);
	add_number(out, "mostAtOnceWithVanished", book->most_with_ghosts);
	add_number(out, "vanished", book->vanished);
	add_number(out, "sessionsTriggered", book->sessions_triggered);
	add_number(out, "sessionsTriggerSentTwice", book->sessions_sent_twice);
	add_number(out, "sessionsTriggeredTwice", book->sessions_executed_twice);
	add_number(out, "triggersReplayed", book->replayed);
	add_number(out, "rateLimited", book->limited);
	add_number(out, "early", book->early);
	add_number(out, "earlySameSession", book->early_same);
	add_number(out, "locked", book->locked);
	add_number(out, "bad", book->bad);
	add_number(out, "duplicateKeys", book->duplicate_keys);
	buf_add_text(out, "}\n");
}

static void add_counts(struct buf *out, const char *name, const uint32_t counts[STAGE_COUNT])
{
	buf_add_format(out, ",\"%s\":{\"fetch\":%u,\"update\":%u,\"trigger\":%u}", name, counts[STAGE_FETCH],
		       counts[STAGE_UPDATE], counts[STAGE_TRIGGER]);
}

static void add_call_times(struct buf *out, const struct book *book, const char *session)
{
	const char *comma = "";
	buf_add_text(out, ",\"calls\":[");
	for (uint64_t seq = book->first_seq; seq < book->next_seq; seq++) {
		const struct book_entry *e = book_entry(book, seq);
		if (!span_is(e->session, session))
			continue;
		buf_add_format(out, "%s{\"seq\":%llu,\"ms\":%lld,\"step\":\"%s\",\"status\":%d,\"executed\":%s}", comma,
			       (unsigned long long)e->seq, (long long)e->unix_ms, book_step_name(e->stage), e->status,
			       boolean(e->executed));
		comma = ",";
	}
	buf_add_char(out, ']');
}

void book_report_session(const struct book *book, const struct session *s, usec_t now, struct buf *out)
{
	buf_add_text(out, "{\"session\":");
	raw_add_string(out, span_of(s->id));
	buf_add_format(out, ",\"exists\":%s,\"status\":", boolean(s->exists));
	raw_add_string(out, span_of(s->status));
	buf_add_format(out, ",\"locked\":%s", boolean(s->lock_pending > 0 || now < s->locked_until));
	add_counts(out, "sent", s->sent);
	add_counts(out, "executed", s->executed);
	add_number(out, "replayed", s->replayed);
	add_number(out, "open", s->open);
	add_number(out, "mostAtOnce", s->most_open);
	add_number(out, "mostAtOnceWithVanished", s->most_with_ghosts);
	add_number(out, "vanished", s->vanished);
	add_number(out, "refusedLocked", s->locked);
	add_number(out, "rateLimited", s->limited);
	add_number(out, "early", s->early);
	add_call_times(out, book, s->id);
	buf_add_text(out, ",\"variablesText\":");
	raw_add_string(out, session_variables(s));
	buf_add_text(out, ",\"variables\":");
	buf_add_span(out, session_variables(s));
	buf_add_text(out, "}\n");
}

static void add_headers(struct buf *out, const struct book_entry *e)
{
	const char *comma = "";
	buf_add_text(out, ",\"headers\":{");
	for (enum book_header h = 0; h < BOOK_HEADERS; h++) {
		if (!e->headers[h].p)
			continue;
		buf_add_format(out, "%s\"%s\":", comma, book_header_names[h]);
		raw_add_string(out, e->headers[h]);
		comma = ",";
	}
	buf_add_char(out, '}');
}

static void add_call(struct buf *out, const struct book_entry *e)
{
	buf_add_format(out, "{\"seq\":%llu,\"ms\":%lld,\"tookUs\":%lld,\"step\":\"%s\",\"method\":",
		       (unsigned long long)e->seq, (long long)e->unix_ms, (long long)e->took, book_step_name(e->stage));
	raw_add_string(out, e->method);
	buf_add_text(out, ",\"path\":");
	raw_add_string(out, e->path);
	buf_add_text(out, ",\"session\":");
	if (e->session.p)
		raw_add_string(out, e->session);
	else
		buf_add_text(out, "null");
	buf_add_format(out, ",\"status\":%d,\"executed\":%s,\"fault\":", e->status, boolean(e->executed));
	if (e->fault)
		raw_add_string(out, span_of(e->fault));
	else
		buf_add_text(out, "null");
	buf_add_format(out, ",\"vanished\":%s", boolean(e->vanished));
	add_headers(out, e);
	buf_add_text(out, ",\"body\":");
	raw_add_string(out, e->body);
	buf_add_format(out, ",\"bodyCut\":%s}\n", boolean(e->body_cut));
}

void book_report_calls(const struct book *book, uint64_t since, uint64_t limit, struct buf *out)
{
	uint64_t seq = since > book->first_seq ? since : book->first_seq;
	for (; seq < book->next_seq && limit > 0; seq++, limit--) {
		const size_t before = out->len;
		add_call(out, book_entry(book, seq));
		if (!buf_ok(out)) { /* as many whole lines as fit; the reader comes again for the rest */
			out->failed = false;
			buf_cut(out, before);
			return;
		}
	}
}
