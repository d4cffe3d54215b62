/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The topology export: machines that hwloc makes up, a recorded one, this one, and a made-up one below which the
 * kernel's files are those of fixtures/nodes.
 */
#include "check.h"
#include "files.h"
#include "json_reader.h"
#include "numakit.h"
#include "system.h"
#include "topology.h"
#include "topology_memory.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The whole description, NUL-terminated, for the caller to free. */
static char *export(int32_t source, const char *text)
{
    int32_t capacity = 0, length;
    char *out = NULL;

    for (;;) {
        length = nk_topology_export(source, text, out, (uint64_t)capacity);
        if (length < 0)
            fprintf(stderr, "export of \"%s\": %s\n", text ? text : "this machine", strerror(-length));
        CHECK(length > 0);
        if (length <= capacity) /* less on a live machine, whose free memory has lost a digit */
            break;
        free(out);
        capacity = length;
        out = malloc((size_t)capacity + 1);
        CHECK(out != NULL);
    }
    out[length] = '\0';
    CHECK(is_json(out));
    return out;
}

static void expect_part(const char *json, const char *part)
{
    if (strstr(json, part))
        return;
    fprintf(stderr, "no %s in\n%.4000s\n", part, json);
    exit(1);
}

static void expect_no_part(const char *json, const char *part)
{
    if (!strstr(json, part))
        return;
    fprintf(stderr, "%s in\n%.4000s\n", part, json);
    exit(1);
}

static int count(const char *json, const char *part)
{
    int found = 0;

    for (; (json = strstr(json, part)); json += strlen(part))
        found++;
    return found;
}

static void test_synthetic(void)
{
    char *json = export(NK_SOURCE_SYNTHETIC, "pack:2 die:2 numa:1 l3:2 core:2 pu:2");

    expect_part(json, "\"source\":\"synthetic\",\"cpus\":\"0-31\",\"allowedCpus\":\"0-31\",\"allowedNodes\":\"0-3\"");
    expect_part(json, "\"packages\":[{\"id\":0,\"cpus\":\"0-15\"},{\"id\":1,\"cpus\":\"16-31\"}]");
    expect_part(json, "{\"id\":3,\"package\":1,\"cpus\":\"24-31\"}");
    expect_part(json, "{\"level\":3,\"type\":\"unified\",\"bytes\":16777216,\"line\":64,\"cpus\":\"28-31\"}");
    expect_part(json, "{\"id\":15,\"cpus\":\"30-31\"}");
    expect_part(json, "{\"id\":3,\"cpus\":\"24-31\",\"bytes\":1073741824}");
    CHECK_EQ(count(json, "\"level\":3"), 8);
    expect_no_part(json, "\"kind\"");
    expect_no_part(json, "\"distances\"");
    expect_no_part(json, "freeBytes");
    expect_no_part(json, "hugepages");
    expect_part(json, "\"attributes\":[]");
    free(json);
}

static void test_instruction_caches_are_left_out(void)
{
    char *json = export(NK_SOURCE_SYNTHETIC, "pack:1 l2:1 l1d:1 l1i:1 core:1 pu:1");

    expect_part(json, "\"level\":1,\"type\":\"data\"");
    expect_part(json, "\"level\":2,\"type\":\"unified\"");
    CHECK_EQ(count(json, "\"level\""), 2);
    free(json);
}

static void test_node_numbers_may_have_gaps_and_any_order(void)
{
    char *json = export(NK_SOURCE_SYNTHETIC, "pack:2 numa:2(indexes=3,1,8,0) core:2 pu:2");

    expect_part(json, "\"allowedNodes\":\"0-1,3,8\"");
    expect_part(json, "\"nodes\":[{\"id\":0,\"cpus\":\"12-15\",");
    expect_part(json, "{\"id\":8,\"cpus\":\"8-11\",");
    CHECK(strstr(json, "{\"id\":3,\"cpus\":\"0-3\"") < strstr(json, "{\"id\":8,\"cpus\":\"8-11\""));
    free(json);
}

static void test_thousands_of_cpus(void)
{
    char *json = export(NK_SOURCE_SYNTHETIC, "pack:16 numa:4 core:64 pu:2");

    expect_part(json, "\"cpus\":\"0-8191\"");
    CHECK_EQ(count(json, "},{\"id\":"), 16 - 1 + 4096 - 1 + 64 - 1);
    free(json);
    json = export(NK_SOURCE_SYNTHETIC, "numa:2 core:1024 pu:2(indexes=numa:core)"); /* lists of 10 kB */
    expect_part(json, "\"nodes\":[{\"id\":0,\"cpus\":\"0,2,4,6,8,");
    expect_part(json, ",4088,4090,4092,4094\",");
    expect_part(json, ",4089,4091,4093,4095\",");
    free(json);
}

static void test_bad_input(void)
{
    static const char *const bad[] = { "", " ", "garbage", "pack:2", "pack:0 pu:2", "pack:-1 pu:2", "pack:2 (((",
                                       "pack:1000 core:1000 pu:2", "pu:4000", "2 99999",
                                       "pack:18446744073709551617 pu:1",
                                       /* within the limit but for the nodes */
                                       "pack:2 core:2048 [numa] [numa] [numa] [numa] [numa] [numa] pu:2" };
    char out[64] = "untouched";
    size_t i;

    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        printf("   \"%s\"\n", bad[i]);
        CHECK_EQ(nk_topology_export(NK_SOURCE_SYNTHETIC, bad[i], out, sizeof out), -EINVAL);
    }
    CHECK_EQ(nk_topology_export(NK_SOURCE_SYNTHETIC, NULL, out, sizeof out), -EINVAL);
    CHECK_EQ(nk_topology_export(NK_SOURCE_XML, NULL, out, sizeof out), -EINVAL);
    CHECK_EQ(nk_topology_export(NK_SOURCE_XML, "", out, sizeof out), -EINVAL);
    CHECK_EQ(nk_topology_export(3, "pu:1", out, sizeof out), -EINVAL);
    CHECK_EQ(nk_topology_export(-1, "pu:1", out, sizeof out), -EINVAL);
    CHECK_EQ(nk_topology_export(NK_SOURCE_SYNTHETIC, "pu:1", NULL, 1), -EINVAL);
    CHECK(!strcmp(out, "untouched"));
}

static void test_bad_files(void)
{
    char folder[] = "/tmp/numakit_topology_XXXXXX", pipe[PATH_MAX];

    CHECK(mkdtemp(folder) != NULL);
    CHECK_EQ(nk_topology_export(NK_SOURCE_XML, "/nonexistent/machine.xml", NULL, 0), -ENOENT);
    CHECK_EQ(nk_topology_export(NK_SOURCE_XML, "/", NULL, 0), -EINVAL);
    CHECK_EQ(nk_topology_export(NK_SOURCE_XML, "/dev/null", NULL, 0), -EINVAL);
    CHECK_EQ(nk_topology_export(NK_SOURCE_XML, fixture("nodes/proc/thread-self/status"), NULL, 0), -EINVAL);
    CHECK(nk_path(pipe, sizeof pipe, "%s/pipe", folder) > 0);
    CHECK_EQ(mkfifo(pipe, 0600), 0);
    CHECK_EQ(nk_topology_export(NK_SOURCE_XML, pipe, NULL, 0), -EINVAL); /* without waiting for a writer */
    CHECK_EQ(unlink(pipe), 0);
    CHECK_EQ(rmdir(folder), 0);
}

/* hwloc takes this name for the standard input. */
static void test_a_file_named_dash(void)
{
    char folder[] = "/tmp/numakit_topology_XXXXXX", before[PATH_MAX], target[PATH_MAX];

    CHECK(realpath(fixture("two_packages_hbm.xml"), target) && getcwd(before, sizeof before));
    CHECK(mkdtemp(folder) != NULL);
    CHECK_EQ(chdir(folder), 0);
    CHECK_EQ(nk_topology_export(NK_SOURCE_XML, "-", NULL, 0), -ENOENT);
    CHECK_EQ(symlink(target, "-"), 0);
    free(export(NK_SOURCE_XML, "-"));
    CHECK_EQ(unlink("-"), 0);
    CHECK_EQ(chdir(before), 0);
    CHECK_EQ(rmdir(folder), 0);
}

/* Whatever the capacity, the result is the same and no byte behind it is written. */
static void test_truncation(void)
{
    const char *text = "pack:1 core:2 pu:1";
    int32_t needed = nk_topology_export(NK_SOURCE_SYNTHETIC, text, NULL, 0);
    char *whole = export(NK_SOURCE_SYNTHETIC, text), *out;
    uint64_t capacities[4];
    size_t i;

    CHECK(needed > 1);
    CHECK_EQ(strlen(whole), needed);
    out = malloc((size_t)needed + 16);
    CHECK(out != NULL);
    capacities[0] = 0;
    capacities[1] = 1;
    capacities[2] = (uint64_t)needed - 1;
    capacities[3] = (uint64_t)needed;
    for (i = 0; i < 4; i++) {
        memset(out, '#', (size_t)needed + 16);
        CHECK_EQ(nk_topology_export(NK_SOURCE_SYNTHETIC, text, out, capacities[i]), needed);
        CHECK(!memcmp(out, whole, (size_t)capacities[i]));
        CHECK(out[capacities[i]] == '#' && out[needed + 15] == '#');
    }
    free(out);
    free(whole);
}

/* Two packages of two dies, a DRAM node a die and an HBM node a package, made with hwloc's API and numbered as Linux
 * does: SMT siblings 16 apart, cores and dies from 0 in each package, and a gap before the HBM nodes. */
static void test_xml(void)
{
    char *json = export(NK_SOURCE_XML, fixture("two_packages_hbm.xml"));

    expect_part(json, "\"source\":\"xml\",\"cpus\":\"0-31\",\"allowedCpus\":\"0-3,8-11,15-19,24-27\"");
    expect_part(json, "\"allowedNodes\":\"0,9\"");
    expect_no_part(json, "0.0.1"); /* the hwloc that wrote the file */
    expect_part(json, "\"model\":\"Fixture \\\"9000\\\" \\\\ 2x4 \xc2\xb5\"");
    expect_part(json, "{\"id\":1,\"package\":1,\"cpus\":\"12-15,28-31\"}");
    expect_part(json, "{\"id\":0,\"cpus\":\"0,16\",\"kind\":0}");
    expect_part(json, "{\"id\":0,\"cpus\":\"8,24\",\"kind\":1}");
    expect_part(json, "{\"id\":3,\"cpus\":\"12-15,28-31\",\"bytes\":68719476736,\"subtype\":\"DRAM\"}");
    expect_part(json, "{\"id\":8,\"cpus\":\"0-7,16-23\",\"bytes\":17179869184,\"subtype\":\"HBM\"}");
    expect_part(json, "\"distances\":{\"nodes\":[0,1,8,2,3,9],\"values\":[10,12,12,32,32,32,12,10,12,32,");
    expect_part(json, ",33,33,33,12,12,10]}"); /* asymmetric: the lower half says 33 */
    expect_part(json, "{\"name\":\"Bandwidth\",\"node\":8,\"initiator\":\"0-7,16-23\",\"value\":400000}");
    expect_part(json, "{\"name\":\"Latency\",\"node\":0,\"initiator\":\"0-3,16-19\",\"value\":90}");
    expect_part(json, "{\"name\":\"Endurance\",\"node\":0,\"value\":7}"); /* no initiator, of somebody's own */
    expect_no_part(json, "Capacity");
    expect_no_part(json, "Locality");
    CHECK_EQ(count(json, "\"name\""), 13);
    expect_no_part(json, "freeBytes");
    free(json);
}

/* A machine of hwloc's with node 0 (CPUs 0-3) and node 4 (CPUs 4-7), described with the kernel's files of root. */
static char *describe_below(const char *root)
{
    hwloc_topology_t topology;
    struct nk_json json = { .capacity = 65536 };

    CHECK_EQ(hwloc_topology_init(&topology), 0);
    CHECK_EQ(hwloc_topology_set_synthetic(topology, "numa:2(indexes=0,4) core:4 pu:1"), 0);
    CHECK_EQ(hwloc_topology_load(topology), 0);
    json.out = malloc(json.capacity);
    CHECK(json.out != NULL);
    nk_topology_describe(&json, topology, "live", root);
    hwloc_topology_destroy(topology);
    CHECK(nk_json_finish(&json) > 0);
    json.out[json.length] = '\0';
    CHECK(is_json(json.out));
    return json.out;
}

static void test_the_kernels_nodes_join_hwlocs(void)
{
    char *json = describe_below(fixture("nodes"));

    expect_part(json, "\"allowedNodes\":\"0\""); /* 6 has nothing to allocate */
    expect_part(json, "{\"id\":0,\"cpus\":\"0-3\",\"bytes\":4294967296,\"freeBytes\":1073741824,"
                      "\"availableBytes\":1006632960,\"hugepages\":["
                      "{\"bytes\":65536,\"total\":0,\"free\":0},{\"bytes\":2097152,\"total\":8,\"free\":5},"
                      "{\"bytes\":1073741824,\"total\":1,\"free\":0}]}");
    expect_part(json, "{\"id\":4,\"cpus\":\"\",\"bytes\":8589934592,\"freeBytes\":8192000000,"
                      "\"availableBytes\":8057782272,\"hugepages\":["
                      "{\"bytes\":2097152,\"total\":3,\"free\":3}]}"); /* memory only, whatever is near it */
    expect_part(json, "{\"id\":6,\"cpus\":\"4-7\",\"bytes\":0,\"freeBytes\":0,\"availableBytes\":0,\"hugepages\":[]}");
    expect_part(json, "\"distances\":{\"nodes\":[0,4,6],\"values\":[10,17,21,17,10,28,21,28,10]}");
    CHECK_EQ(count(json, "freeBytes"), 3);
    CHECK_EQ(count(json, "availableBytes"), 3);
    free(json);
}

static void test_without_the_kernels_files_hwloc_is_enough(void)
{
    char *json = describe_below(fixture("cgroup_v1"));

    expect_part(json, "\"nodes\":[{\"id\":0,\"cpus\":\"0-3\",\"bytes\":1073741824,\"hugepages\":[]},"
                      "{\"id\":4,\"cpus\":\"4-7\",\"bytes\":1073741824,\"hugepages\":[]}]");
    expect_no_part(json, "distances");
    free(json);
}

static void test_lists_of_the_kernel(void)
{
    hwloc_bitmap_t set = hwloc_bitmap_alloc();

    CHECK_EQ(nk_read_set(fixture("nodes/sys/devices/system/node/online"), set), 0);
    CHECK_EQ(hwloc_bitmap_weight(set), 3);
    CHECK_EQ(nk_read_set(fixture("nodes/sys/devices/system/node/node4/cpulist"), set), 0);
    CHECK_EQ(hwloc_bitmap_weight(set), 0);
    CHECK_EQ(nk_read_set(fixture("nodes/sys/devices/system/node/possible"), set), -EINVAL); /* no end */
    CHECK_EQ(nk_read_set(fixture("nodes/nothing"), set), -ENOENT);
    CHECK_EQ(nk_read_set(fixture("cgroup_v2_unlimited/sys/fs/cgroup/app/memory.max"), set), -EINVAL);
    hwloc_bitmap_free(set);
}

static void test_this_machine(void)
{
    char *json = export(NK_SOURCE_LIVE, NULL), *ignored = export(NK_SOURCE_LIVE, "ignored");

    expect_part(json, "\"source\":\"live\"");
    expect_part(json, "\"nodes\":[{\"id\":");
    expect_part(json, "\"hwloc\":\"");
    expect_part(ignored, "\"source\":\"live\"");
    if (!access("/sys/devices/system/node/node0/meminfo", R_OK))
        expect_part(json, "\"freeBytes\":");
    free(json);
    free(ignored);
}

/* In place of the C library's, for hwloc, too: the test counts the calls. */
static int affinity_calls;

__attribute__((visibility("default"))) int sched_setaffinity(pid_t pid, size_t bytes, const cpu_set_t *mask)
{
    affinity_calls++;
    return (int)syscall(SYS_sched_setaffinity, pid, bytes, mask);
}

/* Loading must not move the thread, not for a moment: its memory is where it first touches it. */
static void test_the_thread_is_not_moved(void)
{
    cpu_set_t mask;
    char *json;

    CHECK_EQ(sched_getaffinity(0, sizeof mask, &mask), 0);
    CHECK_EQ(sched_setaffinity(0, sizeof mask, &mask), 0);
    CHECK_EQ(affinity_calls, 1);
    json = export(NK_SOURCE_LIVE, NULL);
    CHECK_EQ(affinity_calls, 1);
    free(json);
}

static void test_a_machine_from_the_environment_is_not_live(void)
{
    char *json;

    CHECK_EQ(setenv("HWLOC_SYNTHETIC", "numa:3 core:2 pu:1", 1), 0);
    json = export(NK_SOURCE_LIVE, NULL);
    CHECK_EQ(unsetenv("HWLOC_SYNTHETIC"), 0);
    expect_part(json, "\"source\":\"synthetic\",\"cpus\":\"0-5\"");
    expect_no_part(json, "freeBytes");
    free(json);
    CHECK_EQ(setenv("HWLOC_XMLFILE", fixture("two_packages_hbm.xml"), 1), 0);
    json = export(NK_SOURCE_LIVE, NULL);
    expect_part(json, "\"source\":\"xml\",\"cpus\":\"0-31\"");
    free(json);
    json = export(NK_SOURCE_SYNTHETIC, "core:2 pu:1"); /* an explicit source is stronger */
    CHECK_EQ(unsetenv("HWLOC_XMLFILE"), 0);
    expect_part(json, "\"cpus\":\"0-1\"");
    free(json);
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    tests_folder = argv[1];
    RUN(test_synthetic);
    RUN(test_instruction_caches_are_left_out);
    RUN(test_node_numbers_may_have_gaps_and_any_order);
    RUN(test_thousands_of_cpus);
    RUN(test_bad_input);
    RUN(test_bad_files);
    RUN(test_a_file_named_dash);
    RUN(test_truncation);
    RUN(test_xml);
    RUN(test_the_kernels_nodes_join_hwlocs);
    RUN(test_without_the_kernels_files_hwloc_is_enough);
    RUN(test_lists_of_the_kernel);
    RUN(test_this_machine);
    RUN(test_the_thread_is_not_moved);
    RUN(test_a_machine_from_the_environment_is_not_live);
    return 0;
}
