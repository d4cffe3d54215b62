/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What thread.c and mapping.c share: who exists, and who holds what.
 *
 * Vocabulary: an *identity* is serial * 65536 + slot, so that it finds its table entry at once and is never reused; a
 * *thread record* belongs to its thread and is only touched by it, so the list of held mappings needs no lock; the
 * tables do, and one mutex guards them all. It is held for a few instructions at a time, never across a system call
 * that can take long, and a thread cannot be stopped inside it: runtimes stop threads only in JavaScript.
 */
#ifndef NK_REGISTRY_H
#define NK_REGISTRY_H

#include <stddef.h>
#include <stdint.h>

#define NK_SLOTS 65535u

struct nk_thread {
    uint64_t identity;
    uint32_t slot;
    int32_t tid;
    uint64_t owner; /* owner.c's: 0 before it has owned anything between processes */
    uint64_t *held;
    size_t held_count;
    size_t held_capacity;
    struct nk_robust *robust; /* robust.c's; NULL without one */
};

void nk_registry_lock(void);
void nk_registry_unlock(void);

/* The calling thread's record, made on first use. NULL when there is no memory or no slot left. */
struct nk_thread *nk_thread_record(void);

/* Where bytes of a mapping's committed data are. The calling thread has to hold it: they stay mapped while it does.
 * Returns 0. -ESTALE not held by it; -EINVAL range. */
int nk_mapping_at(uint64_t mapping, uint64_t offset, uint64_t bytes, char **at);

/* The node of a live mapping that has some of these bytes, whichever thread holds it; -1 when they are none's. */
int32_t nk_mapping_node(const char *start, uint64_t bytes);

/* Release all that a thread still holds when it ends; its views cannot be vouched for. */
void nk_mapping_release_all(struct nk_thread *thread);

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
