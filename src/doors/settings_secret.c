#include <errno.h>

#include "doors/file.h"
#include "doors/settings.h"

int settings_secret(const struct settings_tenant *tenant, struct buf *ret, struct buf *error)
{
	if (*tenant->client_secret_file)
		return file_read_secret(tenant->client_secret_file, ret, error);
	buf_add_text(ret, tenant->client_secret);
	if (buf_ok(ret))
		return 0;
	buf_reset(error);
	buf_add_text(error, "client_secret does not fit into memory");
	return -ENOMEM;
}
