/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How much a node and the process's cgroups have room for, and how to take some of it without taking it twice. */
#ifndef NK_ROOM_H
#define NK_ROOM_H

#include <stdint.h>

/* No call populates more than that between two looks. */
#define NK_ROOM_STEP_BYTES (UINT64_C(64) << 20)

/* What is about to be taken. */
struct nk_claim {
    int32_t node;
    uint64_t page_bytes;    /* bytes of pages that come to the node */
    uint64_t charged_bytes; /* bytes of them that are new to the process's cgroup, with their page tables */
};

/*
 * A claim for bytes of pages that come to a node, of which charged_bytes are new to the process, with page tables for
 * mapped_bytes.
 */
struct nk_claim nk_claim_for(int32_t node, uint64_t page_bytes, uint64_t charged_bytes, uint64_t mapped_bytes);

/*
 * Look for room for all of the claims, each for a node of its own, and hold it against the process's other threads until
 * nk_room_settle. Waits where it is only other threads' claims that are in the way: they are short. Returns 0, or -ENOMEM
 * and holds nothing, or what nk_node_available says.
 */
int nk_room_claim(const struct nk_claim *claims, int32_t count);

/* The claims' pages are there, or will not come. */
void nk_room_settle(const struct nk_claim *claims, int32_t count);

/* As nk_node_available below a root of its own, for a need: more than needed is not looked for. */
int nk_node_available_below(const char *root, int32_t node, uint64_t needed, uint64_t *out);

#endif
