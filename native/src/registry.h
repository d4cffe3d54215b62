/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the tables of threads and of mappings are made of.
 *
 * Vocabulary: an *identity* is serial * 65536 + slot, so that it finds its table entry at once and is never reused; a
 * *thread record* belongs to its thread and is only touched by it, so the list of held mappings needs no lock; the
 * tables do, and one mutex guards them all. It is held for a few instructions at a time, never across a system call
 * that can take long (to pin a thread takes microseconds), and a thread cannot be stopped
 * inside it: runtimes stop threads only in JavaScript.
 */
#ifndef NK_REGISTRY_H
#define NK_REGISTRY_H

#include <stddef.h>
#include <stdint.h>

#define NK_MAX_SLOTS 65535u

struct nk_thread {
    uint64_t identity;
    uint32_t slot;
    int32_t tid;
    uint64_t owner; /* owner.c's: 0 before it has owned anything between processes */
    uint64_t *held; /* table.c's */
    size_t held_count;
    size_t held_capacity;
    struct nk_robust *robust; /* robust_list.c's; NULL without one */
    /* What is to be done when it ends, in this order; NULL for nothing. Set by the file that has something to do. */
    void (*end_robust)(struct nk_thread *thread);
    void (*end_held)(struct nk_thread *thread);
};

void nk_registry_lock(void);
void nk_registry_unlock(void);

/*
 * Slots: identities[slot] is 0 for a free slot. nk_slot_take returns an identity, or 0 when there is no memory or no
 * slot left. To be called with the registry locked.
 */
struct nk_slots {
    uint64_t *identities;
    uint32_t capacity;
    uint32_t hint;
    uint64_t serial;
};

uint64_t nk_slot_take(struct nk_slots *slots);
void nk_slot_give(struct nk_slots *slots, uint64_t identity);
int nk_slot_valid(const struct nk_slots *slots, uint64_t identity);

static inline uint32_t nk_slot_of(uint64_t identity)
{
    return (uint32_t)(identity & 0xffffu);
}

#endif
