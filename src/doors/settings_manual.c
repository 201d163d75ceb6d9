#include "doors/settings_manual.h"

#include <inttypes.h>
#include <string.h>

#include "base/options.h"
#include "doors/settings_table.h"

static void write_choices(const struct setting *setting, struct buf *out)
{
	for (size_t i = 0; setting->choices[i]; i++)
		buf_add_format(out, "%s\"%s\"", i > 0 ? " or " : "", setting->choices[i]);
}

/* "a whole number from 1 to 10000, in ms" */
static void write_type(const struct setting *setting, struct buf *out)
{
	switch (setting->type) {
	case SETTING_TEXT:
		buf_add_text(out, "text");
		break;
	case SETTING_INT:
		buf_add_format(out, "whole number from %" PRId64 " to %" PRId64, setting->min, setting->max);
		break;
	case SETTING_NUMBER:
		buf_add_format(out, "number from %" PRId64 " to %" PRId64, setting->min, setting->max);
		break;
	case SETTING_BOOL:
		buf_add_text(out, "true or false");
		break;
	case SETTING_CHOICE:
		write_choices(setting, out);
		break;
	case SETTING_LIST:
		buf_add_text(out, "list of texts");
		break;
	}
	if (setting->unit[0])
		buf_add_format(out, ", in %s", setting->unit);
}

static void write_default(const struct setting *setting, struct buf *out)
{
	const bool is_text = setting->type == SETTING_TEXT || setting->type == SETTING_CHOICE;
	if (setting->type == SETTING_LIST)
		buf_add_format(out, "[ %s%s%s ]", setting->fallback[0] ? "\"" : "", setting->fallback,
			       setting->fallback[0] ? "\"" : "");
	else if (is_text)
		buf_add_format(out, "\"%s\"", setting->fallback);
	else
		buf_add_text(out, setting->fallback);
}

static void write_setting(const struct setting *setting, struct buf *out)
{
	struct buf text;
	buf_init(&text, 4096);
	write_type(setting, &text);
	buf_add_text(&text, "; default ");
	write_default(setting, &text);
	if (setting->cognigy_ai)
		buf_add_format(&text, ", with profile cognigy-ai \"%s\"", setting->cognigy_ai);
	buf_add_format(out, ".TP\n.B %s\n", setting->key);
	options_write_roff(setting->sentence, out);
	buf_add_text(out, "\n.br\n");
	options_write_roff(buf_text(&text), out);
	buf_add_text(out, ".\n");
	out->failed = out->failed || !buf_ok(&text);
	buf_fini(&text);
}

void settings_write_man(struct buf *out)
{
	for (size_t s = 0; settings_sections[s]; s++) {
		buf_add_format(out, ".SS %s\n", settings_sections[s]);
		if (strcmp(settings_sections[s], "tenants") == 0)
			buf_add_text(out, "A list of groups, one for each tenant; an entry may also have any key of\n"
					  ".B cognigy\nand\n.BR limits ,\nwhich then holds for this tenant alone.\n");
		for (size_t i = 0; i < settings_table_count; i++)
			if (strcmp(settings_table[i].section, settings_sections[s]) == 0)
				write_setting(&settings_table[i], out);
	}
}
