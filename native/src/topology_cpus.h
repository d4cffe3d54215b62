/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef NK_TOPOLOGY_CPUS_H
#define NK_TOPOLOGY_CPUS_H

#include "json.h"

#include <hwloc.h>

/* The keys "packages", "dies", "caches" and "cores". */
void nk_topology_cpus(struct nk_json *json, hwloc_topology_t topology);

#endif
