/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pinned.h"
#include "registry.h"

#include <errno.h>
#include <stdlib.h>

struct pinned {
    uint64_t identity;
    struct nk_range range;
    uint32_t to_come; /* buffers, and one for the pages */
};

static struct pinned *list;
static size_t count, capacity;

int nk_pinned_add(uint64_t identity, const struct nk_range *range, uint32_t buffers)
{
    if (count == capacity) {
        size_t more = capacity == 0 ? 8 : capacity * 2;
        struct pinned *longer = realloc(list, more * sizeof *longer);

        if (longer == NULL)
            return -ENOMEM;
        list = longer;
        capacity = more;
    }
    list[count++] = (struct pinned){.identity = identity, .range = *range, .to_come = buffers + 1};
    return 0;
}

int nk_pinned_settle(uint64_t identity, struct nk_range *range)
{
    size_t index = 0;

    while (index < count && list[index].identity != identity)
        index++;
    if (index == count)
        return -ESTALE;
    if (--list[index].to_come > 0)
        return 0;
    *range = list[index].range;
    list[index] = list[--count];
    return 1;
}
