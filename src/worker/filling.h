/*
 * filling - what goes into the holes of a profile's templates?
 *
 * Paths, headers and bodies of a call are templates (rules/profile.h, settings); here stands what each {name} in them
 * means. In a path or a form a value is percent-encoded, in a body it is a complete JSON value, in a header it stands
 * as it is. Pure. Values are borrowed until the filling is done.
 */
#ifndef HANDOFF_FILLING_H
#define HANDOFF_FILLING_H

#include "base/buf.h"
#include "doors/settings.h"
#include "handoff/macros.h"
#include "rules/history.h"
#include "rules/request.h"
#include "json/scan.h"

struct filling {
	const struct settings_tenant *settings;
	const struct request *request; /* NULL for a login, as `history` */
	const struct history *history;
	struct scan_value variables; /* of an update: the session's, as fetched; text.p == NULL: it has none */
	struct span secret;          /* of a login */
};

/* Each appends. 0; -EINVAL when two of the session's variables have the same name (nothing could be merged
 * faithfully); -EMSGSIZE or -ENOMEM. */
int filling_encoded(struct buf *out, const char *template, const struct filling *filling) MUST_CHECK;
int filling_header(struct buf *out, const char *template, const struct filling *filling) MUST_CHECK;
int filling_body(struct buf *out, const char *template, const struct filling *filling) MUST_CHECK;

#endif
