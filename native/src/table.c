/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "table.h"
#include "numakit.h"
#include "quarantine.h"
#include "record.h"

#include <errno.h>
#include <stdlib.h>

/* An engine that the kernel gives no more mappings dies: half of a process's are for ours, and a quarter for those in
 * quarantine. */
#define MAPS_SHARE 2

static struct nk_slots identities;
static struct nk_mapping *mappings; /* as many as identities.capacity */
static uint32_t mappings_capacity;
static uint64_t live_count, live_bytes, live_maps;

int nk_table_hold(struct nk_thread *thread, uint64_t identity)
{
    if (thread->held_count == thread->held_capacity) {
        size_t capacity = thread->held_capacity == 0 ? 8 : thread->held_capacity * 2;
        uint64_t *held = realloc(thread->held, capacity * sizeof *held);

        if (held == NULL)
            return -ENOMEM;
        thread->held = held;
        thread->held_capacity = capacity;
    }
    thread->held[thread->held_count++] = identity;
    return 0;
}

size_t nk_table_held(const struct nk_thread *thread, uint64_t identity)
{
    size_t index = thread->held_count;

    /* From the end: what was taken last is released first more often than not. */
    while (index > 0 && thread->held[index - 1] != identity)
        index--;
    return index;
}

struct nk_mapping *nk_table_entry(uint64_t identity)
{
    return nk_slot_valid(&identities, identity) ? &mappings[nk_slot_of(identity)] : NULL;
}

int nk_mapping_held(uint64_t identity, struct nk_range *range)
{
    struct nk_thread *thread = nk_thread_record();

    if (thread == NULL)
        return -EAGAIN;
    if (nk_table_held(thread, identity) == 0)
        return -ESTALE;
    nk_registry_lock();
    *range = mappings[nk_slot_of(identity)].range;
    nk_registry_unlock();
    return 0;
}

int nk_mapping_at(uint64_t mapping, uint64_t offset, uint64_t bytes, char **at)
{
    struct nk_range range;
    int error = nk_mapping_held(mapping, &range);

    if (error < 0)
        return error;
    if (offset >= range.committed_bytes || bytes > range.committed_bytes - offset)
        return -EINVAL;
    *at = range.header + range.header_bytes + offset;
    return 0;
}

int32_t nk_mapping_node(const char *start, uint64_t bytes)
{
    int32_t node = -1;

    nk_registry_lock();
    for (uint32_t slot = 0; slot < identities.capacity && node < 0; slot++) {
        const struct nk_range *range = &mappings[slot].range;

        if (identities.identities[slot] != 0 && start < range->header + range->header_bytes + range->data_bytes &&
            range->header < start + bytes)
            node = range->node;
    }
    nk_registry_unlock();
    return node;
}

uint64_t nk_table_same(const struct nk_range *range)
{
    const struct nk_file *wanted = &range->files[NK_DATA_FILE];

    for (uint32_t slot = 0; slot < identities.capacity && nk_range_shared(range); slot++) {
        const struct nk_range *other = &mappings[slot].range;

        if (identities.identities[slot] != 0 && nk_range_shared(other) &&
            other->files[NK_DATA_FILE].device == wanted->device && other->files[NK_DATA_FILE].inode == wanted->inode)
            return identities.identities[slot];
    }
    return 0;
}

/* As the kernel counts: header, what has pages, and what is only reserved. */
static uint64_t maps_of(const struct nk_range *range)
{
    return (range->flags & NK_RESERVE) != 0 ? 3 : 2;
}

/* One more, or one less. */
static void count_live(const struct nk_range *range, int more)
{
    live_count += (uint64_t)more;
    live_bytes += (uint64_t)more * (range->header_bytes + range->data_bytes);
    live_maps += (uint64_t)more * maps_of(range);
}

uint64_t nk_table_enter(const struct nk_range *range)
{
    uint64_t identity = live_maps + maps_of(range) <= nk_max_maps() / MAPS_SHARE ? nk_slot_take(&identities) : 0;

    if (identity == 0)
        return 0;
    if (mappings_capacity < identities.capacity) {
        struct nk_mapping *more = realloc(mappings, identities.capacity * sizeof *more);

        if (more == NULL) {
            nk_slot_give(&identities, identity);
            return 0;
        }
        mappings = more;
        mappings_capacity = identities.capacity;
    }
    mappings[nk_slot_of(identity)] = (struct nk_mapping){.range = *range, .holders = 1};
    count_live(range, 1);
    return identity;
}

void nk_table_remove(uint64_t identity)
{
    nk_slot_give(&identities, identity);
    count_live(&mappings[nk_slot_of(identity)].range, -1);
}

void nk_table_count(uint64_t *out)
{
    out[0] = live_count;
    out[1] = live_bytes;
}

int32_t nk_mapping_list(uint64_t *out, uint64_t capacity)
{
    uint64_t count = 0;

    nk_registry_lock();
    for (uint32_t slot = 0; slot < identities.capacity; slot++) {
        if (identities.identities[slot] == 0)
            continue;
        if (count < capacity)
            out[count] = identities.identities[slot];
        count++;
    }
    nk_registry_unlock();
    return (int32_t)count;
}
