/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Pages on a node, or an error.
 *
 * The order is what keeps the promise: look at the node (and its hugepage pool), reserve, bind, advise, and only then
 * touch, with MADV_POPULATE_WRITE, which reports what a first touch would turn into SIGBUS. Room is looked for before
 * every step of populating, because touching more than a bound node has calls the OOM killer and no madvise flag
 * prevents that.
 */
#include "pages.h"
#include "numakit.h"
#include "text.h"

#include <errno.h>
#include <numaif.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MPOL_F_STATIC_NODES
#define MPOL_F_STATIC_NODES (1 << 15)
#endif
#ifndef MAP_HUGE_SHIFT
#define MAP_HUGE_SHIFT 26
#endif

#define NODES_MAX 1024
#define MARGIN_LEAST (UINT64_C(16) << 20)
#define MARGIN_MOST (UINT64_C(512) << 20)
/* Cache that never comes back: the code of what runs. A node filled up to that is where the OOM killer waits. */
#define CACHE_KEPT (UINT64_C(128) << 20)
#define QUERY_PAGES 1024

static int power_of_two(uint64_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

static int check_kind(int32_t kind, uint64_t page_bytes, uint64_t small)
{
    char text[128];

    if (kind == NK_PAGES_SMALL)
        return page_bytes == small ? 0 : -EINVAL;
    if (kind == NK_PAGES_HUGE)
        return page_bytes > small ? 0 : -EINVAL;
    if (kind != NK_PAGES_THP)
        return -EINVAL;
    if (nk_read_text("/sys/kernel/mm/transparent_hugepage/enabled", text, sizeof text) < 0 ||
        strstr(text, "[never]") != NULL)
        return -ENOTSUP;
    return 0;
}

/* The node has memory and, for hugetlb pages, enough free ones in its pool. */
static int check_node(int32_t node, int32_t kind, uint64_t page_bytes, uint64_t data_bytes)
{
    uint64_t memory[3], pool[2];
    int error;

    if (node < 0 || node >= NODES_MAX)
        return -ENODEV;
    error = nk_node_memory(node, memory);
    if (error < 0)
        return error;
    if (memory[0] == 0)
        return -ENODEV;
    if (kind != NK_PAGES_HUGE)
        return 0;
    error = nk_node_hugepages(node, page_bytes, pool);
    if (error < 0)
        return error == -ENOENT ? -EINVAL : error;
    return pool[1] < data_bytes / page_bytes ? -ENOMEM : 0;
}

static int has_room(const struct nk_range *range, uint64_t bytes)
{
    uint64_t memory[3], limit[2], margin, reclaimable;
    int error = nk_node_memory(range->node, memory);

    if (error < 0)
        return error;
    margin = memory[0] / 64;
    if (margin < MARGIN_LEAST)
        margin = MARGIN_LEAST;
    if (margin > MARGIN_MOST)
        margin = MARGIN_MOST;
    reclaimable = memory[2] > CACHE_KEPT ? memory[2] - CACHE_KEPT : 0;
    /* Page tables take a 512th on top, wherever the kernel puts them. */
    if (memory[1] + reclaimable < margin + bytes + bytes / 512)
        return -ENOMEM;
    error = nk_memory_limit("", limit);
    if (error < 0)
        return error;
    return error > 0 && limit[0] < bytes + bytes / 512 ? -ENOMEM : 0;
}

/* Addresses for header and data, the data aligned to page_bytes. */
static int reserve(struct nk_range *range)
{
    uint64_t alignment = range->page_bytes;
    uint64_t span = range->header_bytes + range->data_bytes + alignment;
    uint64_t slack;
    char *base, *end;

    base = mmap(NULL, span, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return -errno;
    slack = (alignment - ((uint64_t)(uintptr_t)base + range->header_bytes) % alignment) % alignment;
    range->header = base + slack;
    end = range->header + range->header_bytes + range->data_bytes;
    if (slack != 0)
        munmap(base, slack);
    if (base + span != end)
        munmap(end, (size_t)(base + span - end));
    return 0;
}

static int map_data(const struct nk_range *range)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    char *data = range->header + range->header_bytes;

    if (range->kind == NK_PAGES_HUGE)
        flags |= MAP_HUGETLB | (__builtin_ctzll(range->page_bytes) << MAP_HUGE_SHIFT);
    if (mmap(data, range->data_bytes, PROT_READ | PROT_WRITE, flags, -1, 0) == MAP_FAILED)
        return -errno;
    return 0;
}

static int bind(const struct nk_range *range)
{
    unsigned long nodes[NODES_MAX / (8 * sizeof(unsigned long))] = {0};
    size_t word = (size_t)range->node / (8 * sizeof *nodes);

    nodes[word] |= 1ul << ((size_t)range->node % (8 * sizeof *nodes));
    /* Static: should the cpuset change later, the kernel must not move the binding to another node. */
    if (mbind(range->header, range->header_bytes + range->data_bytes, MPOL_BIND | MPOL_F_STATIC_NODES, nodes,
              NODES_MAX + 1, 0) < 0)
        return errno == EINVAL ? -EACCES : -errno;
    return 0;
}

static int prepare(const struct nk_range *range)
{
    char *data = range->header + range->header_bytes;
    int error;

    if (mprotect(range->header, range->header_bytes, PROT_READ | PROT_WRITE) < 0)
        return -errno;
    error = map_data(range);
    if (error < 0)
        return error;
    error = bind(range);
    if (error < 0)
        return error;
    /* A child process would share these pages copy-on-write; with hugetlb pages that ends in SIGBUS. */
    if (madvise(range->header, range->header_bytes + range->data_bytes, MADV_DONTFORK) < 0)
        return -errno;
    if (range->kind == NK_PAGES_THP && madvise(data, range->data_bytes, MADV_HUGEPAGE) < 0)
        return errno == EINVAL ? -ENOTSUP : -errno;
    /* EINVAL: a kernel without THP has nothing to be kept from. */
    if (range->kind == NK_PAGES_SMALL && madvise(data, range->data_bytes, MADV_NOHUGEPAGE) < 0 && errno != EINVAL)
        return -errno;
    if (madvise(range->header, range->header_bytes, MADV_POPULATE_WRITE) < 0)
        return errno == EINVAL ? -ENOSYS : -errno;
    return 0;
}

int nk_range_make(int32_t node, int32_t kind, uint64_t page_bytes, uint64_t data_bytes, struct nk_range *range)
{
    uint64_t small = (uint64_t)sysconf(_SC_PAGESIZE);
    int error;

    if (!power_of_two(page_bytes) || data_bytes == 0 || data_bytes % page_bytes != 0 ||
        data_bytes > (UINT64_C(1) << 46))
        return -EINVAL;
    error = check_kind(kind, page_bytes, small);
    if (error == 0)
        error = check_node(node, kind, page_bytes, data_bytes);
    if (error < 0)
        return error;
    *range = (struct nk_range){.header_bytes = small, .data_bytes = data_bytes, .page_bytes = page_bytes,
                               .kind = kind, .node = node};
    /* All of it has to fit now, not only the first step: filling a node to find out is no answer. */
    error = has_room(range, range->header_bytes + (kind == NK_PAGES_HUGE ? 0 : data_bytes));
    if (error == 0)
        error = reserve(range);
    if (error < 0)
        return error;
    error = prepare(range);
    if (error < 0)
        nk_range_unmap(range);
    return error;
}

static int in_range(const struct nk_range *range, uint64_t offset, uint64_t bytes)
{
    return bytes > 0 && offset % range->page_bytes == 0 && bytes % range->page_bytes == 0 &&
           offset < range->data_bytes && bytes <= range->data_bytes - offset;
}

int nk_range_populate(const struct nk_range *range, uint64_t offset, uint64_t bytes)
{
    int error;

    if (!in_range(range, offset, bytes))
        return -EINVAL;
    if (range->kind != NK_PAGES_HUGE) {
        error = has_room(range, bytes);
        if (error < 0)
            return error;
    }
    if (madvise(range->header + range->header_bytes + offset, bytes, MADV_POPULATE_WRITE) < 0)
        return errno == EINVAL ? -ENOSYS : -errno;
    return 0;
}

int nk_range_residency(const struct nk_range *range, uint64_t offset, uint64_t bytes, int32_t *counts, int32_t nodes)
{
    uint64_t step = range->kind == NK_PAGES_HUGE ? range->page_bytes : range->header_bytes;
    char *at = range->header + range->header_bytes + offset, *end = at + bytes;
    void *pages[QUERY_PAGES];
    int status[QUERY_PAGES];
    int32_t asked = 0;

    if (!in_range(range, offset, bytes) || counts == NULL || nodes <= 0 || bytes / step > INT32_MAX)
        return -EINVAL;
    memset(counts, 0, ((size_t)nodes + 1) * sizeof *counts);
    while (at < end) {
        unsigned long count = 0;

        for (; count < QUERY_PAGES && at < end; at += step)
            pages[count++] = at;
        if (move_pages(0, count, pages, NULL, status, 0) < 0)
            return -errno;
        for (unsigned long i = 0; i < count; i++)
            counts[status[i] >= 0 && status[i] < nodes ? status[i] : nodes]++;
        asked += (int32_t)count;
    }
    return asked;
}

/* AnonHugePages of the range, as smaps tells them. A mapping is never merged with a neighbour: the headers between
 * them have other advice. */
static int read_huge_bytes(const struct nk_range *range, uint64_t *huge_bytes)
{
    unsigned long data = (unsigned long)range->header + range->header_bytes, end = data + range->data_bytes;
    unsigned long from, to, kib;
    int inside = 0;
    char line[512];
    FILE *smaps = fopen("/proc/self/smaps", "re");

    if (smaps == NULL)
        return -errno;
    *huge_bytes = 0;
    while (fgets(line, sizeof line, smaps) != NULL) {
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            inside = from >= data && to <= end;
        else if (inside && sscanf(line, "AnonHugePages: %lu kB", &kib) == 1)
            *huge_bytes += (uint64_t)kib << 10;
    }
    fclose(smaps);
    return 0;
}

int nk_range_huge_bytes(const struct nk_range *range, int collapse, uint64_t *out)
{
    int error;

    out[0] = range->kind == NK_PAGES_HUGE ? range->data_bytes : 0;
    if (range->kind != NK_PAGES_THP)
        return 1;
    error = read_huge_bytes(range, out);
    if (error < 0)
        return error;
    if (collapse && out[0] < range->data_bytes) {
        /* Best effort by design: what counts is what smaps says afterwards. */
        (void)madvise(range->header + range->header_bytes, range->data_bytes, MADV_COLLAPSE);
        error = read_huge_bytes(range, out);
    }
    return error < 0 ? error : 1;
}

void nk_range_disown(const struct nk_range *range, uint32_t owner)
{
    __atomic_compare_exchange_n((uint32_t *)(void *)range->header, &owner, 0, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

void nk_range_unmap(const struct nk_range *range)
{
    munmap(range->header, range->header_bytes + range->data_bytes);
}

void nk_range_retire(const struct nk_range *range)
{
    uint64_t bytes = range->header_bytes + range->data_bytes;

    if (mmap(range->header, bytes, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
        return; /* no memory even for that: the pages stay where they are, which is safe too */
    (void)madvise(range->header, bytes, MADV_DONTFORK);
}
