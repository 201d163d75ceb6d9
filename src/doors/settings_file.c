#include "doors/settings_file.h"

#include <errno.h>
#include <libconfig.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doors/settings_text.h"

#define TEXT_MAX_BYTES ((size_t)4 << 20)
#define TENANTS_MAX    1000

struct settings_tree {
	config_t config;
};

static int refuse_at(struct settings_reader *reader, const config_setting_t *at, const char *format, ...)
	PRINTF_LIKE(3, 4);

static int refuse_at(struct settings_reader *reader, const config_setting_t *at, const char *format, ...)
{
	char sentence[512];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(sentence, sizeof(sentence), format, arguments);
	va_end(arguments);
	buf_reset(reader->error);
	buf_add_format(reader->error, "%s:%u: %s", reader->file, (unsigned int)config_setting_source_line(at),
		       sentence);
	return -EINVAL;
}

struct settings_tree *settings_tree_new(struct settings_reader *reader)
{
	struct settings_tree *tree = calloc(1, sizeof(*tree));
	struct buf text;
	buf_init(&text, TEXT_MAX_BYTES);
	if (!tree) {
		settings_refuse_memory(reader);
		return NULL;
	}
	config_init(&tree->config);
	bool ok = settings_text_read(reader->file, &text, reader->error) == 0;
	if (ok && !buf_ok(&text)) {
		settings_refuse_memory(reader);
		ok = false;
	} else if (ok && !config_read_string(&tree->config, buf_text(&text))) {
		buf_reset(reader->error);
		buf_add_format(reader->error, "%s:%d: %s", reader->file, config_error_line(&tree->config),
			       config_error_text(&tree->config));
		ok = false;
	}
	buf_wipe(&text);
	return ok ? tree : settings_tree_free(tree);
}

struct settings_tree *settings_tree_free(struct settings_tree *tree)
{
	if (tree) {
		config_destroy(&tree->config);
		free(tree);
	}
	return NULL;
}

/* Texts and lines of a list; false when an item is no text or there are too many. */
static bool take_items(const config_setting_t *from, struct settings_value *ret)
{
	const int count = config_setting_length(from);
	if (count > SETTINGS_ITEMS_MAX)
		return false;
	for (int i = 0; i < count; i++) {
		const config_setting_t *item = config_setting_get_elem(from, (unsigned int)i);
		if (config_setting_type(item) != CONFIG_TYPE_STRING)
			return false;
		ret->items[ret->count] = config_setting_get_string(item);
		ret->lines[ret->count++] = (int)config_setting_source_line(item);
	}
	return true;
}

static bool take_value(const config_setting_t *from, struct settings_value *ret)
{
	switch (config_setting_type(from)) {
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		ret->type = SETTING_INT;
		ret->whole = config_setting_type(from) == CONFIG_TYPE_INT ? config_setting_get_int(from)
									  : config_setting_get_int64(from);
		return true;
	case CONFIG_TYPE_FLOAT:
		ret->type = SETTING_NUMBER;
		ret->number = config_setting_get_float(from);
		return true;
	case CONFIG_TYPE_BOOL:
		ret->type = SETTING_BOOL;
		ret->truth = config_setting_get_bool(from);
		return true;
	case CONFIG_TYPE_STRING:
		ret->type = SETTING_TEXT;
		ret->text = config_setting_get_string(from);
		return true;
	case CONFIG_TYPE_ARRAY:
	case CONFIG_TYPE_LIST:
		ret->type = SETTING_LIST;
		return take_items(from, ret);
	default:
		return false;
	}
}

static int store_member(struct settings_reader *reader, struct settings_scope *scope, size_t index,
			const config_setting_t *member)
{
	const struct settings_origin origin = { .layer = scope->index < 0 ? SETTINGS_FILE : SETTINGS_ENTRY,
						.line = (int)config_setting_source_line(member) };
	struct settings_value value = { 0 };
	if (take_value(member, &value))
		return settings_store(reader, scope, index, &value, origin);
	if (config_setting_is_group(member))
		return settings_refuse(reader, scope, index, origin, "must be a value, not a group");
	return settings_refuse(reader, scope, index, origin, "must be a list of at most %d texts, [ \"...\" ]",
			       SETTINGS_ITEMS_MAX);
}

static int refuse_key(struct settings_reader *reader, const config_setting_t *member, const char *section,
		      const char *where)
{
	const char *name = config_setting_name(member);
	const char *guess = settings_table_guess(section, name);
	if (guess)
		return refuse_at(reader, member, "%s.%.64s: there is no such setting; is %s.%s meant?", where, name,
				 where, guess);
	return refuse_at(reader, member, "%s.%.64s: there is no such setting; handoffd.conf(5) lists them", where,
			 name);
}

static int read_section(struct settings_reader *reader, const char *section, const config_setting_t *group)
{
	if (!config_setting_is_group(group))
		return refuse_at(reader, group, "%s: must be a section, { ... }", section);
	if (!strcmp(section, "cognigy"))
		reader->cognigy_line = (int)config_setting_source_line(group);
	const int count = config_setting_length(group);
	for (int i = 0; i < count; i++) {
		const config_setting_t *member = config_setting_get_elem(group, (unsigned int)i);
		const size_t index = settings_table_find(section, span_of(config_setting_name(member)));
		if (index == settings_table_count)
			return refuse_key(reader, member, section, section);
		const int r = store_member(reader, &reader->sections, index, member);
		if (r < 0)
			return r;
	}
	return 0;
}

static const char *find_section(const char *name)
{
	for (size_t i = 0; settings_sections[i]; i++)
		if (!strcmp(settings_sections[i], name))
			return settings_sections[i];
	return NULL;
}

int settings_read_sections(struct settings_reader *reader, const struct settings_tree *tree)
{
	const config_setting_t *root = config_root_setting(&tree->config);
	const int count = config_setting_length(root);
	for (int i = 0; i < count; i++) {
		const config_setting_t *group = config_setting_get_elem(root, (unsigned int)i);
		const char *section = find_section(config_setting_name(group));
		if (!section)
			return refuse_at(
				reader, group,
				"%.64s: there is no such section; there are kafka, cognigy, tenants, limits, retry, "
				"worker, admin and log",
				config_setting_name(group));
		if (!strcmp(section, "tenants"))
			continue;
		const int r = read_section(reader, section, group);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The table's row that a key of an entry means. */
static size_t find_tenant_key(const char *key)
{
	static const char *const SECTIONS[] = { "cognigy", "limits", "tenants" };
	size_t index = settings_table_count;
	for (size_t i = 0; i < ARRAY_SIZE(SECTIONS) && index == settings_table_count; i++)
		index = settings_table_find(SECTIONS[i], span_of(key));
	return index;
}

static int read_entry(struct settings_reader *reader, struct settings_scope *scope, const config_setting_t *entry)
{
	const int count = config_setting_length(entry);
	for (int i = 0; i < count; i++) {
		const config_setting_t *member = config_setting_get_elem(entry, (unsigned int)i);
		const size_t index = find_tenant_key(config_setting_name(member));
		if (index == settings_table_count) {
			char where[32];
			snprintf(where, sizeof(where), "tenants[%d]", scope->index);
			return refuse_key(reader, member, "cognigy", where);
		}
		const int r = store_member(reader, scope, index, member);
		if (r < 0)
			return r;
	}
	return 0;
}

/* A scope that begins as the sections are. */
static int open_entry(struct settings_reader *reader, size_t i, const config_setting_t *entry)
{
	const size_t size = settings_table_count * sizeof(struct settings_origin);
	struct settings_scope *scope = &reader->entries[i];
	scope->tenant = &reader->settings->tenants[i];
	scope->index = (int)i;
	scope->line = (int)config_setting_source_line(entry);
	scope->origins = settings_alloc(reader->settings, size);
	if (!scope->origins)
		return settings_refuse_memory(reader);
	*scope->tenant = reader->base;
	memcpy(scope->origins, reader->sections.origins, size);
	return 0;
}

static int read_list(struct settings_reader *reader, const config_setting_t *list)
{
	const size_t count = (size_t)config_setting_length(list);
	reader->settings->tenants = settings_alloc(reader->settings, count * sizeof(struct settings_tenant));
	reader->entries = settings_alloc(reader->settings, count * sizeof(struct settings_scope));
	if (!reader->settings->tenants || !reader->entries)
		return settings_refuse_memory(reader);
	for (size_t i = 0; i < count; i++) {
		const config_setting_t *entry = config_setting_get_elem(list, (unsigned int)i);
		if (!config_setting_is_group(entry))
			return refuse_at(reader, entry, "tenants[%zu]: must be a group, { name = \"...\"; ... }", i);
		int r = open_entry(reader, i, entry);
		if (r == 0)
			r = read_entry(reader, &reader->entries[i], entry);
		if (r < 0)
			return r;
		settings_replace_secret(&reader->entries[i], SETTINGS_ENTRY);
		reader->entry_count = reader->settings->tenant_count = i + 1;
	}
	return 0;
}

int settings_read_entries(struct settings_reader *reader, const struct settings_tree *tree)
{
	const config_setting_t *list = config_setting_get_member(config_root_setting(&tree->config), "tenants");
	if (!list || (config_setting_type(list) == CONFIG_TYPE_ARRAY && config_setting_length(list) == 0))
		return 0;
	if (!config_setting_is_list(list))
		return refuse_at(reader, list, "tenants: must be a list of groups, ( { ... }, { ... } )");
	if (config_setting_length(list) > TENANTS_MAX)
		return refuse_at(reader, list, "tenants: must not have more than %d entries", TENANTS_MAX);
	return config_setting_length(list) == 0 ? 0 : read_list(reader, list);
}
