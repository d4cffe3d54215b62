/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * move_pages, asked until it knows.
 *
 * It calls pages absent that are there, in two cases. Automatic NUMA balancing takes the access rights of pages away now
 * and then to see who uses them, up to 256 MiB at a time. Linux 6.1 to 6.4, and their stable series, say -ENOENT of such
 * a page and -EFAULT of such a transparent hugepage until it is touched, for as long as that takes, and do not move it
 * either (474098edac26, mended by d74943a2f3cd). And a page that is being migrated or compacted just then has no place
 * at that moment (-ENOENT).
 *
 * mincore tells them apart from what was never touched, or is swapped out: it says 0 of those and 1 of both cases, and
 * of the page of zeros that memory shows which was only read. MADV_POPULATE_READ then does what a touch would do, waits
 * for a migration to end, and cannot fault when the memory goes away meanwhile.
 */
#include "page_query.h"
#include "kernel.h"
#include "locate.h"

#include <errno.h>
#include <unistd.h>

/* Each round has waited for whatever was in the way in the one before, so a second is rare. A page of zeros never gets a
 * node: it would be asked about for ever. */
#define MAX_ROUNDS 4

static int seems_absent(int status)
{
    return status == -ENOENT || status == -EFAULT;
}

/* Neighbours that seem absent: the length of the run of them from the first on. */
static unsigned long run_length(void **pages, const int *status, unsigned long most, uint64_t page_bytes)
{
    unsigned long length = 1;

    while (length < most && seems_absent(status[length]) && (char *)pages[length - 1] + page_bytes == pages[length])
        length++;
    return length;
}

/* Touches those of a run that are there after all. Returns whether one was. */
static int touch(char *start, unsigned long length, uint64_t page_bytes)
{
    unsigned char resident[NK_QUERY_PAGES];
    int touched = 0;

    /* Of a page that is larger than the system's small pages the first one speaks for all, and they are few. */
    if (page_bytes > (uint64_t)sysconf(_SC_PAGESIZE)) {
        for (unsigned long i = 0; i < length; i++) {
            if (mincore(start + i * page_bytes, 1, &resident[i]) < 0)
                resident[i] = 0;
        }
    } else if (mincore(start, length * page_bytes, resident) < 0) {
        return 0;
    }
    for (unsigned long i = 0, end; i < length; i = end + 1) {
        end = i;
        while (end < length && (resident[end] & 1) != 0)
            end++;
        if (end > i)
            touched |= madvise(start + i * page_bytes, (end - i) * page_bytes, MADV_POPULATE_READ) == 0;
    }
    return touched;
}

int nk_pages_ask(void **pages, unsigned long count, uint64_t page_bytes, int *status)
{
    for (int round = 0;; round++) {
        int error = nk_pages_locate(count, pages, status), touched = 0;
        unsigned long length = 1;

        if (error < 0 || round == MAX_ROUNDS)
            return error;
        for (unsigned long i = 0; i < count; i += length) {
            length = 1;
            if (!seems_absent(status[i]))
                continue;
            length = run_length(pages + i, status + i, count - i, page_bytes);
            touched |= touch(pages[i], length, page_bytes);
        }
        if (!touched)
            return 0;
    }
}
