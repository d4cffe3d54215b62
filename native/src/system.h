/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What topology.c and the tests need of system.c: the same functions below a root of their own ("" is the system). */
#ifndef NK_SYSTEM_H
#define NK_SYSTEM_H

#include <stddef.h>
#include <stdint.h>

#define NK_NODE_FOLDER "/sys/devices/system/node"

/* Print a path. Returns its bytes or -ENAMETOOLONG. */
int nk_path(char *path, size_t capacity, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* As nk_node_memory and nk_node_hugepages. */
int nk_node_memory_below(const char *root, int32_t node, uint64_t *out);
int nk_node_hugepages_below(const char *root, int32_t node, uint64_t page_bytes, uint64_t *out);

/* The hugepage sizes of a node in bytes, ascending. Returns how many there are; at most count are filled in. */
int nk_node_hugepage_sizes(const char *root, int32_t node, uint64_t *sizes, int count);

#endif
