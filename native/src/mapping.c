/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Mappings: identity, holders, and what happens when the last one lets go. How the pages themselves are placed is in
 * pages.c.
 */
#include "mapping.h"
#include "futex.h"
#include "numakit.h"
#include "owner.h"
#include "pages.h"
#include "pinned.h"
#include "quarantine.h"
#include "registry.h"
#include "shared.h"

#include <errno.h>
#include <stdlib.h>

/* Somebody who does nothing but commit has to be looked at in the midst of it. */
#define LOOKS_MOST 8
/* An engine that the kernel gives no more mappings dies: half of a process's are for ours, and a quarter for those in
 * quarantine. */
#define MAPS_SHARE 2

struct mapping {
    struct nk_range range;
    uint32_t holders;
    int committing;   /* a thread is changing the range's committed bytes */
    uint32_t commits; /* raised when that begins and when it ends */
    int retire;       /* some holder could not vouch for its views: the addresses must never be used again */
    int shown;        /* somebody may have views of it, or native code their addresses */
    uint32_t pinned;  /* threads that have let go with a buffer that their runtime did not let them detach yet */
};

static struct nk_slots identities;
static struct mapping *mappings; /* as many as identities.capacity */
static uint32_t mappings_capacity;
static uint64_t live_count, live_bytes, live_maps, retired_count, retired_bytes;

static int hold(struct nk_thread *thread, uint64_t identity)
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

static size_t held_index(const struct nk_thread *thread, uint64_t identity)
{
    size_t index = thread->held_count;

    /* From the end: what was taken last is released first more often than not. */
    while (index > 0 && thread->held[index - 1] != identity)
        index--;
    return index;
}

int nk_mapping_held(uint64_t identity, struct nk_range *range)
{
    struct nk_thread *thread = nk_thread_record();

    if (thread == NULL)
        return -EAGAIN;
    if (held_index(thread, identity) == 0)
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

static void describe(uint64_t identity, const struct nk_range *range, uint32_t holders, uint64_t *out)
{
    out[0] = identity;
    out[1] = (uint64_t)(uintptr_t)range->header;
    out[2] = range->header_bytes;
    out[3] = range->data_bytes;
    out[4] = range->committed_bytes;
    out[5] = (uint64_t)range->node;
    out[6] = (uint64_t)range->kind;
    out[7] = range->page_bytes;
    out[8] = (uint64_t)range->flags & NK_LOCK;
    out[9] = holders;
    out[10] = (uint64_t)nk_range_shared(range);
}

/* Registry locked. The mapping of the same shared memory; 0 when this process has none. */
static uint64_t find_same(const struct nk_range *range)
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

/* Registry locked. One more, or one less. */
static void count_live(const struct nk_range *range, int more)
{
    live_count += (uint64_t)more;
    live_bytes += (uint64_t)more * (range->header_bytes + range->data_bytes);
    live_maps += (uint64_t)more * maps_of(range);
}

/* Registry locked. Returns 0 when there is no memory, no slot, or too many of them. */
static uint64_t enter(const struct nk_range *range)
{
    uint64_t identity = live_maps + maps_of(range) <= nk_maps_most() / MAPS_SHARE ? nk_slot_take(&identities) : 0;

    if (identity == 0)
        return 0;
    if (mappings_capacity < identities.capacity) {
        struct mapping *more = realloc(mappings, identities.capacity * sizeof *more);

        if (more == NULL) {
            nk_slot_give(&identities, identity);
            return 0;
        }
        mappings = more;
        mappings_capacity = identities.capacity;
    }
    mappings[nk_slot_of(identity)] = (struct mapping){.range = *range, .holders = 1};
    count_live(range, 1);
    return identity;
}

int32_t nk_mapping_adopt(struct nk_thread *thread, const struct nk_range *range, uint64_t *out)
{
    uint64_t identity;
    int32_t error = 0;

    nk_registry_lock();
    if (find_same(range) != 0)
        error = -EEXIST;
    identity = error < 0 ? 0 : enter(range);
    nk_registry_unlock();
    if (identity == 0)
        return error < 0 ? error : -EUSERS;
    if (hold(thread, identity) < 0) {
        nk_registry_lock();
        nk_slot_give(&identities, identity);
        count_live(range, -1);
        nk_registry_unlock();
        return -ENOMEM;
    }
    describe(identity, range, 1, out);
    return NK_MAPPING_FACTS;
}

uint64_t nk_mapping_same(const struct nk_range *range)
{
    uint64_t identity;

    nk_registry_lock();
    identity = find_same(range);
    nk_registry_unlock();
    return identity;
}

int nk_mapping_set_name(uint64_t identity, struct nk_name *name)
{
    struct nk_range *range;
    int error;

    nk_registry_lock();
    range = &mappings[nk_slot_of(identity)].range;
    error = range->name == NULL ? 0 : -EINVAL;
    if (error == 0)
        range->name = name;
    nk_registry_unlock();
    return error;
}

int32_t nk_mapping_create(int32_t node, int32_t kind, int32_t flags, uint64_t page_bytes, uint64_t data_bytes,
                          uint64_t *out)
{
    const struct nk_range wanted = {.data_bytes = data_bytes, .page_bytes = page_bytes, .kind = kind, .flags = flags,
                                    .node = node, .files = NK_NO_FILES};
    struct nk_thread *thread = nk_thread_record();
    struct nk_range range;
    int32_t result;

    if (thread == NULL)
        return -EAGAIN;
    result = nk_range_make(&wanted, &range);
    if (result < 0)
        return result;
    result = nk_mapping_adopt(thread, &range, out);
    if (result < 0)
        nk_range_unmap(&range);
    return result;
}

int32_t nk_mapping_attach(uint64_t mapping, uint64_t *out)
{
    struct nk_thread *thread = nk_thread_record();
    struct nk_range range;
    uint32_t holders;
    int again;

    if (thread == NULL)
        return -EAGAIN;
    again = held_index(thread, mapping) != 0;
    if (!again && hold(thread, mapping) < 0)
        return -ENOMEM;
    nk_registry_lock();
    if (!nk_slot_valid(&identities, mapping)) {
        nk_registry_unlock();
        thread->held_count--;
        return -ESTALE;
    }
    range = mappings[nk_slot_of(mapping)].range;
    if (!again)
        mappings[nk_slot_of(mapping)].holders++;
    holders = mappings[nk_slot_of(mapping)].holders;
    nk_registry_unlock();
    describe(mapping, &range, holders, out);
    return NK_MAPPING_FACTS;
}

/* One thing less that keeps a pinned range from quarantine. */
static int32_t settle(uint64_t identity)
{
    struct nk_range range;
    int result;

    nk_registry_lock();
    result = nk_pinned_settle(identity, &range);
    if (result == 1) {
        retired_count--;
        retired_bytes -= range.header_bytes + range.data_bytes;
    }
    nk_registry_unlock();
    if (result == 1)
        nk_range_retire(&range, 0);
    return result < 0 ? result : 0;
}

/* What becomes of a range that nobody holds: outside the lock, because that can take long. */
static void leave(uint64_t identity, const struct mapping *gone)
{
    const struct nk_range *range = &gone->range;

    nk_shared_close(range);
    if (!gone->shown) {
        nk_range_unmap(range);
    } else if (gone->retire || gone->pinned == 0) {
        nk_range_retire(range, gone->retire);
    } else {
        /* Where the kernel refuses, the pages go with the last of the pins. */
        (void)nk_blank(range->header, range->header_bytes + range->data_bytes);
        settle(identity);
    }
}

/* One holder less. Returns the holders left. */
static int32_t let_go(struct nk_thread *thread, uint64_t identity, int32_t views)
{
    struct mapping gone;
    int32_t left;

    nk_robust_drop(thread, identity);
    nk_registry_lock();
    gone = mappings[nk_slot_of(identity)];
    nk_owner_drop(&gone.range, thread);
    gone.retire |= views == NK_VIEWS_ASTRAY;
    gone.shown |= views != NK_VIEWS_NEVER;
    gone.pinned += views == NK_VIEWS_PINNED;
    left = (int32_t)--gone.holders;
    mappings[nk_slot_of(identity)] = gone;
    if (left == 0) {
        nk_slot_give(&identities, identity);
        count_live(&gone.range, -1);
        if (gone.pinned > 0 && !gone.retire)
            gone.retire = nk_pinned_add(identity, &gone.range, gone.pinned) < 0;
        if (gone.retire || gone.pinned > 0) {
            retired_count++;
            retired_bytes += gone.range.header_bytes + gone.range.data_bytes;
        }
    }
    nk_registry_unlock();
    if (left == 0)
        leave(identity, &gone);
    return left;
}

int32_t nk_mapping_release(uint64_t mapping, int32_t views)
{
    struct nk_thread *thread = nk_thread_record();
    size_t index;

    if (thread == NULL)
        return -EAGAIN;
    if (views < NK_VIEWS_ASTRAY || views > NK_VIEWS_NEVER)
        return -EINVAL;
    index = held_index(thread, mapping);
    if (index == 0)
        return -ESTALE;
    thread->held[index - 1] = thread->held[--thread->held_count];
    return let_go(thread, mapping, views);
}

int32_t nk_mapping_unpin(uint64_t mapping)
{
    int live;

    nk_registry_lock();
    live = nk_slot_valid(&identities, mapping) && mappings[nk_slot_of(mapping)].pinned > 0;
    if (live)
        mappings[nk_slot_of(mapping)].pinned--;
    nk_registry_unlock();
    return live ? 0 : settle(mapping);
}

void nk_mapping_release_all(struct nk_thread *thread)
{
    while (thread->held_count > 0)
        let_go(thread, thread->held[--thread->held_count], NK_VIEWS_ASTRAY);
}

/* The range of a mapping that the calling thread holds, for it alone to commit. */
static int begin_commit(uint64_t identity, struct nk_range *range)
{
    struct mapping *entry;
    int error = nk_mapping_held(identity, range);

    if (error < 0)
        return error;
    nk_registry_lock();
    entry = &mappings[nk_slot_of(identity)];
    error = entry->committing ? -EBUSY : 0;
    entry->commits += error == 0;
    entry->committing = 1;
    *range = entry->range;
    nk_registry_unlock();
    return error;
}

int32_t nk_mapping_commit(uint64_t mapping, uint64_t bytes)
{
    struct nk_range range;
    int error = begin_commit(mapping, &range);

    if (error < 0)
        return error;
    error = nk_range_commit(&range, bytes);
    nk_registry_lock();
    mappings[nk_slot_of(mapping)].range = range;
    mappings[nk_slot_of(mapping)].commits++;
    mappings[nk_slot_of(mapping)].committing = 0;
    nk_registry_unlock();
    return error;
}

int32_t nk_mapping_populate(uint64_t mapping, uint64_t offset, uint64_t bytes)
{
    struct nk_range range;
    int error = nk_mapping_held(mapping, &range);

    return error < 0 ? error : nk_range_populate(&range, offset, bytes);
}

/* As nk_mapping_held, and how often the range was changed. */
static int seen_range(uint64_t identity, struct nk_range *range, uint32_t *commits)
{
    int error = nk_mapping_held(identity, range);

    if (error < 0)
        return error;
    nk_registry_lock();
    *range = mappings[nk_slot_of(identity)].range;
    *commits = mappings[nk_slot_of(identity)].commits;
    nk_registry_unlock();
    return 0;
}

int32_t nk_mapping_residency(uint64_t mapping, uint64_t offset, uint64_t bytes, int32_t *counts, int32_t nodes)
{
    struct nk_range range;
    uint32_t before, after;
    int32_t result;

    for (int round = 0;; round++) {
        int error = seen_range(mapping, &range, &before);

        result = error < 0 ? error : nk_range_residency(&range, offset, bytes, counts, nodes);
        if (result < 0)
            return result;
        /* Pages that another thread gave back meanwhile would count as missing ones. */
        error = seen_range(mapping, &range, &after);
        if (error < 0 || after == before || round == LOOKS_MOST)
            return error < 0 ? error : result;
    }
}

int32_t nk_mapping_huge_bytes(uint64_t mapping, int32_t collapse, uint64_t *out)
{
    struct nk_range range;
    int error = nk_mapping_held(mapping, &range);

    return error < 0 ? error : nk_range_huge_bytes(&range, collapse, out);
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

int32_t nk_mapping_stats(uint64_t *out)
{
    nk_registry_lock();
    out[0] = live_count;
    out[1] = live_bytes;
    out[2] = retired_count;
    out[3] = retired_bytes;
    nk_registry_unlock();
    return 4;
}
