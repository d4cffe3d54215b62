/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef NK_TOPOLOGY_H
#define NK_TOPOLOGY_H

#include "json.h"

#include <hwloc.h>

/*
 * The whole description of a loaded topology. root: NULL for a machine that is not this one (no facts from the kernel),
 * else a prefix of every path that is read: "" on this machine, a folder in the tests. Failures are left in json.
 */
void nk_topology_describe(struct nk_json *json, hwloc_topology_t topology, const char *source, const char *root);

#endif
