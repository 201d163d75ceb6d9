#include "rules/envelope.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>

#include "handoff/contract.h"

#define SCHEMA_PREFIX_BYTES 5

/* The media type alone decides, in any case; its parameters (charset) do not. */
static bool media_type_is(struct span content_type, const char *media_type)
{
	const char *semicolon = content_type.n > 0 ? memchr(content_type.p, ';', content_type.n) : NULL;
	if (semicolon)
		content_type.n = (size_t)(semicolon - content_type.p);
	content_type = span_trim(content_type);
	return content_type.n == strlen(media_type) && strncasecmp(content_type.p, media_type, content_type.n) == 0;
}

/* Clients bridged from HTTP write Content-Type; the CloudEvents binding says content-type. */
static struct span content_type_of(const struct record *record)
{
	for (size_t i = record->header_count; i > 0; i--)
		if (strcasecmp(record->headers[i - 1].name, HDR_CONTENT_TYPE) == 0)
			return record->headers[i - 1].value;
	return SPAN_NONE;
}

static struct span without_prefix(struct span value)
{
	if (value.n <= SCHEMA_PREFIX_BYTES || value.p[0] != '\0')
		return value;
	return (struct span){ value.p + SCHEMA_PREFIX_BYTES, value.n - SCHEMA_PREFIX_BYTES };
}

static int open_event(struct envelope *e, struct fault *fault)
{
	e->event = e->body;
	if (!scan_find(e->event, "data", &e->body) || e->body.type == SCAN_NULL)
		return fault_set(fault, -EINVAL, FAULT_PERMANENT, "data is missing in the structured event");
	if (e->body.type != SCAN_OBJECT)
		return fault_set(fault, -EINVAL, FAULT_PERMANENT, "data must be an object in the structured event");
	return 0;
}

int envelope_open(const struct record *record, size_t max_value_bytes, struct envelope *ret, struct fault *fault)
{
	struct scan_error error;
	*ret = (struct envelope){ .record = record };
	ret->structured = media_type_is(content_type_of(record), CONTENT_TYPE_CLOUDEVENT);
	if (!record->value.p)
		return fault_set(fault, -EINVAL, FAULT_PERMANENT, "the record has no value");
	if (record->value.n > max_value_bytes)
		return fault_set(fault, -EINVAL, FAULT_PERMANENT, "the value has %zu bytes, more than %zu",
				 record->value.n, max_value_bytes);
	const struct span json = without_prefix(record->value);
	if (scan_check(json, &ret->body, &error) < 0)
		return fault_set(fault, -EINVAL, FAULT_PERMANENT, "the value is not valid JSON: %s at byte %zu",
				 error.what, error.at + (record->value.n - json.n));
	if (ret->body.type != SCAN_OBJECT)
		return fault_set(fault, -EINVAL, FAULT_PERMANENT, "the value must be a JSON object");
	return ret->structured ? open_event(ret, fault) : 0;
}

static int decode(struct span string, struct buf *scratch, struct span *ret)
{
	const struct span inside = { string.p + 1, string.n - 2 };
	*ret = inside;
	if (inside.n == 0 || !memchr(inside.p, '\\', inside.n))
		return 0;
	buf_reset(scratch);
	scan_decode_string(scratch, string);
	*ret = buf_span(scratch);
	return buf_ok(scratch) ? 0 : -ENOMEM;
}

int envelope_attribute(const struct envelope *envelope, const char *name, struct buf *scratch, struct span *ret)
{
	*ret = SPAN_NONE;
	if (!envelope->structured) {
		char header[64] = "ce_";
		strncat(header, name, sizeof(header) - sizeof("ce_"));
		*ret = record_header(envelope->record, header);
		return 0;
	}
	struct scan_value value;
	if (!envelope->event.text.p || !scan_find(envelope->event, name, &value) || value.type == SCAN_NULL)
		return 0;
	return value.type == SCAN_STRING ? decode(value.text, scratch, ret) : -EINVAL;
}
