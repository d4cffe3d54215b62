/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The parts of the topology export. root: NULL for a machine that is not this one (no facts from the kernel), else a
 * prefix of every path that is read: "" on this machine, a folder in the tests.
 */
#ifndef NK_TOPOLOGY_H
#define NK_TOPOLOGY_H

#include "json.h"

#include <hwloc.h>

/* The whole description of a loaded topology. Failures are left in json. */
void nk_topology_describe(struct nk_json *json, hwloc_topology_t topology, const char *source, const char *root);

/* "cpus": "0-3,8", also for node sets. */
void nk_json_set(struct nk_json *json, const char *key, hwloc_const_bitmap_t set);

/* topology_cpus.c: the keys "packages", "dies", "caches" and "cores". */
void nk_topology_cpus(struct nk_json *json, hwloc_topology_t topology);

/* topology_memory.c: the keys "nodes", "distances" and "attributes". */
void nk_topology_nodes(struct nk_json *json, hwloc_topology_t topology, const char *root);
void nk_topology_distances(struct nk_json *json, hwloc_topology_t topology, const char *root);
void nk_topology_attributes(struct nk_json *json, hwloc_topology_t topology);

/* A list like "0-3,8" in a file of its own. Returns 0 or -errno. */
int nk_read_set(const char *path, hwloc_bitmap_t set);

#endif
