/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the table of mappings offers to those with names. */
#ifndef NK_MAPPING_H
#define NK_MAPPING_H

#include "pages.h"
#include "registry.h"

#include <stdint.h>

/*
 * Give a range an identity, held by the calling thread, and describe it as nk_mapping_create says. -EEXIST its shared
 * memory has one already; -EMFILE, -ENOMEM.
 */
int32_t nk_mapping_adopt(struct nk_thread *thread, const struct nk_range *range, uint64_t *out);

/* The mapping of the same shared memory; 0 when this process has none. */
uint64_t nk_mapping_same(const struct nk_range *range);

/* Say by which name a mapping is found. The calling thread holds it. -EINVAL it has one already. */
int nk_mapping_set_name(uint64_t identity, struct nk_name *name);

#endif
