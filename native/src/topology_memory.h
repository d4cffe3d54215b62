/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef NK_TOPOLOGY_MEMORY_H
#define NK_TOPOLOGY_MEMORY_H

#include "json.h"

#include <hwloc.h>

/* The keys "nodes", "distances" and "attributes"; root as for nk_topology_describe. */
void nk_topology_nodes(struct nk_json *json, hwloc_topology_t topology, const char *root);
void nk_topology_distances(struct nk_json *json, hwloc_topology_t topology, const char *root);
void nk_topology_attributes(struct nk_json *json, hwloc_topology_t topology);

/* A list like "0-3,8" in a file of its own. Returns 0 or -errno. */
int nk_read_set(const char *path, hwloc_bitmap_t set);

#endif
