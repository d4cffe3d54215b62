/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "registry.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t registry_mutex = PTHREAD_MUTEX_INITIALIZER;

void nk_registry_lock(void)
{
    pthread_mutex_lock(&registry_mutex);
}

void nk_registry_unlock(void)
{
    pthread_mutex_unlock(&registry_mutex);
}

static int grow(struct nk_slots *slots)
{
    uint32_t capacity = slots->capacity == 0 ? 64 : slots->capacity * 2;
    uint64_t *identities;

    if (capacity > NK_MAX_SLOTS)
        capacity = NK_MAX_SLOTS;
    if (capacity == slots->capacity)
        return 0;
    identities = realloc(slots->identities, capacity * sizeof *identities);
    if (identities == NULL)
        return 0;
    memset(identities + slots->capacity, 0, (capacity - slots->capacity) * sizeof *identities);
    slots->hint = slots->capacity;
    slots->identities = identities;
    slots->capacity = capacity;
    return 1;
}

uint64_t nk_slot_take(struct nk_slots *slots)
{
    for (;;) {
        /* The hint is at or below the lowest free slot, so that slots stay dense. */
        while (slots->hint < slots->capacity && slots->identities[slots->hint] != 0)
            slots->hint++;
        if (slots->hint < slots->capacity)
            break;
        if (!grow(slots))
            return 0;
    }
    slots->serial++;
    slots->identities[slots->hint] = slots->serial * 65536u + slots->hint;
    return slots->identities[slots->hint++];
}

void nk_slot_give(struct nk_slots *slots, uint64_t identity)
{
    uint32_t slot = nk_slot_of(identity);

    slots->identities[slot] = 0;
    if (slot < slots->hint)
        slots->hint = slot;
}

int nk_slot_valid(const struct nk_slots *slots, uint64_t identity)
{
    uint32_t slot = nk_slot_of(identity);

    return identity != 0 && slot < slots->capacity && slots->identities[slot] == identity;
}
