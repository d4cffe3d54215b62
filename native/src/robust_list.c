/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A thread's list of locks is its head, which is in private memory, and the nodes of the locks that it holds. The
 * kernel finds a lock's word at a constant distance from its node, so nodes have to lie beside their words, where
 * JavaScript and other processes can write. Therefore no pointer is ever read from there. Its private table says which
 * locks a thread holds. Each change of the list writes all of its nodes anew, from the oldest to the newest, then the
 * head: after each of these writes the list has all nodes that it had before or has afterwards.
 *
 * The kernel trusts nodes no more than that: it bears any pointer, gives up after 2,048, and changes no word but one
 * that has the dead thread's TID. What garbage in a node can do is to hide the older locks from the kernel.
 */
#include "robust_list.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Locks that a thread can have opened, and how often a place for one is used: together 31 bits. */
#define MAX_PLACES 32768u
#define MAX_SERIALS 65535u

int nk_list_of(struct nk_thread *thread, struct nk_robust **list)
{
    struct nk_robust *robust = thread->robust;
    struct stat namespace;
    size_t bytes;

    *list = robust;
    if (robust != NULL)
        return 0;
    robust = calloc(1, sizeof *robust);
    if (robust == NULL)
        return -ENOMEM;
    robust->tid = (uint32_t)thread->tid;
    /* Without /proc nobody asks. */
    if (stat("/proc/self/ns/pid", &namespace) == 0)
        robust->home = (uint32_t)namespace.st_ino;
    robust->head.list.next = &robust->head.list;
    robust->head.futex_offset = (long)offsetof(struct lock, word) - (long)offsetof(struct lock, node);
    if (syscall(SYS_get_robust_list, 0, &robust->before, &bytes) < 0)
        robust->before = NULL;
    if (syscall(SYS_set_robust_list, &robust->head, sizeof robust->head) < 0) {
        int error = -errno;

        free(robust);
        return error;
    }
    thread->robust = robust;
    *list = robust;
    return 0;
}

void nk_list_free(struct nk_thread *thread)
{
    struct nk_robust *robust = thread->robust;

    (void)syscall(SYS_set_robust_list, robust->before, sizeof robust->head);
    free(robust->opened);
    free(robust);
    thread->robust = NULL;
}

/* A place in the table: the lock's own if the thread opened it before. Returns capacity when there is none. */
static uint32_t place_of(const struct nk_robust *robust, uint64_t mapping, uint64_t offset)
{
    uint32_t free_place = robust->capacity;

    for (uint32_t i = robust->capacity; i > 0; i--) {
        const struct opened *opened = &robust->opened[i - 1];

        if (opened->mapping == mapping && opened->offset == offset)
            return i - 1;
        if (opened->mapping == 0 && opened->serial < MAX_SERIALS)
            free_place = i - 1;
    }
    return free_place;
}

static int grow(struct nk_robust *robust)
{
    uint32_t capacity = robust->capacity == 0 ? 16 : robust->capacity * 2;
    struct opened *opened;

    if (capacity > MAX_PLACES)
        return -ENOLCK;
    opened = realloc(robust->opened, capacity * sizeof *opened);
    if (opened == NULL)
        return -ENOMEM;
    memset(opened + robust->capacity, 0, (capacity - robust->capacity) * sizeof *opened);
    robust->opened = opened;
    robust->capacity = capacity;
    return 0;
}

int32_t nk_list_enter(struct nk_robust *robust, uint64_t mapping, uint64_t offset, struct lock *lock)
{
    uint32_t place = place_of(robust, mapping, offset);
    struct opened *opened;

    if (place == robust->capacity) {
        int error = grow(robust);

        if (error < 0)
            return error;
    }
    opened = &robust->opened[place];
    opened->mapping = mapping;
    opened->offset = offset;
    opened->lock = lock;
    return (int32_t)(opened->serial * MAX_PLACES + place);
}

struct opened *nk_list_find(const struct nk_robust *robust, int32_t number)
{
    uint32_t place = (uint32_t)number % MAX_PLACES;

    if (robust == NULL || number < 0 || place >= robust->capacity)
        return NULL;
    if (robust->opened[place].mapping == 0 || robust->opened[place].serial != (uint32_t)number / MAX_PLACES)
        return NULL;
    return &robust->opened[place];
}

/* The kernel looks on the thread's own account, so for it the order of the writes is the order of the program. */
void nk_list_pending(struct nk_robust *robust, struct lock *lock)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    __atomic_store_n(&robust->head.list_op_pending, lock == NULL ? NULL : &lock->node, __ATOMIC_RELAXED);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static void relink(struct nk_robust *robust)
{
    struct robust_list *next = &robust->head.list;

    for (uint32_t i = 0; i < robust->held_count; i++) {
        struct robust_list *node = &robust->opened[robust->held[i]].lock->node;

        __atomic_store_n(&node->next, next, __ATOMIC_RELAXED);
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
        next = node;
    }
    __atomic_store_n(&robust->head.list.next, next, __ATOMIC_RELAXED);
}

void nk_list_add(struct nk_robust *robust, struct opened *opened)
{
    opened->held = 1;
    robust->held[robust->held_count++] = (uint32_t)(opened - robust->opened);
    relink(robust);
}

void nk_list_remove(struct nk_robust *robust, struct opened *opened)
{
    uint32_t place = (uint32_t)(opened - robust->opened), from = robust->held_count;

    while (robust->held[from - 1] != place)
        from--;
    memmove(&robust->held[from - 1], &robust->held[from], (robust->held_count - from) * sizeof *robust->held);
    robust->held_count--;
    opened->held = 0;
    relink(robust);
}
