/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Placement of memory that the runtime owns. Its pages may be shared with other objects at the edges, so only whole
 * pages are touched, and nothing here changes what is mapped: advice and moves only. Policies are binding.c's.
 */
#include "buffer.h"
#include "kernel.h"
#include "nodes.h"
#include "numakit.h"
#include "page_query.h"
#include "room.h"
#include "table.h"

#include <errno.h>
#include <unistd.h>

/* What a transparent hugepage covers, aligned, with small pages of 4 KiB. */
#define HUGE_BYTES (UINT64_C(1) << 21)
/* The kernel gives up on a page that is in use just then, and with it on all behind it; most can be moved a moment later. */
#define MAX_MOVES 3

int nk_whole_pages(const void *buffer, uint64_t bytes, struct nk_pages *pages)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t start = (uint64_t)(uintptr_t)buffer, lead = (page - start % page) % page;

    if (bytes < lead + page)
        return -ENODATA;
    *pages = (struct nk_pages){.start = (char *)(uintptr_t)(start + lead), .bytes = (bytes - lead) / page * page,
                            .page_bytes = page};
    return 0;
}

int32_t nk_buffer_pages(const void *buffer, uint64_t bytes, uint64_t *out)
{
    struct nk_pages pages;
    int error = nk_whole_pages(buffer, bytes, &pages);

    if (error < 0)
        return error;
    out[0] = (uint64_t)(pages.start - (const char *)buffer);
    out[1] = pages.bytes;
    out[2] = pages.page_bytes;
    return 3;
}

int32_t nk_buffer_advise_huge(const void *buffer, uint64_t bytes)
{
    struct nk_pages pages;
    int error = nk_whole_pages(buffer, bytes, &pages);

    if (error < 0)
        return error;
    if (madvise(pages.start, pages.bytes, MADV_HUGEPAGE) < 0)
        return errno == EINVAL ? -ENOTSUP : -errno;
    return 0;
}

int32_t nk_buffer_split(const void *buffer, uint64_t bytes)
{
    struct nk_pages pages;
    int error = nk_whole_pages(buffer, bytes, &pages);
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

/* Some neighbours among the pages, and where they are. */
struct batch {
    void *addresses[NK_QUERY_PAGES];
    int status[NK_QUERY_PAGES];
    unsigned long count;
};

static int ask(const struct nk_pages *pages, uint64_t offset, struct batch *batch)
{
    for (batch->count = 0; batch->count < NK_QUERY_PAGES && offset < pages->bytes; offset += pages->page_bytes)
        batch->addresses[batch->count++] = pages->start + offset;
    return nk_pages_ask(batch->addresses, batch->count, pages->page_bytes, batch->status);
}

int32_t nk_buffer_locate(const void *buffer, uint64_t bytes, int32_t *nodes, uint64_t capacity)
{
    struct nk_pages pages;
    struct batch batch;
    int error = nk_whole_pages(buffer, bytes, &pages);

    if (error < 0)
        return error;
    if (nodes == NULL || pages.bytes / pages.page_bytes > capacity || capacity > INT32_MAX)
        return -EINVAL;
    for (uint64_t offset = 0; offset < pages.bytes; offset += NK_QUERY_PAGES * pages.page_bytes) {
        error = ask(&pages, offset, &batch);
        if (error < 0)
            return error;
        for (unsigned long i = 0; i < batch.count; i++)
            *nodes++ = batch.status[i] < 0 ? -1 : batch.status[i];
    }
    return (int32_t)(pages.bytes / pages.page_bytes);
}

/* Pages that are not resident. */
static int64_t count_absent(const struct nk_pages *pages)
{
    struct batch batch;
    int64_t absent = 0;

    for (uint64_t offset = 0; offset < pages->bytes; offset += NK_QUERY_PAGES * pages->page_bytes) {
        int error = ask(pages, offset, &batch);

        if (error < 0)
            return error;
        for (unsigned long i = 0; i < batch.count; i++)
            absent += batch.status[i] < 0;
    }
    return absent;
}

/* Claims for pages that the kernel spreads evenly over the nodes of a mask. Returns how many. */
static int32_t spread(const unsigned long *mask, uint64_t absent, const struct nk_pages *pages, struct nk_claim *claims)
{
    int32_t nodes = 0;

    for (int32_t node = 0; node < NK_MAX_NODES; node++)
        if (nk_mask_has(mask, node))
            claims[nodes++].node = node;
    for (int32_t i = 0; i < nodes; i++) {
        uint64_t share = (absent + (uint64_t)nodes - 1) / (uint64_t)nodes * pages->page_bytes;

        claims[i] = nk_claim_for(claims[i].node, share, share, share);
    }
    return nodes;
}

static int populate_step(const struct nk_pages *pages, const unsigned long *mask)
{
    struct nk_claim claims[NK_MAX_NODES];
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
    unsigned long mask[NK_NODE_WORDS] = {0};
    struct nk_pages pages;
    int error = nk_whole_pages(buffer, bytes, &pages);

    if (error == 0)
        error = nk_mask_read(nodes, words, mask);
    while (error == 0 && pages.bytes > 0) {
        struct nk_pages step = pages;

        if (step.bytes > NK_ROOM_STEP_BYTES)
            step.bytes = NK_ROOM_STEP_BYTES;
        error = populate_step(&step, mask);
        pages.start += step.bytes;
        pages.bytes -= step.bytes;
    }
    return error;
}

/* What comes to each node when resident pages go where they should be. Returns how many nodes that are. */
static int32_t arrivals(const struct batch *batch, uint64_t page_bytes, const int *targets, struct nk_claim *claims)
{
    int32_t count = 0;

    for (unsigned long i = 0; i < batch->count; i++) {
        int32_t at = 0;

        if (batch->status[i] < 0 || batch->status[i] == targets[i])
            continue;
        while (at < count && claims[at].node != targets[i])
            at++;
        if (at == count)
            claims[count++] = (struct nk_claim){.node = targets[i]};
        claims[at].page_bytes += page_bytes;
    }
    return count;
}

/* Moves those pages of a batch that are not on their targets. Returns how many were not. */
static int32_t move_once(const struct batch *batch, uint64_t page_bytes, const int *targets, int with_absent)
{
    void *wrong[NK_QUERY_PAGES];
    int their_targets[NK_QUERY_PAGES], ignored[NK_QUERY_PAGES];
    struct nk_claim claims[NK_QUERY_PAGES];
    unsigned long count = 0;
    int32_t nodes;
    int error;

    for (unsigned long i = 0; i < batch->count; i++) {
        if (batch->status[i] == targets[i] || (batch->status[i] < 0 && !with_absent))
            continue;
        wrong[count] = batch->addresses[i];
        their_targets[count++] = targets[i];
    }
    if (count == 0)
        return 0;
    nodes = arrivals(batch, page_bytes, targets, claims);
    error = nk_room_claim(claims, nodes);
    if (error < 0)
        return error;
    /* What it says of each page is not complete when it gives up. */
    if (move_pages(0, count, wrong, their_targets, ignored, MPOL_MF_MOVE) < 0)
        error = -errno;
    nk_room_settle(claims, nodes);
    return error < 0 ? error : (int32_t)count;
}

/* Moves the pages of a batch. Returns how many are on another node than their target afterwards, or -errno. */
static int32_t move_batch(struct batch *batch, uint64_t page_bytes, const int *targets)
{
    int32_t left = 0;

    for (int round = 0; round < MAX_MOVES; round++) {
        /* Once with those that are absent: the kernel looks at their targets, too, and refuses what is no node. */
        int32_t moved = move_once(batch, page_bytes, targets, round == 0);
        int error = moved > 0 ? nk_pages_ask(batch->addresses, batch->count, page_bytes, batch->status) : moved;

        if (error < 0)
            return error;
        if (moved == 0)
            break;
    }
    for (unsigned long i = 0; i < batch->count; i++)
        left += batch->status[i] >= 0 && batch->status[i] != targets[i];
    return left;
}

int32_t nk_buffer_move(const void *buffer, uint64_t bytes, const int32_t *nodes, int32_t count, uint64_t first,
                       int32_t *absent)
{
    int targets[NK_QUERY_PAGES];
    struct nk_pages pages;
    struct batch batch;
    int32_t elsewhere = 0, home;
    int error = nk_whole_pages(buffer, bytes, &pages);

    if (error < 0)
        return error;
    if (nodes == NULL || count <= 0 || absent == NULL || pages.bytes / pages.page_bytes > INT32_MAX)
        return -EINVAL;
    for (int32_t i = 0; i < count; i++)
        if (nodes[i] < 0 || nodes[i] >= NK_MAX_NODES)
            return -ENODEV;
    /* An arena is on its node or it is none: what strayed may come back, nothing else. */
    home = nk_mapping_node(pages.start, pages.bytes);
    for (int32_t i = 0; home >= 0 && i < count; i++)
        if (nodes[i] != home)
            return -ENOTSUP;
    *absent = 0;
    for (uint64_t offset = 0; offset < pages.bytes; offset += NK_QUERY_PAGES * pages.page_bytes) {
        uint64_t at = first + offset / pages.page_bytes;
        int32_t left;

        for (uint64_t i = 0; i < NK_QUERY_PAGES; i++)
            targets[i] = nodes[(at + i) % (uint64_t)count];
        error = ask(&pages, offset, &batch);
        if (error < 0)
            return error;
        left = move_batch(&batch, pages.page_bytes, targets);
        if (left < 0)
            return left;
        elsewhere += left;
        for (unsigned long i = 0; i < batch.count; i++)
            *absent += batch.status[i] < 0;
    }
    return elsewhere;
}
