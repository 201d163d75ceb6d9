#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "doors/settings.h"
#include "doors/settings_store.h"
#include "doors/settings_text.h"

static struct span without_trailing_space(struct span s)
{
	while (s.n > 0 && strchr(" \t\r\n\v\f", s.p[s.n - 1]) && s.p[s.n - 1])
		s.n--;
	return s;
}

static int refuse(struct buf *error, int code, const char *file, const char *what)
{
	buf_reset(error);
	buf_add_format(error, "%s %s", file, what);
	return code;
}

/* Why these bytes are no secret that could be sent, or NULL. */
static const char *secret_fault(struct span secret)
{
	return secret.n == 0              ? "holds no secret: it is empty"
	       : text_has_control(secret) ? "holds no secret: there are control characters in it"
	       : !text_is_utf8(secret)    ? "holds no secret: it is not UTF-8"
					  : NULL;
}

int settings_secret(const struct settings_tenant *tenant, struct buf *ret, struct buf *error)
{
	if (!*tenant->client_secret_file) {
		buf_add_text(ret, tenant->client_secret);
		return buf_ok(ret) ? 0 : refuse(error, -ENOMEM, "client_secret", "does not fit into memory");
	}
	struct buf file;
	buf_init(&file, SETTINGS_SECRET_MAX);
	int r = settings_slurp(tenant->client_secret_file, false, &file);
	if (r < 0) {
		buf_reset(error);
		buf_add_format(error, "%s cannot be read: %s", tenant->client_secret_file, settings_slurp_fault(r));
	} else {
		const struct span secret = without_trailing_space(buf_span(&file));
		const char *what = secret_fault(secret);
		if (what)
			r = refuse(error, -EINVAL, tenant->client_secret_file, what);
		else
			buf_add_span(ret, secret);
		if (!what && !buf_ok(ret))
			r = refuse(error, -ENOMEM, tenant->client_secret_file, "does not fit into memory");
	}
	settings_wipe(&file);
	return r;
}
