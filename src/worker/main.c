/* main - arguments, signals, settings; the story is in worker.c */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "worker/worker.h"

enum { EXIT_USAGE = 2 };

static const char help[] =
	"usage: handoffd [-c FILE] [--check-config | --print-config]\n"
	"\n"
	"Reads handoff requests from Kafka, hands each caller over from Cognigy to a Genesys queue, and publishes\n"
	"what became of it. Runs until SIGTERM or SIGINT; logs to stderr.\n"
	"\n"
	"  -c, --config FILE   read the settings from FILE (without it: defaults and environment)\n"
	"      --check-config  only say whether the settings are valid\n"
	"      --print-config  print the effective settings, secrets masked\n"
	"  -h, --help          print this\n"
	"  -V, --version       print the version\n"
	"\n"
	"Exit status: 0 stopped cleanly, 1 failed while running, 2 wrong usage or configuration.\n"
	"SIGHUP reads the log level and the secret files again. See handoffd(8).\n";

/* The signal handlers' only way to the loop. */
static struct worker_signals signals = { .wakeup_fd = -1 };
static const char *config_file;

static void on_signal(int number)
{
	const int saved = errno;
	if (number == SIGHUP)
		signals.reload = 1;
	else
		signals.stop = signals.stop + 1;
	if (signals.wakeup_fd >= 0)
		loop_wakeup_signal(signals.wakeup_fd);
	errno = saved;
}

static void install_signals(void)
{
	const int numbers[] = { SIGTERM, SIGINT, SIGHUP };
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		sigaction(numbers[i], &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* Only what may change while handoffs run: the log level. Secrets are read before each login anyway. */
static void on_reload(void)
{
	struct settings settings;
	struct buf error;
	buf_init(&error, 1024);
	if (settings_read(config_file, true, &settings, &error) == 0) {
		log_set_level(settings.log_level);
		log_write(LOG_INFO, LOG_NOBODY, "read the settings again: log level %s",
			  log_level_name(settings.log_level));
		settings_fini(&settings);
	} else {
		log_write(LOG_ERROR, LOG_NOBODY, "the settings cannot be read again and stay as they are: %s",
			  buf_text(&error));
	}
	buf_fini(&error);
}

/* A thousand calls and as many broker connections need more than the 1,024 descriptors of a login. */
static void raise_file_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int run(const struct settings *settings)
{
	struct worker worker;
	struct fault fault = { 0 };
	if (log_open(STDERR_FILENO, settings->log_level, settings->log_format) < 0) {
		fprintf(stderr, "handoffd: the log cannot be started\n");
		return EXIT_FAILURE;
	}
	raise_file_limit();
	signals.on_reload = on_reload;
	int code = worker_init(&worker, settings, &signals, &fault);
	if (code != 0)
		log_write(LOG_ERROR, LOG_NOBODY, "%s", fault.message);
	else {
		log_write(LOG_INFO, LOG_NOBODY, "handoffd %s, instance %s, group %s, %s", HANDOFF_VERSION,
			  settings->kafka.instance, settings->kafka.group,
			  settings->kafka.exactly_once ? "exactly-once" : "at-least-once");
		code = worker_run(&worker);
	}
	signals.wakeup_fd = -1;
	worker_fini(&worker);
	if (code == 0)
		log_write(LOG_INFO, LOG_NOBODY, "stopped cleanly");
	log_close();
	return code;
}

static int print_config(const struct settings *settings)
{
	struct buf text;
	buf_init(&text, (size_t)1 << 20);
	settings_print(settings, &text);
	const bool ok =
		buf_ok(&text) && fwrite(buf_text(&text), 1, text.len, stdout) == text.len && fflush(stdout) == 0;
	buf_fini(&text);
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

enum mode { MODE_RUN, MODE_CHECK_CONFIG, MODE_PRINT_CONFIG };

/* The mode, or -1 with the exit code in `ret_code` when there is nothing more to do. */
static int parse_arguments(int argc, char **argv, int *ret_code)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "check-config", no_argument, NULL, MODE_CHECK_CONFIG },
		{ "print-config", no_argument, NULL, MODE_PRINT_CONFIG },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int mode = MODE_RUN;
	*ret_code = EXIT_SUCCESS;
	for (int c = getopt_long(argc, argv, "c:hV", options, NULL); c != -1;
	     c = getopt_long(argc, argv, "c:hV", options, NULL)) {
		if (c == 'c') {
			config_file = optarg;
		} else if (c == 'h') {
			fputs(help, stdout);
			return -1;
		} else if (c == 'V') {
			printf("handoffd %s\n", HANDOFF_VERSION);
			return -1;
		} else if (c == MODE_CHECK_CONFIG || c == MODE_PRINT_CONFIG) {
			mode = c;
		} else {
			*ret_code = EXIT_USAGE;
			return -1;
		}
	}
	if (optind == argc)
		return mode;
	fprintf(stderr, "handoffd: unexpected argument `%s`; see handoffd --help\n", argv[optind]);
	*ret_code = EXIT_USAGE;
	return -1;
}

int main(int argc, char **argv)
{
	struct settings settings;
	struct buf error;
	int code;
	const int mode = parse_arguments(argc, argv, &code);
	if (mode < 0)
		return code;
	install_signals();
	buf_init(&error, 1024);
	const int r = settings_read(config_file, true, &settings, &error);
	if (r < 0)
		fprintf(stderr, "handoffd: %s\n", buf_text(&error));
	buf_fini(&error);
	if (r < 0)
		return EXIT_USAGE;
	if (mode == MODE_RUN)
		code = run(&settings);
	else if (mode == MODE_PRINT_CONFIG)
		code = print_config(&settings);
	settings_fini(&settings);
	return code;
}
