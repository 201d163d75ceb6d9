#include "ctl/body.h"

#include <json-c/json.h>

struct json_object *body_parse(const struct record *record)
{
	struct json_tokener *tokener = json_tokener_new();
	struct json_object *body = NULL;
	if (tokener && record->value.p && record->value.n < INT32_MAX)
		body = json_tokener_parse_ex(tokener, record->value.p, (int)record->value.n);
	if (tokener)
		json_tokener_free(tokener);
	return body;
}

struct json_object *body_member(struct json_object *object, const char *key)
{
	struct json_object *found = NULL;
	return json_object_is_type(object, json_type_object) && json_object_object_get_ex(object, key, &found) ? found
													       : NULL;
}

void body_print_text(const char *text, FILE *out)
{
	for (const char *p = text ? text : "-"; *p; p++)
		fputc((unsigned char)*p < 0x20 || *p == 0x7f ? '?' : *p, out);
}
