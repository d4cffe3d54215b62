/* SPDX-License-Identifier: GPL-3.0-or-later */
/* devices.c, below folders that look like a sysfs, or like none. */
#include "check.h"
#include "devices.h"
#include "files.h"
#include "json_reader.h"

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

static char root[64];

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *at)
{
    (void)status;
    (void)type;
    (void)at;
    return remove(path);
}

static void clear(void)
{
    CHECK_EQ(nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* An empty root, in place of the one before. */
static void start(void)
{
    if (*root)
        clear();
    strcpy(root, "/tmp/numakit_devices_XXXXXX");
    CHECK(mkdtemp(root) != NULL);
}

/* A path below the root, whose folders are made. */
__attribute__((format(printf, 2, 3))) static void place(char *path, const char *format, ...)
{
    int length = snprintf(path, PATH_MAX, "%s/", root);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(path + length, PATH_MAX - (size_t)length, format, arguments);
    va_end(arguments);
    for (char *at = path + length; (at = strchr(at, '/')); *at++ = '/') {
        *at = '\0';
        CHECK(!mkdir(path, 0755) || errno == EEXIST);
    }
}

static void put(const char *path, const char *text, size_t length)
{
    FILE *file = fopen(path, "we");

    CHECK(file != NULL);
    CHECK_EQ(fwrite(text, 1, length, file), length);
    CHECK_EQ(fclose(file), 0);
}

/* One file of a PCI function; NULL makes none. */
static void fact(const char *address, const char *file, const char *text)
{
    char path[PATH_MAX];

    place(path, "sys/bus/pci/devices/%s/%s", address, file);
    if (text)
        put(path, text, strlen(text));
}

static void function(const char *address, const char *class, const char *node, const char *cpus)
{
    fact(address, "class", class);
    fact(address, "numa_node", node);
    fact(address, "local_cpulist", cpus);
}

/* An entry of a class: a link, which need not lead anywhere. */
static void name(const char *folder, const char *text, const char *target)
{
    char path[PATH_MAX];

    place(path, "sys/class/%s/%s", folder, text);
    CHECK_EQ(symlink(target, path), 0);
}

/* What is said of a machine with CPUs 0-7, for the caller to free. */
static char *describe(void)
{
    struct nk_json json = { .capacity = 1 << 23 };
    hwloc_topology_t topology;
    int before = open_files();

    CHECK_EQ(hwloc_topology_init(&topology), 0);
    CHECK_EQ(hwloc_topology_set_synthetic(topology, "numa:2 core:4 pu:1"), 0);
    CHECK_EQ(hwloc_topology_load(topology), 0);
    json.out = malloc(json.capacity);
    CHECK(json.out != NULL);
    nk_json_begin(&json, NULL, '{');
    nk_topology_devices(&json, topology, root);
    nk_json_end(&json, '}');
    hwloc_topology_destroy(topology);
    CHECK(nk_json_finish(&json) > 0);
    CHECK(json.length < json.capacity);
    json.out[json.length] = '\0';
    CHECK(is_json(json.out));
    CHECK_EQ(open_files(), before);
    return json.out;
}

static void expect(const char *wanted)
{
    char *json = describe();

    if (strcmp(json, wanted)) {
        fprintf(stderr, "%.4000s\nis not\n%s\n", json, wanted);
        exit(1);
    }
    free(json);
}

static void test_a_server(void)
{
    char path[PATH_MAX];

    start();
    function("0000:00:00.0", "0x060000\n", "0\n", "0-3\n"); /* a bridge */
    function("0000:41:00.0", "0x020000\n", "1\n", "4-7\n");
    function("0000:01:00.0", "0x010802\n", "0\n", "0-3\n");
    function("0000:02:00.1", "0x030200\n", "-1\n", "0-7\n");
    function("10000:e1:00.0", "0x010802\n", "1\n", "4-9\n"); /* behind a VMD; 8 and 9 came later */
    function("0000:03:00.0", "0x0b4000\n", "1\n", "\n");
    function("0000:04:00.0", "0x120000\n", NULL, NULL);
    function("0000:05:00.0", "0x010601\n", "0\n", "0-3\n");
    function("0000:06:00.0", "0x0c0330\n", "0\n", "0-3\n"); /* USB, with a disk on it */
    name("net", "eth10", "../../devices/pci0000:40/0000:40:01.0/0000:41:00.0/net/eth10");
    name("net", "eth9", "../../devices/pci0000:40/0000:40:01.0/0000:41:00.0/net/eth9");
    name("net", "lo", "../../devices/virtual/net/lo");
    name("infiniband", "mlx5_0", "../../devices/pci0000:40/0000:40:01.0/0000:41:00.0/infiniband/mlx5_0");
    name("nvme", "nvme0", "../../devices/pci0000:00/0000:01:00.0/nvme/nvme0");
    name("block", "nvme0n1", "../../devices/pci0000:00/0000:01:00.0/nvme/nvme0/nvme0n1");
    name("block", "nvme0n1p1", "../../devices/pci0000:00/0000:01:00.0/nvme/nvme0/nvme0n1/nvme0n1p1");
    name("drm", "card0", "../../devices/pci0000:00/0000:02:00.1/drm/card0");
    name("drm", "card0-DP-1", "../../devices/pci0000:00/0000:02:00.1/drm/card0/card0-DP-1");
    name("drm", "renderD128", "../../devices/pci0000:00/0000:02:00.1/drm/renderD128");
    name("accel", "accel0", "../../devices/pci0000:00/0000:04:00.0/accel/accel0");
    name("block", "sda", "../../devices/pci0000:00/0000:05:00.0/ata1/host0/target0:0:0/0:0:0:0/block/sda");
    name("block", "sdb", "../../devices/pci0000:00/0000:06:00.0/usb1/1-1/1-1:1.0/host1/block/sdb");
    /* A namespace with two paths to it, and what else is in its subsystem. */
    name("nvme", "nvme1", "../../devices/pci10000:e0/10000:e1:00.0/nvme/nvme1");
    name("block", "nvme1n1", "../../devices/virtual/nvme-subsystem/nvme-subsys1/nvme1n1");
    name("block", "nvme1c1n1", "../../devices/pci10000:e0/10000:e1:00.0/nvme/nvme1/nvme1c1n1");
    name("nvme-subsystem/nvme-subsys1", "nvme1", "../../../pci10000:e0/10000:e1:00.0/nvme/nvme1");
    name("nvme-subsystem/nvme-subsys1", "nvme0", "../../../pci0000:00/0000:01:00.0/nvme/nvme0");
    name("nvme-subsystem/nvme-subsys1", "subsystem", "../../../../class/nvme-subsystem");
    /* The folder of a partition is found through its link. */
    place(path, "sys/devices/pci0000:00/0000:01:00.0/nvme/nvme0/nvme0n1/nvme0n1p1/partition");
    put(path, "1\n", 2);
    expect("{\"devices\":["
           "{\"address\":\"0000:01:00.0\",\"class\":\"nvme\",\"names\":[\"nvme0\",\"nvme0n1\",\"nvme1n1\"],"
           "\"node\":0,\"cpus\":\"0-3\"},"
           "{\"address\":\"0000:02:00.1\",\"class\":\"gpu\",\"names\":[\"card0\",\"renderD128\"],\"cpus\":\"0-7\"},"
           "{\"address\":\"0000:03:00.0\",\"class\":\"accelerator\",\"names\":[],\"node\":1,\"cpus\":\"\"},"
           "{\"address\":\"0000:04:00.0\",\"class\":\"accelerator\",\"names\":[\"accel0\"]},"
           "{\"address\":\"0000:05:00.0\",\"class\":\"storage\",\"names\":[\"sda\"],\"node\":0,\"cpus\":\"0-3\"},"
           "{\"address\":\"0000:41:00.0\",\"class\":\"network\",\"names\":[\"eth9\",\"eth10\",\"mlx5_0\"],\"node\":1,"
           "\"cpus\":\"4-7\"},"
           "{\"address\":\"10000:e1:00.0\",\"class\":\"nvme\",\"names\":[\"nvme1\",\"nvme1n1\"],\"node\":1,"
           "\"cpus\":\"4-7\"}]}");
}

static void test_no_sysfs(void)
{
    char path[PATH_MAX];

    start();
    expect("{\"devices\":[]}");
    place(path, "sys/bus/pci/devices"); /* a file in place of the folder */
    put(path, "", 0);
    expect("{}");
}

/* As a user that may read only what all may. */
static void expect_as_nobody(const char *wanted)
{
    pid_t child = fork();

    if (child == 0) {
        if (!geteuid()) {
            CHECK_EQ(setresuid(65534, 65534, 65534), 0);
            CHECK_EQ(prctl(PR_SET_DUMPABLE, 1), 0); /* else it may not look into its own /proc */
        }
        expect(wanted);
        _exit(0);
    }
    finish(child);
}

static void lock(const char *file)
{
    char path[PATH_MAX];

    place(path, "%s", file);
    CHECK_EQ(chmod(path, 0), 0);
}

static void test_what_may_not_be_read(void)
{
    char path[PATH_MAX];

    start();
    CHECK_EQ(chmod(root, 0755), 0);
    function("0000:01:00.0", "0x020000\n", "0\n", "0-3\n");
    function("0000:02:00.0", "0x020000\n", "0\n", "0-3\n");
    name("net", "eth0", "../0000:01:00.0/net/eth0");
    name("infiniband", "mlx5_0", "../0000:01:00.0/infiniband/mlx5_0");
    lock("sys/bus/pci/devices/0000:01:00.0/numa_node");
    lock("sys/bus/pci/devices/0000:01:00.0/local_cpulist");
    lock("sys/bus/pci/devices/0000:02:00.0/class");
    lock("sys/class/net");
    expect_as_nobody("{\"devices\":[{\"address\":\"0000:01:00.0\",\"class\":\"network\",\"names\":[\"mlx5_0\"]}]}");
    lock("sys/bus/pci/devices");
    expect_as_nobody("{}");
    /* For those that clear up. */
    place(path, "sys/bus/pci/devices");
    CHECK_EQ(chmod(path, 0755), 0);
    place(path, "sys/class/net");
    CHECK_EQ(chmod(path, 0755), 0);
}

/* Addresses and facts that no kernel gives. */
static void test_hostile_facts(void)
{
    static const char *const bad[] = { "", "\n", "x", "-1", "0x1000000", "0xffffffffffffffffffff", "020000 ", "0x02" };
    char path[PATH_MAX], text[8192];

    start();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char address[32];

        snprintf(address, sizeof address, "0000:0%zx:00.0", i);
        function(address, bad[i], bad[i], bad[i]);
    }
    function("0000:zz:00.0", "0x020000", "0", "0");
    function("000:00:00.0", "0x020000", "0", "0");
    function("000000000:00:00.0", "0x020000", "0", "0");
    function("0000:00:00.8", "0x020000", "0", "0");
    function("0000:00:00.0.0", "0x020000", "0", "0");
    function("0000:10:00.0", "0x020000", "1024", "0-");
    function("0000:11:00.0", "0x020000", "18446744073709551616", "7-3");
    function("0000:12:00.0", "0x020000", "1e3", "none");
    memset(text, '1', sizeof text);
    place(path, "sys/bus/pci/devices/0000:13:00.0/class/x"); /* folders in place of files */
    function("0000:14:00.0", "0x020000", NULL, NULL);
    place(path, "sys/bus/pci/devices/0000:14:00.0/numa_node");
    put(path, text, sizeof text);
    place(path, "sys/bus/pci/devices/0000:14:00.0/local_cpulist/x");
    expect("{\"devices\":["
           "{\"address\":\"0000:06:00.0\",\"class\":\"network\",\"names\":[],\"cpus\":\"\"},"
           "{\"address\":\"0000:10:00.0\",\"class\":\"network\",\"names\":[]},"
           "{\"address\":\"0000:11:00.0\",\"class\":\"network\",\"names\":[],\"cpus\":\"\"},"
           "{\"address\":\"0000:12:00.0\",\"class\":\"network\",\"names\":[],\"node\":1},"
           "{\"address\":\"0000:14:00.0\",\"class\":\"network\",\"names\":[]}]}");
}

static void test_hostile_names(void)
{
    char path[PATH_MAX], text[PATH_MAX];

    start();
    function("0000:01:00.0", "0x020000", "0", "0");
    name("net", "a\"\\\n\xff", "0000:01:00.0");
    name("net", "loop", "loop");
    name("net", "unknown", "../0000:02:00.0/net/unknown");
    name("net", "almost", "0000:01:00.0x/0000:01:00");
    memset(text, 'n', 64);
    text[64] = '\0';
    name("net", text, "0000:01:00.0"); /* too long for a name */
    name("net", text + 1, "0000:01:00.0");
    memset(text, '/', 4000);
    strcpy(text + 4000, "0000:01:00.0");
    name("net", "slashes", text);
    place(path, "sys/class/net/folder/0000:01:00.0");
    place(path, "sys/class/net/file");
    put(path, "", 0);
    name("", "block", "block"); /* a class that leads to itself */
    name("nvme", "nvme7", "../nvme-subsystem/");
    name("nvme", "nvme8", "../nvme-subsystem/../../../..");
    name("nvme", "nvme9", "../nvme-subsystem/nvme-subsys9/nvme9");
    expect("{\"devices\":[{\"address\":\"0000:01:00.0\",\"class\":\"network\",\"names\":["
           "\"a\\\"\\\\\\u000a\\ufffd\","
           "\"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn\",\"slashes\"],"
           "\"node\":0,\"cpus\":\"0\"}]}");
}

static int count(const char *json, const char *part)
{
    int found = 0;

    for (; (json = strstr(json, part)); json += strlen(part))
        found++;
    return found;
}

static void test_hundreds(void)
{
    char address[32], text[32], path[PATH_MAX], *json;

    start();
    for (int i = 0; i < 700; i++) {
        snprintf(address, sizeof address, "0000:%02x:%02x.%d", i >> 8, (i >> 3) & 31, i & 7);
        function(address, "0x020000\n", i & 1 ? "1\n" : "0\n", "0-3\n");
        snprintf(text, sizeof text, "eth%d", i);
        snprintf(path, sizeof path, "../../devices/pci0000:00/%s/net/eth%d", address, i);
        name("net", text, path);
    }
    json = describe();
    CHECK_EQ(count(json, "\"address\""), 700);
    CHECK_EQ(count(json, "\"eth"), 700);
    CHECK_EQ(count(json, "\"node\":1"), 350);
    CHECK(strstr(json, "{\"address\":\"0000:01:00.1\",\"class\":\"network\",\"names\":[\"eth257\"],\"node\":1,"));
    free(json);
}

/* More than a machine has: no more than 4,096, and nothing is lost of those. */
static void test_too_many(void)
{
    char address[32], *json;

    start();
    for (int i = 0; i < 4200; i++) {
        snprintf(address, sizeof address, "%04x:%02x:00.0", i >> 8, i & 255);
        fact(address, "class", "0x020000");
    }
    json = describe();
    CHECK_EQ(count(json, "\"address\""), 4096);
    free(json);
}

/* Whatever is in the folders, what comes of it is JSON. */
static void test_garbage(void)
{
    static const char *const folders[] = { "net", "nvme", "block", "drm", "accel", "infiniband", "nvme-subsystem/s" };
    static const char letters[] = "0123456789abcdef:./-nvme\"\\\xc3\xff \n";
    uint32_t seed = 15;

    for (int round = repeats(150); round > 0; round--) {
        start();
        for (int i = 0; i < 12; i++) {
            char text[40], address[32], path[PATH_MAX], target[PATH_MAX];
            size_t length = next_random(&seed) % 39 + 1;
            uint32_t pick;

            for (size_t at = 0; at < length; at++)
                text[at] = letters[(next_random(&seed) >> 8) % (sizeof letters - 1)];
            text[length] = '\0';
            pick = next_random(&seed) >> 8;
            snprintf(address, sizeof address, "0000:0%x:00.%d", pick & 3, (int)(pick >> 2) % 9);
            function(address, pick & 16 ? text : "0x010802", text, text);
            snprintf(path, sizeof path, "%s/sys/class", root);
            CHECK(!mkdir(path, 0755) || errno == EEXIST);
            snprintf(target, sizeof target, "../%s/%s/%s", pick & 32 ? "nvme-subsystem/s" : "x", address, text);
            snprintf(text, sizeof text, "n%uc%u", pick >> 6 & 7, pick >> 9 & 1);
            place(path, "sys/class/%s/%s", folders[(pick >> 10) % 7], text);
            CHECK(!symlink(target, path) || errno == EEXIST);
        }
        free(describe());
    }
}

int main(void)
{
    RUN(test_a_server);
    RUN(test_no_sysfs);
    RUN(test_what_may_not_be_read);
    RUN(test_hostile_facts);
    RUN(test_hostile_names);
    RUN(test_hundreds);
    RUN(test_too_many);
    RUN(test_garbage);
    clear();
    return 0;
}
