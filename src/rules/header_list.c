#include "rules/header_list.h"

#include <stdlib.h>

struct header_list_item {
	const char *name;
	size_t at; /* where its value begins; it ends where the next one's begins */
	bool has_value;
};

/* Far above what a broker takes: only there so that a mistake ends in an error. */
#define VALUES_MAX ((size_t)64 << 20)

void header_list_init(struct header_list *list, size_t cap)
{
	*list = (struct header_list){ .items = calloc(cap ? cap : 1, sizeof(*list->items)) };
	if (list->items)
		list->cap = cap;
	buf_init(&list->values, VALUES_MAX);
}

void header_list_fini(struct header_list *list)
{
	free(list->items);
	buf_fini(&list->values);
	*list = (struct header_list){ .items = NULL };
}

static void begin(struct header_list *list, const char *name, bool has_value)
{
	if (list->count == list->cap) {
		list->values.failed = true;
		return;
	}
	list->items[list->count++] = (struct header_list_item){ name, list->values.len, has_value };
}

void header_list_add(struct header_list *list, const char *name, struct span value)
{
	begin(list, name, value.p != NULL);
	buf_add_span(&list->values, value);
}

void header_list_add_text(struct header_list *list, const char *name, const char *value)
{
	header_list_add(list, name, span_of(value ? value : ""));
}

void header_list_add_int(struct header_list *list, const char *name, int64_t value)
{
	begin(list, name, true);
	buf_add_int(&list->values, value);
}

struct buf *header_list_open(struct header_list *list, const char *name)
{
	begin(list, name, true);
	return &list->values;
}

struct record *header_list_record(const struct header_list *list, const struct record *like)
{
	if (!buf_ok(&list->values))
		return NULL;
	struct header *headers = calloc(list->count ? list->count : 1, sizeof(*headers));
	if (!headers)
		return NULL;
	for (size_t i = 0; i < list->count; i++) {
		const struct header_list_item *item = &list->items[i];
		const size_t end = i + 1 < list->count ? item[1].at : list->values.len;
		headers[i].name = item->name;
		if (item->has_value)
			headers[i].value = (struct span){ buf_text(&list->values) + item->at, end - item->at };
	}
	struct record from = *like;
	from.headers = headers;
	from.header_count = list->count;
	struct record *record = record_new(&from);
	free(headers);
	return record;
}
