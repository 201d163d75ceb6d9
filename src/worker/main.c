/* main - arguments, signals, settings; the story is in worker.c */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/help.h"
#include "base/log.h"
#include "base/options.h"
#include "base/seal.h"
#include "doors/settings_manual.h"
#include "worker/check.h"
#include "worker/worker.h"

enum { EXIT_USAGE = 2 };

#define PAGE_MAX ((size_t)1 << 20)

/* Read by jemalloc, where the worker is linked with it. One thread allocates nearly all there is: more than one arena
 * would only spread it over more memory (8 % more CPU at 128 calls of 20 ms). */
extern const char *malloc_conf;
const char *malloc_conf = "narenas:1,lg_tcache_max:11";

struct arguments {
	const char *config;
	const char *help; /* NULL: not asked for; else in which form */
	bool check;
	bool check_config;
	bool print_config;
	bool version;
};

static const struct option OPTIONS[] = {
	{ "config", "FILE", "read the settings from FILE (without it: defaults and environment)",
	  offsetof(struct arguments, config), OPTION_TEXT, 'c', NULL },
	{ "check", NULL, "try everything live, and say what fits and what does not", offsetof(struct arguments, check),
	  OPTION_FLAG, '\0',
	  "Prints a line each that begins with ok, warn or FAIL: brokers, topics, their partitions, cleanup.policy, "
	  "retention.ms and max.message.bytes, rights (ACLs); of each tenant login or key, scopes, first call, "
	  "endpoint, "
	  "clock. Changes nothing. Exits with 0, or with 1 when a line says FAIL." },
	{ "check-config", NULL, "only say whether the settings are valid", offsetof(struct arguments, check_config),
	  OPTION_FLAG, '\0', "Exits with 0, or with 2 and one sentence that names file, line and key." },
	{ "print-config", NULL, "print the effective settings, secrets masked",
	  offsetof(struct arguments, print_config), OPTION_FLAG, '\0', NULL },
	{ "help", NULL, "print this", offsetof(struct arguments, help), OPTION_FORM, 'h', NULL },
	{ "version", NULL, "print the version", offsetof(struct arguments, version), OPTION_FLAG, 'V', NULL },
};

static const char help_head[] =
	"usage: handoffd [-c FILE] [--check | --check-config | --print-config]\n"
	"\n"
	"Reads handoff requests from Kafka, hands each caller over from Cognigy to a Genesys queue, and publishes\n"
	"what became of it. Runs until SIGTERM or SIGINT; logs to stderr.\n"
	"\n";
static const char help_tail[] =
	"\n"
	"Exit status: 0 stopped cleanly, 1 failed while running, 2 wrong usage or configuration.\n"
	"SIGHUP reads the log level and the secret files again. See handoffd(8) and handoffd.conf(5).\n";

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
	buf_init(&text, PAGE_MAX);
	settings_print(settings, &text);
	const int code = help_print_page(&text);
	buf_fini(&text);
	return code;
}

/* ---- arguments ---- */

static void write_man(struct buf *out)
{
	options_write_man(OPTIONS, ARRAY_SIZE(OPTIONS), out);
}

static const struct help_form FORMS[] = { { "man", write_man }, { "settings", settings_write_man } };
static const struct help HELP = {
	.program = "handoffd",
	.head = help_head,
	.tail = help_tail,
	.options = OPTIONS,
	.count = ARRAY_SIZE(OPTIONS),
	.forms = FORMS,
	.form_count = ARRAY_SIZE(FORMS),
};

/* -1: go on; else the exit code. */
static int read_arguments(struct arguments *arguments, int argc, char **argv)
{
	struct fault fault = { 0 };
	int words = 0;
	if (options_parse(OPTIONS, ARRAY_SIZE(OPTIONS), argc, argv, arguments, &words, &fault) < 0)
		fprintf(stderr, "handoffd: %s; see handoffd --help\n", fault.message);
	else if (arguments->help)
		return help_print(&HELP, arguments->help);
	else if (arguments->version)
		return puts("handoffd " HANDOFF_VERSION) < 0;
	else if (words > 0)
		fprintf(stderr, "handoffd: takes no \"%.64s\"; see handoffd --help\n", argv[1]);
	else
		return -1;
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	struct arguments arguments = { 0 };
	struct settings settings;
	struct buf error;
	int code = read_arguments(&arguments, argc, argv);
	if (code >= 0)
		return code;
	config_file = arguments.config;
	seal_memory();
	install_signals();
	buf_init(&error, 1024);
	const int r = settings_read(config_file, true, &settings, &error);
	if (r < 0)
		fprintf(stderr, "handoffd: %s\n", buf_text(&error));
	buf_fini(&error);
	settings_hide_environment();
	if (r < 0)
		return EXIT_USAGE;
	if (arguments.print_config)
		code = print_config(&settings);
	else if (arguments.check)
		code = check_run(&settings);
	else
		code = arguments.check_config ? EXIT_SUCCESS : run(&settings);
	settings_fini(&settings);
	return code;
}
