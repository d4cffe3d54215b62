/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "caches.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DOMAIN_SHIFT 32
#define HOLDER_SHIFT 48
#define HOLDER (UINT64_C(0x7f) << HOLDER_SHIFT)
#define HOLDING_DOMAIN 64
#define EPOCH_SHIFT 55
#define EPOCHS (UINT64_C(1) << (64 - EPOCH_SHIFT))

/* Tags by set. A tag is a line plus one; the stamp tells which was used last. */
struct nk_cache {
    struct nk_cache_size size;
    _Atomic uint32_t *tags, *stamps;
    _Atomic uint32_t clock;
    atomic_flag *locks; /* by set, where several CPUs use it */
};

static uint64_t core_bit(unsigned core)
{
    return UINT64_C(1) << core;
}

static uint64_t domain_bit(unsigned domain)
{
    return UINT64_C(1) << (DOMAIN_SHIFT + domain);
}

static unsigned holder_of(uint64_t entry)
{
    return (unsigned)((entry & HOLDER) >> HOLDER_SHIFT);
}

static uint64_t held_by(unsigned holder)
{
    return (uint64_t)holder << HOLDER_SHIFT;
}

static uint64_t epoch_bits(const struct nk_caches *caches)
{
    return caches->epoch << EPOCH_SHIFT;
}

/* What of an entry counts: that of an earlier epoch says that no cache has the line. */
static uint64_t current(const struct nk_caches *caches, uint64_t entry)
{
    return entry >> EPOCH_SHIFT == caches->epoch ? entry & ~(~UINT64_C(0) << EPOCH_SHIFT) : 0;
}

static int cache_init(struct nk_cache *cache, struct nk_cache_size size)
{
    size_t tags = (size_t)size.sets * size.ways;

    cache->size = size;
    cache->tags = calloc(tags, sizeof *cache->tags);
    cache->stamps = calloc(tags, sizeof *cache->stamps);
    cache->locks = calloc(size.sets, sizeof *cache->locks);
    return cache->tags == NULL || cache->stamps == NULL || cache->locks == NULL ? -ENOMEM : 0;
}

static struct nk_cache *caches_of(unsigned count, struct nk_cache_size size)
{
    struct nk_cache *caches = calloc(count, sizeof *caches);

    for (unsigned index = 0; caches != NULL && index < count; index++)
        if (cache_init(&caches[index], size) != 0)
            return NULL; /* the process ends over it */
    return caches;
}

int nk_caches_init(struct nk_caches *caches, const struct nk_place *places, unsigned count, uint64_t lines,
                   struct nk_cache_size private_size, struct nk_cache_size l3_size)
{
    memset(caches, 0, sizeof *caches);
    if (lines == 0 || lines >= UINT32_MAX || (private_size.sets == 0) != (l3_size.sets == 0))
        return -EINVAL;
    for (unsigned cpu = 0; cpu < count; cpu++) {
        const struct nk_place *place = &places[cpu];

        if (place->core >= NK_MAX_CORES || place->domain >= NK_MAX_DOMAINS)
            return -EINVAL;
        caches->core_places[place->core] = *place;
        caches->cpus_of_core[place->core]++;
        caches->domain_nodes[place->domain] = place->node;
        if (place->core >= caches->cores)
            caches->cores = place->core + 1;
        if (place->domain >= caches->domains)
            caches->domains = place->domain + 1;
    }
    caches->lines = lines;
    caches->epoch = 1;
    caches->directory = calloc(lines, sizeof *caches->directory);
    if (caches->directory == NULL)
        return -ENOMEM;
    if (private_size.sets == 0)
        return 0;
    caches->private_caches = caches_of(caches->cores, private_size);
    caches->l3s = caches_of(caches->domains, l3_size);
    return caches->private_caches == NULL || caches->l3s == NULL ? -ENOMEM : 0;
}

static void free_all(struct nk_cache *caches, unsigned count)
{
    for (unsigned index = 0; caches != NULL && index < count; index++) {
        free(caches[index].tags);
        free(caches[index].stamps);
        free(caches[index].locks);
    }
    free(caches);
}

void nk_caches_free(struct nk_caches *caches)
{
    free(caches->directory);
    free_all(caches->private_caches, caches->cores);
    free_all(caches->l3s, caches->domains);
}

void nk_caches_reset(struct nk_caches *caches)
{
    if (++caches->epoch < EPOCHS)
        return;
    /* Numbers of epochs come back. */
    memset((void *)caches->directory, 0, caches->lines * sizeof *caches->directory);
    caches->epoch = 1;
}

/* Takes a bit from an entry; with it, from the holder `from`, the duty to write it back, which `to` has then (0: memory). */
static bool drop(struct nk_caches *caches, uint64_t line, uint64_t bit, unsigned from, unsigned to, uint64_t more)
{
    uint64_t seen = atomic_load(&caches->directory[line]);

    for (;;) {
        uint64_t entry = current(caches, seen);
        uint64_t next = (entry & ~bit) | more;

        if ((entry & bit) == 0)
            return false;
        if (holder_of(entry) == from)
            next = (next & ~HOLDER) | held_by(to);
        if (atomic_compare_exchange_weak(&caches->directory[line], &seen, next | epoch_bits(caches)))
            return true;
    }
}

/* The place of a line in its set, or the one that it gets: nobody's, that of a line that is gone, or the oldest. */
static size_t place_for(struct nk_caches *caches, struct nk_cache *cache, uint64_t bit, uint64_t line, bool *found)
{
    size_t first = (size_t)(line % cache->size.sets) * cache->size.ways;
    uint32_t now = atomic_load_explicit(&cache->clock, memory_order_relaxed);
    uint32_t oldest = 0;
    size_t best = first;
    bool is_free = false;

    for (size_t at = first; at < first + cache->size.ways; at++) {
        uint32_t tag = atomic_load_explicit(&cache->tags[at], memory_order_relaxed);

        if (tag == (uint32_t)line + 1) {
            *found = true;
            return at;
        }
        if (is_free)
            continue;
        is_free = tag == 0 || (current(caches, atomic_load(&caches->directory[tag - 1])) & bit) == 0;
        /* By difference, as the clock goes round. */
        uint32_t age = now - atomic_load_explicit(&cache->stamps[at], memory_order_relaxed);

        if (is_free || age >= oldest) {
            oldest = age;
            best = at;
        }
    }
    *found = false;
    return best;
}

static void lock_set(struct nk_cache *cache, uint64_t line)
{
    while (atomic_flag_test_and_set_explicit(&cache->locks[line % cache->size.sets], memory_order_acquire))
        ;
}

static void unlock_set(struct nk_cache *cache, uint64_t line)
{
    atomic_flag_clear_explicit(&cache->locks[line % cache->size.sets], memory_order_release);
}

static void stamp(struct nk_cache *cache, size_t at)
{
    uint32_t now = atomic_fetch_add_explicit(&cache->clock, 1, memory_order_relaxed) + 1;

    atomic_store_explicit(&cache->stamps[at], now, memory_order_relaxed);
}

/* Puts a line that the directory says is there into a domain's L3. */
static void fill_l3(struct nk_caches *caches, unsigned domain, uint64_t line)
{
    struct nk_cache *cache = &caches->l3s[domain];
    bool found;

    lock_set(cache, line);
    size_t at = place_for(caches, cache, domain_bit(domain), line, &found);
    uint32_t old = atomic_load_explicit(&cache->tags[at], memory_order_relaxed);

    if (!found) {
        if (old != 0)
            drop(caches, old - 1, domain_bit(domain), HOLDING_DOMAIN + domain, 0, 0);
        atomic_store_explicit(&cache->tags[at], (uint32_t)line + 1, memory_order_relaxed);
    }
    stamp(cache, at);
    unlock_set(cache, line);
}

/* Gives a line that a core has used its place in the core's cache; returns what had it, plus one, or 0. */
static uint32_t take_place(struct nk_caches *caches, unsigned core, uint64_t line)
{
    struct nk_cache *cache = &caches->private_caches[core];
    bool found;
    size_t at = place_for(caches, cache, core_bit(core), line, &found);
    uint32_t old = 0;

    if (!found) {
        old = atomic_load_explicit(&cache->tags[at], memory_order_relaxed);
        atomic_store_explicit(&cache->tags[at], (uint32_t)line + 1, memory_order_relaxed);
    }
    stamp(cache, at);
    return old;
}

/* Notes that a core has used a line, which its cache has: what had its place goes to the L3. */
static void use(struct nk_caches *caches, const struct nk_place *place, uint64_t line)
{
    bool is_shared = caches->cpus_of_core[place->core] > 1;
    struct nk_cache *cache = &caches->private_caches[place->core];

    if (is_shared)
        lock_set(cache, line);
    uint32_t old = take_place(caches, place->core, line);

    if (is_shared)
        unlock_set(cache, line);
    if (old != 0 && drop(caches, old - 1, core_bit(place->core), 1 + place->core, HOLDING_DOMAIN + place->domain,
                         domain_bit(place->domain)))
        fill_l3(caches, place->domain, old - 1);
}

/* The domain that has a line which memory has not. */
static unsigned holding_domain(const struct nk_caches *caches, unsigned holder)
{
    return holder >= HOLDING_DOMAIN ? holder - HOLDING_DOMAIN : caches->core_places[holder - 1].domain;
}

/* Where a line comes from that the core does not have. */
static enum nk_source find(const struct nk_caches *caches, uint64_t entry, const struct nk_place *place, unsigned home)
{
    unsigned holder = holder_of(entry);

    if (holder != 0) {
        unsigned domain = holding_domain(caches, holder);

        if (domain == place->domain)
            return holder >= HOLDING_DOMAIN ? NK_L3 : NK_DOMAIN;
        return caches->domain_nodes[domain] == place->node ? NK_NODE : NK_FAR_CACHE;
    }
    if ((entry & domain_bit(place->domain)) != 0)
        return NK_L3;
    for (unsigned core = 0; core < caches->cores; core++)
        if ((entry & core_bit(core)) != 0 && caches->core_places[core].domain == place->domain)
            return NK_DOMAIN;
    return home == place->node ? NK_MEMORY : NK_FAR_MEMORY;
}

/* Counts the caches that have to drop a line for a store. */
static void count_invalidations(const struct nk_caches *caches, uint64_t entry, const struct nk_place *place,
                                struct nk_outcome *outcome)
{
    for (unsigned core = 0; core < caches->cores; core++) {
        if (core == place->core || (entry & core_bit(core)) == 0)
            continue;
        outcome->invalidations++;
        outcome->far_invalidations += caches->core_places[core].node != place->node;
    }
    for (unsigned domain = 0; domain < caches->domains; domain++) {
        if (domain == place->domain || (entry & domain_bit(domain)) == 0)
            continue;
        outcome->invalidations++;
        outcome->far_invalidations += caches->domain_nodes[domain] != place->node;
    }
}

/* A line's entry after a core has fetched it to read it. */
static uint64_t shared_with(const struct nk_caches *caches, uint64_t entry, const struct nk_place *place)
{
    uint64_t next = entry | core_bit(place->core);
    unsigned holder = holder_of(entry);

    if (holder == 0)
        return next;
    next &= ~HOLDER;
    /* Within its domain, what was modified only reaches the L3; it is written back to memory when it leaves the domain. */
    if (holding_domain(caches, holder) == place->domain)
        next |= held_by(HOLDING_DOMAIN + place->domain) | domain_bit(place->domain);
    return next;
}

struct nk_outcome nk_caches_access(struct nk_caches *caches, const struct nk_place *place, uint64_t line, unsigned home,
                                   bool store)
{
    uint64_t mine = core_bit(place->core);
    uint64_t seen = atomic_load(&caches->directory[line]);

    for (;;) {
        uint64_t entry = current(caches, seen);
        struct nk_outcome outcome = {.source = NK_OWN};
        uint64_t next = entry;

        if ((entry & mine) == 0)
            outcome.source = find(caches, entry, place, home);
        if (store) {
            next = mine | held_by(1 + place->core);
            count_invalidations(caches, entry, place, &outcome);
            outcome.upgrade = outcome.source == NK_OWN && outcome.invalidations > 0;
        } else if (outcome.source != NK_OWN) {
            next = shared_with(caches, entry, place);
        }
        if (next != entry && !atomic_compare_exchange_weak(&caches->directory[line], &seen, next | epoch_bits(caches)))
            continue;
        if (caches->private_caches == NULL)
            return outcome;
        if ((next & ~entry & domain_bit(place->domain)) != 0)
            fill_l3(caches, place->domain, line);
        use(caches, place, line);
        return outcome;
    }
}
