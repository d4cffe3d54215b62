/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Caches of a machine with several nodes, line by line: where each access finds its line.
 *
 * Each core has a private cache, and each L3 domain a cache that takes what the private ones let go (a victim cache, as
 * those of AMD's Zen and of Intel's Xeons since Skylake are). A directory keeps them coherent by MESI: it knows of every
 * line which caches have it, and which one has the only copy that is up to date.
 *
 *   directory entry:  bits 0-31 cores that have it | 32-47 domains whose L3 has it
 *                     48-54 who has it modified: 0 nobody, 1 + core, 64 + domain | 55-63 epoch
 *
 * An entry is changed by compare-exchange: emulated CPUs run side by side. It alone says what a cache has; the tags of the
 * caches only choose what has to go. So a tag may be late, and what it names is then already gone.
 *
 * Where a line comes from that a cache has modified: from there. A core of the same domain that reads it leaves it
 * modified, in their L3; one of another domain has it written back to memory. Where it is clean: from the own domain's
 * caches, or else from memory, even where another domain's has it.
 */
#ifndef NK_CACHES_H
#define NK_CACHES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define NK_LINE_SHIFT 6
#define NK_MAX_CORES 32
#define NK_MAX_DOMAINS 16

/* Where a CPU is. CPUs of the same core share its private cache. */
struct nk_place {
    unsigned core, domain, node;
};

/* One cache's size in lines is sets times ways. No sets: without limit. */
struct nk_cache_size {
    uint32_t sets, ways;
};

/* Where an access found its line. */
enum nk_source {
    NK_OWN,        /* the core's own cache */
    NK_L3,         /* the L3 of its domain */
    NK_DOMAIN,     /* another core's cache of its domain */
    NK_NODE,       /* a cache of another domain of its node */
    NK_FAR_CACHE,  /* a cache of another node */
    NK_MEMORY,     /* the memory of its node */
    NK_FAR_MEMORY, /* the memory of another node */
    NK_SOURCES
};

/* What one access came to. */
struct nk_outcome {
    enum nk_source source;
    bool upgrade;              /* it was there, and had to be made the only copy */
    unsigned invalidations;    /* caches that had to drop it */
    unsigned far_invalidations; /* those of them on other nodes */
};

struct nk_cache;

struct nk_caches {
    _Atomic uint64_t *directory;
    uint64_t lines;
    uint64_t epoch;
    unsigned cores, domains;
    struct nk_place core_places[NK_MAX_CORES];
    unsigned cpus_of_core[NK_MAX_CORES];
    unsigned domain_nodes[NK_MAX_DOMAINS];
    struct nk_cache *private_caches; /* by core; NULL: without limit */
    struct nk_cache *l3s;            /* by domain */
};

/*
 * Makes empty caches.
 *
 * caches: filled in here. places, count: of the CPUs. lines: of all memory.
 * Returns 0, -EINVAL (a place or a size that cannot be) or -ENOMEM.
 */
int nk_caches_init(struct nk_caches *caches, const struct nk_place *places, unsigned count, uint64_t lines,
                   struct nk_cache_size private_size, struct nk_cache_size l3_size);
void nk_caches_free(struct nk_caches *caches);

/* Empties all caches. Nothing may access them meanwhile. */
void nk_caches_reset(struct nk_caches *caches);

/* An access of a CPU at `place` to `line`, whose memory is on node `home`. */
struct nk_outcome nk_caches_access(struct nk_caches *caches, const struct nk_place *place, uint64_t line, unsigned home,
                                   bool store);

#endif
