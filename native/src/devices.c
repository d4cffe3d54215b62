/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The machine as JSON: the PCI devices that programs want to be near to, from sysfs.
 *
 *     /sys/bus/pci/devices/0000:00:03.0/{class,numa_node,local_cpulist}                   a function of a device
 *     /sys/class/net/eth0 -> ../../devices/pci0000:00/0000:00:03.0/virtio2/net/eth0       a name
 *
 * A name is the function's whose address comes last on the path that its link leads to: only links are read, no tree is
 * walked. The link of an NVMe namespace that may have several controllers leads to their subsystem; it is a name of
 * each of them.
 *
 * hwloc knows this as well, but finds it by walking the whole PCI bus, which takes longer than all the rest.
 */
#include "devices.h"
#include "nodes.h"
#include "system.h"
#include "text.h"
#include "topology_memory.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* More than any machine has, virtual functions included: what comes after these is left out. */
#define MAX_DEVICES 4096
#define MAX_NAMES 16384
#define ADDRESS_BYTES 17 /* "0000:00:03.0", the domain with up to eight digits */
#define NAME_BYTES 64    /* more than the kernel gives: 16 for net, 32 for block */
#define STEP 64

/* Where names are, those that people use first. */
static const char *const folders[] = { "net", "nvme", "block", "drm", "accel", "infiniband" };

struct device {
    char address[ADDRESS_BYTES];
    const char *kind;
};

struct name {
    char text[NAME_BYTES];
    uint16_t device, folder; /* indexes */
};

struct devices {
    const char *root;
    struct device *list;
    struct name *names;
    size_t count, name_count;
    int error; /* 0 or -ENOMEM */
};

/* Room behind count items of that size. Returns the list, or NULL without memory; the old one is then as it was. */
static void *grow(void *list, size_t count, size_t size)
{
    return count % STEP ? list : realloc(list, (count + STEP) * size);
}

static bool is_address(const char *text, size_t length)
{
    size_t domain = strspn(text, "0123456789abcdef");
    const char *rest = text + domain;

    return domain >= 4 && domain <= 8 && length == domain + 8 && rest[0] == ':' && isxdigit((unsigned char)rest[1]) &&
           isxdigit((unsigned char)rest[2]) && rest[3] == ':' && isxdigit((unsigned char)rest[4]) &&
           isxdigit((unsigned char)rest[5]) && rest[6] == '.' && rest[7] >= '0' && rest[7] <= '7';
}

/* What a class of PCI is called, NULL when nobody asks for it. */
static const char *kind_of(unsigned long class)
{
    unsigned long base = class >> 16, sub = class >> 8;

    if (sub == 0x0108)
        return "nvme";
    if (base == 0x01)
        return "storage";
    if (base == 0x02 || sub == 0x0c06) /* InfiniBand of old */
        return "network";
    if (base == 0x03)
        return "gpu";
    if (base == 0x12 || sub == 0x0b40) /* co-processors, such as QAT */
        return "accelerator";
    return NULL;
}

/* NULL also when its class cannot be read. */
static const char *read_kind(const char *root, const char *address)
{
    char path[PATH_MAX], text[32], *end;
    unsigned long class;
    int got = nk_path(path, sizeof path, "%s/sys/bus/pci/devices/%s/class", root, address);

    if (got >= 0)
        got = nk_read_text(path, text, sizeof text);
    if (got < 0)
        return NULL;
    class = strtoul(text, &end, 16);
    return end == text || class > 0xffffff ? NULL : kind_of(class);
}

static int compare_devices(const void *left, const void *right)
{
    return strcmp(((const struct device *)left)->address, ((const struct device *)right)->address);
}

static void add_device(struct devices *devices, const char *address)
{
    const char *kind = read_kind(devices->root, address);
    struct device *list;

    if (!kind)
        return;
    list = grow(devices->list, devices->count, sizeof *list);
    if (!list) {
        devices->error = -ENOMEM;
        return;
    }
    devices->list = list;
    strcpy(list[devices->count].address, address); /* is_address has looked at its length */
    list[devices->count++].kind = kind;
}

static DIR *open_folder(const char *root, const char *folder)
{
    char path[PATH_MAX];

    return nk_path(path, sizeof path, "%s/sys/%s", root, folder) < 0 ? NULL : opendir(path);
}

/* Returns whether the list could be read; a machine without PCI has an empty one. */
static bool read_devices(struct devices *devices)
{
    DIR *folder = open_folder(devices->root, "bus/pci/devices");
    struct dirent *entry;

    if (!folder)
        return errno == ENOENT;
    while (devices->count < MAX_DEVICES && !devices->error && (entry = readdir(folder)))
        if (is_address(entry->d_name, strlen(entry->d_name)))
            add_device(devices, entry->d_name);
    closedir(folder);
    if (devices->count)
        qsort(devices->list, devices->count, sizeof *devices->list, compare_devices);
    return true;
}

/* The device whose address comes last on a path, NULL when there is none of interest. */
static const struct device *last_device(const struct devices *devices, const char *path)
{
    struct device key = { .kind = NULL };
    size_t length;

    for (; *path; path += length + (path[length] == '/')) {
        length = strcspn(path, "/");
        if (is_address(path, length)) {
            memcpy(key.address, path, length);
            key.address[length] = '\0';
        }
    }
    if (!*key.address || !devices->count)
        return NULL;
    return bsearch(&key, devices->list, devices->count, sizeof key, compare_devices);
}

/* Where a link of sysfs leads to. Returns whether it is one. */
static bool read_link(char *target, size_t capacity, const char *path)
{
    ssize_t length = readlink(path, target, capacity - 1);

    if (length < 0)
        return false;
    target[length] = '\0';
    return true;
}

static void add_name(struct devices *devices, const struct device *device, const char *text, uint16_t folder)
{
    struct name *names;

    if (!device || strlen(text) >= NAME_BYTES || devices->name_count == MAX_NAMES)
        return;
    names = grow(devices->names, devices->name_count, sizeof *names);
    if (!names) {
        devices->error = -ENOMEM;
        return;
    }
    devices->names = names;
    names += devices->name_count++;
    strcpy(names->text, text);
    names->device = (uint16_t)(device - devices->list);
    names->folder = folder;
}

/* To each controller of the subsystem on the path (".../nvme-subsystem/nvme-subsys0/nvme0n1"). */
static void add_namespace(struct devices *devices, const char *path, const char *text, uint16_t rank)
{
    static const char parent[] = "/nvme-subsystem/";
    const char *subsystem = strstr(path, parent);
    char name[PATH_MAX], target[PATH_MAX];
    struct dirent *entry;
    DIR *folder;
    int length;

    if (!subsystem)
        return;
    subsystem += sizeof parent - 1;
    length = (int)strcspn(subsystem, "/");
    if (nk_path(name, sizeof name, "class/nvme-subsystem/%.*s", length, subsystem) < 0)
        return;
    folder = open_folder(devices->root, name);
    if (!folder)
        return;
    while (!devices->error && (entry = readdir(folder)))
        if (nk_path(name, sizeof name, "%s/sys/class/nvme-subsystem/%.*s/%s", devices->root, length, subsystem,
                    entry->d_name) >= 0 &&
            read_link(target, sizeof target, name))
            add_name(devices, last_device(devices, target), text, rank);
    closedir(folder);
}

/* Whether a name is that of a part: a partition, a path to a namespace ("nvme0c1n1"), a socket for a screen. */
static bool is_part(const char *root, const char *folder, const char *name)
{
    char path[PATH_MAX];

    if (!strcmp(folder, "drm"))
        return strchr(name, '-') != NULL;
    if (strcmp(folder, "block"))
        return false;
    if (!strncmp(name, "nvme", 4) && strchr(name, 'c'))
        return true;
    return nk_path(path, sizeof path, "%s/sys/class/block/%s/partition", root, name) < 0 || !access(path, F_OK);
}

static void read_names(struct devices *devices, uint16_t rank)
{
    char path[PATH_MAX], target[PATH_MAX];
    struct dirent *entry;
    DIR *folder;

    if (nk_path(path, sizeof path, "class/%s", folders[rank]) < 0)
        return;
    folder = open_folder(devices->root, path);
    if (!folder)
        return;
    while (!devices->error && (entry = readdir(folder))) {
        const struct device *device;

        if (nk_path(path, sizeof path, "%s/sys/class/%s/%s", devices->root, folders[rank], entry->d_name) < 0 ||
            !read_link(target, sizeof target, path))
            continue;
        device = last_device(devices, target);
        if ((!device && !strstr(target, "/nvme-subsystem/")) || is_part(devices->root, folders[rank], entry->d_name))
            continue;
        if (device)
            add_name(devices, device, entry->d_name, rank);
        else
            add_namespace(devices, target, entry->d_name, rank);
    }
    closedir(folder);
}

static int compare_names(const void *left, const void *right)
{
    const struct name *a = left, *b = right;

    if (a->device != b->device)
        return a->device < b->device ? -1 : 1;
    if (a->folder != b->folder)
        return a->folder < b->folder ? -1 : 1;
    return strverscmp(a->text, b->text);
}

/* cpus: a bitmap to use. */
static void write_place(struct nk_json *json, const struct devices *devices, const char *address,
                        hwloc_topology_t topology, hwloc_bitmap_t cpus)
{
    char path[PATH_MAX];
    uint64_t node;

    /* -1: the firmware does not say. */
    if (nk_path(path, sizeof path, "%s/sys/bus/pci/devices/%s/numa_node", devices->root, address) >= 0 &&
        nk_read_number(path, &node) >= 0 && node < NK_MAX_NODES)
        nk_json_number(json, "node", node);
    if (nk_path(path, sizeof path, "%s/sys/bus/pci/devices/%s/local_cpulist", devices->root, address) < 0 ||
        nk_read_set(path, cpus) < 0)
        return;
    hwloc_bitmap_and(cpus, cpus, hwloc_topology_get_topology_cpuset(topology));
    nk_json_set(json, "cpus", cpus);
}

static void write_devices(struct nk_json *json, const struct devices *devices, hwloc_topology_t topology,
                          hwloc_bitmap_t cpus)
{
    const struct name *name = devices->names, *end = name ? name + devices->name_count : name;
    size_t i;

    nk_json_begin(json, "devices", '[');
    for (i = 0; i < devices->count; i++) {
        nk_json_begin(json, NULL, '{');
        nk_json_string(json, "address", devices->list[i].address);
        nk_json_string(json, "class", devices->list[i].kind);
        nk_json_begin(json, "names", '[');
        for (; name != end && name->device == i; name++)
            nk_json_string(json, NULL, name->text);
        nk_json_end(json, ']');
        write_place(json, devices, devices->list[i].address, topology, cpus);
        nk_json_end(json, '}');
    }
    nk_json_end(json, ']');
}

void nk_topology_devices(struct nk_json *json, hwloc_topology_t topology, const char *root)
{
    struct devices devices = { .root = root };
    hwloc_bitmap_t cpus = hwloc_bitmap_alloc();
    bool known = read_devices(&devices);
    uint16_t i;

    for (i = 0; devices.count && i < sizeof folders / sizeof *folders; i++)
        read_names(&devices, i);
    if (devices.name_count)
        qsort(devices.names, devices.name_count, sizeof *devices.names, compare_names);
    if (!cpus || devices.error)
        json->error = -ENOMEM;
    else if (known)
        write_devices(json, &devices, topology, cpus);
    hwloc_bitmap_free(cpus);
    free(devices.names);
    free(devices.list);
}
