#include "sim/trace.h"

#include <stdarg.h>
#include <stdio.h>

#include "sim/agenda.h"

enum { TAIL_LINES = 150, LINE_SIZE = 320 };

static enum trace_mode mode;
static char tail[TAIL_LINES][LINE_SIZE];
static unsigned long count;

void trace_set(enum trace_mode wanted)
{
	mode = wanted;
	count = 0;
}

bool trace_is_on(void)
{
	return mode != TRACE_OFF;
}

void trace(const char *who, const char *format, ...)
{
	char *line = tail[count % TAIL_LINES];
	va_list args;
	if (mode == TRACE_OFF)
		return;
	const double at = (double)(agenda_now() - AGENDA_BEGIN) / (double)USEC_PER_SEC;
	const int n = snprintf(line, LINE_SIZE, "%11.6f  %-8s ", at, who);
	va_start(args, format);
	vsnprintf(line + n, LINE_SIZE - (size_t)n, format, args);
	va_end(args);
	count++;
	if (mode == TRACE_ALL)
		puts(line);
}

void trace_print_tail(void)
{
	const unsigned long first = count > TAIL_LINES ? count - TAIL_LINES : 0;
	if (first > 0)
		printf("(%lu lines before)\n", first);
	for (unsigned long i = first; i < count; i++)
		puts(tail[i % TAIL_LINES]);
}
