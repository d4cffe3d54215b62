/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Addresses that native code may still use.
 *
 * Files, sockets, compression and hashing of Node and Deno keep the raw address of a view while they work, and
 * detaching its buffer does not stop them. So the range of a mapping that is gone is not unmapped: its pages go back to
 * the system at once, and private memory that takes no pages until it is touched stands in their place, where a late
 * read finds zeros and a late write harms nobody. Nothing else can be mapped there as long as the range is in here.
 *
 *   entries   first in, first out: what is given back when the quarantine is over its bounds, oldest first
 *   blocks    the same and what is kept for ever, as runs of neighbouring ranges, by address: each is one mapping of the
 *             process to the kernel, as neighbours have the same flags
 *
 * The bounds: a 16th of the address space, or of RLIMIT_AS, or of what strict overcommit lets be mapped, because there
 * the range counts as memory; a quarter of the mappings that a process may have; and a number of entries.
 *
 * A page table is freed when what it maps is unmapped and has no neighbours in it. Ranges in here are neighbours, so
 * whenever a block has grown over all that a table maps, that part is mapped anew.
 */
#include "quarantine.h"
#include "kernel.h"
#include "numakit.h"
#include "text.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define SHARE 16
#define MAP_SHARE 4
#define MAX_ENTRIES (UINT32_C(1) << 20)
/* Neighbours in a row become one entry up to this part of the bound, so that giving one back does not take all. */
#define ENTRY_SHARE 64
#define DEFAULT_MAPS UINT64_C(65530)

struct span {
    uint64_t start, end;
};

static pthread_mutex_t quarantine_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t bounds_once = PTHREAD_ONCE_INIT;
static uint64_t max_bytes, max_blocks, max_maps;
static uint64_t table_bytes; /* what one page table maps */
/* A ring. */
static struct span *entries;
static uint32_t entries_capacity, entries_first, entries_count, entries_swept;
static uint64_t entries_bytes;
static struct span *blocks;
static uint64_t blocks_capacity, blocks_count;

static uint64_t least(uint64_t one, uint64_t other)
{
    return one < other ? one : other;
}

/* The stack is at the end of the address space, whatever its size. */
static uint64_t address_space(void)
{
    uint64_t here = (uint64_t)(uintptr_t)&here, bytes = 1;

    while (bytes < here)
        bytes <<= 1;
    return bytes;
}

/* What may be mapped under strict overcommit; UINT64_MAX without it. */
static uint64_t commit_limit(void)
{
    uint64_t mode, bytes;
    char text[NK_MEMINFO_BYTES];

    if (nk_read_number("/proc/sys/vm/overcommit_memory", &mode) < 0 || mode != 2)
        return UINT64_MAX;
    if (nk_read_text("/proc/meminfo", text, sizeof text) < 0 || !nk_text_bytes(text, "CommitLimit:", &bytes))
        return UINT64_MAX;
    return bytes;
}

static void find_bounds(void)
{
    struct rlimit limit;
    uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);

    table_bytes = page_bytes / sizeof(uint64_t) * page_bytes;
    max_bytes = least(address_space(), commit_limit());
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        max_bytes = least(max_bytes, limit.rlim_cur);
    max_bytes /= SHARE;
    if (nk_read_number("/proc/sys/vm/max_map_count", &max_maps) < 0)
        max_maps = DEFAULT_MAPS;
    max_blocks = max_maps / MAP_SHARE;
}

int nk_blank(char *start, uint64_t bytes)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;

    if (mmap(start, bytes, PROT_READ | PROT_WRITE, flags, -1, 0) == MAP_FAILED)
        return -errno;
    /* Both are wishes, and the same for all, so that neighbours are one mapping: a late write takes a small page, and a
     * child process has none of it. */
    (void)madvise(start, bytes, MADV_DONTFORK);
    (void)madvise(start, bytes, MADV_NOHUGEPAGE);
    return 0;
}

/* Free addresses become blank memory. Returns the bytes that did: all or none. */
static uint64_t blank_free(char *start, uint64_t bytes)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
    void *got = bytes == 0 ? MAP_FAILED : mmap(start, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);

    if (got == MAP_FAILED)
        return 0;
    if (got != start) {
        munmap(got, bytes);
        return 0;
    }
    (void)madvise(start, bytes, MADV_DONTFORK);
    (void)madvise(start, bytes, MADV_NOHUGEPAGE);
    return bytes;
}

/* The index of the first block that ends at or behind an address. */
static uint64_t block_at(uint64_t address)
{
    uint64_t low = 0, high = blocks_count;

    while (low < high) {
        uint64_t middle = low + (high - low) / 2;

        if (blocks[middle].end < address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int make_room_for_block(void)
{
    uint64_t capacity = blocks_capacity == 0 ? 64 : blocks_capacity * 2;
    struct span *more;

    if (blocks_count < blocks_capacity)
        return 0;
    more = realloc(blocks, capacity * sizeof *more);
    if (more == NULL)
        return -ENOMEM;
    blocks = more;
    blocks_capacity = capacity;
    return 0;
}

/* Put blocks [from, to) in place of count blocks, which may be fewer or one more. Room for that has been made. */
static void replace_blocks(uint64_t index, uint64_t count, const struct span *with, uint64_t with_count)
{
    memmove(blocks + index + with_count, blocks + index + count, (blocks_count - index - count) * sizeof *blocks);
    for (uint64_t i = 0; i < with_count; i++)
        blocks[index + i] = with[i];
    blocks_count = blocks_count - count + with_count;
}

/* Enter a range; returns the block that it is now part of. */
static struct span add_block(struct span range)
{
    uint64_t first = block_at(range.start), last = first;

    while (last < blocks_count && blocks[last].start <= range.end) {
        range.start = least(range.start, blocks[last].start);
        range.end = blocks[last].end > range.end ? blocks[last].end : range.end;
        last++;
    }
    replace_blocks(first, last - first, &range, 1);
    return range;
}

/* Take a range out of the block that it is part of. */
static void cut_block(struct span range)
{
    uint64_t index = block_at(range.start + 1), parts = 0;
    struct span block = blocks[index], rest[2];

    if (block.start < range.start)
        rest[parts++] = (struct span){block.start, range.start};
    if (range.end < block.end)
        rest[parts++] = (struct span){range.end, block.end};
    replace_blocks(index, 1, rest, parts);
}

static int make_room_for_entry(void)
{
    uint32_t capacity = entries_capacity == 0 ? 64 : entries_capacity * 2;
    struct span *more;

    if (entries_count < entries_capacity)
        return 0;
    more = malloc(capacity * sizeof *more);
    if (more == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < entries_count; i++)
        more[i] = entries[(entries_first + i) % entries_capacity];
    free(entries);
    entries = more;
    entries_capacity = capacity;
    entries_first = 0;
    return 0;
}

static void add_entry(struct span range)
{
    struct span *newest = entries_count == 0 ? NULL
                                             : &entries[(entries_first + entries_count - 1) % entries_capacity];

    entries_bytes += range.end - range.start;
    if (newest != NULL && newest->end - newest->start + range.end - range.start <= max_bytes / ENTRY_SHARE) {
        if (range.end == newest->start) {
            newest->start = range.start;
            return;
        }
        if (newest->end == range.start) {
            newest->end = range.end;
            return;
        }
    }
    entries[(entries_first + entries_count++) % entries_capacity] = range;
}

static void give_back_oldest(void)
{
    struct span oldest = entries[entries_first];

    /* The middle of a block leaves one block more. */
    if (make_room_for_block() < 0)
        return;
    entries_first = (entries_first + 1) % entries_capacity;
    entries_count--;
    entries_bytes -= oldest.end - oldest.start;
    cut_block(oldest);
    munmap((char *)(uintptr_t)oldest.start, oldest.end - oldest.start);
}

static int over_bounds(void)
{
    return entries_count > 0 &&
           (entries_bytes > max_bytes || blocks_count > max_blocks || entries_count > MAX_ENTRIES);
}

/* Free the tables at the ends of a new range, if all that they map is in its block. */
static void drop_tables(struct span range, struct span block)
{
    uint64_t first = range.start / table_bytes * table_bytes;
    uint64_t last = (range.end + table_bytes - 1) / table_bytes * table_bytes - table_bytes;

    if (first < range.start && first >= block.start && first + table_bytes <= block.end)
        (void)nk_blank((char *)(uintptr_t)first, table_bytes);
    if (last + table_bytes > range.end && last >= block.start && last + table_bytes <= block.end)
        (void)nk_blank((char *)(uintptr_t)last, table_bytes);
}

/* What late writes have left in one of the entries, a different one each time. */
static void sweep(void)
{
    const struct span *entry;

    if (entries_count == 0)
        return;
    entries_swept = (entries_swept + 1) % entries_count;
    entry = &entries[(entries_first + entries_swept) % entries_capacity];
    (void)madvise((char *)(uintptr_t)entry->start, entry->end - entry->start, MADV_DONTNEED);
}

/* Quarantine locked. Returns whether there was memory for the tables. */
static int enter(struct span range, int for_ever)
{
    if (make_room_for_block() < 0 || (!for_ever && make_room_for_entry() < 0))
        return 0;
    drop_tables(range, add_block(range));
    if (for_ever)
        return 1;
    sweep();
    add_entry(range);
    while (over_bounds()) {
        uint32_t before = entries_count;

        give_back_oldest();
        if (entries_count == before)
            break;
    }
    return 1;
}

void nk_quarantine_take(const struct nk_leftover *leftover, int for_ever)
{
    char *start = leftover->start;
    uint64_t bytes = leftover->bytes, before;

    pthread_once(&bounds_once, find_bounds);
    if (nk_blank(start, bytes) < 0) {
        /* The process has all the mappings that it may have. */
        pthread_mutex_lock(&quarantine_lock);
        if (entries_count > 0)
            give_back_oldest();
        pthread_mutex_unlock(&quarantine_lock);
        if (nk_blank(start, bytes) < 0) {
            (void)madvise(start, bytes, MADV_DONTNEED);
            return;
        }
    }
    before = blank_free(start - leftover->free_before, leftover->free_before);
    bytes += before + blank_free(start + bytes, leftover->free_behind);
    start -= before;
    pthread_mutex_lock(&quarantine_lock);
    /* Without memory for the tables it is kept for ever. */
    (void)enter((struct span){(uint64_t)(uintptr_t)start, (uint64_t)(uintptr_t)start + bytes}, for_ever);
    pthread_mutex_unlock(&quarantine_lock);
}

uint64_t nk_max_maps(void)
{
    pthread_once(&bounds_once, find_bounds);
    return max_maps;
}

int nk_quarantine_has(const char *start, uint64_t bytes)
{
    uint64_t from = (uint64_t)(uintptr_t)start, index;
    int has;

    pthread_mutex_lock(&quarantine_lock);
    index = block_at(from + 1);
    has = index < blocks_count && blocks[index].start < from + bytes;
    pthread_mutex_unlock(&quarantine_lock);
    return has;
}

int32_t nk_mapping_quarantine(uint64_t *out)
{
    pthread_once(&bounds_once, find_bounds);
    pthread_mutex_lock(&quarantine_lock);
    out[0] = entries_bytes;
    out[1] = max_bytes;
    out[2] = blocks_count;
    out[3] = max_blocks;
    pthread_mutex_unlock(&quarantine_lock);
    return 4;
}
