#include "base/fault.h"

#include <stdarg.h>
#include <stdio.h>

const char *fault_name(enum fault_class kind)
{
	static const char *const names[] = {
		[FAULT_NONE] = "none",
		[FAULT_RATE_LIMITED] = "rate_limited",
		[FAULT_LOCKED] = "locked",
		[FAULT_SERVER] = "server",
		[FAULT_AMBIGUOUS] = "ambiguous",
		[FAULT_AUTH] = "auth",
		[FAULT_PERMANENT] = "permanent",
		[FAULT_BAD_RESPONSE] = "bad_response",
		[FAULT_DEPENDENCY_DOWN] = "dependency_down",
		[FAULT_OURS] = "ours",
		[FAULT_SHUTDOWN] = "shutdown",
	};
	return names[kind];
}

int fault_set(struct fault *f, int code, enum fault_class kind, const char *format, ...)
{
	if (!f)
		return code;
	va_list args;
	va_start(args, format);
	f->kind = kind;
	vsnprintf(f->message, sizeof(f->message), format, args);
	va_end(args);
	return code;
}
