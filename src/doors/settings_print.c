#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doors/settings.h"
#include "doors/settings_table.h"

#define MASK "***"

static void print_text(struct buf *out, const char *text)
{
	buf_add_char(out, '"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			buf_add_char(out, '\\');
		buf_add_char(out, *text);
	}
	buf_add_char(out, '"');
}

/* The shortest decimal form that reads back as the same number, with a point: libconfig tells the types apart by it. */
static void print_number(struct buf *out, double number)
{
	char text[40];
	int precision = 1;
	do
		snprintf(text, sizeof(text), "%.*g", precision, number);
	while (strtod(text, NULL) != number && ++precision <= 17);
	buf_add_text(out, text);
	if (!strpbrk(text, ".e"))
		buf_add_text(out, ".0");
}

/* Passwords, secrets and tokens that librdkafka can be told, by their names. */
static bool is_secret_property(const char *key_value)
{
	static const char *const PARTS[] = { "password", "secret", "ssl.key.pem", "oauthbearer.config", "token" };
	const size_t n = strcspn(key_value, "=");
	if (!strncmp(key_value + n, "=" KAFKA_TOKEN_FILE, strlen("=" KAFKA_TOKEN_FILE)))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(PARTS); i++)
		if (memmem(key_value, n, PARTS[i], strlen(PARTS[i])))
			return true;
	return false;
}

static void print_item(struct buf *out, const struct setting *setting, const char *item)
{
	char key[256];
	if (setting->form != kafka_check_property || !is_secret_property(item)) {
		print_text(out, item);
		return;
	}
	snprintf(key, sizeof(key), "%.*s=" MASK, (int)strcspn(item, "="), item);
	print_text(out, key);
}

static void print_list(struct buf *out, const struct setting *setting, const struct settings_list *list)
{
	buf_add_char(out, '[');
	for (size_t i = 0; i < list->count; i++) {
		buf_add_text(out, i == 0 ? " " : ", ");
		print_item(out, setting, list->items[i]);
	}
	buf_add_text(out, list->count > 0 ? " ]" : "]");
}

static void print_choice(struct buf *out, const struct setting *setting, const void *place)
{
	unsigned int chosen = 0;
	if (setting->size == sizeof(bool))
		chosen = *(const bool *)place;
	else
		memcpy(&chosen, place, sizeof(chosen));
	print_text(out, setting->choices[chosen]);
}

static void print_value(struct buf *out, const struct setting *setting, const void *place)
{
	switch (setting->type) {
	case SETTING_TEXT: {
		const char *text = *(const char *const *)place;
		print_text(out, setting->secret && *text ? MASK : text);
		break;
	}
	case SETTING_INT: {
		const int64_t whole = *(const int64_t *)place;
		buf_add_format(out, "%" PRId64 "%s", whole, whole > INT32_MAX ? "L" : "");
		break;
	}
	case SETTING_NUMBER:
		print_number(out, *(const double *)place);
		break;
	case SETTING_BOOL:
		buf_add_text(out, *(const bool *)place ? "true" : "false");
		break;
	case SETTING_CHOICE:
		print_choice(out, setting, place);
		break;
	case SETTING_LIST:
		print_list(out, setting, place);
		break;
	}
}

/* Every key of `section`, from the struct that holds it. */
static void print_keys(struct buf *out, const char *section, const void *base, const char *indent)
{
	for (size_t i = 0; i < settings_table_count; i++) {
		const struct setting *setting = &settings_table[i];
		if (strcmp(setting->section, section) != 0)
			continue;
		buf_add_format(out, "%s%s = ", indent, setting->key);
		print_value(out, setting, (const char *)base + setting->offset);
		buf_add_text(out, ";\n");
	}
}

static void print_section(struct buf *out, const char *section, const void *base)
{
	buf_add_format(out, "%s: {\n", section);
	print_keys(out, section, base, "  ");
	buf_add_text(out, "};\n");
}

static void print_tenants(struct buf *out, const struct settings *settings)
{
	buf_add_text(out, "tenants = (\n");
	for (size_t i = 0; i < settings->tenant_count; i++) {
		const struct settings_tenant *tenant = &settings->tenants[i];
		buf_add_text(out, "  {\n");
		print_keys(out, "tenants", tenant, "    ");
		print_keys(out, "cognigy", tenant, "    ");
		print_keys(out, "limits", tenant, "    ");
		buf_add_text(out, i + 1 < settings->tenant_count ? "  },\n" : "  }\n");
	}
	buf_add_text(out, ");\n");
}

void settings_print(const struct settings *settings, struct buf *out)
{
	/* One tenant called "default" is what the sections alone mean. */
	const bool list = settings->tenant_count > 1 || strcmp(settings->tenants[0].name, "default") != 0;
	for (size_t i = 0; settings_sections[i]; i++) {
		const char *section = settings_sections[i];
		const bool of_tenant = !strcmp(section, "cognigy") || !strcmp(section, "limits");
		if (!strcmp(section, "tenants")) {
			if (list)
				print_tenants(out, settings);
		} else if (!of_tenant || !list) {
			print_section(out, section, of_tenant ? (const void *)settings->tenants : settings);
		}
	}
}
