/*
 * header_list - the headers of a record that is about to be written
 *
 * Values are copied in one after the other, names are borrowed until header_list_record(). Errors are sticky, as in
 * buf: the writer asks once, by the NULL at the end. The capacity is said at the start and is never passed.
 */
#ifndef HANDOFF_HEADER_LIST_H
#define HANDOFF_HEADER_LIST_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "handoff/macros.h"
#include "handoff/record.h"
#include "handoff/span.h"

struct header_list {
	struct header_list_item *items; /* known to header_list.c alone */
	size_t count;
	size_t cap; /* 0: there was no memory for the list */
	struct buf values;
};

void header_list_init(struct header_list *list, size_t cap);
void header_list_fini(struct header_list *list);

/* A header without a value (p == NULL) stays one. */
void header_list_add(struct header_list *list, const char *name, struct span value);
void header_list_add_text(struct header_list *list, const char *name, const char *value); /* NULL is empty */
void header_list_add_int(struct header_list *list, const char *name, int64_t value);
/* The value is whatever is appended to the returned buffer before the next call. */
struct buf *header_list_open(struct header_list *list, const char *name);

/* A copy of `like` (its headers left aside) with these headers. NULL when out of memory, here or earlier. */
struct record *header_list_record(const struct header_list *list, const struct record *like) MUST_CHECK;

#endif
