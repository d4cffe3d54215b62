/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The machine as JSON: nodes, the distances between them, and what is known of their speed.
 *
 * On this machine the kernel is asked, too: hwloc leaves out nodes without memory, and where a node has no CPUs of its
 * own (CXL, HBM) it says which CPUs are near, while the kernel says that there are none.
 */
#include "topology_memory.h"
#include "cgroup.h"
#include "room.h"
#include "system.h"
#include "text.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LIST_BYTES (128 * 1024)
#define MAX_HUGEPAGE_SIZES 16
#define MAX_MATRICES 16

int nk_read_set(const char *path, hwloc_bitmap_t set)
{
    char *text = malloc(MAX_LIST_BYTES);
    int got;

    if (!text)
        return -ENOMEM;
    got = nk_read_text(path, text, MAX_LIST_BYTES);
    if (got == MAX_LIST_BYTES - 1)
        got = -E2BIG;
    if (got >= 0) {
        text[strcspn(text, "\n")] = '\0';
        hwloc_bitmap_zero(set);
        got = *text && hwloc_bitmap_list_sscanf(set, text) ? -EINVAL : 0;
        if (hwloc_bitmap_weight(set) < 0) /* "0-" */
            got = -EINVAL;
    }
    free(text);
    return got;
}

/* The CPUs that the kernel counts to a node, less any that came after hwloc looked. Returns 0 or -errno. */
static int read_cpus(const char *root, int node, hwloc_topology_t topology, hwloc_bitmap_t cpus)
{
    char path[PATH_MAX];
    int got = nk_path(path, sizeof path, "%s" NK_NODE_FOLDER "/node%d/cpulist", root, node);

    if (got >= 0)
        got = nk_read_set(path, cpus);
    hwloc_bitmap_and(cpus, cpus, hwloc_topology_get_topology_cpuset(topology));
    return got;
}

/* What can be had of a node, now and here. Returns 1 or -errno. */
static int read_available(const char *root, int node, uint64_t *bytes)
{
    uint64_t limit[2];
    int got = nk_node_available_below(root, node, UINT64_MAX, bytes);

    if (got >= 0 && nk_memory_room_below(root, limit) > 0 && limit[0] < *bytes)
        *bytes = limit[0];
    return got;
}

static void write_hugepages(struct nk_json *json, const char *root, int node)
{
    uint64_t sizes[MAX_HUGEPAGE_SIZES], pages[2];
    int count = nk_node_hugepage_sizes(root, node, sizes, MAX_HUGEPAGE_SIZES), i;

    nk_json_begin(json, "hugepages", '[');
    for (i = 0; i < count && i < MAX_HUGEPAGE_SIZES; i++) {
        if (nk_node_hugepages_below(root, node, sizes[i], pages) < 0)
            continue;
        nk_json_begin(json, NULL, '{');
        nk_json_number(json, "bytes", sizes[i]);
        nk_json_number(json, "total", pages[0]);
        nk_json_number(json, "free", pages[1]);
        nk_json_end(json, '}');
    }
    nk_json_end(json, ']');
}

/* Where hwloc does not know the node there is what the kernel says. cpus: a bitmap to use. */
static void write_node(struct nk_json *json, int node, hwloc_topology_t topology, const char *root,
                       hwloc_bitmap_t cpus)
{
    hwloc_obj_t object = hwloc_get_numanode_obj_by_os_index(topology, (unsigned)node);
    bool kernel_cpus = root && !read_cpus(root, node, topology, cpus);
    uint64_t memory[3], available;
    bool kernel_memory = root && nk_node_memory_below(root, node, memory) >= 0;

    nk_json_begin(json, NULL, '{');
    nk_json_number(json, "id", (uint64_t)node);
    if (kernel_cpus)
        nk_json_set(json, "cpus", cpus);
    else if (object)
        nk_json_set(json, "cpus", object->cpuset);
    if (kernel_memory)
        nk_json_number(json, "bytes", memory[0]);
    else if (object && object->attr->numanode.local_memory)
        nk_json_number(json, "bytes", object->attr->numanode.local_memory);
    if (kernel_memory)
        nk_json_number(json, "freeBytes", memory[1]);
    if (kernel_memory && read_available(root, node, &available) >= 0)
        nk_json_number(json, "availableBytes", available);
    if (object && object->subtype)
        nk_json_string(json, "subtype", object->subtype);
    if (root)
        write_hugepages(json, root, node);
    nk_json_end(json, '}');
}

/* The kernel's nodes, those without memory, too. Returns 0 or -errno. */
static int read_online(const char *root, hwloc_bitmap_t nodes)
{
    char path[PATH_MAX];
    int got = nk_path(path, sizeof path, "%s" NK_NODE_FOLDER "/online", root);

    return got < 0 ? got : nk_read_set(path, nodes);
}

void nk_topology_nodes(struct nk_json *json, hwloc_topology_t topology, const char *root)
{
    hwloc_bitmap_t nodes = hwloc_bitmap_alloc(), cpus = hwloc_bitmap_alloc();
    int node;

    nk_json_begin(json, "nodes", '[');
    if (nodes && cpus) {
        if (root && read_online(root, nodes))
            hwloc_bitmap_zero(nodes); /* a kernel without NUMA */
        hwloc_bitmap_or(nodes, nodes, hwloc_topology_get_topology_nodeset(topology));
        for (node = hwloc_bitmap_first(nodes); node >= 0; node = hwloc_bitmap_next(nodes, node))
            write_node(json, node, topology, root, cpus);
    } else {
        json->error = -ENOMEM;
    }
    nk_json_end(json, ']');
    hwloc_bitmap_free(nodes);
    hwloc_bitmap_free(cpus);
}

/* One row of the kernel's matrix, which has a column for each of its nodes in order. Returns 0 or -errno. */
static int write_kernel_row(struct nk_json *json, const char *root, int node, int columns)
{
    char path[PATH_MAX], text[16384], *at = text, *end;
    int column, got;

    got = nk_path(path, sizeof path, "%s" NK_NODE_FOLDER "/node%d/distance", root, node);
    if (got >= 0)
        got = nk_read_text(path, text, sizeof text);
    if (got < 0)
        return got;
    for (column = 0; column < columns; column++, at = end) {
        uint64_t value = strtoull(at, &end, 10);

        if (end == at)
            return -EINVAL;
        nk_json_number(json, NULL, value);
    }
    return 0;
}

/* hwloc has the kernel's matrix, too, but without the nodes that it leaves out. Returns 0 or -errno. */
static int write_kernel_distances(struct nk_json *json, const char *root)
{
    hwloc_bitmap_t nodes = hwloc_bitmap_alloc();
    struct nk_json before = *json;
    int node;
    int got = nodes ? read_online(root, nodes) : -ENOMEM;

    nk_json_begin(json, "distances", '{');
    nk_json_begin(json, "nodes", '[');
    if (!got) {
        for (node = hwloc_bitmap_first(nodes); node >= 0; node = hwloc_bitmap_next(nodes, node))
            nk_json_number(json, NULL, (uint64_t)node);
    }
    nk_json_end(json, ']');
    nk_json_begin(json, "values", '[');
    if (!got) {
        for (node = hwloc_bitmap_first(nodes); node >= 0; node = hwloc_bitmap_next(nodes, node))
            if (!got)
                got = write_kernel_row(json, root, node, hwloc_bitmap_weight(nodes));
    }
    nk_json_end(json, ']');
    nk_json_end(json, '}');
    if (got)
        *json = before; /* as if nothing had been written */
    hwloc_bitmap_free(nodes);
    return got;
}

static void write_matrix(struct nk_json *json, const struct hwloc_distances_s *matrix)
{
    unsigned row, column;

    nk_json_begin(json, "distances", '{');
    nk_json_begin(json, "nodes", '[');
    for (row = 0; row < matrix->nbobjs; row++)
        nk_json_number(json, NULL, matrix->objs[row]->os_index);
    nk_json_end(json, ']');
    nk_json_begin(json, "values", '[');
    for (row = 0; row < matrix->nbobjs; row++)
        for (column = 0; column < matrix->nbobjs; column++)
            nk_json_number(json, NULL, matrix->values[row * matrix->nbobjs + column]);
    nk_json_end(json, ']');
    nk_json_end(json, '}');
}

/* Whether a matrix is the one that firmware and kernel tell (SLIT), not one that a user added. */
static bool is_numa_latency(hwloc_topology_t topology, struct hwloc_distances_s *matrix)
{
#if HWLOC_API_VERSION >= 0x00020100
    const char *name = hwloc_distances_get_name(topology, matrix);

    return name && !strcmp(name, "NUMALatency");
#else
    (void)topology;
    return matrix->kind & HWLOC_DISTANCES_KIND_FROM_OS;
#endif
}

void nk_topology_distances(struct nk_json *json, hwloc_topology_t topology, const char *root)
{
    struct hwloc_distances_s *matrices[MAX_MATRICES];
    unsigned count = MAX_MATRICES, chosen = 0, i;

    if (root && !write_kernel_distances(json, root))
        return;
    if (hwloc_distances_get_by_type(topology, HWLOC_OBJ_NUMANODE, &count, matrices, HWLOC_DISTANCES_KIND_MEANS_LATENCY,
                                    0))
        return;
    if (count > MAX_MATRICES)
        count = MAX_MATRICES;
    for (i = count; i-- > 0;)
        if (is_numa_latency(topology, matrices[i]))
            chosen = i;
    if (count > 0)
        write_matrix(json, matrices[chosen]);
    for (i = 0; i < count; i++)
        hwloc_distances_release(topology, matrices[i]);
}

#if HWLOC_API_VERSION >= 0x00020300

struct attribute {
    hwloc_topology_t topology;
    hwloc_memattr_id_t id;
    const char *name;
    bool by_initiator;
};

static void write_value(struct nk_json *json, const struct attribute *attribute, hwloc_obj_t node,
                        hwloc_const_cpuset_t initiator, uint64_t value)
{
    nk_json_begin(json, NULL, '{');
    nk_json_string(json, "name", attribute->name);
    nk_json_number(json, "node", node->os_index);
    if (initiator)
        nk_json_set(json, "initiator", initiator);
    nk_json_number(json, "value", value);
    nk_json_end(json, '}');
}

/* One attribute of one node, a value for each group of CPUs it was measured from. */
static void write_initiators(struct nk_json *json, const struct attribute *attribute, hwloc_obj_t node)
{
    struct hwloc_location *initiators;
    hwloc_uint64_t *values;
    unsigned count = 0, i;

    if (hwloc_memattr_get_initiators(attribute->topology, attribute->id, node, 0, &count, NULL, NULL) || !count)
        return;
    initiators = calloc(count, sizeof *initiators);
    values = calloc(count, sizeof *values);
    if (!initiators || !values)
        json->error = -ENOMEM;
    else if (!hwloc_memattr_get_initiators(attribute->topology, attribute->id, node, 0, &count, initiators, values))
        for (i = 0; i < count; i++) /* an initiator that is an object is a device */
            if (initiators[i].type == HWLOC_LOCATION_TYPE_CPUSET)
                write_value(json, attribute, node, initiators[i].location.cpuset, values[i]);
    free(initiators);
    free(values);
}

static void write_attribute(struct nk_json *json, const struct attribute *attribute)
{
    hwloc_obj_t node = NULL;
    hwloc_uint64_t value;

    while ((node = hwloc_get_next_obj_by_type(attribute->topology, HWLOC_OBJ_NUMANODE, node))) {
        if (attribute->by_initiator)
            write_initiators(json, attribute, node);
        else if (!hwloc_memattr_get_value(attribute->topology, attribute->id, node, NULL, 0, &value))
            write_value(json, attribute, node, NULL, value);
    }
}

void nk_topology_attributes(struct nk_json *json, hwloc_topology_t topology)
{
    struct attribute attribute = { .topology = topology };
    unsigned long flags;

    nk_json_begin(json, "attributes", '[');
    for (; !hwloc_memattr_get_name(topology, attribute.id, &attribute.name); attribute.id++) {
        if (attribute.id == HWLOC_MEMATTR_ID_CAPACITY || attribute.id == HWLOC_MEMATTR_ID_LOCALITY ||
            hwloc_memattr_get_flags(topology, attribute.id, &flags))
            continue;
        attribute.by_initiator = flags & HWLOC_MEMATTR_FLAG_NEED_INITIATOR;
        write_attribute(json, &attribute);
    }
    nk_json_end(json, ']');
}

#else

void nk_topology_attributes(struct nk_json *json, hwloc_topology_t topology)
{
    (void)topology;
    nk_json_begin(json, "attributes", '[');
    nk_json_end(json, ']');
}

#endif
