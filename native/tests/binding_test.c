/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whose policy stands: bindings that overlap, end in any order, fail, and outlive their memory. */
#include "check.h"
#include "numakit.h"

#include <errno.h>
#include <numaif.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGES 64
#define STATIC (1 << 15)

static const uint64_t node_zero[] = {1};
static uint64_t page;

static char *map_at(char *where)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | (where == NULL ? 0 : MAP_FIXED);
    char *start = mmap(where, PAGES * page, PROT_READ | PROT_WRITE, flags, -1, 0);

    CHECK(start != MAP_FAILED);
    return start;
}

static uint64_t make(const char *start, uint64_t first, uint64_t pages, int32_t policy)
{
    uint64_t binding = 0;

    CHECK_EQ(nk_binding_make(start + first * page, pages * page, policy, node_zero, 1, &binding), 1);
    CHECK(binding > 0);
    return binding;
}

static uint64_t bound(const char *start, uint64_t first, uint64_t pages)
{
    return make(start, first, pages, NK_POLICY_BIND);
}

static uint64_t interleaved(const char *start, uint64_t first, uint64_t pages)
{
    return make(start, first, pages, NK_POLICY_INTERLEAVE);
}

/* The policies of a range as a text, a letter for every page: . none, b bind, i interleave, p somebody's own. */
static const char *policies(const char *start)
{
    static char text[PAGES + 1];

    for (int at = 0; at < PAGES; at++) {
        int mode = -1;

        CHECK_EQ(get_mempolicy(&mode, NULL, 0, (void *)(uintptr_t)(start + (uint64_t)at * page), MPOL_F_ADDR), 0);
        text[at] = mode == MPOL_DEFAULT               ? '.'
                   : mode == (MPOL_BIND | STATIC)       ? 'b'
                   : mode == (MPOL_INTERLEAVE | STATIC) ? 'i'
                   : mode == MPOL_PREFERRED             ? 'p'
                                                        : '?';
    }
    return text;
}

/* The first 16 pages say it all, the rest has no policy. */
static void check_policies(const char *start, const char *expected, int line)
{
    const char *actual = policies(start);

    if (strspn(actual + 16, ".") == PAGES - 16 && strncmp(actual, expected, 16) == 0)
        return;
    fprintf(stderr, "%s:%d: policies are %s, not %s\n", __FILE__, line, actual, expected);
    exit(1);
}

#define CHECK_POLICIES(start, expected) check_policies(start, expected, __LINE__)

static void check_remembered(uint64_t bindings)
{
    uint64_t out[2];

    CHECK_EQ(nk_binding_stats(out), 2);
    CHECK_EQ(out[0], bindings);
    if (bindings == 0)
        CHECK_EQ(out[1], 0);
}

static void test_the_newest_stands(void)
{
    char *start = map_at(NULL);
    uint64_t low = bound(start, 0, 12), high, middle;

    CHECK_POLICIES(start, "bbbbbbbbbbbb....");
    high = interleaved(start, 8, 8);
    CHECK_POLICIES(start, "bbbbbbbbiiiiiiii");
    middle = bound(start, 6, 4);
    CHECK_POLICIES(start, "bbbbbbbbbbiiiiii");
    CHECK_EQ(nk_binding_undo(middle), 0);
    CHECK_POLICIES(start, "bbbbbbbbiiiiiiii");
    /* The older one ends where it stands, and only there. */
    CHECK_EQ(nk_binding_undo(low), 0);
    CHECK_POLICIES(start, "........iiiiiiii");
    CHECK_EQ(nk_binding_undo(high), 0);
    CHECK_POLICIES(start, "................");
    CHECK_EQ(nk_binding_undo(high), 0);
    CHECK_EQ(nk_binding_undo(0), 0);
    CHECK_EQ(nk_binding_undo(UINT64_C(1) << 52), 0);
    check_remembered(0);
    munmap(start, PAGES * page);
}

static void test_a_failure_leaves_what_stood(void)
{
    const uint64_t nobody[] = {0}, missing[] = {UINT64_C(1) << 63};
    char *start = map_at(NULL);
    uint64_t far[NK_MAX_MASK_WORDS] = {0}, binding = bound(start, 0, 8), other;

    far[20] = 1;
    CHECK_EQ(nk_binding_make(start, 16 * page, NK_POLICY_BIND, missing, 1, &other), -EACCES);
    CHECK_EQ(nk_binding_make(start, 16 * page, NK_POLICY_BIND, far, 21, &other), -ENODEV);
    CHECK_EQ(nk_binding_make(start, 16 * page, NK_POLICY_BIND, nobody, 1, &other), -EINVAL);
    CHECK_EQ(nk_binding_make(start, 16 * page, NK_POLICY_BIND, NULL, 1, &other), -EINVAL);
    CHECK_EQ(nk_binding_make(start, 16 * page, NK_POLICY_BIND, node_zero, 0, &other), -EINVAL);
    CHECK_EQ(nk_binding_make(start, 16 * page, NK_POLICY_DEFAULT, node_zero, 1, &other), -EINVAL);
    CHECK_EQ(nk_binding_make(start, 16 * page, NK_POLICY_PREFER, node_zero, 1, &other), -EINVAL);
    CHECK_EQ(nk_binding_make(start, 16 * page, 4, node_zero, 1, &other), -EINVAL);
    CHECK_EQ(nk_binding_make(start, page - 1, NK_POLICY_BIND, node_zero, 1, &other), -ENODATA);
    CHECK_POLICIES(start, "bbbbbbbb........");
    /* A part of it is not mapped: the kernel gives up after the first part. */
    munmap(start + 12 * page, 4 * page);
    CHECK_EQ(nk_binding_make(start, 16 * page, NK_POLICY_INTERLEAVE, node_zero, 1, &other), -EFAULT);
    CHECK(mmap(start + 12 * page, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
          MAP_FAILED);
    CHECK_POLICIES(start, "bbbbbbbb........");
    CHECK_EQ(nk_binding_undo(binding), 0);
    check_remembered(0);
    munmap(start, PAGES * page);
}

static void test_what_was_there_before_comes_back(void)
{
    const unsigned long zero = 1;
    char *start = map_at(NULL);
    uint64_t binding;

    CHECK_EQ(mbind(start, 4 * page, MPOL_PREFERRED, &zero, 64, 0), 0);
    binding = bound(start, 2, 4);
    CHECK_POLICIES(start, "ppbbbb..........");
    CHECK_EQ(nk_binding_undo(binding), 0);
    CHECK_POLICIES(start, "pppp............");
    check_remembered(0);
    munmap(start, PAGES * page);
}

static void test_memory_that_is_another_by_now_is_left_alone(void)
{
    const unsigned long zero = 1;
    char *start = map_at(NULL);
    uint64_t old = bound(start, 0, 16), newer;

    /* Its addresses are somebody else's now, who binds them, too, with the same policy. */
    munmap(start, PAGES * page);
    map_at(start);
    newer = bound(start, 4, 8);
    CHECK_EQ(nk_binding_undo(old), 0);
    CHECK_POLICIES(start, "....bbbbbbbb....");
    CHECK_EQ(nk_binding_undo(newer), 0);
    CHECK_POLICIES(start, "................");
    /* The newer one ends first: the old one must not come back. */
    old = bound(start, 0, 16);
    munmap(start, PAGES * page);
    map_at(start);
    newer = interleaved(start, 4, 8);
    CHECK_EQ(nk_binding_undo(newer), 0);
    CHECK_POLICIES(start, "................");
    CHECK_EQ(nk_binding_undo(old), 0);
    /* Somebody else's policy. */
    old = bound(start, 0, 8);
    CHECK_EQ(mbind(start + 4 * page, 4 * page, MPOL_PREFERRED, &zero, 64, 0), 0);
    CHECK_EQ(nk_binding_undo(old), 0);
    CHECK_POLICIES(start, "....pppp........");
    munmap(start, PAGES * page);
    /* And nothing at all. */
    start = map_at(NULL);
    old = bound(start, 0, 8);
    munmap(start, PAGES * page);
    CHECK_EQ(nk_binding_undo(old), 0);
    check_remembered(0);
}

static void test_what_nobody_undoes_stays(void)
{
    char *start = map_at(NULL);
    uint64_t kept = bound(start, 0, 8), below = interleaved(start, 8, 8), above;

    CHECK_EQ(nk_binding_abandon(kept), 0);
    CHECK_EQ(nk_binding_undo(kept), 0);
    CHECK_POLICIES(start, "bbbbbbbbiiiiiiii");
    above = interleaved(start, 4, 8);
    CHECK_EQ(nk_binding_undo(above), 0);
    CHECK_POLICIES(start, "bbbbbbbbiiiiiiii");
    above = bound(start, 4, 12);
    CHECK_EQ(nk_binding_abandon(above), 0);
    CHECK_EQ(nk_binding_undo(below), 0);
    CHECK_POLICIES(start, "bbbbbbbbbbbbbbbb");
    check_remembered(0);
    munmap(start, PAGES * page);
}

static void test_a_mapping_keeps_its_own(void)
{
    uint64_t out[NK_MAPPING_FACTS], binding = 0;
    int32_t home = 0, away = 1, absent = 0;
    char *data;

    CHECK_EQ(nk_mapping_create(0, NK_PAGES_SMALL, 0, page, PAGES * page, out), NK_MAPPING_FACTS);
    CHECK_EQ(nk_mapping_populate(out[0], 0, PAGES * page), 0);
    data = (char *)(uintptr_t)(out[1] + out[2]);
    CHECK_EQ(nk_binding_make(data + 1, 3 * page, NK_POLICY_BIND, node_zero, 1, &binding), -ENOTSUP);
    CHECK_EQ(nk_buffer_move(data, 4 * page, &away, 1, 0, &absent), -ENOTSUP);
    CHECK_EQ(nk_buffer_move(data, 4 * page, &home, 1, 0, &absent), 0);
    CHECK_EQ(strspn(policies(data), "b"), PAGES);
    CHECK_EQ(nk_mapping_release(out[0], 1), 0);
    check_remembered(0);
}

static void test_an_arena_that_came_later_keeps_its_own(void)
{
    enum { HOLE = 4096, MAX_ARENAS = 256 };
    uint64_t out[MAX_ARENAS][NK_MAPPING_FACTS], binding = 0;
    char *hole = mmap(NULL, HOLE * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *data = NULL;
    int count = 0, found = 0;

    CHECK(hole != MAP_FAILED);
    CHECK_EQ(nk_binding_make(hole, HOLE * page, NK_POLICY_BIND, node_zero, 1, &binding), 1);
    munmap(hole, HOLE * page);
    /* The kernel fills smaller holes first. */
    while (!found && count < MAX_ARENAS) {
        CHECK_EQ(nk_mapping_create(0, NK_PAGES_SMALL, 0, page, PAGES * page, out[count]), NK_MAPPING_FACTS);
        data = (char *)(uintptr_t)(out[count][1] + out[count][2]);
        count++;
        found = data >= hole && data + PAGES * page <= hole + HOLE * page;
    }
    CHECK(found);
    CHECK_EQ(nk_binding_undo(binding), 0);
    CHECK_EQ(strspn(policies(data), "b"), PAGES);
    while (count > 0)
        CHECK_EQ(nk_mapping_release(out[--count][0], 1), 0);
    check_remembered(0);
}

static void test_forgotten_memory_is_swept(void)
{
    uint64_t out[2];

    for (int round = 0; round < 1000; round++) {
        /* Two buffers, so that addresses do not come back at once. */
        char *start = map_at(NULL), *other = map_at(NULL);

        (void)bound(start, 0, 4);
        (void)bound(other, 2, 4);
        munmap(start, PAGES * page);
        (void)map_at(NULL);
        munmap(other, PAGES * page);
    }
    CHECK_EQ(nk_binding_stats(out), 2);
    CHECK(out[1] < 300);
}

/* What random bindings leave, compared page by page with a model that knows nothing of ranges. */
static void test_random_bindings(void)
{
    struct {
        uint64_t binding;
        int first, end;
        char letter;
    } live[8];
    unsigned random = 1;
    int count = 0;
    char *start = map_at(NULL);

    for (int round = repeats(3000); round > 0; round--) {
        char expected[17] = "................";

        random = random * 1103515245u + 12345u;
        if (count == 8 || (count > 0 && (random >> 16) % 3 == 0)) {
            int gone = (int)((random >> 8) % (unsigned)count);

            CHECK_EQ(nk_binding_undo(live[gone].binding), 0);
            memmove(&live[gone], &live[gone + 1], (size_t)(--count - gone) * sizeof live[0]);
        } else {
            int first = (int)((random >> 4) % 15u), pages = 1 + (int)((random >> 20) % (unsigned)(16 - first));
            int bind = (random >> 12) % 2 == 0;

            live[count].first = first;
            live[count].end = first + pages;
            live[count].letter = bind ? 'b' : 'i';
            live[count++].binding = make(start, (uint64_t)first, (uint64_t)pages,
                                         bind ? NK_POLICY_BIND : NK_POLICY_INTERLEAVE);
        }
        for (int i = 0; i < count; i++)
            memset(expected + live[i].first, live[i].letter, (size_t)(live[i].end - live[i].first));
        CHECK_POLICIES(start, expected);
    }
    while (count > 0)
        CHECK_EQ(nk_binding_undo(live[--count].binding), 0);
    CHECK_POLICIES(start, "................");
    munmap(start, PAGES * page);
}

static void *bind_often(void *shared)
{
    const char *start = shared;

    for (int round = repeats(200); round > 0; round--) {
        uint64_t one = bound(start, (uint64_t)(round % 8), 6), other = interleaved(start, (uint64_t)(round % 5), 9);

        CHECK_EQ(nk_binding_undo(one), 0);
        CHECK_EQ(nk_binding_undo(other), 0);
    }
    return NULL;
}

static void test_threads(void)
{
    char *start = map_at(NULL);
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, bind_often, start), 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_POLICIES(start, "................");
    munmap(start, PAGES * page);
}

static void test_what_is_left_of_a_mapping_is_no_memory(void)
{
    uint64_t out[NK_MAPPING_FACTS], binding = 0;
    char *data;

    CHECK_EQ(nk_mapping_create(0, NK_PAGES_SMALL, 0, page, PAGES * page, out), NK_MAPPING_FACTS);
    data = (char *)(uintptr_t)(out[1] + out[2]);
    CHECK_EQ(nk_mapping_release(out[0], NK_VIEWS_ASTRAY), 0);
    CHECK_EQ(nk_binding_make(data + page, 3 * page, NK_POLICY_BIND, node_zero, 1, &binding), -ENOTSUP);
    CHECK_EQ(nk_binding_make(data - page, 3 * page, NK_POLICY_BIND, node_zero, 1, &binding), -ENOTSUP);
}

int main(void)
{
    page = small_page();
    RUN(test_the_newest_stands);
    RUN(test_a_failure_leaves_what_stood);
    RUN(test_what_was_there_before_comes_back);
    RUN(test_memory_that_is_another_by_now_is_left_alone);
    RUN(test_what_nobody_undoes_stays);
    RUN(test_a_mapping_keeps_its_own);
    RUN(test_what_is_left_of_a_mapping_is_no_memory);
    RUN(test_random_bindings);
    RUN(test_threads);
    RUN(test_an_arena_that_came_later_keeps_its_own);
    RUN(test_forgotten_memory_is_swept);
    return 0;
}
