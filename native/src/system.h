/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What other files and the tests need of system.c: the same functions below a root of their own ("" is the system). */
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

/* MemFree and MemAvailable of the whole system. Returns 0 or -errno. */
int nk_system_memory_below(const char *root, uint64_t *free_bytes, uint64_t *available_bytes);

/* The first node that is online from a number on, or -errno; -ENODEV there is none. */
int32_t nk_next_node(const char *root, int32_t from);

/* The hugepage sizes of a node in bytes, ascending. Returns how many there are; at most count are filled in. */
int nk_node_hugepage_sizes(const char *root, int32_t node, uint64_t *sizes, int count);

#endif
