/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The whole pages inside a buffer of the runtime's, and nodes for them. */
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

/* A mask of nodes as the kernel wants it, of NK_NODES_MAX bits that are 0. Returns 0. -EINVAL it is empty; -ENODEV a node
 * from NK_NODES_MAX on. */
int nk_read_mask(const uint64_t *nodes, int32_t words, unsigned long *mask);

#endif
