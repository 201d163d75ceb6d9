#include "doors/settings_env.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

#define PREFIX "HANDOFFD_"

static int spell_whole(const char *text, struct settings_value *ret)
{
	ret->type = SETTING_INT;
	return text_parse_int64(span_of(text), &ret->whole);
}

static int spell_number(const char *text, struct settings_value *ret)
{
	char *end;
	/* Decimal only: strtod() would also take "inf", "nan" and hexadecimal. */
	if (!*text || text[strspn(text, "0123456789.+-eE")] || isspace((unsigned char)*text))
		return -EINVAL;
	ret->type = SETTING_NUMBER;
	ret->number = strtod(text, &end);
	return *end ? -EINVAL : 0;
}

static int spell_truth(const char *text, struct settings_value *ret)
{
	ret->type = SETTING_BOOL;
	ret->truth = !strcmp(text, "true");
	return ret->truth || !strcmp(text, "false") ? 0 : -EINVAL;
}

/* Cuts `text` at its commas, in place. */
static int spell_list(char *text, struct settings_value *ret)
{
	ret->type = SETTING_LIST;
	if (!*text)
		return 0;
	char *to = text;
	ret->items[ret->count++] = text;
	for (const char *from = text; *from; from++) {
		if (*from == '\\' && from[1] == ',') {
			*to++ = *++from;
		} else if (*from == ',') {
			*to++ = '\0';
			if (ret->count == SETTINGS_ITEMS_MAX)
				return -E2BIG;
			ret->items[ret->count++] = to;
		} else {
			*to++ = *from;
		}
	}
	*to = '\0';
	return 0;
}

static int spell(enum setting_type type, char *text, struct settings_value *ret)
{
	switch (type) {
	case SETTING_INT:
		return spell_whole(text, ret);
	case SETTING_NUMBER:
		return spell_number(text, ret);
	case SETTING_BOOL:
		return spell_truth(text, ret);
	case SETTING_LIST:
		return spell_list(text, ret);
	case SETTING_TEXT:
	case SETTING_CHOICE:
		break;
	}
	ret->type = SETTING_TEXT;
	ret->text = text;
	return 0;
}

static const char *spelling_wanted(enum setting_type type)
{
	return type == SETTING_INT    ? "must be a whole number"
	       : type == SETTING_BOOL ? "must be true or false"
	       : type == SETTING_LIST ? "must not have more than 256 items"
				      : "must be a number";
}

int settings_store_spelled(struct settings_reader *reader, struct settings_scope *scope, size_t index, const char *text,
			   struct settings_origin origin)
{
	char *copy = strdup(text);
	if (!copy)
		return settings_refuse_memory(reader);
	struct settings_value value = { 0 };
	const enum setting_type type = settings_table[index].type;
	int r = spell(type, copy, &value);
	if (r < 0)
		r = settings_refuse(reader, scope, index, origin, "%s", spelling_wanted(type));
	else
		r = settings_store(reader, scope, index, &value, origin);
	free(copy);
	return r;
}

/* HANDOFFD_KAFKA_BROKERS for kafka.brokers, in the settings' memory. */
static char *variable_name(struct settings *settings, const struct setting *setting)
{
	const size_t n = strlen(PREFIX) + strlen(setting->section) + 1 + strlen(setting->key);
	char *name = settings_alloc(settings, n + 1);
	if (!name)
		return NULL;
	char *p = stpcpy(stpcpy(name, PREFIX), setting->section);
	*p++ = '_';
	memcpy(p, setting->key, strlen(setting->key));
	for (p = name; *p; p++)
		*p = (char)toupper((unsigned char)*p);
	return name;
}

static const char *short_name(const struct setting *setting)
{
	static const char *const NAMES[] = { "COGNIGY_CLIENT_ID", "COGNIGY_CLIENT_SECRET",
					     "COGNIGY_CLIENT_SECRET_FILE" };
	static const char *const KEYS[] = { "client_id", "client_secret", "client_secret_file" };
	for (size_t i = 0; i < ARRAY_SIZE(KEYS); i++)
		if (!strcmp(setting->section, "cognigy") && !strcmp(setting->key, KEYS[i]))
			return NAMES[i];
	return NULL;
}

static int store_variable(struct settings_reader *reader, size_t index)
{
	const char *name = variable_name(reader->settings, &settings_table[index]);
	if (!name)
		return settings_refuse_memory(reader);
	const char *value = getenv(name);
	if (!value) {
		name = short_name(&settings_table[index]);
		value = name ? getenv(name) : NULL;
	}
	if (!value)
		return 0;
	const struct settings_origin origin = { .layer = SETTINGS_ENVIRONMENT, .variable = name };
	return settings_store_spelled(reader, &reader->sections, index, value, origin);
}

/* The part of `variable` behind HANDOFFD_<SECTION>_, in lower case; false when it begins otherwise. */
static bool split_variable(const char *variable, size_t n, const char **ret_section, char *ret_key, size_t key_size)
{
	if (!text_begins(variable, PREFIX))
		return false;
	for (size_t i = 0; settings_sections[i]; i++) {
		const size_t m = strlen(settings_sections[i]);
		const char *rest = variable + strlen(PREFIX);
		if (strncasecmp(rest, settings_sections[i], m) != 0 || rest[m] != '_')
			continue;
		rest += m + 1;
		const size_t length = (size_t)(variable + n - rest);
		if (length >= key_size)
			return false;
		for (size_t k = 0; k < length; k++)
			ret_key[k] = (char)tolower((unsigned char)rest[k]);
		ret_key[length] = '\0';
		*ret_section = settings_sections[i];
		return true;
	}
	return false;
}

/* What Kubernetes tells every pod of its namespace about a service. */
static bool is_of_a_service(const char *key)
{
	return text_begins(key, "service_host") || text_begins(key, "service_port") || !strcmp(key, "port") ||
	       text_begins(key, "port_");
}

static int refuse_unknown(struct settings_reader *reader, const char *entry)
{
	const char *equals = strchr(entry, '=');
	const char *section;
	char key[64];
	if (!equals || !split_variable(entry, (size_t)(equals - entry), &section, key, sizeof(key)))
		return 0;
	const size_t index = settings_table_find(section, span_of(key));
	if ((index < settings_table_count && strcmp(section, "tenants") != 0) || is_of_a_service(key))
		return 0;
	buf_reset(reader->error);
	buf_add_format(reader->error, "%.*s: there is no setting %s.%s", (int)(equals - entry), entry, section, key);
	return -EINVAL;
}

static void hide(char *from, const char *to)
{
	while (from < to)
		*from++ = '*';
}

/* Behind the next comma that ends an item of the list. */
static char *item_end(char *item)
{
	while (*item && *item != ',')
		item += *item == '\\' && item[1] ? 2 : 1;
	return item;
}

static void hide_passwords(char *list)
{
	static const char key[] = "sasl.password=";
	for (char *item = list; *item;) {
		char *end = item_end(item);
		if (text_begins(item, key))
			hide(item + strlen(key), end);
		item = *end ? end + 1 : end;
	}
}

/* In place: unsetenv() would only hide it from ourselves. */
void settings_hide_environment(void)
{
	static const char *const secrets[] = { "COGNIGY_CLIENT_SECRET=", PREFIX "COGNIGY_CLIENT_SECRET=" };
	static const char properties[] = PREFIX "KAFKA_PROPERTIES=";
	for (char **entry = environ; entry && *entry; entry++) {
		for (size_t i = 0; i < ARRAY_SIZE(secrets); i++)
			if (text_begins(*entry, secrets[i]))
				hide(*entry + strlen(secrets[i]), *entry + strlen(*entry));
		if (text_begins(*entry, properties))
			hide_passwords(*entry + strlen(properties));
	}
}

int settings_read_environment(struct settings_reader *reader)
{
	for (char **entry = environ; entry && *entry; entry++) {
		const int r = refuse_unknown(reader, *entry);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < settings_table_count; i++) {
		if (!strcmp(settings_table[i].section, "tenants"))
			continue;
		const int r = store_variable(reader, i);
		if (r < 0)
			return r;
	}
	return 0;
}
