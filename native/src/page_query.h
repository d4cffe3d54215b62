/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where pages are, by the kernel's own word. */
#ifndef NK_PAGE_QUERY_H
#define NK_PAGE_QUERY_H

#include <stdint.h>

/* Pages in one question. */
#define NK_QUERY_PAGES 1024

/*
 * Ask where up to NK_QUERY_PAGES pages of page_bytes are, in the order of their addresses: status[i] becomes the node
 * of page i, or negative when it is not resident. Returns 0 or -errno.
 */
int nk_pages_ask(void **pages, unsigned long count, uint64_t page_bytes, int *status);

#endif
