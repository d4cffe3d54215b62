/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Placement of memory that the runtime owns. Its pages may be shared with other objects at the edges, so only whole
 * pages are touched, and nothing here changes what is mapped: policies, advice and moves only.
 */
#include "numakit.h"
#include "pages.h"
#include "room.h"

#include <errno.h>
#include <numaif.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_COLD /* before glibc 2.32 */
#define MADV_COLD 20
#endif

#define NODES_MAX NK_NODES_MAX
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

/*
 * Asks the kernel about some pages (targets NULL), or moves them. Returns how many it was about. Where moving is
 * refused, pages that are where they should be need none.
 */
static int32_t ask(const struct pages *pages, uint64_t offset, const int *targets, int *status)
{
    void *addresses[QUERY_PAGES];
    unsigned long count = 0;
    int error;

    while (count < QUERY_PAGES && offset + count * pages->page_bytes < pages->bytes) {
        addresses[count] = pages->start + offset + count * pages->page_bytes;
        count++;
    }
    if (targets != NULL && move_pages(0, count, addresses, targets, status, MPOL_MF_MOVE) >= 0)
        return (int32_t)count;
    if (targets != NULL && errno != EPERM)
        return -errno;
    error = nk_pages_locate(count, addresses, status);
    for (unsigned long i = 0; error == 0 && targets != NULL && i < count; i++)
        if (status[i] != targets[i])
            error = -EPERM;
    return error < 0 ? error : (int32_t)count;
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

/* Pages that are not resident. */
static int64_t count_absent(const struct pages *pages)
{
    int status[QUERY_PAGES];
    int64_t absent = 0;

    for (uint64_t offset = 0; offset < pages->bytes; offset += QUERY_PAGES * pages->page_bytes) {
        int32_t asked = ask(pages, offset, NULL, status);

        if (asked < 0)
            return asked;
        for (int32_t i = 0; i < asked; i++)
            absent += status[i] < 0;
    }
    return absent;
}

/* Claims for pages that the kernel spreads evenly over the nodes of a mask. Returns how many. */
static int32_t spread(const unsigned long *mask, uint64_t absent, const struct pages *pages, struct nk_claim *claims)
{
    int32_t nodes = 0;

    for (int32_t node = 0; node < NODES_MAX; node++)
        if ((mask[(size_t)node / MASK_BITS] >> ((size_t)node % MASK_BITS) & 1) != 0)
            claims[nodes++].node = node;
    for (int32_t i = 0; i < nodes; i++) {
        uint64_t share = (absent + (uint64_t)nodes - 1) / (uint64_t)nodes * pages->page_bytes;

        claims[i] = nk_claim_for(claims[i].node, share, share, share);
    }
    return nodes;
}

static int populate_step(const struct pages *pages, const unsigned long *mask)
{
    struct nk_claim claims[NODES_MAX];
    int64_t absent = count_absent(pages);
    int32_t count;
    int error;

    if (absent < 0)
        return (int)absent;
    count = spread(mask, (uint64_t)absent, pages, claims);
    error = nk_room_claim(claims, count);
    if (error < 0)
        return error;
    if (madvise(pages->start, pages->bytes, MADV_POPULATE_WRITE) < 0)
        error = errno == EINVAL ? -ENOSYS : -errno;
    nk_room_settle(claims, count);
    return error;
}

int32_t nk_buffer_populate(const void *buffer, uint64_t bytes, const uint64_t *nodes, int32_t words)
{
    unsigned long mask[NODES_MAX / MASK_BITS] = {0};
    struct pages pages;
    int error = whole_pages(buffer, bytes, &pages);

    if (error == 0)
        error = read_mask(nodes, words, mask);
    while (error == 0 && pages.bytes > 0) {
        struct pages step = pages;

        if (step.bytes > NK_ROOM_STEP_BYTES)
            step.bytes = NK_ROOM_STEP_BYTES;
        error = populate_step(&step, mask);
        pages.start += step.bytes;
        pages.bytes -= step.bytes;
    }
    return error;
}

/* What comes to each node when resident pages go where they should be. Returns how many nodes that are. */
static int32_t arrivals(const struct pages *pages, const int *targets, const int *status, int32_t asked,
                        struct nk_claim *claims)
{
    int32_t count = 0;

    for (int32_t i = 0; i < asked; i++) {
        int32_t at = 0;

        if (status[i] < 0 || status[i] == targets[i])
            continue;
        while (at < count && claims[at].node != targets[i])
            at++;
        if (at == count)
            claims[count++] = (struct nk_claim){.node = targets[i]};
        claims[at].page_bytes += pages->page_bytes;
    }
    return count;
}

/* Moves some pages. Returns how many it was about. */
static int32_t move_step(const struct pages *pages, uint64_t offset, const int *targets, int *status)
{
    struct nk_claim claims[QUERY_PAGES];
    int32_t asked = ask(pages, offset, NULL, status);
    int32_t count = asked < 0 ? 0 : arrivals(pages, targets, status, asked, claims);
    int error = asked < 0 ? asked : nk_room_claim(claims, count);

    if (error < 0)
        return error;
    asked = ask(pages, offset, targets, status);
    nk_room_settle(claims, count);
    return asked;
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
        asked = move_step(&pages, offset, targets, status);
        if (asked < 0)
            return asked;
        for (int32_t i = 0; i < asked; i++)
            elsewhere += status[i] != targets[i];
    }
    return elsewhere;
}
