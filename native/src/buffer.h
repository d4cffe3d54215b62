/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The whole pages inside a buffer of the runtime's. */
#ifndef NK_BUFFER_H
#define NK_BUFFER_H

#include <stdint.h>

struct nk_pages {
    char *start;
    uint64_t bytes;
    uint64_t page_bytes;
};

/* Returns 0. -ENODATA there is none. */
int nk_whole_pages(const void *buffer, uint64_t bytes, struct nk_pages *pages);

#endif
