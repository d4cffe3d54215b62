/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Pages on a node, or an error.
 *
 * The order is what keeps the promise: look at the node (and its hugepage pool), reserve, bind, advise, and only then
 * touch, with MADV_POPULATE_WRITE, which reports what a first touch would turn into SIGBUS. Before every step of
 * populating its room is claimed (room.c).
 */
#include "pages.h"
#include "kernel.h"
#include "nodes.h"
#include "numakit.h"
#include "page_query.h"
#include "quarantine.h"
#include "room.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_DATA_BYTES (UINT64_C(1) << 46)

static int power_of_two(uint64_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

static int check_kind(const struct nk_range *range)
{
    char text[128];

    if (range->kind == NK_PAGES_SMALL)
        return range->page_bytes == range->header_bytes ? 0 : -EINVAL;
    if (range->kind == NK_PAGES_HUGE)
        return range->page_bytes > range->header_bytes ? 0 : -EINVAL;
    if (range->kind != NK_PAGES_THP)
        return -EINVAL;
    if (nk_read_text("/sys/kernel/mm/transparent_hugepage/enabled", text, sizeof text) < 0 ||
        strstr(text, "[never]") != NULL)
        return -ENOTSUP;
    return 0;
}

static int check_node(int32_t node)
{
    uint64_t memory[3];
    int error;

    if (node < 0 || node >= NK_MAX_NODES)
        return -ENODEV;
    error = nk_node_memory(node, memory);
    if (error < 0)
        return error;
    return memory[0] == 0 ? -ENODEV : 0;
}

/* The node's pool has free pages for so many bytes more. */
static int has_hugepages(const struct nk_range *range, uint64_t bytes)
{
    uint64_t pool[2];
    int error = nk_node_hugepages(range->node, range->page_bytes, pool);

    if (error < 0)
        return error == -ENOENT ? -EINVAL : error;
    return pool[1] < bytes / range->page_bytes ? -ENOMEM : 0;
}

/* All of it has to fit now, not only the first step: filling a node to find out is no answer. */
static int has_room(const struct nk_range *range, uint64_t bytes)
{
    return range->kind == NK_PAGES_HUGE ? has_hugepages(range, bytes) : nk_node_room(range->node, bytes, bytes);
}

/* What takes no pages fails for want of memory only when the process may map no more. */
static int out_of_maps(int error)
{
    return error == ENOMEM ? -EUSERS : -error;
}

/* Addresses for header and data, the data aligned to page_bytes. */
static int reserve(struct nk_range *range)
{
    uint64_t alignment = range->page_bytes;
    /* The header is a page of what aligning may take: with small pages nothing is left over, and ranges pack. */
    uint64_t span = range->data_bytes + alignment;
    uint64_t slack;
    char *base, *end;

    base = mmap(NULL, span, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return out_of_maps(errno);
    slack = (alignment - ((uint64_t)(uintptr_t)base + range->header_bytes) % alignment) % alignment;
    range->header = base + slack;
    end = range->header + range->header_bytes + range->data_bytes;
    if (slack != 0)
        munmap(base, slack);
    if (base + span != end)
        munmap(end, (size_t)(base + span - end));
    range->free_before = slack;
    range->free_behind = (uint64_t)(base + span - end);
    return 0;
}

static int bind(const struct nk_range *range, char *start, uint64_t bytes)
{
    unsigned long nodes[NK_NODE_WORDS] = {0};

    nk_mask_add(nodes, range->node);
    /* Static: should the cpuset change later, the kernel must not move the binding to another node. */
    if (mbind(start, bytes, MPOL_BIND | MPOL_F_STATIC_NODES, nodes, NK_NODE_BITS, 0) < 0)
        return errno == EINVAL ? -EACCES : out_of_maps(errno);
    return 0;
}

static int lock(const struct nk_range *range, char *start, uint64_t bytes)
{
    if ((range->flags & NK_LOCK) == 0 || mlock(start, bytes) == 0)
        return 0;
    /* All of them mean the limit here; room was looked for before. */
    return errno == ENOMEM || errno == EAGAIN || errno == EPERM ? -ENOLCK : -errno;
}

/* Bytes of a part of the data that touching it would take from the node: not those that a shared file has already. */
static uint64_t absent_bytes(const struct nk_range *range, char *start, uint64_t bytes)
{
    uint64_t absent = 0, step = (uint64_t)NK_QUERY_PAGES * range->header_bytes;
    unsigned char there[NK_QUERY_PAGES];

    if (!nk_range_shared(range))
        return bytes;
    for (uint64_t done = 0; done < bytes; done += step) {
        uint64_t part = bytes - done < step ? bytes - done : step;

        if (mincore(start + done, part, there) < 0)
            return bytes;
        for (uint64_t page = 0; page < part / range->header_bytes; page++)
            absent += (there[page] & 1) != 0 ? 0 : range->header_bytes;
    }
    return absent;
}

static int populate_step(const struct nk_range *range, char *start, uint64_t bytes)
{
    /* The pool of hugepages is room of its own, which runs out without harm. */
    int pooled = range->kind == NK_PAGES_HUGE && start != range->header;
    struct nk_claim claim;
    int error = 0;

    if (!pooled) {
        uint64_t absent = absent_bytes(range, start, bytes);

        claim = nk_claim_for(range->node, absent, absent, bytes);
        error = nk_room_claim(&claim, 1);
    }
    if (error < 0)
        return error;
    if (madvise(start, bytes, MADV_POPULATE_WRITE) < 0)
        error = errno == EINVAL ? -ENOSYS : -errno;
    if (!pooled)
        nk_room_settle(&claim, 1);
    return error;
}

/* Whole pages, of the header or of the data. What was populated before an error stays. */
static int populate(const struct nk_range *range, char *start, uint64_t bytes)
{
    uint64_t most = range->page_bytes > NK_ROOM_STEP_BYTES ? range->page_bytes : NK_ROOM_STEP_BYTES;

    for (uint64_t done = 0; done < bytes; done += most) {
        int error = populate_step(range, start + done, bytes - done < most ? bytes - done : most);

        if (error < 0)
            return error;
    }
    return lock(range, start, bytes);
}

/* The pages of a file, or private ones without one, in place of reserved ones. */
static int map_at(char *start, uint64_t bytes, int flags, int fd)
{
    flags |= MAP_FIXED | (fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED);
    return mmap(start, bytes, PROT_READ | PROT_WRITE, flags, fd, 0) == MAP_FAILED ? errno : 0;
}

/* Takes no pages: the maker's is there, or it comes when it is populated. */
static int map_header(const struct nk_range *range)
{
    int error = map_at(range->header, range->header_bytes, 0, range->files[NK_HEADER_FILE].number);

    return error == 0 ? 0 : out_of_maps(error);
}

static int prepare_header(const struct nk_range *range)
{
    int error = 0;

    if (nk_range_shared(range))
        error = map_header(range);
    if (error < 0)
        return error;
    /* A child process would share these pages copy-on-write; with hugetlb pages that ends in SIGBUS. */
    if (madvise(range->header, range->header_bytes + range->data_bytes, MADV_DONTFORK) < 0)
        return -errno;
    error = bind(range, range->header, range->header_bytes);
    return error < 0 ? error : populate(range, range->header, range->header_bytes);
}

static int map_data(const struct nk_range *range, char *start, uint64_t bytes)
{
    int flags = 0, error;

    /* A file has its kind of pages already. */
    if (range->kind == NK_PAGES_HUGE && !nk_range_shared(range))
        flags = MAP_HUGETLB | (__builtin_ctzll(range->page_bytes) << MAP_HUGE_SHIFT);
    error = map_at(start, bytes, flags, range->files[NK_DATA_FILE].number);
    if (error == 0)
        return 0;
    /* Of hugepages there are too few in the pool. */
    return range->kind == NK_PAGES_HUGE ? -error : out_of_maps(error);
}

static int prepare_data(const struct nk_range *range, char *start, uint64_t bytes)
{
    int error = map_data(range, start, bytes);

    if (error == 0)
        error = bind(range, start, bytes);
    if (error < 0)
        return error;
    if (madvise(start, bytes, MADV_DONTFORK) < 0)
        return -errno;
    if (range->kind == NK_PAGES_THP && madvise(start, bytes, MADV_HUGEPAGE) < 0)
        return errno == EINVAL ? -ENOTSUP : -errno;
    /* EINVAL: a kernel without THP has nothing to be kept from. */
    if (range->kind == NK_PAGES_SMALL && madvise(start, bytes, MADV_NOHUGEPAGE) < 0 && errno != EINVAL)
        return -errno;
    return 0;
}

int nk_range_commit(struct nk_range *range, uint64_t bytes)
{
    uint64_t before = range->committed_bytes;
    char *data = range->header + range->header_bytes;
    int error;

    if (bytes % range->page_bytes != 0 || bytes > range->data_bytes)
        return -EINVAL;
    if (bytes == before)
        return 0;
    /* What others have mapped is as large as it is. */
    if (nk_range_shared(range) && before != 0)
        return -ENOTSUP;
    if (bytes < before) {
        error = nk_blank(data + bytes, before - bytes);
        if (error < 0)
            error = out_of_maps(-error);
    } else {
        error = has_room(range, bytes - before);
        if (error == 0) {
            error = prepare_data(range, data + before, bytes - before);
            if (error < 0)
                (void)nk_blank(data + before, bytes - before);
        }
    }
    if (error == 0)
        range->committed_bytes = bytes;
    return error;
}

int nk_range_make(const struct nk_range *wanted, struct nk_range *range)
{
    int error;

    *range = *wanted;
    range->header_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    range->committed_bytes = 0;
    if (!power_of_two(range->page_bytes) || range->data_bytes == 0 || range->data_bytes % range->page_bytes != 0 ||
        range->data_bytes > MAX_DATA_BYTES || (range->flags & ~(NK_LOCK | NK_RESERVE)) != 0)
        return -EINVAL;
    error = check_kind(range);
    if (error == 0)
        error = check_node(range->node);
    if (error == 0)
        error = reserve(range);
    if (error < 0)
        return error;
    error = prepare_header(range);
    if (error == 0 && (range->flags & NK_RESERVE) == 0)
        error = nk_range_commit(range, range->data_bytes);
    if (error < 0)
        nk_range_unmap(range);
    return error;
}

/* Bytes of a shared file that have no pages yet: holes, made by nobody's fault but its maker's. */
static uint64_t hole_bytes(const struct nk_range *range)
{
    struct stat status;
    uint64_t there;

    if (fstat(range->files[NK_DATA_FILE].number, &status) < 0)
        return range->data_bytes;
    there = (uint64_t)status.st_blocks * 512;
    return there < range->data_bytes ? range->data_bytes - there : 0;
}

int nk_range_open(const struct nk_range *wanted, struct nk_range *range)
{
    uint64_t holes;
    char *data;
    int error;

    *range = *wanted;
    range->header_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    if (!power_of_two(range->page_bytes) || range->data_bytes == 0 || range->data_bytes % range->page_bytes != 0 ||
        range->data_bytes > MAX_DATA_BYTES || range->node < 0 || range->node >= NK_MAX_NODES || check_kind(range) < 0)
        return -EBADMSG;
    holes = hole_bytes(range);
    error = holes == 0 ? 0 : has_room(range, holes);
    if (error == 0)
        error = reserve(range);
    if (error < 0)
        return error;
    data = range->header + range->header_bytes;
    error = map_header(range);
    if (error == 0)
        error = map_data(range, data, range->data_bytes);
    if (error == 0 && madvise(range->header, range->header_bytes + range->data_bytes, MADV_DONTFORK) < 0)
        error = -errno;
    if (error == 0 && range->kind == NK_PAGES_SMALL && madvise(data, range->data_bytes, MADV_NOHUGEPAGE) < 0 &&
        errno != EINVAL)
        error = -errno;
    /* Its page is there; this only makes it this process's, too. So it is with the data, which the caller populates. */
    if (error == 0)
        error = populate(range, range->header, range->header_bytes);
    if (error < 0)
        nk_range_unmap(range);
    range->committed_bytes = range->data_bytes;
    return error;
}

static int in_range(const struct nk_range *range, uint64_t offset, uint64_t bytes)
{
    return bytes > 0 && offset % range->page_bytes == 0 && bytes % range->page_bytes == 0 &&
           offset < range->committed_bytes && bytes <= range->committed_bytes - offset;
}

int nk_range_populate(const struct nk_range *range, uint64_t offset, uint64_t bytes)
{
    if (!in_range(range, offset, bytes))
        return -EINVAL;
    return populate(range, range->header + range->header_bytes + offset, bytes);
}

int nk_range_residency(const struct nk_range *range, uint64_t offset, uint64_t bytes, int32_t *counts, int32_t nodes)
{
    uint64_t step = range->kind == NK_PAGES_HUGE ? range->page_bytes : range->header_bytes;
    char *at = range->header + range->header_bytes + offset, *end = at + bytes;
    void *pages[NK_QUERY_PAGES];
    int status[NK_QUERY_PAGES];
    int32_t asked = 0;
    int error;

    if (bytes == 0 || offset % range->page_bytes != 0 || bytes % range->page_bytes != 0 || counts == NULL || nodes <= 0 ||
        offset > range->data_bytes || bytes > range->data_bytes - offset || bytes / step > INT32_MAX)
        return -EINVAL;
    memset(counts, 0, ((size_t)nodes + 1) * sizeof *counts);
    /* Some other thread may just have given the rest back. */
    if (offset >= range->committed_bytes)
        return 0;
    if (bytes > range->committed_bytes - offset)
        end = at + (range->committed_bytes - offset);
    while (at < end) {
        unsigned long count = 0;

        for (; count < NK_QUERY_PAGES && at < end; at += step)
            pages[count++] = at;
        error = nk_pages_ask(pages, count, step, status);
        if (error < 0)
            return error;
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
    unsigned long data = (unsigned long)range->header + range->header_bytes, end = data + range->committed_bytes;
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

    out[0] = range->kind == NK_PAGES_HUGE ? range->committed_bytes : 0;
    if (range->kind != NK_PAGES_THP)
        return 1;
    error = read_huge_bytes(range, out);
    if (error < 0)
        return error;
    if (collapse && out[0] < range->committed_bytes) {
        /* Best effort by design: what counts is what smaps says afterwards. */
        (void)madvise(range->header + range->header_bytes, range->committed_bytes, MADV_COLLAPSE);
        error = read_huge_bytes(range, out);
    }
    return error < 0 ? error : 1;
}

void nk_range_unmap(const struct nk_range *range)
{
    munmap(range->header, range->header_bytes + range->data_bytes);
}

void nk_range_retire(const struct nk_range *range, int for_ever)
{
    const struct nk_leftover leftover = {.start = range->header, .bytes = range->header_bytes + range->data_bytes,
                                         .free_before = range->free_before, .free_behind = range->free_behind};

    nk_quarantine_take(&leftover, for_ever);
}
