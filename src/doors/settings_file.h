/*
 * settings_file - what does the configuration file say?
 *
 * libconfig's tree, walked once: every section and key must be one of the table's. Sections are stored into the
 * reader's sections; entries of `tenants` are counted at once and stored by settings_read_entries() later, when the
 * environment has had its say and each of them can begin as a copy of the sections. Internal to the settings door.
 */
#ifndef HANDOFF_SETTINGS_FILE_H
#define HANDOFF_SETTINGS_FILE_H

#include "doors/settings_store.h"
#include "handoff/macros.h"

struct settings_tree;

/* Parses the reader's file. NULL with the sentence in the reader's `error`. */
struct settings_tree *settings_tree_new(struct settings_reader *reader) MUST_CHECK;
struct settings_tree *settings_tree_free(struct settings_tree *tree);

/* Errors of both as of settings_store(). */
int settings_read_sections(struct settings_reader *reader, const struct settings_tree *tree) MUST_CHECK;
/* Makes the reader's entries; none when there is no list or an empty one. */
int settings_read_entries(struct settings_reader *reader, const struct settings_tree *tree) MUST_CHECK;

#endif
