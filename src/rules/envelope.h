/*
 * envelope - in which of the three shapes did the request come, and where in it is the request?
 *
 *   bare JSON             value: the request                     attributes: headers ce_NAME, should there be any
 *   CloudEvents, binary   value: the request                     attributes: headers ce_NAME
 *   CloudEvents, struct.  value: {"NAME":..., "data": request}   attributes: the event's members
 *
 * A schema-registry prefix (byte 0, four bytes of id) before the value's JSON is skipped. Pure; everything points into
 * the record, which must live as long.
 */
#ifndef HANDOFF_ENVELOPE_H
#define HANDOFF_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/fault.h"
#include "handoff/macros.h"
#include "handoff/record.h"
#include "handoff/span.h"
#include "json/scan.h"

struct envelope {
	const struct record *record;
	bool structured;
	struct scan_value event; /* structured: the whole event; text.p == NULL while there is none to read */
	struct scan_value body;  /* the request, a SCAN_OBJECT */
};

/* 0, or -EINVAL with one sentence in `fault` (class PERMANENT); the attributes can be asked for even then. */
int envelope_open(const struct record *record, size_t max_value_bytes, struct envelope *ret,
		  struct fault *fault) MUST_CHECK;

/* The attribute's text: 0 (`ret->p` is NULL when it is absent or null), -EINVAL when it is no string, -ENOMEM.
 * `ret` points into the record, or into `scratch` when escapes had to be decoded. */
int envelope_attribute(const struct envelope *envelope, const char *name, struct buf *scratch,
		       struct span *ret) MUST_CHECK;

#endif
