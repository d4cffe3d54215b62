/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where pages are: asked of move_pages, which answers for many at once.
 *
 * The seccomp profiles of Docker and containerd refuse move_pages even to those who have CAP_SYS_NICE and so may call
 * mbind and get_mempolicy. The latter tells a page's node, too, one at a time. It brings a page in that is not there,
 * so mincore is asked first. (A page of zeros that was only read counts as present there and as absent here.)
 */
#include "locate.h"

#include <errno.h>
#include <numaif.h>
#include <stddef.h>
#include <sys/mman.h>

static int locate_one(void *page, int *status)
{
    unsigned char present = 0;

    *status = -ENOENT;
    if (mincore(page, 1, &present) < 0)
        return -errno;
    if ((present & 1) == 0)
        return 0;
    if (get_mempolicy(status, NULL, 0, page, MPOL_F_NODE | MPOL_F_ADDR) < 0)
        return -errno;
    return 0;
}

int nk_pages_locate(unsigned long count, void **pages, int *status)
{
    if (move_pages(0, count, pages, NULL, status, 0) >= 0)
        return 0;
    if (errno != EPERM)
        return -errno;
    for (unsigned long i = 0; i < count; i++) {
        int error = locate_one(pages[i], &status[i]);

        if (error < 0)
            return error;
    }
    return 0;
}
