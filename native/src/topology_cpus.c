/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The machine as JSON: packages, dies, caches and cores. Indexes are the OS's own, so cores and dies of different
 * packages may have the same; their CPUs tell them apart.
 */
#include "topology_cpus.h"

/* Index of the OS, absent where hwloc does not know it. */
static void write_id(struct nk_json *json, const char *key, hwloc_obj_t object)
{
    if (object && object->os_index != HWLOC_UNKNOWN_INDEX)
        nk_json_number(json, key, object->os_index);
}

static void write_packages(struct nk_json *json, hwloc_topology_t topology)
{
    hwloc_obj_t package = NULL;
    const char *model;

    nk_json_begin(json, "packages", '[');
    while ((package = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_PACKAGE, package))) {
        nk_json_begin(json, NULL, '{');
        write_id(json, "id", package);
        nk_json_set(json, "cpus", package->cpuset);
        model = hwloc_obj_get_info_by_name(package, "CPUModel");
        if (model)
            nk_json_string(json, "model", model);
        nk_json_end(json, '}');
    }
    nk_json_end(json, ']');
}

static void write_dies(struct nk_json *json, hwloc_topology_t topology)
{
    nk_json_begin(json, "dies", '[');
#if HWLOC_API_VERSION >= 0x00020100
    hwloc_obj_t die = NULL;

    while ((die = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_DIE, die))) {
        nk_json_begin(json, NULL, '{');
        write_id(json, "id", die);
        write_id(json, "package", hwloc_get_ancestor_obj_by_type(topology, HWLOC_OBJ_PACKAGE, die));
        nk_json_set(json, "cpus", die->cpuset);
        nk_json_end(json, '}');
    }
#else
    (void)topology;
#endif
    nk_json_end(json, ']');
}

static void write_cache(struct nk_json *json, hwloc_obj_t cache)
{
    const struct hwloc_cache_attr_s *attributes = &cache->attr->cache;

    nk_json_begin(json, NULL, '{');
    nk_json_number(json, "level", attributes->depth);
    nk_json_string(json, "type", attributes->type == HWLOC_OBJ_CACHE_UNIFIED ? "unified" : "data");
    if (attributes->size)
        nk_json_number(json, "bytes", attributes->size);
    if (attributes->linesize)
        nk_json_number(json, "line", attributes->linesize);
    nk_json_set(json, "cpus", cache->cpuset);
    nk_json_end(json, '}');
}

static void write_caches(struct nk_json *json, hwloc_topology_t topology)
{
    static const hwloc_obj_type_t types[] = { HWLOC_OBJ_L1CACHE, HWLOC_OBJ_L2CACHE, HWLOC_OBJ_L3CACHE,
                                              HWLOC_OBJ_L4CACHE, HWLOC_OBJ_L5CACHE };
    size_t i;

    nk_json_begin(json, "caches", '[');
    for (i = 0; i < sizeof types / sizeof *types; i++) {
        hwloc_obj_t cache = NULL;

        while ((cache = hwloc_get_next_obj_by_type(topology, types[i], cache)))
            write_cache(json, cache);
    }
    nk_json_end(json, ']');
}

/* The rank of a core's kind, 0 the weakest; -1 with kinds that are all alike, unknown or not ranked. */
static int core_kind(hwloc_topology_t topology, hwloc_obj_t core)
{
    int efficiency = -1;
#if HWLOC_API_VERSION >= 0x00020400
    int kind = -1;

    if (hwloc_cpukinds_get_nr(topology, 0) > 1)
        kind = hwloc_cpukinds_get_by_cpuset(topology, core->cpuset, 0);
    if (kind < 0)
        return -1;
#if HWLOC_API_VERSION >= 0x00030000
    if (hwloc_cpukinds_get_info(topology, (unsigned)kind, NULL, &efficiency, NULL, 0))
#else
    if (hwloc_cpukinds_get_info(topology, (unsigned)kind, NULL, &efficiency, NULL, NULL, 0))
#endif
        return -1;
#else
    (void)topology;
    (void)core;
#endif
    return efficiency;
}

static void write_cores(struct nk_json *json, hwloc_topology_t topology)
{
    hwloc_obj_t core = NULL;

    nk_json_begin(json, "cores", '[');
    while ((core = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_CORE, core))) {
        int kind = core_kind(topology, core);

        nk_json_begin(json, NULL, '{');
        write_id(json, "id", core);
        nk_json_set(json, "cpus", core->cpuset);
        if (kind >= 0)
            nk_json_number(json, "kind", (uint64_t)kind);
        nk_json_end(json, '}');
    }
    nk_json_end(json, ']');
}

void nk_topology_cpus(struct nk_json *json, hwloc_topology_t topology)
{
    write_packages(json, topology);
    write_dies(json, topology);
    write_caches(json, topology);
    write_cores(json, topology);
}
