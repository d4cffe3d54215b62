/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The pages of one mapping: made on a node, populated, asked about, given back. No table of mappings. */
#ifndef NK_PAGES_H
#define NK_PAGES_H

#include "names.h"

#include <stdint.h>

struct nk_range {
    char *header; /* one small page; the data begins right behind it */
    uint64_t header_bytes;
    uint64_t data_bytes;
    uint64_t committed_bytes; /* from the start of the data; the rest is only reserved */
    uint64_t page_bytes;
    uint64_t free_before; /* addresses that aligning the data left free on both sides */
    uint64_t free_behind;
    int32_t kind;
    int32_t flags;
    int32_t node;
    struct nk_file files[NK_FILES]; /* of memory between processes; the numbers are -1 otherwise */
    struct nk_name *name;           /* the one that this process took for it, or NULL */
};

#define NK_NO_FILES {{.number = -1}, {.number = -1}}

static inline int nk_range_shared(const struct nk_range *range)
{
    return range->files[NK_DATA_FILE].number >= 0;
}

/* As nk_mapping_create says: node, kind, flags, page_bytes and data_bytes are wanted. On failure nothing stays mapped. */
int nk_range_make(const struct nk_range *wanted, struct nk_range *range);

/* As the nk_mapping_* function of the same name says. */
int nk_range_commit(struct nk_range *range, uint64_t bytes);
int nk_range_populate(const struct nk_range *range, uint64_t offset, uint64_t bytes);
int nk_range_residency(const struct nk_range *range, uint64_t offset, uint64_t bytes, int32_t *counts, int32_t nodes);
int nk_range_huge_bytes(const struct nk_range *range, int collapse, uint64_t *out);

/* Map what another process made: files, sizes and node are wanted. Nothing but the header is populated. */
int nk_range_open(const struct nk_range *wanted, struct nk_range *range);

/* Give pages and addresses back: nobody has seen them. */
void nk_range_unmap(const struct nk_range *range);

/* Give the pages back; native code may still use the addresses, and somebody's view, too, if it is for ever. */
void nk_range_retire(const struct nk_range *range, int for_ever);

#endif
