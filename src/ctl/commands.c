#include "ctl/commands.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE_MAX ((size_t)1 << 20)

int command_fail(int code, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	fputs("handoffctl: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	return code;
}

int command_fail_kafka(const char *before, const struct fault *fault)
{
	const char *next = "";
	if (fault->kind == FAULT_DEPENDENCY_DOWN)
		next = "; is -b (or kafka.brokers) right, and are they up?";
	else if (fault->kind == FAULT_AUTH)
		next = "; see to user and password, token or certificate (-X, kafka.properties), and to what the user "
		       "may do";
	return command_fail(EXIT_FAILED, "%s%s%s", before, fault->message, next);
}

int command_print(const struct buf *page)
{
	if (!buf_ok(page))
		return command_fail(EXIT_FAILED, "out of memory");
	fwrite(buf_text(page), 1, page->len, stdout);
	return EXIT_CLEAN;
}

bool command_has_colours(void)
{
	return isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
}

static int print_help(const struct command *command, const char *form)
{
	struct buf page;
	int code = EXIT_CLEAN;
	buf_init(&page, PAGE_MAX);
	if (!*form) {
		buf_add_format(&page, "usage: handoffctl %s [OPTIONS]%s\n\n%s", command->name, command->words,
			       command->text);
		options_write_help(command->options, command->option_count, &page);
	} else if (!strcmp(form, "man")) {
		options_write_man(command->options + CONNECTION_OPTION_COUNT,
				  command->option_count - CONNECTION_OPTION_COUNT, &page);
	} else {
		code = command_fail(EXIT_WRONG, "%s: --help takes no value but \"man\", not \"%.64s\"", command->name,
				    form);
	}
	if (code == EXIT_CLEAN)
		code = command_print(&page);
	buf_fini(&page);
	return code;
}

static int check_words(const struct command *command, int count, char **words)
{
	if (count < command->words_min)
		return command_fail(EXIT_WRONG, "%s: the %s is missing; see handoffctl %s --help", command->name,
				    command->word, command->name);
	if (count <= command->words_max)
		return EXIT_CLEAN;
	if (command->words_max == 0)
		return command_fail(EXIT_WRONG, "%s: takes no \"%.64s\"; see handoffctl %s --help", command->name,
				    words[0], command->name);
	return command_fail(EXIT_WRONG, "%s: takes one %s, not %d; see handoffctl %s --help", command->name,
			    command->word, count, command->name);
}

static int open_and_run(const struct command *command, void *self, int count, char **words)
{
	struct buf error;
	int code = EXIT_CLEAN;
	buf_init(&error, 8192);
	if (connection_open(self, &error) < 0)
		code = command_fail(EXIT_WRONG, "%s", buf_text(&error));
	buf_fini(&error);
	return code == EXIT_CLEAN ? command->run(self, count, words) : code;
}

static int parse_and_run(const struct command *command, void *self, int argc, char **argv)
{
	const struct connection *connection = self;
	struct fault fault = { 0 };
	int count = 0;
	if (options_parse(command->options, command->option_count, argc, argv, self, &count, &fault) < 0)
		return command_fail(EXIT_WRONG, "%s: %s; see handoffctl %s --help", command->name, fault.message,
				    command->name);
	if (connection->help)
		return print_help(command, connection->help);
	const int code = check_words(command, count, argv + 1);
	return code == EXIT_CLEAN ? open_and_run(command, self, count, argv + 1) : code;
}

int command_run(const struct command *command, int argc, char **argv)
{
	const char **room = calloc((size_t)argc + 1, sizeof(*room));
	void *self = malloc(command->size);
	struct connection *connection = self;
	int code = EXIT_FAILED;
	if (room && self) {
		memcpy(self, command->initial, command->size);
		connection->properties.items = room;
		code = parse_and_run(command, self, argc, argv);
		if (command->close)
			command->close(self);
		connection_close(connection);
	} else {
		command_fail(code, "out of memory");
	}
	free(self);
	free(room);
	return code;
}
