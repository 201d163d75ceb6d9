#include "doors/settings_store.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

struct settings_block {
	struct settings_block *next;
	size_t size;
	_Alignas(max_align_t) char bytes[];
};

void *settings_alloc(struct settings *settings, size_t size)
{
	struct settings_block *block = calloc(1, sizeof(*block) + size);
	if (!block)
		return NULL;
	block->next = settings->memory;
	block->size = size;
	settings->memory = block;
	return block->bytes;
}

char *settings_copy(struct settings *settings, const char *text, size_t n)
{
	char *copy = settings_alloc(settings, n + 1);
	if (copy)
		memcpy(copy, text, n);
	return copy;
}

void settings_fini(struct settings *settings)
{
	for (struct settings_block *block = settings->memory; block;) {
		struct settings_block *next = block->next;
		explicit_bzero(block->bytes, block->size); /* a secret may stand in any of them */
		free(block);
		block = next;
	}
	*settings = (struct settings){ 0 };
}

void *settings_place(const struct settings_reader *reader, const struct settings_scope *scope, size_t index)
{
	const struct setting *setting = &settings_table[index];
	char *base = setting_is_of_tenant(setting) ? (char *)scope->tenant : (char *)reader->settings;
	return base + setting->offset;
}

size_t settings_index(const char *section, const char *key)
{
	const size_t index = settings_table_find(section, span_of(key));
	assert(index < settings_table_count);
	return index;
}

void settings_replace_secret(const struct settings_scope *scope, enum settings_layer layer)
{
	struct settings_origin *direct = &scope->origins[settings_index("cognigy", "client_secret")];
	struct settings_origin *file = &scope->origins[settings_index("cognigy", "client_secret_file")];
	struct settings_tenant *tenant = scope->tenant;
	if (direct->layer == layer && *tenant->client_secret && file->layer != layer)
		tenant->client_secret_file = "";
	else if (file->layer == layer && *tenant->client_secret_file && direct->layer != layer)
		tenant->client_secret = "";
}

static void add_where(struct settings_reader *reader, const struct settings_scope *scope, const struct setting *setting,
		      struct settings_origin origin)
{
	struct buf *out = reader->error;
	if (origin.layer == SETTINGS_ENVIRONMENT) {
		buf_add_format(out, "%s: ", origin.variable);
		return;
	}
	const bool in_entry = scope->index >= 0 && (origin.layer == SETTINGS_ENTRY || origin.layer == SETTINGS_DEFAULT);
	if (origin.layer == SETTINGS_DEFAULT)
		origin.line = in_entry ? scope->line : !strcmp(setting->section, "cognigy") ? reader->cognigy_line : 0;
	if (reader->file)
		buf_add_format(out, "%s:", reader->file);
	if (reader->file && origin.line > 0)
		buf_add_format(out, "%d:", origin.line);
	if (reader->file)
		buf_add_char(out, ' ');
	if (in_entry)
		buf_add_format(out, "tenants[%d].%s: ", scope->index, setting->key);
	else
		buf_add_format(out, "%s.%s: ", setting->section, setting->key);
}

int settings_refuse(struct settings_reader *reader, const struct settings_scope *scope, size_t index,
		    struct settings_origin origin, const char *format, ...)
{
	char sentence[1024];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(sentence, sizeof(sentence), format, arguments);
	va_end(arguments);
	buf_reset(reader->error);
	add_where(reader, scope, &settings_table[index], origin);
	buf_add_text(reader->error, sentence);
	return -EINVAL;
}

int settings_refuse_memory(struct settings_reader *reader)
{
	buf_reset(reader->error);
	buf_add_text(reader->error, "out of memory while reading the settings");
	return -ENOMEM;
}

static const char *type_name(enum setting_type type)
{
	static const char *const NAMES[] = {
		[SETTING_TEXT] = "a text in quotes",           [SETTING_INT] = "a whole number",
		[SETTING_NUMBER] = "a number with a fraction", [SETTING_BOOL] = "true or false",
		[SETTING_CHOICE] = "a text in quotes",         [SETTING_LIST] = "a list of texts, [ \"...\" ]"
	};
	return NAMES[type];
}

static const char *wanted_name(enum setting_type type)
{
	return type == SETTING_NUMBER ? "a number" : type_name(type);
}

/* A whole number is a number too; nothing else is taken for something else. */
static bool type_fits(enum setting_type wanted, enum setting_type given)
{
	if (wanted == SETTING_NUMBER)
		return given == SETTING_NUMBER || given == SETTING_INT;
	if (wanted == SETTING_CHOICE)
		return given == SETTING_TEXT;
	return wanted == given;
}

struct target {
	struct settings_reader *reader;
	struct settings_scope *scope;
	size_t index;
	const struct setting *setting;
	struct settings_origin origin;
	void *place;
};

static int store_whole(const struct target *to, int64_t whole)
{
	const struct setting *s = to->setting;
	if (whole < s->min || whole > s->max)
		return settings_refuse(to->reader, to->scope, to->index, to->origin,
				       "must be between %" PRId64 " and %" PRId64 "%s%s, not %" PRId64, s->min, s->max,
				       *s->unit ? " " : "", s->unit, whole);
	memcpy(to->place, &whole, sizeof(whole));
	return 0;
}

static int store_number(const struct target *to, double number)
{
	const struct setting *s = to->setting;
	if (!isfinite(number) || number < (double)s->min || number > (double)s->max)
		return settings_refuse(to->reader, to->scope, to->index, to->origin,
				       "must be between %" PRId64 " and %" PRId64 "%s%s, not %g", s->min, s->max,
				       *s->unit ? " " : "", s->unit, number);
	memcpy(to->place, &number, sizeof(number));
	return 0;
}

/* What is demanded of every text, in a list or not. */
static int check_text(const struct target *to, const char *text)
{
	const struct span span = span_of(text);
	struct fault why = { 0 };
	if (text_has_control(span))
		return settings_refuse(to->reader, to->scope, to->index, to->origin,
				       "must not contain control characters");
	if (!text_is_utf8(span))
		return settings_refuse(to->reader, to->scope, to->index, to->origin, "must be UTF-8");
	if (to->setting->form && to->setting->form(text, &why) < 0)
		return settings_refuse(to->reader, to->scope, to->index, to->origin, "%s", why.message);
	return 0;
}

static int store_text(const struct target *to, const char *text)
{
	const struct setting *s = to->setting;
	const size_t n = strlen(text);
	if (n == 0 && s->min > 0)
		return settings_refuse(to->reader, to->scope, to->index, to->origin, "must not be empty");
	if (n > (size_t)s->max)
		return settings_refuse(to->reader, to->scope, to->index, to->origin,
				       "must not be longer than %" PRId64 " bytes", s->max);
	const int r = check_text(to, text);
	if (r < 0)
		return r;
	const char *copy = settings_copy(to->reader->settings, text, n);
	if (!copy)
		return settings_refuse_memory(to->reader);
	memcpy(to->place, &copy, sizeof(copy));
	return 0;
}

static int store_choice(const struct target *to, const char *text)
{
	const struct setting *s = to->setting;
	unsigned int chosen = 0;
	while (s->choices[chosen] && strcmp(s->choices[chosen], text) != 0)
		chosen++;
	if (!s->choices[chosen]) {
		struct buf words;
		int r = check_text(to, text); /* it is quoted below */
		if (r < 0)
			return r;
		buf_init(&words, 256);
		for (size_t i = 0; s->choices[i]; i++)
			buf_add_format(&words, "%s\"%s\"",
				       i == 0              ? ""
				       : s->choices[i + 1] ? ", "
							   : " or ",
				       s->choices[i]);
		r = settings_refuse(to->reader, to->scope, to->index, to->origin, "must be %s, not \"%.64s\"",
				    buf_text(&words), text);
		buf_fini(&words);
		return r;
	}
	const bool second = chosen == 1;
	if (s->size == sizeof(bool))
		memcpy(to->place, &second, sizeof(second));
	else
		memcpy(to->place, &chosen, sizeof(chosen));
	return 0;
}

static int copy_item(struct target *to, const struct settings_value *value, size_t i, const char **items)
{
	if (value->lines[i] > 0)
		to->origin.line = value->lines[i];
	if (!*value->items[i])
		return settings_refuse(to->reader, to->scope, to->index, to->origin, "must not contain an empty text");
	const int r = check_text(to, value->items[i]);
	if (r < 0)
		return r;
	for (size_t k = 0; k < i; k++)
		/* Not of properties, whose values may be secret; of those settings_check() compares the keys. */
		if (to->setting->form != kafka_check_property && !strcmp(value->items[k], value->items[i]))
			return settings_refuse(to->reader, to->scope, to->index, to->origin,
					       "names \"%.64s\" twice: leave one of them", value->items[i]);
	items[i] = settings_copy(to->reader->settings, value->items[i], strlen(value->items[i]));
	return items[i] ? 0 : settings_refuse_memory(to->reader);
}

static int store_list(struct target *to, const struct settings_value *value)
{
	const struct setting *s = to->setting;
	if (value->count < (size_t)s->min)
		return settings_refuse(to->reader, to->scope, to->index, to->origin, "must not be empty");
	if (value->count > (size_t)s->max)
		return settings_refuse(to->reader, to->scope, to->index, to->origin,
				       "must not have more than %" PRId64 " items", s->max);
	struct settings_list list = { .count = value->count };
	list.items = settings_alloc(to->reader->settings, (value->count + 1) * sizeof(list.items[0]));
	if (!list.items)
		return settings_refuse_memory(to->reader);
	const struct settings_origin origin = to->origin;
	for (size_t i = 0; i < value->count; i++) {
		const int r = copy_item(to, value, i, list.items);
		if (r < 0)
			return r;
	}
	to->origin = origin;
	memcpy(to->place, &list, sizeof(list));
	return 0;
}

static int store_value(struct target *to, const struct settings_value *value)
{
	switch (to->setting->type) {
	case SETTING_TEXT:
		return store_text(to, value->text);
	case SETTING_INT:
		return store_whole(to, value->whole);
	case SETTING_NUMBER:
		return store_number(to, value->type == SETTING_INT ? (double)value->whole : value->number);
	case SETTING_BOOL:
		memcpy(to->place, &value->truth, sizeof(value->truth));
		return 0;
	case SETTING_CHOICE:
		return store_choice(to, value->text);
	case SETTING_LIST:
		return store_list(to, value);
	}
	return -EINVAL;
}

int settings_store(struct settings_reader *reader, struct settings_scope *scope, size_t index,
		   const struct settings_value *value, struct settings_origin origin)
{
	struct target to = { .reader = reader,
			     .scope = scope,
			     .index = index,
			     .setting = &settings_table[index],
			     .origin = origin,
			     .place = settings_place(reader, scope, index) };
	if (!type_fits(to.setting->type, value->type))
		return settings_refuse(reader, scope, index, origin, "must be %s, not %s",
				       wanted_name(to.setting->type), type_name(value->type));
	const int r = store_value(&to, value);
	if (r == 0)
		scope->origins[index] = origin;
	return r;
}
