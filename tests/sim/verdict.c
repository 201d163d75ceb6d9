#include "sim/verdict.h"

#include <stdarg.h>
#include <stdio.h>

#include "sim/trace.h"

static char text[512];

void verdict_begin(void)
{
	text[0] = '\0';
}

void verdict_give(const char *format, ...)
{
	va_list args;
	if (text[0])
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	trace("judge", "%s", text);
}

bool verdict_is_given(void)
{
	return text[0] != '\0';
}

const char *verdict_text(void)
{
	return text;
}
