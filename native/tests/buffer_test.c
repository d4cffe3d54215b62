/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "check.h"
#include "numakit.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGES 64

static const uint64_t node_zero[] = {1};

/* Fresh pages, none of them resident. */
static char *map_pages(void)
{
    char *start = mmap(NULL, PAGES * small_page(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(start != MAP_FAILED);
    return start;
}

static void test_edges_are_left_alone(void)
{
    uint64_t out[3], page = small_page();
    char *start = map_pages();

    CHECK_EQ(nk_buffer_pages(start, PAGES * page, out), 3);
    CHECK_EQ(out[0], 0);
    CHECK_EQ(out[1], PAGES * page);
    CHECK_EQ(out[2], page);
    CHECK_EQ(nk_buffer_pages(start + 16, 3 * page, out), 3);
    CHECK_EQ(out[0], page - 16);
    CHECK_EQ(out[1], 2 * page);
    CHECK_EQ(nk_buffer_pages(start + 1, 2 * page - 2, out), -ENODATA);
    CHECK_EQ(nk_buffer_pages(start, page - 1, out), -ENODATA);
    munmap(start, PAGES * page);
}

static void test_pages_go_where_the_policy_says(void)
{
    uint64_t page = small_page();
    int32_t nodes[PAGES], target = 0, absent = -1;
    uint64_t binding;
    char *start = map_pages();

    CHECK_EQ(nk_binding_make(start, PAGES * page, NK_POLICY_BIND, node_zero, 1, &binding), 1);
    CHECK_EQ(nk_buffer_locate(start, PAGES * page, nodes, PAGES), PAGES);
    CHECK(nodes[0] == -1 && nodes[PAGES - 1] == -1);
    /* Nothing is there to be moved. */
    CHECK_EQ(nk_buffer_move(start, PAGES * page, &target, 1, 0, &absent), 0);
    CHECK_EQ(absent, PAGES);
    CHECK_EQ(nk_buffer_populate(start, PAGES * page, node_zero, 1), 0);
    CHECK_EQ(nk_buffer_locate(start, PAGES * page, nodes, PAGES), PAGES);
    CHECK(nodes[0] == 0 && nodes[PAGES - 1] == 0);
    CHECK_EQ(nk_buffer_move(start, PAGES * page, &target, 1, 0, &absent), 0);
    CHECK_EQ(absent, 0);
    CHECK_EQ(nk_binding_undo(binding), 0);
    munmap(start, PAGES * page);
}

static void test_bad_requests(void)
{
    const uint64_t nobody[] = {0}, missing[] = {UINT64_C(1) << 63};
    uint64_t page = small_page(), far[NK_MAX_MASK_WORDS] = {0};
    int32_t located[1], none = 900, wrong = -1, absent;
    char *start = map_pages();

    far[20] = 1;
    CHECK_EQ(nk_buffer_move(start, page, &none, 1, 0, &absent), -ENODEV);
    CHECK_EQ(nk_buffer_move(start, page, &wrong, 1, 0, &absent), -ENODEV);
    CHECK_EQ(nk_buffer_move(start, page, &wrong, 0, 0, &absent), -EINVAL);
    CHECK_EQ(nk_buffer_move(start, page, NULL, 1, 0, &absent), -EINVAL);
    CHECK_EQ(nk_buffer_move(start, page, &none, 1, 0, NULL), -EINVAL);
    CHECK_EQ(nk_buffer_populate(start, page, far, 21), -ENODEV);
    CHECK_EQ(nk_buffer_populate(start, page, missing, 1), -ENODEV);
    CHECK_EQ(nk_buffer_populate(start, page, nobody, 1), -EINVAL);
    CHECK_EQ(nk_node_room(900, page, 0), -ENODEV);
    CHECK_EQ(nk_node_room(-1, page, 0), -ENODEV);
    CHECK_EQ(nk_node_room(0, UINT64_C(1) << 50, 0), -ENOMEM);
    CHECK_EQ(nk_node_room(0, UINT64_MAX, UINT64_MAX), -ENOMEM);
    CHECK_EQ(nk_node_room(0, page, page), 0);
    CHECK_EQ(nk_node_room(0, 0, 0), 0);
    CHECK_EQ(nk_buffer_locate(start, page, NULL, 1), -EINVAL);
    CHECK_EQ(nk_buffer_locate(start, 2 * page, located, 1), -EINVAL);
    munmap(start, PAGES * page);
}

static void test_hugepages_can_be_asked_for(void)
{
    char *start = map_pages();
    int32_t result = nk_buffer_advise_huge(start, PAGES * small_page());

    CHECK(result == 0 || result == -ENOTSUP);
    memset(start, 1, PAGES * small_page());
    CHECK_EQ(nk_buffer_split(start, PAGES * small_page()), 0);
    CHECK(start[0] == 1 && start[PAGES * small_page() - 1] == 1);
    CHECK_EQ(nk_buffer_split(start, 1), -ENODATA);
    munmap(start, PAGES * small_page());
}

int main(void)
{
    RUN(test_edges_are_left_alone);
    RUN(test_pages_go_where_the_policy_says);
    RUN(test_bad_requests);
    RUN(test_hugepages_can_be_asked_for);
    return 0;
}
