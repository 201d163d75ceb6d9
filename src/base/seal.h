/*
 * seal - who may look into this process's memory? Nobody but root
 *
 * For programs that hold tokens, passwords and callers' data: no core dump, no debugger of the same user, no reading of
 * its environment under /proc. Called before anything secret is read.
 */
#ifndef HANDOFF_SEAL_H
#define HANDOFF_SEAL_H

void seal_memory(void);

#endif
