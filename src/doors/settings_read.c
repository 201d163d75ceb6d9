#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "doors/settings.h"
#include "doors/settings_check.h"
#include "doors/settings_env.h"
#include "doors/settings_file.h"
#include "doors/settings_store.h"
#include "doors/settings_text.h"

static int store_defaults(struct settings_reader *reader)
{
	const struct settings_origin origin = { .layer = SETTINGS_DEFAULT };
	for (size_t i = 0; i < settings_table_count; i++) {
		const int r = settings_store_spelled(reader, &reader->sections, i, settings_table[i].fallback, origin);
		if (r < 0)
			return r;
	}
	return 0;
}

/* "web-3-1f0c9a2b": unique although two workers of one host were given no name. */
static int name_instance(struct settings_reader *reader)
{
	char host[65] = "";
	char uuid[37];
	if (*reader->settings->kafka.instance)
		return 0;
	if (gethostname(host, sizeof(host) - 1) < 0 || !*host)
		snprintf(host, sizeof(host), "handoffd");
	for (char *p = host; *p; p++)
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-", *p))
			*p = '-';
	text_uuid4(uuid);
	char *name = settings_alloc(reader->settings, strlen(host) + 10);
	if (!name)
		return settings_refuse_memory(reader);
	char *end = stpcpy(stpcpy(name, host), "-");
	memcpy(end, uuid, 8);
	reader->settings->kafka.instance = name;
	return 0;
}

static int read_layers(struct settings_reader *reader, const struct settings_tree *tree)
{
	int r = store_defaults(reader);
	if (r == 0 && tree)
		r = settings_read_sections(reader, tree);
	if (r == 0)
		r = settings_read_environment(reader);
	if (r < 0)
		return r;
	settings_replace_secret(&reader->sections, SETTINGS_ENVIRONMENT);
	return tree ? settings_read_entries(reader, tree) : 0;
}

/* The profile has defaults of its own; what was given stays, be it the other's default. */
static int settle_profile(struct settings_reader *reader, struct settings_scope *scope)
{
	const struct settings_origin origin = { .layer = SETTINGS_DEFAULT };
	for (size_t i = 0; scope->tenant->profile == PROFILE_COGNIGY_AI && i < settings_table_count; i++) {
		const struct setting *setting = &settings_table[i];
		if (!setting->cognigy_ai || scope->origins[i].layer != SETTINGS_DEFAULT)
			continue;
		const int r = settings_store_spelled(reader, scope, i, setting->cognigy_ai, origin);
		if (r < 0)
			return r;
	}
	return 0;
}

static int settle_profiles(struct settings_reader *reader)
{
	int r = reader->entry_count == 0 ? settle_profile(reader, &reader->sections) : 0;
	for (size_t i = 0; r == 0 && i < reader->entry_count; i++)
		r = settle_profile(reader, &reader->entries[i]);
	return r;
}

static int cut_trailing_slashes(struct settings_reader *reader, const char **url)
{
	size_t n = strlen(*url);
	while (n > 0 && (*url)[n - 1] == '/')
		n--;
	*url = settings_copy(reader->settings, *url, n);
	return *url ? 0 : settings_refuse_memory(reader);
}

/* Without a list there is one tenant, and it is what the sections say. */
static int settle_tenants(struct settings_reader *reader)
{
	struct settings *settings = reader->settings;
	if (reader->entry_count == 0) {
		settings->tenants = settings_alloc(settings, sizeof(settings->tenants[0]));
		if (!settings->tenants)
			return settings_refuse_memory(reader);
		settings->tenants[0] = reader->base;
		settings->tenant_count = 1;
	}
	for (size_t i = 0; i < settings->tenant_count; i++) {
		struct settings_tenant *tenant = &settings->tenants[i];
		int r = cut_trailing_slashes(reader, &tenant->base_url);
		if (r == 0)
			r = cut_trailing_slashes(reader, &tenant->endpoint_url);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_all(struct settings_reader *reader)
{
	struct settings_tree *tree = reader->file ? settings_tree_new(reader) : NULL;
	if (reader->file && !tree)
		return -EINVAL;
	int r = read_layers(reader, tree);
	settings_tree_free(tree);
	if (r == 0)
		r = settle_profiles(reader);
	if (r == 0)
		r = settings_check(reader);
	if (r == 0)
		r = name_instance(reader);
	if (r == 0)
		r = settle_tenants(reader);
	return r;
}

int settings_read(const char *file, bool need_cognigy, struct settings *ret, struct buf *error)
{
	*ret = (struct settings){ 0 };
	struct settings_reader reader = { .settings = ret, .file = file, .need_cognigy = need_cognigy, .error = error };
	reader.sections = (struct settings_scope){ .tenant = &reader.base, .index = -1 };
	reader.sections.origins = settings_alloc(ret, settings_table_count * sizeof(struct settings_origin));
	const int r = reader.sections.origins ? read_all(&reader) : settings_refuse_memory(&reader);
	if (r == 0)
		return 0;
	settings_fini(ret);
	if (!buf_ok(error)) {
		buf_reset(error);
		buf_add_text(error, "the settings are not valid, and there is no room to say why");
	}
	return -EINVAL;
}

struct kafka_options settings_kafka_options(const struct settings *settings)
{
	const struct settings_kafka *kafka = &settings->kafka;
	return (struct kafka_options){ .brokers = kafka->brokers,
				       .group = kafka->group,
				       .instance = kafka->instance,
				       .static_membership = kafka->static_membership,
				       .exactly_once = kafka->exactly_once,
				       .requests = kafka->requests.items,
				       .request_count = kafka->requests.count,
				       .retry = kafka->retry,
				       .outcomes = kafka->outcomes,
				       .dead_letters = kafka->dead_letters,
				       .properties = kafka->properties.items,
				       .property_count = kafka->properties.count };
}
