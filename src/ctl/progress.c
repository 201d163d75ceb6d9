#include "ctl/progress.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BAR_WIDTH   ((size_t)30)
#define BAR_PERIOD  (USEC_PER_SEC / 10)
#define LINE_PERIOD (2 * USEC_PER_SEC)

void progress_bar_init(struct progress_bar *bar, bool quiet, const char *what)
{
	*bar = (struct progress_bar){ .quiet = quiet, .terminal = isatty(STDERR_FILENO), .what = what };
}

/* How fast it went so far, and how long the rest takes at that pace. `now` USEC_NEVER: it is over. */
static void add_pace(const struct progress_bar *bar, usec_t now, size_t all, size_t done)
{
	if (now == USEC_NEVER || done == 0 || now - bar->began < USEC_PER_SEC)
		return;
	const double pace = (double)done / ((double)(now - bar->began) / USEC_PER_SEC);
	const double left = (double)(all > done ? all - done : 0) / pace;
	fprintf(stderr, ", %.*f/s, %.0f:%02d left", pace < 10 ? 1 : 0, pace, floor(left / 60), (int)fmod(left, 60));
}

static void draw(struct progress_bar *bar, usec_t now, size_t total, size_t sent, size_t awaited, size_t seen)
{
	const size_t all = awaited > 0 ? awaited : total;
	const size_t done = awaited > 0 ? seen : sent;
	const size_t filled = all > 0 ? done * BAR_WIDTH / all : BAR_WIDTH;
	char picture[BAR_WIDTH + 1];
	memset(picture, '.', BAR_WIDTH);
	memset(picture, '#', filled);
	picture[BAR_WIDTH] = '\0';
	fprintf(stderr, "\r[%s] %zu of %zu %s", picture, sent, total, bar->what);
	if (awaited > 0)
		fprintf(stderr, ", %zu of %zu outcomes", seen, awaited);
	add_pace(bar, now, all, done);
	fputs("\033[K", stderr);
	bar->drawn = true;
}

static void tell(struct progress_bar *bar, usec_t now, size_t total, size_t sent, size_t awaited, size_t seen)
{
	bar->sent = sent;
	bar->seen = seen;
	if (bar->terminal)
		draw(bar, now, total, sent, awaited, seen);
	else if (awaited > 0)
		fprintf(stderr, "%zu of %zu %s, %zu of %zu outcomes\n", sent, total, bar->what, seen, awaited);
	else
		fprintf(stderr, "%zu of %zu %s\n", sent, total, bar->what);
}

void progress_bar_show(struct progress_bar *bar, usec_t now, size_t total, size_t sent, size_t awaited, size_t seen)
{
	if (bar->quiet || now < bar->next)
		return;
	/* The first line comes after a first period: what is done by then needs none. */
	const bool first = bar->next == 0;
	if (first)
		bar->began = now;
	bar->next = now + (bar->terminal ? BAR_PERIOD : LINE_PERIOD);
	if (bar->terminal || (!first && (sent != bar->sent || seen != bar->seen)))
		tell(bar, now, total, sent, awaited, seen);
}

void progress_bar_end(struct progress_bar *bar, size_t total, size_t sent, size_t awaited, size_t seen)
{
	if (bar->quiet)
		return;
	if (bar->terminal || sent != bar->sent || seen != bar->seen)
		tell(bar, USEC_NEVER, total, sent, awaited, seen);
	if (bar->drawn)
		fputc('\n', stderr);
	bar->drawn = false;
}
