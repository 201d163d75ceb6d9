/*
 * body - the JSON of an outcome, and what a terminal may see of it
 */
#ifndef HANDOFF_BODY_H
#define HANDOFF_BODY_H

#include <stdio.h>

#include "handoff/record.h"

struct json_object;

/* The record's value; NULL when it is no JSON. The caller's: json_object_put(). */
struct json_object *body_parse(const struct record *record);
/* NULL when `object` is none, or has no such member. Borrowed. */
struct json_object *body_member(struct json_object *object, const char *key);
/* `text` with nothing in it that a terminal would obey; "-" for NULL. */
void body_print_text(const char *text, FILE *out);

#endif
