#include "base/help.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/completion.h"

enum { EXIT_USAGE = 2 };

#define PAGE_MAX ((size_t)1 << 20)

int help_print_page(const struct buf *page)
{
	const bool ok =
		buf_ok(page) && fwrite(buf_text(page), 1, page->len, stdout) == page->len && fflush(stdout) == 0;
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void write_page(const struct help *help, struct buf *out)
{
	buf_add_text(out, help->head);
	options_write_help(help->options, help->count, out);
	buf_add_text(out, help->tail);
}

/* False: there is no such form. */
static bool write_form(const struct help *help, const char *form, struct buf *out)
{
	const struct completion whole = { .options = help->options, .count = help->count };
	for (size_t i = 0; i < help->form_count; i++)
		if (!strcmp(form, help->forms[i].name)) {
			help->forms[i].write(out);
			return true;
		}
	return completion_write(form, help->program, &whole, 1, out);
}

static void complain(const struct help *help, const char *form)
{
	fprintf(stderr, "%s: --help has no form \"%.64s\"; there are ", help->program, form);
	for (size_t i = 0; i < help->form_count; i++)
		fprintf(stderr, "%s, ", help->forms[i].name);
	fputs("bash, zsh and fish\n", stderr);
}

int help_print(const struct help *help, const char *form)
{
	struct buf page;
	int code = EXIT_USAGE;
	buf_init(&page, PAGE_MAX);
	if (!*form)
		write_page(help, &page);
	if (!*form || write_form(help, form, &page))
		code = help_print_page(&page);
	else
		complain(help, form);
	buf_fini(&page);
	return code;
}
