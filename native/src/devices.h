/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef NK_DEVICES_H
#define NK_DEVICES_H

#include "json.h"

#include <hwloc.h>

/* The key "devices", absent where the list cannot be read. root: a prefix of every path that is read. */
void nk_topology_devices(struct nk_json *json, hwloc_topology_t topology, const char *root);

#endif
