/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Memory that other processes find by a name. */
#ifndef NK_SHARED_H
#define NK_SHARED_H

#include "pages.h"

/* Make the memory of range, and open its files. -EINVAL name; -ENOTSUP kind. */
int nk_shared_make(const char *name, struct nk_range *range);

/* Let others find it, once it is mapped and populated. -EEXIST the name is taken. */
int nk_shared_publish(const char *name, struct nk_range *range);

/* Find the memory of that name: fills in wanted's sizes, node and files. -EINVAL name; -ENOENT nobody has it;
 * -EPROTO another version's, or none of ours; -EACCES a process that may not be looked at. */
int nk_shared_find(const char *name, struct nk_range *wanted);

void nk_shared_close(const struct nk_range *range);

#endif
