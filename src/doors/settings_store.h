/*
 * settings_store - put one value into its place, or say why it may not stand there
 *
 *   file ──┐
 *   environment ──┼─> settings_store(scope, setting, value, origin) ──> struct settings, and where it came from
 *   defaults ──┘
 *
 * A scope is what a key can stand in: the sections, or one entry of `tenants`. Each scope remembers the origin of
 * every value, so that a refusal - also one about two settings that do not fit together - names file and line, or the
 * variable. Internal to the settings door. Values given are copied; what is stored lives in the settings' memory.
 */
#ifndef HANDOFF_SETTINGS_STORE_H
#define HANDOFF_SETTINGS_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "doors/settings.h"
#include "doors/settings_table.h"
#include "handoff/macros.h"

#define SETTINGS_ITEMS_MAX  256  /* of any list */
#define SETTINGS_SECRET_MAX 4096 /* bytes, wherever it comes from */

enum settings_layer { SETTINGS_DEFAULT, SETTINGS_FILE, SETTINGS_ENTRY, SETTINGS_ENVIRONMENT };

struct settings_origin {
	enum settings_layer layer;
	int line;             /* of FILE and ENTRY */
	const char *variable; /* of ENVIRONMENT */
};

struct settings_scope {
	struct settings_tenant *tenant;  /* where tenant settings go */
	struct settings_origin *origins; /* settings_table_count of them */
	int index;                       /* in the list of tenants; -1: the sections themselves */
	int line;                        /* of the entry */
};

struct settings_reader {
	struct settings *settings;
	const char *file; /* NULL: none was given */
	bool need_cognigy;
	struct settings_tenant base; /* the sections `cognigy` and `limits` */
	struct settings_scope sections;
	struct settings_scope *entries; /* of `tenants` */
	size_t entry_count;
	int cognigy_line; /* of the section; 0: there is none */
	struct buf *error;
};

struct settings_value {
	enum setting_type type; /* TEXT, INT, NUMBER, BOOL or LIST */
	const char *text;
	int64_t whole;
	double number;
	bool truth;
	const char *items[SETTINGS_ITEMS_MAX];
	int lines[SETTINGS_ITEMS_MAX]; /* 0: as the setting's own */
	size_t count;
};

/* Zeroed memory that lives as long as the settings. NULL when there is none. */
void *settings_alloc(struct settings *settings, size_t size) MUST_CHECK;
/* `n` bytes and a NUL. */
char *settings_copy(struct settings *settings, const char *text, size_t n) MUST_CHECK;

/* Checks type, bounds and form, copies it in and notes its origin. 0, -EINVAL with the sentence in the reader's
 * `error`, or -ENOMEM. */
int settings_store(struct settings_reader *reader, struct settings_scope *scope, size_t index,
		   const struct settings_value *value, struct settings_origin origin) MUST_CHECK;

/* A secret given in `layer`, directly or as a file, takes the place of one given in either form by a lower layer. */
void settings_replace_secret(const struct settings_scope *scope, enum settings_layer layer);

/* Writes "WHERE: SENTENCE" and returns -EINVAL. Where: the variable, or file, line and key; for a default the place at
 * which it should have been given. */
int settings_refuse(struct settings_reader *reader, const struct settings_scope *scope, size_t index,
		    struct settings_origin origin, const char *format, ...) PRINTF_LIKE(5, 6);
/* Out of memory, as a sentence; returns -ENOMEM. */
int settings_refuse_memory(struct settings_reader *reader);

/* The place of a key of the table in it; the key must be there. */
size_t settings_index(const char *section, const char *key);
/* The value's place. */
void *settings_place(const struct settings_reader *reader, const struct settings_scope *scope, size_t index);

#endif
