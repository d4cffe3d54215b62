/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Memory that other processes find by a name. */
#ifndef NK_SHARED_H
#define NK_SHARED_H

#include "pages.h"

/* Make the memory of range, and open its files. -EINVAL name; -ENOTSUP kind. */
int nk_shared_make(const char *name, struct nk_range *range);

/* Let others find it, once it is mapped and populated. -EEXIST the name is taken; -EPERM as nk_name_take; -ENXIO this
 * process cannot be found by others, since it has no /proc. */
int nk_shared_publish(const char *name, const struct nk_range *range, struct nk_name **taken);

/* Find the memory of that name: fills in wanted's sizes, kind, node and files, all of which are checked. The errors are
 * those of nk_mapping_open. */
int nk_shared_find(const char *name, struct nk_range *wanted);

/* Give up the name, if it has one, and close the files. */
void nk_shared_close(const struct nk_range *range);

#endif
