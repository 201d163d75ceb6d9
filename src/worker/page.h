/*
 * page - the page for people at /
 *
 * page.html as the build found it: one file without outside resources, which asks /status again and again.
 */
#ifndef HANDOFF_PAGE_H
#define HANDOFF_PAGE_H

#include <stddef.h>

extern const unsigned char page_html[];
extern const size_t page_html_size;

#endif
