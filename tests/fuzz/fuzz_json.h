/* fuzz_json - what a fuzz target asks of json-c, which reads the same text independently */
#ifndef HANDOFF_FUZZ_JSON_H
#define HANDOFF_FUZZ_JSON_H

#include <string.h>

#include <json-c/json.h>

#include "fuzz_check.h"
#include "handoff/span.h"
#include "json/scan.h"

/* The value that the text is, strictly read; NULL when it is none, or null. */
static inline json_object *fuzz_json(struct span text)
{
	struct json_tokener *tokener = json_tokener_new_ex(2 * SCAN_MAX_DEPTH);
	char *copy = malloc(text.n + 1);
	CHECK(tokener && copy);
	memcpy(copy, text.p ? text.p : "", text.n);
	copy[text.n] = '\0';
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
	json_object *value = json_tokener_parse_ex(tokener, copy, (int)text.n + 1);
	json_tokener_free(tokener);
	free(copy);
	return value;
}

/* The member of that name; NULL where there is none, or no object. */
static inline json_object *fuzz_json_member(json_object *object, const char *key)
{
	json_object *value = NULL;
	if (json_object_is_type(object, json_type_object))
		json_object_object_get_ex(object, key, &value);
	return value;
}

/* Its text; "" where there is none. */
static inline const char *fuzz_json_text(json_object *value)
{
	return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
}

/* json-c cuts texts at a NUL when they are read as such, and keys always: then it has nothing to say. */
static inline bool fuzz_json_has_nul(struct span text)
{
	return text.n > 0 && memmem(text.p, text.n, "\\u0000", 6);
}

#endif
