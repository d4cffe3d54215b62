/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Mappings: identity, holders, and what happens when the last one lets go. How the pages themselves are placed is in
 * pages.c.
 */
#include "mapping.h"
#include "numakit.h"
#include "owner.h"
#include "pages.h"
#include "pinned.h"
#include "quarantine.h"
#include "record.h"
#include "robust.h"
#include "shared.h"
#include "table.h"

#include <errno.h>

/* Somebody who does nothing but commit has to be looked at in the midst of it. */
#define MAX_LOOKS 8

static uint64_t retired_count, retired_bytes;

static void release_all(struct nk_thread *thread);

static int hold(struct nk_thread *thread, uint64_t identity)
{
    thread->end_held = release_all;
    return nk_table_hold(thread, identity);
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

int32_t nk_mapping_adopt(struct nk_thread *thread, const struct nk_range *range, uint64_t *out)
{
    uint64_t identity;
    int32_t error = 0;

    nk_registry_lock();
    if (nk_table_same(range) != 0)
        error = -EEXIST;
    identity = error < 0 ? 0 : nk_table_enter(range);
    nk_registry_unlock();
    if (identity == 0)
        return error < 0 ? error : -EUSERS;
    if (hold(thread, identity) < 0) {
        nk_registry_lock();
        nk_table_remove(identity);
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
    identity = nk_table_same(range);
    nk_registry_unlock();
    return identity;
}

int nk_mapping_set_name(uint64_t identity, struct nk_name *name)
{
    struct nk_range *range;
    int error;

    nk_registry_lock();
    range = &nk_table_entry(identity)->range;
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
    struct nk_mapping *entry;
    struct nk_range range;
    uint32_t holders;
    int again;

    if (thread == NULL)
        return -EAGAIN;
    again = nk_table_held(thread, mapping) != 0;
    if (!again && hold(thread, mapping) < 0)
        return -ENOMEM;
    nk_registry_lock();
    entry = nk_table_entry(mapping);
    if (entry == NULL) {
        nk_registry_unlock();
        thread->held_count--;
        return -ESTALE;
    }
    range = entry->range;
    if (!again)
        entry->holders++;
    holders = entry->holders;
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
static void leave(uint64_t identity, const struct nk_mapping *gone)
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
    struct nk_mapping gone, *entry;
    int32_t left;

    nk_robust_drop(thread, identity);
    nk_registry_lock();
    entry = nk_table_entry(identity);
    gone = *entry;
    nk_owner_drop(&gone.range, thread);
    gone.retire |= views == NK_VIEWS_ASTRAY;
    gone.shown |= views != NK_VIEWS_NEVER;
    gone.pinned += views == NK_VIEWS_PINNED;
    left = (int32_t)--gone.holders;
    *entry = gone;
    if (left == 0) {
        nk_table_remove(identity);
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
    index = nk_table_held(thread, mapping);
    if (index == 0)
        return -ESTALE;
    thread->held[index - 1] = thread->held[--thread->held_count];
    return let_go(thread, mapping, views);
}

int32_t nk_mapping_unpin(uint64_t mapping)
{
    struct nk_mapping *entry;
    int live;

    nk_registry_lock();
    entry = nk_table_entry(mapping);
    live = entry != NULL && entry->pinned > 0;
    if (live)
        entry->pinned--;
    nk_registry_unlock();
    return live ? 0 : settle(mapping);
}

/* A thread ends: its views cannot be vouched for. */
static void release_all(struct nk_thread *thread)
{
    while (thread->held_count > 0)
        let_go(thread, thread->held[--thread->held_count], NK_VIEWS_ASTRAY);
}

/* The range of a mapping that the calling thread holds, for it alone to commit. */
static int begin_commit(uint64_t identity, struct nk_range *range)
{
    struct nk_mapping *entry;
    int error = nk_mapping_held(identity, range);

    if (error < 0)
        return error;
    nk_registry_lock();
    entry = nk_table_entry(identity);
    error = entry->committing ? -EBUSY : 0;
    entry->commits += error == 0;
    entry->committing = 1;
    *range = entry->range;
    nk_registry_unlock();
    return error;
}

int32_t nk_mapping_commit(uint64_t mapping, uint64_t bytes)
{
    struct nk_mapping *entry;
    struct nk_range range;
    int error = begin_commit(mapping, &range);

    if (error < 0)
        return error;
    error = nk_range_commit(&range, bytes);
    nk_registry_lock();
    entry = nk_table_entry(mapping);
    entry->range = range;
    entry->commits++;
    entry->committing = 0;
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
    const struct nk_mapping *entry;
    int error = nk_mapping_held(identity, range);

    if (error < 0)
        return error;
    nk_registry_lock();
    entry = nk_table_entry(identity);
    *range = entry->range;
    *commits = entry->commits;
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
        if (error < 0 || after == before || round == MAX_LOOKS)
            return error < 0 ? error : result;
    }
}

int32_t nk_mapping_huge_bytes(uint64_t mapping, int32_t collapse, uint64_t *out)
{
    struct nk_range range;
    int error = nk_mapping_held(mapping, &range);

    return error < 0 ? error : nk_range_huge_bytes(&range, collapse, out);
}

int32_t nk_mapping_stats(uint64_t *out)
{
    nk_registry_lock();
    nk_table_count(out);
    out[2] = retired_count;
    out[3] = retired_bytes;
    nk_registry_unlock();
    return 4;
}
