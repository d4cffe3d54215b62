/* SPDX-License-Identifier: GPL-3.0-or-later */
/* system.c, cgroup.c and room.c, on the small trees of fixtures/ and on this machine. */
#include "cgroup.h"
#include "check.h"
#include "files.h"
#include "numakit.h"
#include "room.h"
#include "system.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define UNTOUCHED UINT64_C(0xdeadbeef)

static void expect_quota(const char *name, uint64_t quota, uint64_t period)
{
    uint64_t out[2] = { 0, 0 };

    printf("   quota of %s\n", name);
    CHECK_EQ(nk_cpu_quota(fixture(name), out), 2);
    CHECK_EQ(out[0], quota);
    CHECK_EQ(out[1], period);
}

static void expect_memory(const char *name, uint64_t left, uint64_t limit)
{
    uint64_t out[2] = { 0, 0 };

    printf("   memory limit of %s\n", name);
    CHECK_EQ(nk_memory_limit(fixture(name), out), 2);
    CHECK_EQ(out[0], left);
    CHECK_EQ(out[1], limit);
}

static void expect_no_limit(int32_t (*ask)(const char *, uint64_t *), const char *root)
{
    uint64_t out[2] = { UNTOUCHED, UNTOUCHED };

    CHECK_EQ(ask(root, out), 0);
    CHECK_EQ(out[0], UNTOUCHED);
    CHECK_EQ(out[1], UNTOUCHED);
}

static void test_the_tightest_v2_group_wins(void)
{
    expect_quota("cgroup_v2", 75000, 50000); /* a parent's 1.5, below the 3 of the group itself and the 4 above */
    expect_memory("cgroup_v2", 2 * MIB, 1024 * MIB); /* the outermost: 1 MiB free and 1 MiB of page cache */
}

static void test_no_limit(void)
{
    expect_no_limit(nk_cpu_quota, fixture("cgroup_v2_unlimited")); /* "max" */
    expect_no_limit(nk_memory_limit, fixture("cgroup_v2_unlimited"));
    expect_no_limit(nk_cpu_quota, fixture("cgroup_v1_unlimited")); /* -1 */
    expect_no_limit(nk_memory_limit, fixture("cgroup_v1_unlimited")); /* as a kernel with pages of 64 KiB has it */
}

static void test_a_group_over_its_limit_has_nothing_left(void)
{
    expect_memory("cgroup_v2_full", 0, MIB);
    expect_no_limit(nk_cpu_quota, fixture("cgroup_v2_full"));
}

static void test_v1_walks_the_controllers_own_hierarchy(void)
{
    expect_quota("cgroup_v1", 50000, 100000); /* the parent's; cpuset's files are a trap */
    expect_memory("cgroup_v1", 128 * MIB, 256 * MIB); /* 64 free, 64 of page cache */
}

static void test_hybrid_takes_the_tighter_hierarchy(void)
{
    expect_quota("cgroup_hybrid", 150000, 100000);
    expect_memory("cgroup_hybrid", 32 * MIB, 64 * MIB);
}

static void test_a_container_sees_its_own_part_of_v1(void)
{
    expect_quota("cgroup_v1_container", 100000, 100000);
    expect_memory("cgroup_v1_container", MIB / 2, MIB);
}

static void test_a_group_that_is_not_mounted_counts_from_the_mount(void)
{
    expect_quota("cgroup_v2_container", 20000, 100000);
    expect_memory("cgroup_v2_container", 3 * MIB, 4 * MIB);
    expect_quota("cgroup_v2_outside", 10000, 20000);
    expect_no_limit(nk_memory_limit, fixture("cgroup_v2_outside"));
}

static void expect_room(const char *name, uint64_t left, uint64_t limit)
{
    uint64_t out[2] = { 0, 0 };

    printf("   room under the limit of %s\n", name);
    CHECK_EQ(nk_memory_room_below(fixture(name), out), 2);
    CHECK_EQ(out[0], left);
    CHECK_EQ(out[1], limit);
}

static void test_limits_leave_a_margin_for_the_runtime(void)
{
    uint64_t out[2];

    expect_room("cgroup_v1", 64 * MIB, 256 * MIB); /* a quarter of a small one */
    expect_room("cgroup_v2_container", 2 * MIB, 4 * MIB);
    expect_room("cgroup_v1_container", MIB / 4, MIB);
    expect_room("cgroup_v2_full", 0, MIB);
    expect_room("cgroup_v2", 0, 1024 * MIB); /* an eighth */
    expect_memory("cgroup_v2_margins", 1000 * MIB, 1024 * MIB);
    expect_room("cgroup_v2_margins", (1048 - 256) * MIB, 2048 * MIB); /* the outer one, for its margin */
    CHECK_EQ(nk_memory_room_below(fixture("cgroup_v2_unlimited"), out), 0);
}

static void expect_look(const char *root, const char *expected)
{
    char out[4096];
    int32_t length = nk_machine_look(root, out, sizeof out);

    printf("   look at %s\n", root);
    CHECK_EQ(length, strlen(expected));
    CHECK_EQ(memcmp(out, expected, strlen(expected)), 0);
}

static void test_looks(void)
{
    char out[4096], long_root[PATH_MAX + 1];
    int32_t length = nk_machine_look("", out, sizeof out);

    CHECK(length > 0 && strncmp(out, "affinity ", 9) == 0);
    CHECK_EQ(nk_machine_look("", NULL, 0), length);
    memset(out, '#', sizeof out);
    CHECK_EQ(nk_machine_look("", out, 4), length);
    CHECK(memcmp(out, "aff", 3) == 0 && out[4] == '#');
    expect_look(fixture("look"), "affinity 2-3\nmemory 0\ncpus 0-7\nnodes 0-1\ncpuset 2-3\nquota 150000 100000\n");
    expect_look(fixture("cgroup_v1"), "cpuset 1-2\nquota 50000 100000\n");
    expect_look("/nonexistent", "");
    CHECK_EQ(nk_machine_look(NULL, out, sizeof out), -EINVAL);
    CHECK_EQ(nk_machine_look("", NULL, 1), -EINVAL);
    memset(long_root, 'x', PATH_MAX);
    long_root[PATH_MAX] = '\0';
    CHECK_EQ(nk_machine_look(long_root, out, sizeof out), -ENAMETOOLONG);
}

static void test_no_cgroups_is_no_limit(void)
{
    expect_no_limit(nk_cpu_quota, fixture("nodes"));
    expect_no_limit(nk_memory_limit, fixture("nodes"));
    expect_no_limit(nk_cpu_quota, "/nonexistent");
}

static void test_limits_check_their_arguments(void)
{
    static char long_root[2 * PATH_MAX];
    uint64_t out[2];

    memset(long_root, 'x', sizeof long_root - 1);
    CHECK_EQ(nk_cpu_quota(NULL, out), -EINVAL);
    CHECK_EQ(nk_cpu_quota("", NULL), -EINVAL);
    CHECK_EQ(nk_memory_limit(NULL, out), -EINVAL);
    CHECK_EQ(nk_memory_limit("", NULL), -EINVAL);
    CHECK_EQ(nk_cpu_quota(long_root, out), -ENAMETOOLONG);
}

static void test_limits_of_this_process(void)
{
    uint64_t out[2] = { 0, 0 };
    int32_t got = nk_cpu_quota("", out);

    CHECK(got == 0 || got == 2);
    CHECK(got == 0 || (out[0] > 0 && out[1] > 0));
    got = nk_memory_limit("", out);
    CHECK(got == 0 || got == 2);
    CHECK(got == 0 || out[0] <= out[1]);
}

static void test_node_memory(void)
{
    uint64_t out[3];

    CHECK_EQ(nk_node_memory_below(fixture("nodes"), 0, out), 3);
    CHECK_EQ(out[0], 4096 * MIB);
    CHECK_EQ(out[1], 1024 * MIB);
    CHECK_EQ(out[2], UINT64_C(13000) * 1024); /* (10000 + 20000 - 3000 - 1000) / 2 */
    CHECK_EQ(nk_node_memory_below(fixture("nodes"), 4, out), 3);
    CHECK_EQ(out[0], 8192 * MIB);
    CHECK_EQ(out[2], 0); /* more is dirty than there is in files */
    CHECK_EQ(nk_node_memory_below(fixture("nodes"), 6, out), 3);
    CHECK_EQ(out[0], 0);
    CHECK_EQ(out[1], 0);
    CHECK_EQ(out[2], 0);
}

static void test_node_memory_of_no_node(void)
{
    uint64_t out[3];

    CHECK_EQ(nk_node_memory_below(fixture("nodes"), 1, out), -ENODEV);
    CHECK_EQ(nk_node_memory_below(fixture("nodes"), 7, out), -EIO);
    CHECK_EQ(nk_node_memory(-1, out), -ENODEV);
    CHECK_EQ(nk_node_memory(INT32_MIN, out), -ENODEV);
    CHECK_EQ(nk_node_memory(INT32_MAX, out), -ENODEV);
    CHECK_EQ(nk_node_memory(0, NULL), -EINVAL);
}

static uint64_t available(const char *name, int32_t node, uint64_t needed)
{
    uint64_t out = UNTOUCHED;

    CHECK_EQ(nk_node_available_below(fixture(name), node, needed, &out), 1);
    return out;
}

static void test_zones_keep_what_is_below_their_watermarks(void)
{
    /* DMA whole; of DMA32 its high watermark and what it reserves for those who can use nothing else. */
    uint64_t kept = (3840 + 10730 + 4096 + 14558) * UINT64_C(4096);

    CHECK_EQ(available("rooms", 0, MIB), 3600 * MIB - kept - 96 * MIB);
    CHECK_EQ(available("rooms", 1, 0), (1900 - 10 - 32) * MIB);
    CHECK_EQ(available("rooms", 5, UINT64_MAX), (100 - 51 - 16) * MIB); /* no zone of it is lazy */
    CHECK_EQ(available("nodes", 0, UINT64_MAX), (1024 - 64) * MIB);     /* a kernel that tells nothing of zones */
    CHECK_EQ(available("nodes", 6, UINT64_MAX), 0);
}

static void test_memory_that_is_not_handed_out_yet_can_be_had(void)
{
    /* As much as its zones lack: 131,072 pages. */
    CHECK_EQ(available("rooms", 1, UINT64_MAX), (1900 + 512 - 10 - 32) * MIB);
    /* As much as is free and on no node. */
    CHECK_EQ(available("rooms", 4, UINT64_MAX), (100 + (22528 - 5700 - 64) - 4 - 16) * MIB);
    /* As much as is available. */
    CHECK_EQ(available("rooms", 0, UINT64_MAX), 20000 * MIB);
}

static void test_what_is_available_on_this_machine(void)
{
    uint64_t memory[3], out[2], page = (uint64_t)sysconf(_SC_PAGESIZE);
    int32_t got = nk_node_available(0, out);

    CHECK_EQ(nk_node_available(0, NULL), -EINVAL);
    CHECK_EQ(nk_node_available(-1, out), -ENODEV);
    CHECK_EQ(nk_node_available(1000000, out), -ENODEV);
    if (got == -ENODEV)
        return;
    CHECK(got == 1 || got == 2);
    CHECK(got == 2 || out[1] == UINT64_MAX);
    CHECK_EQ(nk_node_memory(0, memory), 3);
    CHECK_EQ(nk_node_room(0, page, page), out[0] > MIB && out[1] > MIB ? 0 : -ENOMEM);
    CHECK_EQ(nk_node_room(0, out[0] + 4096 * MIB, 0), -ENOMEM);
}

static void *claim_and_settle(void *argument)
{
    const struct nk_claim *claim = argument;

    CHECK_EQ(nk_room_claim(claim, 1), 0);
    nk_room_settle(claim, 1);
    return NULL;
}

/* Each could be had alone. The second thread gets its room when the first has settled, not before and not never. */
static void test_what_one_thread_claims_another_waits_for(void)
{
    struct nk_claim claim = { .node = 0 }, all = { .node = 0 };
    uint64_t out[2];
    pthread_t thread;

    if (nk_node_available(0, out) == -ENODEV)
        return;
    claim.page_bytes = out[0] / 10 * 6;
    all.page_bytes = 2 * out[0] + 4096 * MIB;
    CHECK_EQ(nk_room_claim(&claim, 1), 0);
    CHECK_EQ(nk_room_claim(&all, 1), -ENOMEM); /* whatever is settled */
    CHECK_EQ(pthread_create(&thread, NULL, claim_and_settle, &claim), 0);
    CHECK_EQ(usleep(50000), 0);
    CHECK_EQ(pthread_tryjoin_np(thread, NULL), EBUSY);
    nk_room_settle(&claim, 1);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

static void test_nodes_that_are_online(void)
{
    CHECK_EQ(nk_next_node(fixture("rooms"), 0), 0);
    CHECK_EQ(nk_next_node(fixture("rooms"), 1), 1);
    CHECK_EQ(nk_next_node(fixture("rooms"), 2), 4);
    CHECK_EQ(nk_next_node(fixture("rooms"), 5), 5);
    CHECK_EQ(nk_next_node(fixture("rooms"), 6), -ENODEV);
    CHECK_EQ(nk_next_node(fixture("cgroup_v1"), 0), -ENOENT);
}

static void test_node_hugepages(void)
{
    uint64_t out[2], sizes[3];

    CHECK_EQ(nk_node_hugepages_below(fixture("nodes"), 0, 2 * MIB, out), 2);
    CHECK_EQ(out[0], 8);
    CHECK_EQ(out[1], 5);
    CHECK_EQ(nk_node_hugepages_below(fixture("nodes"), 0, 1024 * MIB, out), 2);
    CHECK_EQ(out[0], 1);
    CHECK_EQ(out[1], 0);
    CHECK_EQ(nk_node_hugepages_below(fixture("nodes"), 4, 1024 * MIB, out), -ENOENT);
    CHECK_EQ(nk_node_hugepages_below(fixture("nodes"), 6, 2 * MIB, out), -ENOENT); /* no pools at all */
    CHECK_EQ(nk_node_hugepages_below(fixture("nodes"), 1, 2 * MIB, out), -ENODEV);
    CHECK_EQ(nk_node_hugepages_below(fixture("nodes"), 0, 2 * MIB + 1, out), -ENOENT);
    CHECK_EQ(nk_node_hugepages_below(fixture("nodes"), 0, 0, out), -ENOENT);
    CHECK_EQ(nk_node_hugepages(-1, 2 * MIB, out), -ENODEV);
    CHECK_EQ(nk_node_hugepages(0, 2 * MIB, NULL), -EINVAL);

    CHECK_EQ(nk_node_hugepage_sizes(fixture("nodes"), 0, sizes, 3), 3);
    CHECK_EQ(sizes[0], 65536);
    CHECK_EQ(sizes[1], 2 * MIB);
    CHECK_EQ(sizes[2], 1024 * MIB);
    CHECK_EQ(nk_node_hugepage_sizes(fixture("nodes"), 0, sizes, 1), 3);
    CHECK_EQ(nk_node_hugepage_sizes(fixture("nodes"), 6, sizes, 3), -ENOENT);
}

static void test_node_zero_of_this_machine(void)
{
    uint64_t out[3];
    int32_t got = nk_node_memory(0, out);

    if (got == -ENODEV) { /* a kernel without NUMA, or node 0 offline */
        CHECK(access("/sys/devices/system/node/node0", F_OK) != 0);
        return;
    }
    CHECK_EQ(got, 3);
    CHECK(out[1] <= out[0]);
    CHECK(out[2] <= out[0]);
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    tests_folder = argv[1];
    RUN(test_the_tightest_v2_group_wins);
    RUN(test_no_limit);
    RUN(test_a_group_over_its_limit_has_nothing_left);
    RUN(test_v1_walks_the_controllers_own_hierarchy);
    RUN(test_hybrid_takes_the_tighter_hierarchy);
    RUN(test_a_container_sees_its_own_part_of_v1);
    RUN(test_a_group_that_is_not_mounted_counts_from_the_mount);
    RUN(test_limits_leave_a_margin_for_the_runtime);
    RUN(test_looks);
    RUN(test_no_cgroups_is_no_limit);
    RUN(test_limits_check_their_arguments);
    RUN(test_limits_of_this_process);
    RUN(test_node_memory);
    RUN(test_node_memory_of_no_node);
    RUN(test_zones_keep_what_is_below_their_watermarks);
    RUN(test_memory_that_is_not_handed_out_yet_can_be_had);
    RUN(test_what_is_available_on_this_machine);
    RUN(test_what_one_thread_claims_another_waits_for);
    RUN(test_nodes_that_are_online);
    RUN(test_node_hugepages);
    RUN(test_node_zero_of_this_machine);
    return 0;
}
