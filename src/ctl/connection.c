#include "ctl/connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "doors/settings_form.h"

/* Does a later item of `items` set the property of item `i`? */
static bool is_overruled(const char **items, size_t count, size_t i)
{
	const size_t n = strcspn(items[i], "=") + 1;
	for (size_t k = i + 1; k < count; k++)
		if (!strncmp(items[i], items[k], n))
			return true;
	return false;
}

static int merge_properties(struct connection *connection, struct buf *error)
{
	const struct settings_list *base = &connection->settings.kafka.properties;
	const struct option_texts *given = &connection->properties;
	const size_t count = base->count + given->count;
	const char **all = calloc(count + 1, sizeof(*all));
	struct fault fault = { 0 };
	connection->merged = all;
	if (!all) {
		buf_add_text(error, "out of memory");
		return -EINVAL;
	}
	for (size_t i = 0; i < given->count; i++)
		if (kafka_check_property(given->items[i], &fault) < 0) {
			buf_add_format(error, "-X: %s", fault.message);
			return -EINVAL;
		}
	if (base->count > 0)
		memcpy(all, base->items, base->count * sizeof(*all));
	if (given->count > 0)
		memcpy(all + base->count, given->items, given->count * sizeof(*all));
	size_t kept = 0;
	for (size_t i = 0; i < count; i++)
		if (!is_overruled(all, count, i))
			all[kept++] = all[i];
	connection->options.properties = all;
	connection->options.property_count = kept;
	if (kafka_check_login(all, kept, &fault) < 0) {
		buf_add_format(error, "-X: %s", fault.message);
		return -EINVAL;
	}
	return 0;
}

int connection_open(struct connection *connection, struct buf *error)
{
	const int r = settings_read(connection->config, false, &connection->settings, error);
	settings_hide_environment();
	if (r < 0)
		return -EINVAL;
	connection->options = settings_kafka_options(&connection->settings);
	connection->options.group = NULL;
	connection->options.instance = "ctl";
	connection->options.static_membership = false;
	connection->options.exactly_once = false;
	if (connection->brokers) {
		struct fault fault = { 0 };
		if (form_brokers(connection->brokers, &fault) < 0) {
			buf_add_format(error, "-b %s", fault.message);
			return -EINVAL;
		}
		connection->options.brokers = connection->brokers;
	}
	return merge_properties(connection, error);
}

struct request_limits connection_limits(const struct connection *connection)
{
	const struct settings *settings = &connection->settings;
	return (struct request_limits){ .max_record_bytes = (size_t)settings->worker.max_record_bytes,
					.max_age_ms = settings->retry.max_age_ms,
					.retry_topic = settings->kafka.retry };
}

void connection_close(struct connection *connection)
{
	free(connection->merged);
	connection->merged = NULL;
	settings_fini(&connection->settings);
}
