/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The caches without QEMU: two nodes with two L3 domains each, and two cores a domain. */
#include "../../tests/check.h"
#include "../caches.h"
#include "../counts.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define CORES 8
#define LINES 4096
/* Lines below are of node 0's memory. */
#define NODE_LINES (LINES / 2)

static const struct nk_cache_size UNLIMITED = {0, 0};
/* 16 and 64 lines. */
static const struct nk_cache_size SMALL = {4, 4}, SMALL_L3 = {8, 8};

static struct nk_place places[CORES];
static struct nk_caches caches;
static struct nk_counts counts[CORES];

static void start(struct nk_cache_size private_size, struct nk_cache_size l3_size)
{
    for (unsigned core = 0; core < CORES; core++)
        places[core] = (struct nk_place){.core = core, .domain = core / 2, .node = core / 4};
    memset(counts, 0, sizeof counts);
    CHECK_EQ(nk_caches_init(&caches, places, CORES, LINES, private_size, l3_size), 0);
}

static void stop(void)
{
    nk_caches_free(&caches);
}

static struct nk_outcome access_by(unsigned core, uint64_t line, bool store)
{
    struct nk_outcome outcome = nk_caches_access(&caches, &places[core], line, line >= NODE_LINES, store);

    nk_counts_add(&counts[core], &outcome, store);
    return outcome;
}

static enum nk_source load(unsigned core, uint64_t line)
{
    struct nk_outcome outcome = access_by(core, line, false);

    CHECK(!outcome.upgrade);
    CHECK_EQ(outcome.invalidations, 0);
    return outcome.source;
}

/* A store that finds its line there, tells so many caches to drop it, and so many of them far away. */
static void check_store(unsigned core, uint64_t line, enum nk_source source, unsigned invalidations, unsigned far)
{
    struct nk_outcome outcome = access_by(core, line, true);

    CHECK_EQ(outcome.source, source);
    CHECK_EQ(outcome.invalidations, invalidations);
    CHECK_EQ(outcome.far_invalidations, far);
    CHECK_EQ(outcome.upgrade, source == NK_OWN && invalidations > 0);
}

static void test_memory_is_near_or_far_by_its_node(void)
{
    start(UNLIMITED, UNLIMITED);
    for (uint64_t line = 0; line < LINES; line++) {
        bool far = line >= NODE_LINES;

        CHECK_EQ(load(0, line), far ? NK_FAR_MEMORY : NK_MEMORY);
        CHECK_EQ(load(0, line), NK_OWN);
        CHECK_EQ(load(7, line), far ? NK_MEMORY : NK_FAR_MEMORY);
    }
    CHECK_EQ(counts[0].loads, 2 * LINES);
    CHECK_EQ(counts[0].stores, 0);
    CHECK_EQ(counts[0].sources[NK_OWN], LINES);
    CHECK_EQ(counts[0].sources[NK_MEMORY], NODE_LINES);
    CHECK_EQ(counts[0].sources[NK_FAR_MEMORY], NODE_LINES);
    CHECK_EQ(counts[7].sources[NK_MEMORY], NODE_LINES);
    stop();
}

static void test_what_is_modified_comes_from_where_it_is(void)
{
    static const enum nk_source from[CORES] = {NK_OWN,       NK_DOMAIN,    NK_NODE,      NK_NODE,
                                               NK_FAR_CACHE, NK_FAR_CACHE, NK_FAR_CACHE, NK_FAR_CACHE};

    start(UNLIMITED, UNLIMITED);
    for (unsigned reader = 0; reader < CORES; reader++) {
        check_store(0, reader, NK_MEMORY, 0, 0);
        CHECK_EQ(load(reader, reader), from[reader]);
        /* Written back when another domain read it: the next one finds it in memory, or beside it. */
        if (reader >= 2)
            CHECK_EQ(load(reader ^ 1, reader), NK_DOMAIN);
        if (reader == 2)
            CHECK_EQ(load(6, reader), NK_FAR_MEMORY);
    }
    stop();
}

static void test_what_its_domain_reads_stays_modified(void)
{
    start(UNLIMITED, UNLIMITED);
    check_store(0, 3, NK_MEMORY, 0, 0);
    CHECK_EQ(load(1, 3), NK_DOMAIN);
    CHECK_EQ(load(6, 3), NK_FAR_CACHE);
    /* Now memory has it, too. */
    CHECK_EQ(load(4, 3), NK_FAR_MEMORY);
    /* A store makes both of them drop it, as if it had come from memory. */
    check_store(0, 4, NK_MEMORY, 0, 0);
    CHECK_EQ(load(1, 4), NK_DOMAIN);
    check_store(0, 4, NK_OWN, 1, 0);
    CHECK_EQ(load(2, 4), NK_NODE);
    CHECK_EQ(load(3, 4), NK_DOMAIN);
    CHECK_EQ(load(6, 4), NK_FAR_MEMORY);
    stop();
}

static void test_what_its_domain_reads_takes_a_place_in_the_l3(void)
{
    start(SMALL, SMALL_L3);
    check_store(0, 8, NK_MEMORY, 0, 0);
    CHECK_EQ(load(1, 8), NK_DOMAIN);
    /* As many more of its set as the L3 has ways: each is modified, and then read. It is the first one to go. */
    for (uint64_t line = 16; line < 16 + 8 * 8; line += 8) {
        check_store(0, line, NK_MEMORY, 0, 0);
        CHECK_EQ(load(1, line), NK_DOMAIN);
    }
    CHECK_EQ(load(4, 8), NK_FAR_MEMORY);
    CHECK_EQ(load(4, 16), NK_FAR_CACHE);
    stop();
}

static void test_a_line_nobody_else_has_is_written_for_nothing(void)
{
    start(UNLIMITED, UNLIMITED);
    CHECK_EQ(load(5, 1), NK_FAR_MEMORY);
    check_store(5, 1, NK_OWN, 0, 0);
    check_store(5, 1, NK_OWN, 0, 0);
    CHECK_EQ(counts[5].upgrades, 0);
    CHECK_EQ(counts[5].invalidations, 0);
    stop();
}

static void test_a_store_to_what_others_have(void)
{
    start(UNLIMITED, UNLIMITED);
    for (unsigned core = 0; core < CORES; core += 2)
        load(core, 9);
    check_store(2, 9, NK_OWN, 3, 2);
    CHECK_EQ(counts[2].upgrades, 1);
    CHECK_EQ(counts[2].far_upgrades, 1);
    CHECK_EQ(counts[2].invalidations, 3);
    CHECK_EQ(counts[2].far_invalidations, 2);
    /* Gone everywhere else. */
    CHECK_EQ(load(0, 9), NK_NODE);
    CHECK_EQ(load(4, 9), NK_FAR_MEMORY);
    /* One that does not have it takes it from all. */
    check_store(6, 9, NK_FAR_MEMORY, 3, 2);
    CHECK_EQ(counts[6].upgrades, 0);
    CHECK_EQ(counts[6].far_upgrades, 0);
    CHECK_EQ(counts[6].far_invalidations, 2);
    /* Within a node an upgrade is no far one. */
    load(0, 10);
    load(2, 10);
    check_store(0, 10, NK_OWN, 1, 0);
    CHECK_EQ(counts[0].upgrades, 1);
    CHECK_EQ(counts[0].far_upgrades, 0);
    stop();
}

static void test_a_line_that_two_cores_throw_at_each_other(void)
{
    enum { ROUNDS = 1000 };

    start(UNLIMITED, UNLIMITED);
    for (int round = 0; round < ROUNDS; round++) {
        load(0, 3);
        access_by(0, 3, true);
        load(4, 3);
        access_by(4, 3, true);
    }
    /* Two fetches and two upgrades a round. */
    CHECK_EQ(counts[0].sources[NK_FAR_CACHE], ROUNDS - 1);
    CHECK_EQ(counts[4].sources[NK_FAR_CACHE], ROUNDS);
    CHECK_EQ(counts[0].upgrades, ROUNDS - 1);
    CHECK_EQ(counts[4].upgrades, ROUNDS);
    CHECK_EQ(counts[4].far_upgrades, ROUNDS);
    memset(counts, 0, sizeof counts);
    for (int round = 0; round < ROUNDS; round++) {
        access_by(0, 3, true);
        access_by(4, 3, true);
    }
    /* A store that comes first fetches it for itself at once. */
    CHECK_EQ(counts[0].sources[NK_FAR_CACHE] + counts[4].sources[NK_FAR_CACHE], 2 * ROUNDS);
    CHECK_EQ(counts[0].upgrades + counts[4].upgrades, 0);
    CHECK_EQ(counts[0].far_invalidations, ROUNDS);
    stop();
}

static void test_what_has_no_room_goes_to_the_l3_and_then_to_memory(void)
{
    start(SMALL, SMALL_L3);
    /* As many as the private cache has. */
    for (int pass = 0; pass < 3; pass++)
        for (uint64_t line = 0; line < 16; line++)
            CHECK_EQ(load(0, line), pass == 0 ? NK_MEMORY : NK_OWN);
    /* As many as both have: what is used in a circle is never in the private one. */
    nk_caches_reset(&caches);
    for (int pass = 0; pass < 3; pass++)
        for (uint64_t line = 0; line < 64; line++)
            CHECK_EQ(load(0, line), pass == 0 ? NK_MEMORY : NK_L3);
    /* The other core of the domain finds it there; another domain does not. */
    CHECK_EQ(load(1, 5), NK_L3);
    CHECK_EQ(load(2, 5), NK_MEMORY);
    /* More than both have. */
    nk_caches_reset(&caches);
    memset(counts, 0, sizeof counts);
    for (int pass = 0; pass < 3; pass++)
        for (uint64_t line = 0; line < 256; line++)
            CHECK_EQ(load(0, line), NK_MEMORY);
    stop();
}

static void test_the_line_used_last_stays(void)
{
    start(SMALL, SMALL_L3);
    /* Five lines of one set of four, with the first one used again and again. */
    for (uint64_t line = 4; line <= 16; line += 4) {
        CHECK_EQ(load(0, line), NK_MEMORY);
        CHECK_EQ(load(0, 4), NK_OWN);
    }
    CHECK_EQ(load(0, 20), NK_MEMORY);
    CHECK_EQ(load(0, 4), NK_OWN);
    CHECK_EQ(load(0, 8), NK_L3);
    stop();
}

static void test_the_place_of_a_line_that_is_gone_comes_first(void)
{
    start(SMALL, SMALL_L3);
    for (uint64_t line = 4; line <= 16; line += 4)
        load(0, line);
    /* The oldest ones are line 4 and, after the place that becomes free, line 12. */
    CHECK_EQ(load(0, 8), NK_OWN);
    check_store(5, 8, NK_FAR_MEMORY, 1, 1);
    /* A line after the free place is found where it is: the place stays free. */
    CHECK_EQ(load(0, 16), NK_OWN);
    CHECK_EQ(load(0, 20), NK_MEMORY);
    /* Nothing had to go for it. */
    CHECK_EQ(load(0, 4), NK_OWN);
    CHECK_EQ(load(0, 12), NK_OWN);
    CHECK_EQ(load(0, 16), NK_OWN);
    CHECK_EQ(load(0, 20), NK_OWN);
    stop();
}

static void test_what_goes_to_the_l3_again_is_new_there(void)
{
    enum { STEP = 8 }; /* All in the same set, of eight in the L3. */

    start(SMALL, SMALL_L3);
    for (uint64_t line = 0; line < 8; line++)
        CHECK_EQ(load(0, line * STEP), NK_MEMORY);
    CHECK_EQ(load(0, 0), NK_L3);
    /* Line 0 leaves the private cache a second time, and then one more line has to leave the L3. */
    for (uint64_t line = 8; line <= 12; line++)
        CHECK_EQ(load(0, line * STEP), NK_MEMORY);
    CHECK_EQ(load(0, 0), NK_L3);
    CHECK_EQ(load(0, 1 * STEP), NK_MEMORY);
    stop();
}

/* Lines that fill a cache to the last place, set by set. */
static void test_sets_are_not_ways(void)
{
    static const struct nk_cache_size sizes[] = {{8, 2}, {2, 8}};

    for (unsigned index = 0; index < 2; index++) {
        start(sizes[index], sizes[1 - index]);
        for (int pass = 0; pass < 3; pass++)
            for (uint64_t line = 0; line < 16; line++)
                CHECK_EQ(load(0, line), pass == 0 ? NK_MEMORY : NK_OWN);
        /* As many more of one set as it has ways: the other sets stay. */
        for (uint64_t way = 1; way <= sizes[index].ways; way++)
            load(0, way * 16);
        for (uint64_t line = 0; line < 16; line++)
            CHECK_EQ(load(0, line) == NK_OWN, line % sizes[index].sets != 0);
        stop();
    }
}

static void test_what_was_modified_and_had_to_go_is_in_the_l3(void)
{
    start(SMALL, SMALL_L3);
    check_store(0, 4, NK_MEMORY, 0, 0);
    for (uint64_t line = 8; line <= 20; line += 4)
        load(0, line);
    /* Memory has not got it yet: it is fetched from that L3, whoever wants it. */
    CHECK_EQ(load(4, 4), NK_FAR_CACHE);
    CHECK_EQ(load(6, 4), NK_FAR_MEMORY);
    CHECK_EQ(load(1, 4), NK_L3);
    /* The L3 lets it go as well: it is written back. */
    check_store(0, 1024, NK_MEMORY, 0, 0);
    for (uint64_t line = 1024 + 8; line < 1024 + 8 * 40; line += 4)
        load(0, line);
    CHECK_EQ(load(4, 1024), NK_FAR_MEMORY);
    stop();
}

static void test_a_store_makes_l3s_drop_it(void)
{
    start(SMALL, SMALL_L3);
    for (uint64_t line = 4; line <= 20; line += 4)
        load(0, line);
    /* Line 4 is in the L3 of domain 0 only. */
    check_store(5, 4, NK_FAR_MEMORY, 1, 1);
    CHECK_EQ(load(0, 4), NK_FAR_CACHE);
    stop();
}

static void test_a_store_does_not_count_the_l3_of_its_domain(void)
{
    start(SMALL, SMALL_L3);
    for (uint64_t line = 4; line <= 20; line += 4)
        load(0, line);
    /* It is that L3's line, and modified now. */
    check_store(1, 4, NK_L3, 0, 0);
    CHECK_EQ(counts[1].upgrades, 0);
    /* The L3 has it no longer: one cache has to drop it. */
    check_store(5, 4, NK_FAR_CACHE, 1, 1);
    CHECK_EQ(load(1, 4), NK_FAR_CACHE);
    stop();
}

static void test_a_store_counts_the_l3s_of_its_node_as_near(void)
{
    start(SMALL, SMALL_L3);
    for (uint64_t line = 4; line <= 20; line += 4)
        load(2, line);
    /* Line 4 is in the L3 of domain 1 only, which is on node 0 as well. */
    check_store(0, 4, NK_MEMORY, 1, 0);
    stop();
}

static void test_what_the_l3_and_a_core_have_comes_from_the_l3(void)
{
    start(SMALL, SMALL_L3);
    for (uint64_t line = 4; line <= 20; line += 4)
        load(0, line);
    CHECK_EQ(load(0, 4), NK_L3);
    CHECK_EQ(load(1, 4), NK_L3);
    stop();
}

/* An L3's lines are as old as when they came there: what a core has again, its own cache keeps. */
static void test_a_hit_in_the_l3_is_no_use(void)
{
    start(SMALL, SMALL_L3);
    /* The first eight are in the set of the L3. */
    for (uint64_t line = 0; line < 12 * 8; line += 8)
        load(0, line);
    CHECK_EQ(load(0, 0), NK_L3);
    /* That had the ninth go there, in line 0's place. */
    CHECK_EQ(load(1, 0), NK_DOMAIN);
    CHECK_EQ(load(1, 8), NK_L3);
    stop();
}

static void test_cpus_of_a_core_share_its_cache(void)
{
    struct nk_place threads[2] = {{.core = 0}, {.core = 0}};
    struct nk_caches shared;

    CHECK_EQ(nk_caches_init(&shared, threads, 2, 64, SMALL, SMALL_L3), 0);
    CHECK_EQ(nk_caches_access(&shared, &threads[0], 1, 0, true).source, NK_MEMORY);
    CHECK_EQ(nk_caches_access(&shared, &threads[1], 1, 0, true).source, NK_OWN);
    nk_caches_free(&shared);
}

static void test_epochs_come_back(void)
{
    start(UNLIMITED, UNLIMITED);
    CHECK_EQ(load(0, 2), NK_MEMORY);
    for (int round = 0; round < 1100; round++) {
        /* The number of the first one is there again. */
        if (round == 511)
            CHECK_EQ(load(0, 2), NK_MEMORY);
        CHECK_EQ(load(0, 1), NK_MEMORY);
        CHECK_EQ(load(0, 1), NK_OWN);
        nk_caches_reset(&caches);
    }
    stop();
}

static void test_machines_that_cannot_be(void)
{
    struct nk_place place = {.core = NK_MAX_CORES};

    CHECK_EQ(nk_caches_init(&caches, &place, 1, 64, SMALL, SMALL_L3), -EINVAL);
    place = (struct nk_place){.domain = NK_MAX_DOMAINS};
    CHECK_EQ(nk_caches_init(&caches, &place, 1, 64, SMALL, SMALL_L3), -EINVAL);
    place = (struct nk_place){0};
    CHECK_EQ(nk_caches_init(&caches, &place, 1, 0, SMALL, SMALL_L3), -EINVAL);
    CHECK_EQ(nk_caches_init(&caches, &place, 1, 64, SMALL, UNLIMITED), -EINVAL);
}

/* Lines that the directory says are in a cache, of which no set has more than it can. */
static void check_room(uint64_t bit, struct nk_cache_size size)
{
    for (uint64_t set = 0; set < size.sets; set++) {
        unsigned there = 0;

        for (uint64_t line = set; line < LINES; line += size.sets)
            there += (atomic_load(&caches.directory[line]) & bit) != 0;
        CHECK(there <= size.ways);
    }
}

enum { PHASES = 100, TURNS = 2000 };

static pthread_barrier_t phase_end;

/* What went wrong is seen at the end of a phase: the next accesses may put it right. */
static void *run_cpu(void *data)
{
    unsigned cpu = (unsigned)(uintptr_t)data;
    uint64_t random = cpu + 1;

    for (int phase = 0; phase < PHASES; phase++) {
        for (int turn = 0; turn < TURNS; turn++) {
            random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
            access_by(cpu, random >> 33 & 1023, (random & 3 << 20) == 0);
        }
        pthread_barrier_wait(&phase_end);
        if (cpu == 0) {
            for (unsigned core = 0; core < caches.cores; core++)
                check_room(UINT64_C(1) << core, SMALL);
            for (unsigned domain = 0; domain < caches.domains; domain++)
                check_room(UINT64_C(1) << (32 + domain), SMALL_L3);
        }
        pthread_barrier_wait(&phase_end);
    }
    return NULL;
}

static void run_side_by_side(void)
{
    pthread_t threads[CORES];

    CHECK_EQ(pthread_barrier_init(&phase_end, NULL, CORES), 0);
    for (uintptr_t cpu = 0; cpu < CORES; cpu++)
        CHECK_EQ(pthread_create(&threads[cpu], NULL, run_cpu, (void *)cpu), 0);
    for (unsigned cpu = 0; cpu < CORES; cpu++)
        CHECK_EQ(pthread_join(threads[cpu], NULL), 0);
    pthread_barrier_destroy(&phase_end);
}

/*
 * No access is lost, no line is in a cache without a place there, and a line has at most one that has modified it: who
 * stores next takes it from all others.
 */
static void test_cores_side_by_side(void)
{
    start(SMALL, SMALL_L3);
    run_side_by_side();
    for (unsigned core = 0; core < CORES; core++) {
        uint64_t found = 0;

        for (unsigned source = 0; source < NK_SOURCES; source++)
            found += counts[core].sources[source];
        CHECK_EQ(counts[core].loads + counts[core].stores, PHASES * TURNS);
        CHECK_EQ(found, PHASES * TURNS);
    }
    for (uint64_t line = 0; line < 1024; line++) {
        access_by(0, line, true);
        CHECK(access_by(5, line, true).source == NK_FAR_CACHE);
    }
    stop();
}

/* Two CPUs a core, which use its cache at the same time. */
static void test_cpus_of_a_core_side_by_side(void)
{
    for (unsigned cpu = 0; cpu < CORES; cpu++)
        places[cpu] = (struct nk_place){.core = cpu / 2, .domain = cpu / 4, .node = cpu / 4};
    CHECK_EQ(nk_caches_init(&caches, places, CORES, LINES, SMALL, SMALL_L3), 0);
    run_side_by_side();
    stop();
}

int main(void)
{
    RUN(test_memory_is_near_or_far_by_its_node);
    RUN(test_what_is_modified_comes_from_where_it_is);
    RUN(test_what_its_domain_reads_stays_modified);
    RUN(test_what_its_domain_reads_takes_a_place_in_the_l3);
    RUN(test_a_line_nobody_else_has_is_written_for_nothing);
    RUN(test_a_store_to_what_others_have);
    RUN(test_a_line_that_two_cores_throw_at_each_other);
    RUN(test_what_has_no_room_goes_to_the_l3_and_then_to_memory);
    RUN(test_the_line_used_last_stays);
    RUN(test_the_place_of_a_line_that_is_gone_comes_first);
    RUN(test_what_goes_to_the_l3_again_is_new_there);
    RUN(test_sets_are_not_ways);
    RUN(test_what_was_modified_and_had_to_go_is_in_the_l3);
    RUN(test_a_store_makes_l3s_drop_it);
    RUN(test_a_store_does_not_count_the_l3_of_its_domain);
    RUN(test_a_store_counts_the_l3s_of_its_node_as_near);
    RUN(test_what_the_l3_and_a_core_have_comes_from_the_l3);
    RUN(test_a_hit_in_the_l3_is_no_use);
    RUN(test_cpus_of_a_core_share_its_cache);
    RUN(test_epochs_come_back);
    RUN(test_machines_that_cannot_be);
    RUN(test_cores_side_by_side);
    RUN(test_cpus_of_a_core_side_by_side);
    return 0;
}
