/*
 * settings_table - which settings are there, and what may each of them be?
 *
 * The one place that names a key. Reading, refusing, printing and the test of config/handoffd.conf walk this table.
 * Constant; internal to the settings door and its tests.
 */
#ifndef HANDOFF_SETTINGS_TABLE_H
#define HANDOFF_SETTINGS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fault.h"
#include "handoff/span.h"

enum setting_type {
	SETTING_TEXT,   /* const char * */
	SETTING_INT,    /* int64_t */
	SETTING_NUMBER, /* double */
	SETTING_BOOL,   /* bool */
	SETTING_CHOICE, /* the index of the word: bool (two words) or an enum */
	SETTING_LIST    /* struct settings_list */
};

struct setting {
	const char *section; /* "tenants" for the one key that only an entry of the list has */
	const char *key;
	const char *fallback;   /* the default as the environment would spell it */
	const char *cognigy_ai; /* the default with that profile; NULL: the same */
	const char *unit;       /* "" when there is none */
	const char *sentence;
	const char *const *choices;                           /* of CHOICE; NULL-terminated */
	int (*form)(const char *text, struct fault *ret_why); /* further demands on a text, or on each of a list */
	int64_t min;                                          /* of the number, the text's bytes, the list's items */
	int64_t max;
	size_t offset; /* in struct settings_tenant for `cognigy`, `limits` and `tenants`, else in struct settings */
	size_t size;
	enum setting_type type;
	bool secret;
};

extern const struct setting settings_table[];
extern const size_t settings_table_count;

/* Does it describe a tenant: may an entry of `tenants` have it too? */
bool setting_is_of_tenant(const struct setting *setting);
/* The place in the table; settings_table_count when there is none. */
size_t settings_table_find(const char *section, struct span key);
/* The key of `section` that `key` is a slip of the pen from, or NULL. */
const char *settings_table_guess(const char *section, const char *key);
/* The names of the sections that a file may have, "tenants" among them; NULL-terminated. */
extern const char *const settings_sections[];

#endif
