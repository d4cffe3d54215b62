/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The kernel calls pages absent that are there: the linker's --wrap makes it do so. What a two-node guest does by itself is
 * in tests/numa/two_nodes_test.ts.
 */
#include "check.h"
#include "numakit.h"
#include "page_query.h"

#include <errno.h>
#include <numaif.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGES 64

/* So many more questions about places are answered with lie; moves_refused more moves do nothing. */
static int lies, lie, moves_refused, questions;

long __real_move_pages(int pid, unsigned long count, void **pages, const int *nodes, int *status, int flags);
long __wrap_move_pages(int pid, unsigned long count, void **pages, const int *nodes, int *status, int flags);

long __wrap_move_pages(int pid, unsigned long count, void **pages, const int *nodes, int *status, int flags)
{
    long result;

    if (nodes != NULL && moves_refused > 0) {
        moves_refused--;
        return (long)count; /* the status array stays as it was */
    }
    result = __real_move_pages(pid, count, pages, nodes, status, flags);
    if (nodes != NULL)
        return result;
    questions++;
    if (lies > 0) {
        lies--;
        for (unsigned long i = 0; i < count; i++)
            status[i] = lie;
    }
    return result;
}

static uint64_t page;

static char *map_pages(void)
{
    char *start = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(start != MAP_FAILED);
    /* Small pages, of which each is there or not by itself. */
    (void)madvise(start, PAGES * page, MADV_NOHUGEPAGE);
    lies = moves_refused = questions = 0;
    return start;
}

static void test_pages_that_are_there_are_asked_about_again(void)
{
    const int wrong[] = {-ENOENT, -EFAULT};
    int32_t nodes[PAGES], target = 0, absent = -1;
    char *start = map_pages();

    memset(start, 1, PAGES * page);
    for (size_t i = 0; i < 2; i++) {
        lie = wrong[i];
        lies = 2;
        CHECK_EQ(nk_buffer_locate(start, PAGES * page, nodes, PAGES), PAGES);
        for (int at = 0; at < PAGES; at++)
            CHECK_EQ(nodes[at], 0);
        lies = 2;
        CHECK_EQ(nk_buffer_move(start, PAGES * page, &target, 1, 0, &absent), 0);
        CHECK_EQ(absent, 0);
    }
    munmap(start, PAGES * page);
}

static void test_absent_pages_are_told_at_once_and_stay_absent(void)
{
    int32_t nodes[PAGES];
    unsigned char resident[PAGES];
    char *start = map_pages();

    memset(start + 8 * page, 1, 8 * page);
    CHECK_EQ(nk_buffer_locate(start, PAGES * page, nodes, PAGES), PAGES);
    CHECK_EQ(questions, 1);
    for (int at = 0; at < PAGES; at++)
        CHECK_EQ(nodes[at], at >= 8 && at < 16 ? 0 : -1);
    /* Only those that are there are asked about again. */
    lie = -ENOENT;
    lies = 1;
    CHECK_EQ(nk_buffer_locate(start, PAGES * page, nodes, PAGES), PAGES);
    for (int at = 0; at < PAGES; at++)
        CHECK_EQ(nodes[at], at >= 8 && at < 16 ? 0 : -1);
    CHECK_EQ(mincore(start, PAGES * page, resident), 0);
    for (int at = 0; at < PAGES; at++)
        CHECK_EQ(resident[at] & 1, at >= 8 && at < 16);
    munmap(start, PAGES * page);
}

static void test_the_question_ends(void)
{
    int32_t nodes[PAGES];
    char *start = map_pages();

    memset(start, 1, PAGES * page);
    lie = -ENOENT;
    lies = 1000;
    CHECK_EQ(nk_buffer_locate(start, PAGES * page, nodes, PAGES), PAGES);
    CHECK_EQ(nodes[0], -1);
    CHECK(questions < 10);
    munmap(start, PAGES * page);
}

static void test_pages_of_zeros_have_no_node(void)
{
    int32_t nodes[PAGES];
    char *start = map_pages();

    CHECK_EQ(*(volatile char *)start, 0);
    CHECK_EQ(nk_buffer_locate(start, PAGES * page, nodes, PAGES), PAGES);
    CHECK_EQ(nodes[0], -1);
    CHECK(questions < 10);
    munmap(start, PAGES * page);
}

static void test_mappings_are_not_misjudged(void)
{
    uint64_t out[NK_MAPPING_FACTS];
    int32_t counts[2];

    CHECK_EQ(nk_mapping_create(0, NK_PAGES_SMALL, 0, page, PAGES * page, out), NK_MAPPING_FACTS);
    CHECK_EQ(nk_mapping_populate(out[0], 0, PAGES * page), 0);
    lie = -ENOENT;
    lies = 1;
    CHECK_EQ(nk_mapping_residency(out[0], 0, PAGES * page, counts, 1), PAGES);
    CHECK_EQ(counts[0], PAGES);
    CHECK_EQ(counts[1], 0);
    CHECK_EQ(nk_mapping_release(out[0], 1), 0);
}

static void test_moves_are_repeated(void)
{
    int32_t target = 0, absent = -1;
    char *start = map_pages();

    memset(start, 1, PAGES * page);
    /* All of them seem to be on node 1, until they have been moved twice. */
    lie = 1;
    lies = 2;
    moves_refused = 1;
    CHECK_EQ(nk_buffer_move(start, PAGES * page, &target, 1, 0, &absent), 0);
    CHECK_EQ(absent, 0);
    lies = 1000;
    CHECK_EQ(nk_buffer_move(start, PAGES * page, &target, 1, 0, &absent), PAGES);
    munmap(start, PAGES * page);
}

int main(void)
{
    unsigned long node_0 = 1;

    /* Where there are several, the thread's own may be another one. */
    CHECK_EQ(set_mempolicy(MPOL_BIND, &node_0, 64), 0);
    page = small_page();
    RUN(test_pages_that_are_there_are_asked_about_again);
    RUN(test_absent_pages_are_told_at_once_and_stay_absent);
    RUN(test_the_question_ends);
    if (has_zero_page())
        RUN(test_pages_of_zeros_have_no_node);
    RUN(test_mappings_are_not_misjudged);
    RUN(test_moves_are_repeated);
    return 0;
}
