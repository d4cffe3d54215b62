/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "nodes.h"
#include "numakit.h"

#include <errno.h>

int nk_mask_read(const uint64_t *nodes, int32_t words, unsigned long *mask)
{
    int any = 0;

    if (nodes == NULL || words <= 0 || words > NK_MAX_MASK_WORDS)
        return -EINVAL;
    for (int32_t word = 0; word < words; word++) {
        if (nodes[word] != 0 && word >= (int32_t)NK_NODE_WORDS)
            return -ENODEV;
        any |= nodes[word] != 0;
        if (nodes[word] != 0)
            mask[word] = nodes[word];
    }
    return any ? 0 : -EINVAL;
}
