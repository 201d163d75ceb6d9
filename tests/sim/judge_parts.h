/* The judge's own division of labour: calls, records, and what is left (judge.c). */
#ifndef SIM_JUDGE_PARTS_H
#define SIM_JUDGE_PARTS_H

#include "rules/history.h"
#include "sim/judge.h"

/* Listens to the calls. */
void judge_begin_calls(void);
/* Listens to what is written and committed. */
void judge_begin_records(void);

/* A retry record's past, or a request's fresh start. */
void judge_read_history(const struct entry *entry, struct history *ret);

#endif
