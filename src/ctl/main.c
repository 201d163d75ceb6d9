/* main - which command is meant? */
#include <stdio.h>
#include <string.h>

#include "base/completion.h"
#include "base/seal.h"
#include "ctl/commands.h"

#define PAGE_MAX ((size_t)1 << 20)

static const struct command *const COMMANDS[] = {
	&submit_command, &follow_command, &verify_command, &explain_command, &replay_command, &cancel_command,
};

static int print_help(void)
{
	puts("usage: handoffctl COMMAND [OPTIONS]\n"
	     "\n"
	     "Hands callers over by way of Kafka, and tells what became of them.\n");
	for (size_t i = 0; i < ARRAY_SIZE(COMMANDS); i++)
		printf("  %-10s%s\n", COMMANDS[i]->name, COMMANDS[i]->summary);
	puts("\n"
	     "handoffctl COMMAND --help lists its options; handoffctl --version prints the version.\n"
	     "All take -b BROKERS or -c FILE (the worker's own file); without either, the defaults and the "
	     "environment.\n"
	     "\n"
	     "Exit status: 0 clean, 1 failed while running, 2 wrong usage, configuration or input,\n"
	     "3 all ran but the result is not clean. See handoffctl(1).");
	return EXIT_CLEAN;
}

/* What a shell completes, command by command. */
static bool write_completion(const char *shell, struct buf *out)
{
	struct completion all[ARRAY_SIZE(COMMANDS)];
	for (size_t i = 0; i < ARRAY_SIZE(COMMANDS); i++)
		all[i] = (struct completion){ .name = COMMANDS[i]->name,
					      .summary = COMMANDS[i]->summary,
					      .options = COMMANDS[i]->options,
					      .count = COMMANDS[i]->option_count,
					      .takes_file = COMMANDS[i]->word && !strcmp(COMMANDS[i]->word, "file") };
	return completion_write(shell, "handoffctl", all, ARRAY_SIZE(all), out);
}

/* The options of all commands as the man page has them, or a shell's completion. */
static int print_form(const char *form)
{
	struct buf page;
	int code = EXIT_CLEAN;
	buf_init(&page, PAGE_MAX);
	if (!strcmp(form, "man"))
		options_write_man(submit_command.options, CONNECTION_OPTION_COUNT, &page);
	else if (!write_completion(form, &page))
		code = command_fail(EXIT_WRONG, "--help has no form \"%.64s\"; there are man, bash, zsh and fish",
				    form);
	if (code == EXIT_CLEAN)
		code = command_print(&page);
	buf_fini(&page);
	return code;
}

/* Results that cannot be written are no results. */
static int checked(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	return command_fail(EXIT_FAILED, "the result cannot be written to stdout");
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	seal_memory();
	if (!strncmp(name, "--help=", 7))
		return checked(print_form(name + 7));
	if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help"))
		return checked(print_help());
	if (!strcmp(name, "--version") || !strcmp(name, "-V") || !strcmp(name, "version")) {
		puts("handoffctl " HANDOFF_VERSION);
		return checked(EXIT_CLEAN);
	}
	for (size_t i = 0; i < ARRAY_SIZE(COMMANDS); i++)
		if (!strcmp(name, COMMANDS[i]->name))
			return checked(command_run(COMMANDS[i], argc - 1, argv + 1));
	if (!*name)
		return command_fail(EXIT_WRONG, "a command is missing; handoffctl --help lists them");
	return command_fail(EXIT_WRONG, "there is no %s \"%.64s\"; handoffctl --help lists the commands",
			    *name == '-' ? "option" : "command", name);
}
