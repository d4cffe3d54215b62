/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The list of a thread's locks that the kernel walks when the thread is gone.
 *
 *   lock + 0    word: TID of the owner | FUTEX_OWNER_DIED | FUTEX_WAITERS
 *   lock + 4    home: the PID namespace in which TIDs mean something; 0 at first
 *   lock + 8    node: the list runs through here
 */
#ifndef NK_ROBUST_LIST_H
#define NK_ROBUST_LIST_H

#include "numakit.h"
#include "registry.h"

#include <linux/futex.h>
#include <stdint.h>

struct lock {
    uint32_t word;
    uint32_t home;
    struct robust_list node;
};

_Static_assert(sizeof(struct lock) == NK_ROBUST_BYTES, "as the header says");

/* A lock that the thread has opened. Its number is its place in the table and how often that was used, so that a number
 * whose mapping is gone is never another lock's. */
struct opened {
    uint64_t mapping; /* 0: a free place */
    uint64_t offset;
    struct lock *lock;
    uint32_t serial;
    int held;
};

struct nk_robust {
    struct robust_list_head head;
    struct robust_list_head *before; /* the C library's */
    uint32_t tid;
    uint32_t home;
    struct opened *opened;
    uint32_t capacity;
    uint32_t held_count;
    uint32_t held[NK_MAX_ROBUST_HELD]; /* places in opened, the oldest first */
};

/* The calling thread's list, registered with the kernel on first use. Returns 0 or -errno. */
int nk_list_of(struct nk_thread *thread, struct nk_robust **list);

/* Put the C library's list back, and free this one. Nothing is held any more. */
void nk_list_free(struct nk_thread *thread);

/* The number of a lock, a new one if the thread has not opened it before. -ENOLCK, -ENOMEM. */
int32_t nk_list_enter(struct nk_robust *robust, uint64_t mapping, uint64_t offset, struct lock *lock);

/* The lock of that number; NULL if there is none. */
struct opened *nk_list_find(const struct nk_robust *robust, int32_t number);

/* The lock that the kernel looks at even if it is not on the list; NULL for none. */
void nk_list_pending(struct nk_robust *robust, struct lock *lock);

/* Put a lock on the list, or take it off. It is pending. */
void nk_list_add(struct nk_robust *robust, struct opened *opened);
void nk_list_remove(struct nk_robust *robust, struct opened *opened);

#endif
