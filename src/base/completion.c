#include "base/completion.h"

#include <string.h>

#include "handoff/span.h"

static bool is_file(const struct option *option)
{
	return option->value && strcmp(option->value, "FILE") == 0;
}

/* "handoff-sandbox" as the name of a function. */
static void add_function(struct buf *out, const char *program)
{
	buf_add_char(out, '_');
	for (const char *p = program; *p; p++)
		buf_add_char(out, *p == '-' ? '_' : *p);
}

/* `text` within single quotes, without what the shell or zsh's _arguments would take for a sign. */
static void add_quoted(struct buf *out, const char *text)
{
	for (const char *p = text; *p; p++) {
		if (*p == '\'')
			buf_add_text(out, "'\\''");
		else if (strchr("[]:", *p))
			buf_add_format(out, "\\%c", *p);
		else
			buf_add_char(out, *p);
	}
}

static void add_words(const struct completion *command, struct buf *out)
{
	for (size_t i = 0; i < command->count; i++) {
		buf_add_format(out, "%s--%s", i > 0 ? " " : "", command->options[i].name);
		if (command->options[i].letter)
			buf_add_format(out, " -%c", command->options[i].letter);
	}
}

/* --- bash --- */

/* Options whose value is a file, each once: "-c|--config|". */
static void add_file_options(const struct completion *commands, size_t count, struct buf *out)
{
	struct span before = { 0 };
	const size_t begin = out->len;
	for (size_t c = 0; c < count; c++)
		for (size_t i = 0; i < commands[c].count; i++) {
			const struct option *o = &commands[c].options[i];
			before = (struct span){ buf_text(out) + begin, out->len - begin };
			if (!is_file(o) || (before.n > 0 && memmem(before.p, before.n, o->name, strlen(o->name))))
				continue;
			buf_add_format(out, "%s--%s", out->len > begin ? "|" : "", o->name);
			if (o->letter)
				buf_add_format(out, "|-%c", o->letter);
		}
}

static void write_bash_words(const struct completion *command, struct buf *out)
{
	buf_add_text(out, "words=\"");
	add_words(command, out);
	buf_add_format(out, "\" files=%s ;;\n", command->takes_file ? "1" : "");
}

static void write_bash(const char *program, const struct completion *commands, size_t count, struct buf *out)
{
	add_function(out, program);
	buf_add_text(out, "()\n{\n\tlocal word=${COMP_WORDS[COMP_CWORD]} words files=\n"
			  "\tcase ${COMP_WORDS[COMP_CWORD - 1]} in\n\t");
	add_file_options(commands, count, out);
	buf_add_text(out, ") mapfile -t COMPREPLY < <(compgen -f -- \"$word\"); return ;;\n\tesac\n");
	if (commands[0].name)
		buf_add_text(out, "\tcase $([ \"$COMP_CWORD\" -gt 1 ] && printf %s \"${COMP_WORDS[1]}\") in\n");
	else
		buf_add_text(out, "\tcase x in\n");
	for (size_t c = 0; c < count; c++) {
		buf_add_format(out, "\t%s) ", commands[c].name ? commands[c].name : "x");
		write_bash_words(&commands[c], out);
	}
	if (commands[0].name) {
		buf_add_text(out, "\t*) words=\"--help --version");
		for (size_t c = 0; c < count; c++)
			buf_add_format(out, " %s", commands[c].name);
		buf_add_text(out, "\" ;;\n");
	}
	buf_add_text(out, "\tesac\n\tmapfile -t COMPREPLY < <(compgen -W \"$words\" ${files:+-f} -- \"$word\")\n}\n"
			  "complete -o filenames -F ");
	add_function(out, program);
	buf_add_format(out, " %s\n", program);
}

/* --- zsh --- */

static void write_zsh_option(const struct option *o, struct buf *out)
{
	for (int form = o->letter ? 0 : 1; form < 2; form++) {
		buf_add_text(out, " \\\n\t\t'");
		if (o->kind == OPTION_TEXTS)
			buf_add_char(out, '*');
		if (form == 0)
			buf_add_format(out, "-%c", o->letter);
		else
			buf_add_format(out, "--%s", o->name);
		buf_add_char(out, '[');
		add_quoted(out, o->sentence);
		buf_add_char(out, ']');
		if (o->value) {
			buf_add_char(out, ':');
			add_quoted(out, o->value);
			buf_add_text(out, is_file(o) ? ":_files" : ": ");
		}
		buf_add_char(out, '\'');
	}
}

static void write_zsh_arguments(const struct completion *command, struct buf *out)
{
	buf_add_text(out, "_arguments");
	for (size_t i = 0; i < command->count; i++)
		write_zsh_option(&command->options[i], out);
	buf_add_text(out, command->takes_file ? " \\\n\t\t'*:file:_files'\n" : "\n");
}

static void write_zsh(const char *program, const struct completion *commands, size_t count, struct buf *out)
{
	buf_add_format(out, "#compdef %s\n", program);
	if (!commands[0].name) {
		write_zsh_arguments(&commands[0], out);
		return;
	}
	buf_add_text(out, "if ((CURRENT == 2)); then\n\tlocal -a commands=(");
	for (size_t c = 0; c < count; c++) {
		buf_add_format(out, "\n\t\t'%s:", commands[c].name);
		add_quoted(out, commands[c].summary);
		buf_add_char(out, '\'');
	}
	buf_add_text(
		out,
		"\n\t)\n\t_describe command commands\n\treturn\nfi\nshift words\n((CURRENT--))\ncase $words[1] in\n");
	for (size_t c = 0; c < count; c++) {
		buf_add_format(out, "%s)\n\t", commands[c].name);
		write_zsh_arguments(&commands[c], out);
		buf_add_text(out, "\t;;\n");
	}
	buf_add_text(out, "esac\n");
}

/* --- fish --- */

static void add_fish_text(struct buf *out, const char *text)
{
	buf_add_text(out, " -d '");
	for (const char *p = text; *p; p++) {
		if (*p == '\'' || *p == '\\')
			buf_add_char(out, '\\');
		buf_add_char(out, *p);
	}
	buf_add_text(out, "'\n");
}

static void write_fish_option(const char *program, const char *command, const struct option *o, struct buf *out)
{
	buf_add_format(out, "complete -c %s", program);
	if (command)
		buf_add_format(out, " -n '__fish_seen_subcommand_from %s'", command);
	buf_add_format(out, " -l %s", o->name);
	if (o->letter)
		buf_add_format(out, " -s %c", o->letter);
	if (o->value)
		buf_add_text(out, is_file(o) ? " -r -F" : " -x");
	add_fish_text(out, o->sentence);
}

static void write_fish(const char *program, const struct completion *commands, size_t count, struct buf *out)
{
	buf_add_format(out, "complete -c %s -f\n", program);
	for (size_t c = 0; c < count; c++) {
		if (commands[c].name) {
			buf_add_format(out, "complete -c %s -n __fish_use_subcommand -a %s", program, commands[c].name);
			add_fish_text(out, commands[c].summary);
		}
		if (commands[c].takes_file)
			buf_add_format(out, "complete -c %s -n '__fish_seen_subcommand_from %s' -F\n", program,
				       commands[c].name);
		for (size_t i = 0; i < commands[c].count; i++)
			write_fish_option(program, commands[c].name, &commands[c].options[i], out);
	}
}

bool completion_write(const char *shell, const char *program, const struct completion *commands, size_t count,
		      struct buf *out)
{
	static const struct {
		const char *name;
		void (*write)(const char *program, const struct completion *commands, size_t count, struct buf *out);
	} shells[] = { { "bash", write_bash }, { "zsh", write_zsh }, { "fish", write_fish } };
	for (size_t i = 0; i < ARRAY_SIZE(shells); i++)
		if (strcmp(shells[i].name, shell) == 0) {
			shells[i].write(program, commands, count, out);
			return true;
		}
	return false;
}
