/* book_entry - one call as the book keeps it; shared by book.c (which writes) and book_report.c (which reads). */
#ifndef SANDBOX_BOOK_ENTRY_H
#define SANDBOX_BOOK_ENTRY_H

#include "sandbox/book.h"

struct book_entry {
	uint64_t seq;
	int64_t unix_ms;
	usec_t arrived;
	usec_t took; /* -1: not answered yet */
	enum stage stage;
	int status;
	bool executed;
	bool vanished;
	bool body_cut;
	const char *fault; /* a literal, or NULL */
	size_t size;
	struct span method, path, session, body;
	struct span headers[BOOK_HEADERS];
	char bytes[];
};

/* The entry of that number, or NULL when it was never there or has made room. */
struct book_entry *book_entry(const struct book *book, uint64_t seq);
/* "login", "fetch", "update", "trigger", "other". */
const char *book_step_name(enum stage stage);

#endif
