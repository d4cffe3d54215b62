/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What other files and the tests need of cgroup.c, below a root of their own ("" is the system). */
#ifndef NK_CGROUP_H
#define NK_CGROUP_H

#include <stddef.h>
#include <stdint.h>

/*
 * The least that a memory limit of the process's cgroups leaves beside a margin for the runtime: out[0] bytes, out[1]
 * that limit. Returns 2, or 0 when there is no limit.
 */
int nk_memory_room_below(const char *root, uint64_t *out);

/* The CPUs of the process's cpuset, as the kernel writes them. Returns the bytes read, 0 when there is none, or -errno. */
int nk_cgroup_cpus(const char *root, char *text, size_t capacity);

#endif
