/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The mappings of this process, and which of them each of its threads holds. */
#ifndef NK_TABLE_H
#define NK_TABLE_H

#include "pages.h"
#include "registry.h"

#include <stddef.h>
#include <stdint.h>

struct nk_mapping {
    struct nk_range range;
    uint32_t holders;
    int committing;   /* a thread is changing the range's committed bytes */
    uint32_t commits; /* raised when that begins and when it ends */
    int retire;       /* some holder could not vouch for its views: the addresses must never be used again */
    int shown;        /* somebody may have views of it, or native code their addresses */
    uint32_t pinned;  /* threads that have let go with a buffer that their runtime did not let them detach yet */
};

/* ---- with the registry locked ---- */

/* A new mapping with one holder: its identity, or 0 when there is no memory, no slot, or too many of them. */
uint64_t nk_table_enter(const struct nk_range *range);
void nk_table_remove(uint64_t identity);

/* The entry of an identity, until the registry is unlocked; NULL when it is gone or never was. */
struct nk_mapping *nk_table_entry(uint64_t identity);

/* The mapping of the same shared memory; 0 when this process has none. */
uint64_t nk_table_same(const struct nk_range *range);

/* out[0] live mappings, out[1] their bytes. */
void nk_table_count(uint64_t *out);

/* ---- of the thread itself ---- */

/* Remember that a thread holds a mapping, once. Returns 0 or -ENOMEM. */
int nk_table_hold(struct nk_thread *thread, uint64_t identity);

/* The place after that of a mapping in thread->held; 0 when it does not hold it. */
size_t nk_table_held(const struct nk_thread *thread, uint64_t identity);

/*
 * The range of a mapping that the calling thread holds. It stays mapped while it does, so no lock is needed later.
 * Returns 0; -ESTALE, -EAGAIN.
 */
int nk_mapping_held(uint64_t identity, struct nk_range *range);

/* Where bytes of the committed data of a mapping are that the calling thread holds. Returns 0; -ESTALE, -EAGAIN; -EINVAL
 * range. */
int nk_mapping_at(uint64_t mapping, uint64_t offset, uint64_t bytes, char **at);

/* ---- of any thread ---- */

/* The node of a live mapping that has some of these bytes, whichever thread holds it; -1 when they are none's. */
int32_t nk_mapping_node(const char *start, uint64_t bytes);

#endif
