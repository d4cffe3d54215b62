/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "quarantine.h"
#include "check.h"
#include "files.h"
#include "numakit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

/* What the allocator maps meanwhile, a sanitizer's most of all; RANGES pile up to far more. */
#define MAPS_SLACK 40
#define TABLES_SLACK 200

static char *map(uint64_t bytes)
{
    char *start = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(start != MAP_FAILED);
    return start;
}

static void take(char *start, uint64_t bytes)
{
    const struct nk_leftover leftover = {.start = start, .bytes = bytes};

    nk_quarantine_take(&leftover, 0);
}

static void test_pages_go_and_addresses_stay(void)
{
    uint64_t before = status_kib("VmRSS:"), out[4];
    char *start = map(64 * MIB);

    memset(start, 0xab, 64 * MIB);
    CHECK(status_kib("VmRSS:") > before + 60 * 1024);
    take(start, 64 * MIB);
    /* Without a page of zeros the sanitizer's notes on 64 MiB are there, too. */
    CHECK(status_kib("VmRSS:") < before + (has_zero_page() ? 4u : 16u) * 1024);
    for (uint64_t at = 0; at < 64 * MIB; at += 4096)
        CHECK_EQ(start[at], 0);
    start[5] = 1;
    CHECK_EQ(start[5], 1);
    CHECK_EQ(nk_mapping_quarantine(out), 4);
    CHECK_EQ(out[0], 64 * MIB);
    CHECK(out[1] >= UINT64_C(1) << 35);
    CHECK_EQ(out[2], 1);
}

/* Neighbours become one mapping to the kernel, whatever the order they come in, and their page tables go. */
static void test_neighbours_do_not_pile_up(void)
{
    enum { RANGES = 20000 };
    uint64_t bytes = 2 * small_page(), tables, out[4];
    int before;
    char *start = map(RANGES * bytes);
    uint32_t *order = malloc(RANGES * sizeof *order), seed = 1;

    CHECK(order != NULL);
    before = count_maps();
    tables = status_kib("VmPTE:");
    memset(start, 1, RANGES * bytes);
    CHECK(status_kib("VmPTE:") > tables + 300);
    for (uint32_t i = 0; i < RANGES; i++)
        order[i] = i;
    for (uint32_t i = RANGES - 1; i > 0; i--) {
        uint32_t other, swap = order[i];

        other = (uint32_t)((uint64_t)next_random(&seed) * (i + 1) >> 32);
        order[i] = order[other];
        order[other] = swap;
    }
    for (uint32_t i = 0; i < RANGES; i++)
        take(start + order[i] * bytes, bytes);
    free(order);
    CHECK(count_maps() <= before + MAPS_SLACK);
    CHECK(status_kib("VmPTE:") < tables + TABLES_SLACK);
    nk_mapping_quarantine(out);
    CHECK(out[2] <= 3);
}

/* The free addresses that aligning leaves between ranges would keep them apart. */
static void test_gaps_between_ranges_are_closed(void)
{
    enum { RANGES = 100 };
    uint64_t bytes = 16 * small_page(), gap = 3 * small_page(), out[4], blocks;
    int before;
    char *start = map(RANGES * (bytes + 2 * gap));

    for (uint64_t i = 0; i < RANGES; i++) {
        munmap(start + i * (bytes + 2 * gap), gap);
        munmap(start + i * (bytes + 2 * gap) + gap + bytes, gap);
    }
    before = count_maps();
    nk_mapping_quarantine(out);
    blocks = out[2];
    for (uint64_t i = 0; i < RANGES; i++) {
        const struct nk_leftover leftover = {.start = start + i * (bytes + 2 * gap) + gap, .bytes = bytes,
                                             .free_before = gap, .free_behind = gap};

        nk_quarantine_take(&leftover, 0);
    }
    CHECK(count_maps() < before - RANGES / 2);
    nk_mapping_quarantine(out);
    CHECK(out[2] <= blocks + 1);
}

static void test_addresses_that_somebody_else_got_meanwhile_are_left_alone(void)
{
    char *start = map(3 * small_page());
    const struct nk_leftover leftover = {.start = start + small_page(), .bytes = small_page(), .free_before = small_page(),
                                         .free_behind = small_page()};

    memset(start, 7, 3 * small_page());
    nk_quarantine_take(&leftover, 0);
    CHECK_EQ(start[0], 7);
    CHECK_EQ(start[small_page()], 0);
    CHECK_EQ(start[2 * small_page()], 7);
}

static void in_child(void (*run)(void))
{
    pid_t child = fork();

    CHECK(child >= 0);
    if (child == 0) {
        run();
        exit(0);
    }
    finish(child);
}

/* Limits the process's addresses, beside what a sanitizer has of them. Returns the bound that follows. */
static uint64_t limit_addresses(void)
{
    uint64_t bytes = 2 * (status_kib("VmSize:") << 10) + (UINT64_C(16) << 30);
    const struct rlimit limit = {bytes, bytes};

    CHECK_EQ(setrlimit(RLIMIT_AS, &limit), 0);
    return bytes / 16;
}

/* A range of such a part of the bound, less a little. */
static char *map_part(uint64_t bound, uint64_t part, uint64_t *bytes)
{
    char *start;

    *bytes = bound / part / small_page() * small_page() - small_page();
    start = mmap(NULL, *bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(start != MAP_FAILED);
    return start;
}

/* With a limit on addresses a 16th of it is the bound, and what came first goes first. */
static void give_back_oldest_first(void)
{
    uint64_t bound = limit_addresses(), bytes = 0, out[4];
    char *ranges[12];

    for (int i = 0; i < 12; i++)
        ranges[i] = map_part(bound, 8, &bytes);
    for (int i = 0; i < 12; i++)
        take(ranges[i], bytes);
    for (int i = 0; i < 12; i++)
        CHECK_EQ(is_mapped(ranges[i]), i >= 4);
    nk_mapping_quarantine(out);
    CHECK_EQ(out[1], bound);
    CHECK_EQ(out[0], 8 * bytes);
}

/* The list is a ring, which has turned by the time at which it has to grow. */
static void keep_the_order_while_the_list_grows(void)
{
    enum { LARGE = 120, KEPT = 60, SMALL = 20, BEFORE = 100 };
    uint64_t bound = limit_addresses(), bytes = 0;
    char *ranges[LARGE], *small;

    for (int i = 0; i < LARGE; i++)
        ranges[i] = map_part(bound, KEPT, &bytes);
    small = map(2 * SMALL * small_page());
    for (int i = 0; i < BEFORE; i++)
        take(ranges[i], bytes);
    for (uint64_t i = 0; i < SMALL; i++)
        take(small + 2 * i * small_page(), small_page());
    for (int i = BEFORE; i < LARGE; i++)
        take(ranges[i], bytes);
    for (int i = 0; i < LARGE; i++)
        CHECK_EQ(is_mapped(ranges[i]), i >= LARGE - KEPT);
}

static void keep_some_for_ever(void)
{
    uint64_t bound = limit_addresses(), bytes = 0;
    char *first = map_part(bound, 8, &bytes);
    const struct nk_leftover leftover = {.start = first, .bytes = bytes};

    nk_quarantine_take(&leftover, 1);
    for (int i = 0; i < 40; i++) {
        char *next = map_part(bound, 8, &bytes);

        take(next, bytes);
    }
    CHECK(is_mapped(first));
}

/* So many that lie apart would leave the process no mappings. */
static void keep_few_that_lie_apart(void)
{
    uint64_t out[4], count;
    char *start;

    nk_mapping_quarantine(out);
    count = out[3] + 100;
    start = map(count * 2 * small_page());
    for (uint64_t i = 0; i < count; i++)
        take(start + i * 2 * small_page(), small_page());
    nk_mapping_quarantine(out);
    CHECK_EQ(out[2], out[3]);
    CHECK(!is_mapped(start));
    CHECK(is_mapped(start + (count - 1) * 2 * small_page()));
}

static void test_the_oldest_are_given_back_first(void)
{
    in_child(give_back_oldest_first);
    in_child(keep_the_order_while_the_list_grows);
    in_child(keep_some_for_ever);
    in_child(keep_few_that_lie_apart);
}

static int is_resident(const char *start)
{
    unsigned char there;

    CHECK_EQ(mincore((void *)(uintptr_t)start, 1, &there), 0);
    return there & 1;
}

static void test_what_late_writes_leave_is_dropped(void)
{
    enum { APART = 5, LATER = 2 * APART };
    char *apart = map(2 * APART * small_page()), *later = map(LATER * small_page());

    for (uint64_t i = 0; i < APART; i++)
        take(apart + 2 * i * small_page(), small_page());
    for (uint64_t i = 0; i < APART; i++) {
        apart[2 * i * small_page()] = 1;
        CHECK(is_resident(apart + 2 * i * small_page()));
    }
    /* Neighbours, so that there are not always more to look at. */
    for (uint64_t i = 0; i < LATER; i++)
        take(later + i * small_page(), small_page());
    for (uint64_t i = 0; i < APART; i++)
        CHECK(!is_resident(apart + 2 * i * small_page()));
}

/* A process that runs alone: no other test has been here. */
int main(void)
{
    in_child(test_pages_go_and_addresses_stay);
    puts("ok - test_pages_go_and_addresses_stay");
    test_the_oldest_are_given_back_first();
    puts("ok - test_the_oldest_are_given_back_first");
    in_child(test_neighbours_do_not_pile_up);
    puts("ok - test_neighbours_do_not_pile_up");
    in_child(test_what_late_writes_leave_is_dropped);
    puts("ok - test_what_late_writes_leave_is_dropped");
    RUN(test_gaps_between_ranges_are_closed);
    RUN(test_addresses_that_somebody_else_got_meanwhile_are_left_alone);
    return 0;
}
