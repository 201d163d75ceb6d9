/*
 * simulation - plays histories of a handful of workers, a broker and Cognigy in virtual time, and judges them
 *
 * One process a core; each plays every n-th seed and tells the first one how far it is. The first broken promise ends
 * the run: its history is played once more with its trace.
 */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "handoff/macros.h"
#include "sim/play.h"
#include "sim/trace.h"
#include "sim/verdict.h"

enum { EXIT_USAGE = 2, JOBS_MAX = 256, TOLD_EVERY = 20 };

static const char help[] = "usage: simulation [--seeds N] [--first N] [--jobs N]\n"
			   "       simulation --seed N\n"
			   "\n"
			   "      --seeds N  play that many histories (default 1000)\n"
			   "      --first N  the first one's seed (default 1)\n"
			   "      --jobs N   in so many processes (default: one a core)\n"
			   "      --seed N   play this one and print everything that happens\n"
			   "\n"
			   "Exit status: 0 every promise was kept, 1 one was broken, 2 wrong usage.\n";

struct options {
	uint64_t seeds, first, jobs;
	uint64_t seed;
	bool is_single;
};

/* What the players tell. */
struct news {
	uint64_t played;
	uint64_t broken_seed;
	bool is_broken;
};

/* What each player plays now, shared: one that dies of it cannot tell. */
static uint64_t *playing;

static double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void tell(int fd, struct news *news)
{
	if (write(fd, news, sizeof(*news)) != (ssize_t)sizeof(*news))
		_exit(EXIT_FAILURE);
	news->played = 0;
}

/* A player's life. */
static _Noreturn void be_player(const struct options *o, uint64_t offset, int fd)
{
	struct news news = { 0 };
	for (uint64_t i = offset; i < o->seeds && !news.is_broken; i += o->jobs) {
		playing[offset] = o->first + i;
		news.is_broken = !play(o->first + i);
		news.broken_seed = o->first + i;
		if (++news.played == TOLD_EVERY || news.is_broken)
			tell(fd, &news);
	}
	if (news.played > 0)
		tell(fd, &news);
	exit(EXIT_SUCCESS); /* not _exit(): a coverage build writes its counts */
}

static void show_progress(uint64_t played, uint64_t seeds, double since)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r%" PRIu64 " of %" PRIu64 " histories, %.0f/s ", played, seeds,
			(double)played / (now_s() - since));
}

/* Listens until all have ended or one has found something. */
static bool listen_to(int fd, const struct options *o, uint64_t *ret_played, uint64_t *ret_broken)
{
	const double since = now_s();
	struct news news;
	*ret_played = 0;
	while (read(fd, &news, sizeof(news)) == (ssize_t)sizeof(news)) {
		*ret_played += news.played;
		*ret_broken = news.broken_seed;
		show_progress(*ret_played, o->seeds, since);
		if (news.is_broken)
			return false;
	}
	return true;
}

static int explain(uint64_t seed, enum trace_mode mode)
{
	trace_set(mode);
	const bool kept = play(seed);
	if (mode == TRACE_TAIL)
		trace_print_tail();
	if (kept)
		printf("seed %" PRIu64 ": every promise was kept\n", seed);
	else
		printf("\nseed %" PRIu64 ": %s\n", seed, verdict_text());
	return kept ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Ends them all. The seed that one of them has died of; 0: none has. */
static uint64_t reap(const pid_t *players, uint64_t count, bool stop)
{
	uint64_t deadly = 0;
	for (uint64_t i = 0; i < count; i++) {
		int status = 0;
		if (stop)
			kill(players[i], SIGKILL);
		if (waitpid(players[i], &status, 0) != players[i] || status != 0)
			deadly = playing[i];
	}
	return deadly;
}

static int run(const struct options *o)
{
	pid_t players[JOBS_MAX];
	int ends[2];
	uint64_t played, broken;
	const double since = now_s();
	playing = mmap(NULL, JOBS_MAX * sizeof(*playing), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (playing == MAP_FAILED || pipe(ends) != 0)
		return EXIT_FAILURE;
	for (uint64_t i = 0; i < o->jobs; i++) {
		players[i] = fork();
		if (players[i] == 0)
			be_player(o, i, ends[1]);
	}
	close(ends[1]);
	const bool kept = listen_to(ends[0], o, &played, &broken);
	const uint64_t deadly = reap(players, o->jobs, !kept);
	if (isatty(STDERR_FILENO))
		fputc('\n', stderr);
	if (!kept)
		return explain(broken, TRACE_TAIL);
	if (deadly > 0) {
		fprintf(stderr, "seed %" PRIu64 ": the player has died\n", deadly);
		return EXIT_FAILURE;
	}
	printf("%" PRIu64 " histories (seeds %" PRIu64 "..%" PRIu64 "), %.0f a second: every promise was kept\n",
	       played, o->first, o->first + o->seeds - 1, (double)played / (now_s() - since));
	return played == o->seeds ? EXIT_SUCCESS : EXIT_FAILURE;
}

static bool take_number(const char *text, uint64_t *ret)
{
	char *end;
	*ret = strtoull(text, &end, 10);
	return end != text && *end == '\0' && text[0] != '-';
}

static int take_options(int argc, char **argv, struct options *o)
{
	static const struct option known[] = {
		{ "seeds", required_argument, NULL, 'n' }, { "first", required_argument, NULL, 'f' },
		{ "jobs", required_argument, NULL, 'j' },  { "seed", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },        { NULL, 0, NULL, 0 }
	};
	for (int c = getopt_long(argc, argv, "h", known, NULL); c != -1;
	     c = getopt_long(argc, argv, "h", known, NULL)) {
		uint64_t *number = c == 'n'   ? &o->seeds
				   : c == 'f' ? &o->first
				   : c == 'j' ? &o->jobs
				   : c == 's' ? &o->seed
					      : NULL;
		o->is_single = o->is_single || c == 's';
		if (c == 'h')
			return 'h';
		if (!number || !take_number(optarg, number))
			return '?';
	}
	return optind == argc && o->jobs > 0 && o->jobs <= JOBS_MAX ? 0 : '?';
}

int main(int argc, char **argv)
{
	const long cores = sysconf(_SC_NPROCESSORS_ONLN);
	struct options o = { .seeds = 1000, .first = 1, .jobs = cores > 0 ? (uint64_t)cores : 1 };
	const int r = take_options(argc, argv, &o);
	if (r != 0) {
		fputs(help, r == 'h' ? stdout : stderr);
		return r == 'h' ? EXIT_SUCCESS : EXIT_USAGE;
	}
	return o.is_single ? explain(o.seed, TRACE_ALL) : run(&o);
}
