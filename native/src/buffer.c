/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Placement of memory that the runtime owns. Its pages may be shared with other objects at the edges, so only whole
 * pages are touched, and nothing here changes what is mapped: policies, advice and moves only.
 */
#include "numakit.h"
#include "pages.h"

#include <errno.h>
#include <numaif.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_COLD /* before glibc 2.32 */
#define MADV_COLD 20
#endif

#define NODES_MAX 1024
/* What a transparent hugepage covers, aligned, with small pages of 4 KiB. */
#define HUGE_BYTES (UINT64_C(1) << 21)
#define MASK_BITS (8 * sizeof(unsigned long))
#define QUERY_PAGES 1024

struct pages {
    char *start;
    uint64_t bytes;
    uint64_t page_bytes;
};

static int whole_pages(const void *buffer, uint64_t bytes, struct pages *pages)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t start = (uint64_t)(uintptr_t)buffer, lead = (page - start % page) % page;

    if (bytes < lead + page)
        return -ENODATA;
    *pages = (struct pages){.start = (char *)(uintptr_t)(start + lead), .bytes = (bytes - lead) / page * page,
                            .page_bytes = page};
    return 0;
}

int32_t nk_buffer_pages(const void *buffer, uint64_t bytes, uint64_t *out)
{
    struct pages pages;
    int error = whole_pages(buffer, bytes, &pages);

    if (error < 0)
        return error;
    out[0] = (uint64_t)(pages.start - (const char *)buffer);
    out[1] = pages.bytes;
    out[2] = pages.page_bytes;
    return 3;
}

static int read_mask(const uint64_t *nodes, int32_t words, unsigned long *mask)
{
    int any = 0;

    if (nodes == NULL || words <= 0 || words > NK_MASK_WORDS_MAX)
        return -EINVAL;
    for (int32_t word = 0; word < words; word++) {
        if (nodes[word] != 0 && word >= (int32_t)(NODES_MAX / MASK_BITS))
            return -ENODEV;
        any |= nodes[word] != 0;
        if (nodes[word] != 0)
            mask[word] = nodes[word];
    }
    return any ? 0 : -EINVAL;
}

int32_t nk_buffer_policy(const void *buffer, uint64_t bytes, int32_t policy, const uint64_t *nodes, int32_t words)
{
    static const int modes[] = {MPOL_DEFAULT, MPOL_PREFERRED, MPOL_BIND, MPOL_INTERLEAVE};
    unsigned long mask[NODES_MAX / MASK_BITS] = {0};
    struct pages pages;
    int error = whole_pages(buffer, bytes, &pages);

    if (error < 0)
        return error;
    if (policy < NK_POLICY_DEFAULT || policy > NK_POLICY_INTERLEAVE)
        return -EINVAL;
    if (policy == NK_POLICY_DEFAULT)
        return mbind(pages.start, pages.bytes, MPOL_DEFAULT, NULL, 0, 0) < 0 ? -errno : 0;
    error = read_mask(nodes, words, mask);
    if (error < 0)
        return error;
    if (mbind(pages.start, pages.bytes, modes[policy], mask, NODES_MAX + 1, 0) < 0)
        return errno == EINVAL ? -EACCES : -errno;
    return 0;
}

int32_t nk_buffer_advise_huge(const void *buffer, uint64_t bytes)
{
    struct pages pages;
    int error = whole_pages(buffer, bytes, &pages);

    if (error < 0)
        return error;
    if (madvise(pages.start, pages.bytes, MADV_HUGEPAGE) < 0)
        return errno == EINVAL ? -ENOTSUP : -errno;
    return 0;
}

int32_t nk_buffer_split(const void *buffer, uint64_t bytes)
{
    struct pages pages;
    int error = whole_pages(buffer, bytes, &pages);
    uint64_t at, end;

    if (error < 0)
        return error;
    /* EINVAL: a kernel without transparent hugepages has none to split. */
    if (madvise(pages.start, pages.bytes, MADV_NOHUGEPAGE) < 0)
        return errno == EINVAL ? 0 : -errno;
    /* Advice about a part of a hugepage splits it. Nothing is lost: the page only counts as used less lately. */
    end = (uint64_t)(uintptr_t)pages.start + pages.bytes;
    for (at = (uint64_t)(uintptr_t)pages.start; at < end; at = (at / HUGE_BYTES + 1) * HUGE_BYTES)
        if (madvise((void *)(uintptr_t)at, pages.page_bytes, MADV_COLD) < 0 && errno != EINVAL)
            return -errno;
    return 0;
}

/* Asks the kernel about some pages (targets NULL), or moves them. Returns how many it was about. */
static int32_t ask(const struct pages *pages, uint64_t offset, const int *targets, int *status)
{
    void *addresses[QUERY_PAGES];
    unsigned long count = 0;

    while (count < QUERY_PAGES && offset + count * pages->page_bytes < pages->bytes) {
        addresses[count] = pages->start + offset + count * pages->page_bytes;
        count++;
    }
    if (move_pages(0, count, addresses, targets, status, targets == NULL ? 0 : MPOL_MF_MOVE) < 0)
        return -errno;
    return (int32_t)count;
}

int32_t nk_buffer_locate(const void *buffer, uint64_t bytes, int32_t *nodes, uint64_t capacity)
{
    struct pages pages;
    int status[QUERY_PAGES];
    int error = whole_pages(buffer, bytes, &pages);

    if (error < 0)
        return error;
    if (nodes == NULL || pages.bytes / pages.page_bytes > capacity || capacity > INT32_MAX)
        return -EINVAL;
    for (uint64_t offset = 0; offset < pages.bytes; offset += QUERY_PAGES * pages.page_bytes) {
        int32_t asked = ask(&pages, offset, NULL, status);

        if (asked < 0)
            return asked;
        for (int32_t i = 0; i < asked; i++)
            *nodes++ = status[i] < 0 ? -1 : status[i];
    }
    return (int32_t)(pages.bytes / pages.page_bytes);
}

/* Pages that are not on the node yet. */
static int64_t pages_elsewhere(const struct pages *pages, int32_t node)
{
    int status[QUERY_PAGES];
    int64_t elsewhere = 0;

    for (uint64_t offset = 0; offset < pages->bytes; offset += QUERY_PAGES * pages->page_bytes) {
        int32_t asked = ask(pages, offset, NULL, status);

        if (asked < 0)
            return asked;
        for (int32_t i = 0; i < asked; i++)
            elsewhere += status[i] != node;
    }
    return elsewhere;
}

int32_t nk_buffer_populate(const void *buffer, uint64_t bytes, int32_t node)
{
    struct pages pages;
    int64_t elsewhere;
    int error = whole_pages(buffer, bytes, &pages);

    if (error < 0)
        return error;
    if (node >= 0) {
        elsewhere = pages_elsewhere(&pages, node);
        error = elsewhere < 0 ? (int)elsewhere : nk_node_room(node, (uint64_t)elsewhere * pages.page_bytes);
        if (error < 0)
            return error;
    }
    if (madvise(pages.start, pages.bytes, MADV_POPULATE_WRITE) < 0)
        return errno == EINVAL ? -ENOSYS : -errno;
    return 0;
}

int32_t nk_buffer_move(const void *buffer, uint64_t bytes, const int32_t *nodes, int32_t count, uint64_t first)
{
    int targets[QUERY_PAGES], status[QUERY_PAGES];
    struct pages pages;
    int32_t elsewhere = 0;
    int error = whole_pages(buffer, bytes, &pages);

    if (error < 0)
        return error;
    if (nodes == NULL || count <= 0 || pages.bytes / pages.page_bytes > INT32_MAX)
        return -EINVAL;
    for (int32_t i = 0; i < count; i++)
        if (nodes[i] < 0 || nodes[i] >= NODES_MAX)
            return -ENODEV;
    for (uint64_t offset = 0; offset < pages.bytes; offset += QUERY_PAGES * pages.page_bytes) {
        uint64_t at = first + offset / pages.page_bytes;
        int32_t asked;

        for (uint64_t i = 0; i < QUERY_PAGES; i++)
            targets[i] = nodes[(at + i) % (uint64_t)count];
        asked = ask(&pages, offset, targets, status);
        if (asked < 0)
            return asked;
        for (int32_t i = 0; i < asked; i++)
            elsewhere += status[i] != targets[i];
    }
    return elsewhere;
}
