/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whose policy stands on memory that the runtime owns.
 *
 * Bindings may overlap, in any thread. The newest one of a page stands. When it is undone, the newest of those below it
 * stands again, or what was there before numakit came. So every binding is remembered by its addresses, as pieces: one
 * at first, more where others cut it.
 *
 *   newest            [ 3: bind to node 1 ]
 *            [ 2: interleave over 0, 1 ]
 *   oldest   [ 1: bind to node 0                  ]
 *   stands   2222222223333333333333333331111111111
 *
 * Addresses alone would not do: a buffer may be transferred away, cut short or collected while its binding lives, and its
 * addresses may become another's. So nothing is changed where the kernel does not say that the policy that should
 * stand does. Where it says something else, the memory is not what was bound, and what was remembered of it is forgotten.
 * (Policies belong to mappings of the kernel. An allocator that uses pages again without unmapping them keeps the policy;
 * there a binding that was not undone still stands, and undoing it undoes just that.)
 */
#include "buffer.h"
#include "kernel.h"
#include "nodes.h"
#include "numakit.h"
#include "quarantine.h"
#include "table.h"

#include <errno.h>
#include <numaif.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Nobody undoes these: the policy of somebody else that was there before. */
#define FOUND 0
#define EVERYTHING UINT64_MAX

struct policy {
    int mode; /* with its flags */
    unsigned long nodes[NK_NODE_WORDS];
};

struct piece {
    uint64_t start, end;
    uint64_t binding;
    struct policy policy;
};

/* A mapping of the kernel: all of it has the same policy. */
struct area {
    uint64_t start, end;
};

struct areas {
    struct area *list;
    size_t count, capacity;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct piece *pieces; /* the oldest first */
static size_t piece_count, piece_capacity;
static uint64_t serial;
/* How many pieces are reason to look which of them are still true. */
static size_t sweep_at = 64;

static const struct policy none = {.mode = MPOL_DEFAULT};

static int same(const struct policy *one, const struct policy *other)
{
    return one->mode == other->mode && memcmp(one->nodes, other->nodes, sizeof one->nodes) == 0;
}

static int set_policy(uint64_t start, uint64_t end, const struct policy *policy)
{
    int any = policy->mode != MPOL_DEFAULT;

    return mbind((void *)(uintptr_t)start, end - start, policy->mode, any ? policy->nodes : NULL,
                 any ? NK_NODE_BITS : 0, 0) < 0
               ? -errno
               : 0;
}

static int read_policy(uint64_t address, struct policy *policy)
{
    *policy = none;
    if (get_mempolicy(&policy->mode, policy->nodes, NK_NODE_BITS, (void *)(uintptr_t)address, MPOL_F_ADDR) < 0)
        return -errno;
    return 0;
}

/* Room for more pieces, so that nothing has to give up halfway. */
static int make_room(size_t more)
{
    size_t capacity = piece_capacity == 0 ? 16 : piece_capacity;
    struct piece *larger;

    while (capacity < piece_count + more)
        capacity *= 2;
    if (capacity == piece_capacity)
        return 0;
    larger = realloc(pieces, capacity * sizeof *larger);
    if (larger == NULL)
        return -ENOMEM;
    pieces = larger;
    piece_capacity = capacity;
    return 0;
}

static void insert(size_t index, const struct piece *piece)
{
    memmove(pieces + index + 1, pieces + index, (piece_count - index) * sizeof *pieces);
    pieces[index] = *piece;
    piece_count++;
}

static void drop(size_t index)
{
    piece_count--;
    memmove(pieces + index, pieces + index + 1, (piece_count - index) * sizeof *pieces);
}

/* Takes [start, end) out of the pieces that are older than the index-th. There is room for as many more as there are. */
static void cut(uint64_t start, uint64_t end, size_t index)
{
    for (size_t i = index; i-- > 0;) {
        struct piece rest = pieces[i];

        if (rest.start >= end || rest.end <= start)
            continue;
        if (rest.start < start && rest.end > end) {
            rest.start = end;
            pieces[i].end = start;
            insert(i + 1, &rest);
        } else if (rest.start < start) {
            pieces[i].end = start;
        } else if (rest.end > end) {
            pieces[i].start = end;
        } else {
            drop(i);
        }
    }
}

/* Which of the pieces older than the index-th stands at an address: its index + 1, or 0. *end becomes where that changes,
 * if it is before. */
static size_t standing(uint64_t at, size_t index, uint64_t *end)
{
    for (size_t i = index; i-- > 0;) {
        const struct piece *piece = &pieces[i];

        if (piece->start <= at && at < piece->end) {
            if (piece->end < *end)
                *end = piece->end;
            return i + 1;
        }
        if (piece->start > at && piece->start < *end)
            *end = piece->start;
    }
    return 0;
}

static int add_area(struct areas *areas, uint64_t start, uint64_t end)
{
    if (areas->count == areas->capacity) {
        size_t capacity = areas->capacity == 0 ? 16 : areas->capacity * 2;
        struct area *larger = realloc(areas->list, capacity * sizeof *larger);

        if (larger == NULL)
            return -ENOMEM;
        areas->list = larger;
        areas->capacity = capacity;
    }
    areas->list[areas->count++] = (struct area){.start = start, .end = end};
    return 0;
}

/* The kernel's mappings in [start, end), the lowest first; page by page, where there is no /proc to tell them, but not up
 * to EVERYTHING. areas->list is to be freed. */
static int read_areas(uint64_t start, uint64_t end, struct areas *areas)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    unsigned long from, to;
    char line[512];
    int error = 0;

    *areas = (struct areas){0};
    if (maps == NULL && (end == EVERYTHING || (errno != ENOENT && errno != EACCES && errno != EPERM)))
        return -errno;
    for (uint64_t at = start; maps == NULL && error == 0 && at < end; at += page)
        error = add_area(areas, at, at + page);
    while (maps != NULL && error == 0 && fgets(line, sizeof line, maps) != NULL)
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2 && to > start && from < end)
            error = add_area(areas, from > start ? from : start, to < end ? to : end);
    if (maps != NULL)
        fclose(maps);
    return error;
}

/* Forgets what is not true of an area any more. With find, remembers policies that nobody told us of. */
static int confirm_area(const struct area *area, int find)
{
    struct policy actual;
    int error = read_policy(area->start, &actual);
    uint64_t run;

    if (error < 0 && error != -EFAULT)
        return error;
    for (uint64_t at = area->start; at < area->end; at = run) {
        size_t top;

        run = area->end;
        top = standing(at, piece_count, &run);
        if (error == 0 && ((top == 0 && !find) || same(&actual, top == 0 ? &none : &pieces[top - 1].policy)))
            continue;
        if (make_room(piece_count + 1) < 0)
            return -ENOMEM;
        cut(at, run, piece_count);
        if (error == 0 && actual.mode != MPOL_DEFAULT)
            insert(0, &(struct piece){.start = at, .end = run, .binding = FOUND, .policy = actual});
    }
    return 0;
}

/* Makes what is remembered of [start, end) true. */
static int confirm(uint64_t start, uint64_t end, int find)
{
    struct areas areas;
    uint64_t at = start;
    int error = read_areas(start, end, &areas);

    for (size_t i = 0; error == 0 && i <= areas.count; i++) {
        error = make_room(piece_count);
        if (error < 0)
            break;
        cut(at, i < areas.count ? areas.list[i].start : end, piece_count); /* nothing is mapped there */
        if (i == areas.count)
            break;
        error = confirm_area(&areas.list[i], find);
        at = areas.list[i].end;
    }
    free(areas.list);
    return error;
}

/* What was found below bindings is remembered for their sake only. */
static void forget_found(void)
{
    for (size_t i = piece_count; i-- > 0;) {
        size_t other = i + 1;

        if (pieces[i].binding != FOUND)
            continue;
        while (other < piece_count && (pieces[other].start >= pieces[i].end || pieces[other].end <= pieces[i].start))
            other++;
        if (other == piece_count)
            drop(i);
    }
}

/* Gives [start, end) the policies that stand there, whatever it has. */
static void restore(uint64_t start, uint64_t end)
{
    uint64_t run;

    for (uint64_t at = start; at < end; at = run) {
        size_t top;

        run = end;
        top = standing(at, piece_count, &run);
        (void)set_policy(at, run, top == 0 ? &none : &pieces[top - 1].policy);
    }
}

/* Undoes the index-th piece where it stands in an area. */
static int undo_in(const struct area *area, size_t index)
{
    const struct piece piece = pieces[index];
    struct policy actual;
    uint64_t run;
    int error = read_policy(area->start, &actual);

    if (error < 0)
        return error == -EFAULT ? 0 : error;
    /* An arena's policy may well be the same: its memory came to these addresses later. */
    if (!same(&actual, &piece.policy) || nk_mapping_node((char *)(uintptr_t)area->start, area->end - area->start) >= 0)
        return 0;
    for (uint64_t at = area->start; at < area->end && error == 0; at = run) {
        size_t below;

        run = area->end;
        if (standing(at, piece_count, &run) != index + 1)
            continue;
        below = standing(at, index, &run);
        error = set_policy(at, run, below == 0 ? &none : &pieces[below - 1].policy);
    }
    return error;
}

static int undo(size_t index)
{
    struct areas areas;
    int error = read_areas(pieces[index].start, pieces[index].end, &areas);

    for (size_t i = 0; error == 0 && i < areas.count; i++)
        error = undo_in(&areas.list[i], index);
    free(areas.list);
    if (error == 0)
        drop(index);
    return error;
}

/* Locked. */
static int make(const struct piece *piece)
{
    struct policy actual;
    int error;

    /* Memory that is gone without its binding having been undone is noticed when its addresses are bound again, and here. */
    if (piece_count >= sweep_at) {
        (void)confirm(0, EVERYTHING, 0);
        sweep_at = 2 * piece_count + 64;
    }
    error = confirm(piece->start, piece->end, 1);
    if (error == 0)
        error = make_room(1);
    if (error < 0)
        return error;
    error = set_policy(piece->start, piece->end, &piece->policy);
    if (error == -EINVAL)
        error = -EACCES;
    if (error == 0)
        error = read_policy(piece->start, &actual);
    /* The kernel takes a mask with nodes that no machine of its kind has, and leaves them out. */
    if (error == 0 && !same(&actual, &piece->policy))
        error = -ENODEV;
    if (error == 0)
        pieces[piece_count++] = *piece;
    else
        restore(piece->start, piece->end);
    return error;
}

int32_t nk_binding_make(const void *buffer, uint64_t bytes, int32_t policy, const uint64_t *nodes, int32_t words,
                        uint64_t *out)
{
    struct piece piece = {.policy = none};
    struct nk_pages pages;
    int error = nk_whole_pages(buffer, bytes, &pages);

    if (error < 0)
        return error;
    if (policy != NK_POLICY_BIND && policy != NK_POLICY_INTERLEAVE)
        return -EINVAL;
    /* Static: the policy that the kernel tells has to stay the one that was set, should the cpuset change. */
    piece.policy.mode = (policy == NK_POLICY_BIND ? MPOL_BIND : MPOL_INTERLEAVE) | MPOL_F_STATIC_NODES;
    error = nk_mask_read(nodes, words, piece.policy.nodes);
    if (error < 0)
        return error;
    if (nk_mapping_node(pages.start, pages.bytes) >= 0 || nk_quarantine_has(pages.start, pages.bytes))
        return -ENOTSUP;
    piece.start = (uint64_t)(uintptr_t)pages.start;
    piece.end = piece.start + pages.bytes;
    pthread_mutex_lock(&mutex);
    piece.binding = ++serial;
    error = make(&piece);
    forget_found();
    pthread_mutex_unlock(&mutex);
    out[0] = piece.binding;
    return error < 0 ? error : 1;
}

int32_t nk_binding_undo(uint64_t binding)
{
    int error = 0;

    pthread_mutex_lock(&mutex);
    for (size_t i = piece_count; binding != FOUND && i-- > 0;) {
        int result = pieces[i].binding == binding ? undo(i) : 0;

        error = error < 0 ? error : result;
    }
    forget_found();
    pthread_mutex_unlock(&mutex);
    return error;
}

int32_t nk_binding_abandon(uint64_t binding)
{
    int error = 0;

    pthread_mutex_lock(&mutex);
    for (size_t i = piece_count; binding != FOUND && error == 0 && i-- > 0;) {
        const struct piece piece = pieces[i];

        if (piece.binding != binding)
            continue;
        error = make_room(piece_count);
        if (error < 0)
            break;
        pieces[i].binding = FOUND;
        cut(piece.start, piece.end, i);
        i = piece_count; /* they have moved */
    }
    forget_found();
    pthread_mutex_unlock(&mutex);
    return error;
}

int32_t nk_binding_stats(uint64_t *out)
{
    pthread_mutex_lock(&mutex);
    out[0] = 0;
    out[1] = piece_count;
    for (size_t i = 0; i < piece_count; i++) {
        size_t first = 0;

        while (pieces[first].binding != pieces[i].binding)
            first++;
        out[0] += first == i && pieces[i].binding != FOUND;
    }
    pthread_mutex_unlock(&mutex);
    return 2;
}
