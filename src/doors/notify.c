#include "doors/notify.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>

void notify_init(struct notify *n)
{
	uint64_t timeout;
	*n = (struct notify){ .interval = USEC_NEVER };
	/* Three signs in each time-out: one may come late. */
	if (sd_watchdog_enabled(0, &timeout) > 0 && timeout < INT64_MAX)
		n->interval = (usec_t)(timeout / 3);
}

void notify_ready(struct notify *n)
{
	if (!n->is_ready)
		(void)sd_notify(0, "READY=1");
	n->is_ready = true;
}

void notify_stopping(struct notify *n)
{
	if (!n->is_stopping)
		(void)sd_notify(0, "STOPPING=1");
	n->is_stopping = true;
}

void notify_say(struct notify *n, const char *format, ...)
{
	char line[sizeof(n->said)];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (strcmp(line, n->said) == 0)
		return;
	memcpy(n->said, line, sizeof(line));
	(void)sd_notifyf(0, "STATUS=%s", line);
}

void notify_alive(struct notify *n, usec_t now)
{
	if (n->interval == USEC_NEVER || now < n->alive_at)
		return;
	n->alive_at = now + n->interval;
	(void)sd_notify(0, "WATCHDOG=1");
}

usec_t notify_wait(const struct notify *n, usec_t now)
{
	if (n->interval == USEC_NEVER)
		return USEC_NEVER;
	return n->alive_at > now ? n->alive_at - now : 0;
}
