/* settings_manual - the table of settings as handoffd.conf(5) has it: a section each, its keys with type, default and
 * bounds */
#ifndef HANDOFF_SETTINGS_MANUAL_H
#define HANDOFF_SETTINGS_MANUAL_H

#include "base/buf.h"

void settings_write_man(struct buf *out);

#endif
